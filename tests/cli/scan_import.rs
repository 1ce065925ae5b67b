//! What `vault scan` says of `vault import`.

use std::collections::BTreeMap;

use crate::scan::{findings, home};
use crate::scan_tree::{Canaries, importable, planted, write};

#[test]
fn what_is_called_importable_is_what_import_reads_and_nothing_else() {
    let home = home();
    let mut canaries = Canaries::new();
    for file in planted(&mut canaries).into_iter().chain(importable(&mut canaries)) {
        write(&home.path(""), &file.path, &file.content);
    }

    let found = findings(&home, &[]);

    let import = |path: &str| home.run(&["import", "--dry-run", path]);
    let mut verdicts = BTreeMap::new();
    for (path, finding) in &found {
        let run = import(path);
        let says = |what: &str| run.stderr.contains(what);
        let (verdict, is_importable, tail) = match run.code {
            0 => ("whole", true, ""),
            _ if says("nothing can be taken in from") => ("nothing", false, ""),
            _ if says("does not say which client") => ("needs a client", true, " --client NAME"),
            _ if says("does not hold the secret") => ("needs a secret", true, ""),
            _ => panic!("{path}: {run:?}"),
        };
        assert_eq!(finding["importable"], is_importable, "{path}: {}", run.stderr);
        let next = format!("vault import {}{tail}", home.path(path).canonicalize().unwrap().display());
        assert_eq!(finding["next"] == *next, is_importable, "{path}: {}", finding["next"]);
        *verdicts.entry(verdict).or_insert(0) += 1;
    }
    for path in ["app/.env", "app/.boto", "app/sa.json", "app/credentials.db", "app/token.pickle"] {
        assert_eq!(import(path).code, 0, "{path}");
        assert_eq!(found[path]["importable"], true, "{path}");
    }
    assert!(verdicts.values().all(|count| *count >= 5) && verdicts.len() == 3, "{verdicts:?}");
}
