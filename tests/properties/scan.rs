//! A file that lies anywhere: whatever is in it, `vault scan` comes to an end and tells nothing of its content.

use std::collections::HashSet;
use std::fs;

use vault::ops::scan::{Plan, Report, Root, scan};

/// Names by which files are looked at in other ways.
const NAMES: [&str; 5] = [".netrc", ".env", "token.json", ".git-credentials", "any"];

/// Longest text of a file that a report may repeat by chance: words of its own.
const LONGEST: usize = 20;

/// Holds whatever `file` is; says whether something was found in it.
pub fn holds(file: &[u8]) -> bool {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        fs::write(folder.path().join(name), file).unwrap();
    }
    let root = Root { path: folder.path().to_owned(), stands_for: None };
    let report = scan(&Plan { roots: vec![root], ..Plan::default() }, &());
    assert_eq!(report.counts.files, NAMES.len() as u64);
    assert_tells_no_value(&report, file);
    !report.findings.is_empty()
}

/// Values behind the names of secrets, and what looks like one, stand in no report.
fn assert_tells_no_value(report: &Report, file: &[u8]) {
    let told = format!("{report:?}");
    let told: HashSet<&[u8]> = told.as_bytes().windows(LONGEST).collect();
    let text = String::from_utf8_lossy(file);
    for start in ["1//0", "GOCSPX-", "ya29.", "ghp_", "xoxb-"] {
        for (at, _) in text.match_indices(start) {
            let value = text[at + start.len()..].split(|c: char| !c.is_ascii_alphanumeric()).next();
            let shown =
                value.is_some_and(|value| value.as_bytes().windows(LONGEST).any(|it| told.contains(it)));
            assert!(!shown, "a part of what follows {start} is told");
        }
    }
}
