//! `vault scan` tells whether git tracks a file, and runs nothing of a foreign repository.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::home::Home;
use crate::outside::program;
use crate::scan_tree::write;

const SECRET: &[u8] = b"REFRESH_TOKEN=1//0gXk3JfR7pQzYCgYIARAAGBASNwF-L9IrQ8vZtB2mD5nE\n";

struct Git {
    program: PathBuf,
    home: Home,
}

impl Git {
    fn new() -> Option<Self> {
        Some(Self { program: program("git")?, home: Home::bare() })
    }

    #[track_caller]
    fn run(&self, folder: &str, words: &[&str]) {
        let mut command = Command::new(&self.program);
        self.home.prepare(&mut command);
        let author =
            ["-c", "user.name=me", "-c", "user.email=me@x.example", "-c", "protocol.file.allow=always"];
        let run = command.args(author).args(words).current_dir(self.home.path(folder)).output().unwrap();
        assert!(run.status.success(), "{words:?}: {}", String::from_utf8_lossy(&run.stderr));
    }

    /// A repository with a file that is tracked and one that is not.
    fn repository(&self, name: &str, options: &[&str]) {
        fs::create_dir_all(self.home.path(name)).unwrap();
        self.run(name, &[&["init", "-q"], options].concat());
        for path in ["deep/tracked.env", "loose.env"] {
            write(&self.home.path(name), path, SECRET);
        }
        self.run(name, &["add", "deep"]);
        self.run(name, &["commit", "-q", "-m", "x"]);
    }

    #[track_caller]
    fn tracked(&self, path: &str) -> Value {
        let run = self.home.run(&["scan", "--json", self.home.path(path).to_str().unwrap()]);
        assert_eq!(run.code, 15, "{}", run.stderr);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        answer["findings"][0]["tracked_by_git"].clone()
    }
}

#[test]
fn the_index_of_each_version_and_hash_is_read_as_git_writes_it() {
    let Some(git) = Git::new() else { return };
    git.repository("two", &[]);
    git.repository("four", &[]);
    git.run("four", &["update-index", "--index-version", "4"]);
    git.repository("three", &[]);
    git.run("three", &["add", "-N", "loose.env"]);
    git.repository("long", &["--object-format=sha256"]);

    for name in ["two", "four", "three", "long"] {
        assert_eq!(git.tracked(&format!("{name}/deep/tracked.env")), true, "{name}");
        assert_eq!(git.tracked(&format!("{name}/loose.env")), name == "three", "{name}");
    }
    // The other half of a split one is elsewhere.
    git.run("two", &["update-index", "--split-index"]);
    assert_eq!(git.tracked("two/loose.env"), Value::Null);
}

#[test]
fn worktrees_and_submodules_are_followed_to_their_index() {
    let Some(git) = Git::new() else { return };
    git.repository("main", &[]);
    git.run("main", &["worktree", "add", "-q", "../tree"]);
    write(&git.home.path("tree"), "loose.env", SECRET);
    git.repository("above", &[]);
    git.run("above", &["submodule", "--quiet", "add", "../main", "below"]);
    write(&git.home.path("above/below"), "loose.env", SECRET);

    for folder in ["tree", "above/below"] {
        assert!(git.home.path(folder).join(".git").is_file());
        assert_eq!(git.tracked(&format!("{folder}/deep/tracked.env")), true, "{folder}");
        assert_eq!(git.tracked(&format!("{folder}/loose.env")), false, "{folder}");
    }
}

#[test]
fn nothing_that_a_foreign_repository_names_is_run() {
    let Some(git) = Git::new() else { return };
    git.repository("evil", &[]);
    let touched = git.home.path("touched");
    let touch = format!("touch {}", touched.display());
    for name in
        ["core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "diff.external", "alias.ls-files"]
    {
        git.run("evil", &["config", name, &touch]);
    }
    for hook in ["post-index-change", "fsmonitor-watchman"] {
        write(&git.home.path("evil/.git/hooks"), hook, format!("#!/bin/sh\n{touch}\n").as_bytes());
        let hook = git.home.path("evil/.git/hooks").join(hook);
        fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // Whoever asks git instead runs them.
    git.run("evil", &["status"]);
    assert!(fs::remove_file(&touched).is_ok(), "the trap works");

    assert_eq!(git.tracked("evil/deep/tracked.env"), true);
    assert!(!touched.exists());
}

#[test]
fn a_hostile_index_or_pointer_is_no_answer_and_no_harm() {
    let Some(git) = Git::new() else { return };
    git.repository("x", &[]);
    let index = git.home.path("x/.git/index");
    let good = fs::read(&index).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let hostile = [
        Vec::new(),
        good[..20].to_vec(),
        good[..good.len() - 30].to_vec(),
        with(4, &[0, 0, 0, 9]),
        with(8, &[0xff; 4]),
        with(12 + 24, &[0xff; 4]),
        with(12 + 60, &[0xff, 0xff]),
        [&b"DIRC\0\0\0\x04\xff\xff\xff\xff"[..], &[0xff; 4000]].concat(),
    ];
    for bad in hostile {
        fs::write(&index, &bad).unwrap();
        assert_eq!(git.tracked("x/loose.env"), Value::Null, "{} bytes", bad.len());
    }

    for pointer in ["", "gitdir:", "gitdir: /nowhere", "gitdir: x\0y", &"gitdir: a".repeat(10_000)] {
        fs::create_dir_all(git.home.path("pointer")).unwrap();
        write(&git.home.path("pointer"), "loose.env", SECRET);
        fs::write(git.home.path("pointer/.git"), pointer).unwrap();
        assert_eq!(git.tracked("pointer/loose.env"), Value::Null, "{:.20}", pointer);
    }
}
