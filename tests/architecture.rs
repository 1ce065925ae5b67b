//! The rooms of the code and the arrows between them, read from the sources.
//!
//! What is read is the product: items under `#[cfg(test)]`, and the files of modules under it, are
//! left out. Comments and texts are no code, so the sources are read as tokens.
#![allow(clippy::disallowed_methods, reason = "tests own their files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Which rooms a room may use, besides itself (the table of `docs/architecture.md`).
const ROOMS: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("seal", &["domain"]),
    ("system", &["domain"]),
    ("oauth", &["domain", "seal", "system"]),
    ("store", &["domain", "seal", "system"]),
    ("unlock", &["domain", "seal", "system"]),
    ("ops", &["domain", "seal", "oauth", "store", "unlock", "system"]),
    ("serve", &["ops", "domain", "system"]),
    ("cli", &["domain", "seal", "system", "oauth", "store", "unlock", "ops", "serve"]),
];

/// Crates that only one room knows, so that what they do is done nowhere else.
const CRATES_OF_ONE_ROOM: &[(&str, &str)] = &[
    ("clap", "cli"),
    ("comfy_table", "cli"),
    ("dialoguer", "cli"),
    ("directories", "cli"),
    ("indicatif", "cli"),
    ("open", "cli"),
    ("qrcode", "cli"),
    ("rpassword", "cli"),
    ("aho_corasick", "ops"),
    ("ignore", "ops"),
    ("http_body", "oauth"),
    ("reqwest", "oauth"),
    ("tokio", "oauth"),
    ("dbus_secret_service", "unlock"),
    ("rusqlite", "ops"),
];

/// The doors: the files in which a secret may leave its wrapper, and for what.
const DOORS: &[(&str, &str)] = &[
    ("src/cli/commands/exec/mod.rs", "into the environment of the program that is started"),
    ("src/cli/commands/exec/surroundings.rs", "into it too: the path that is known to that program only"),
    ("src/cli/commands/exec/staying.rs", "into the address that a program is told"),
    ("src/cli/commands/export/formats.rs", "into a value of rclone.conf"),
    ("src/cli/commands/export/members.rs", "into the JSON of who leaves"),
    ("src/cli/commands/export/mod.rs", "into the file of who leaves"),
    ("src/cli/commands/serve.rs", "into what is printed for the shells of programs"),
    ("src/cli/commands/token.rs", "into the formats of `vault token`"),
    ("src/cli/format/mod.rs", "into the formats of `vault env`"),
    ("src/cli/output.rs", "to standard output, and the masks of GitHub Actions to standard error"),
    ("src/cli/terminal.rs", "to compare what was typed twice"),
    ("src/domain/agent_protocol.rs", "onto the agent's socket"),
    ("src/domain/secret.rs", "to check what a secret may consist of"),
    ("src/oauth/assertion.rs", "to sign with a private key"),
    ("src/oauth/authorization.rs", "to compare the state that came back"),
    ("src/oauth/https.rs", "into the request"),
    ("src/oauth/id_token.rs", "to read the claims"),
    ("src/oauth/token_endpoint.rs", "to black out what a server repeats of a request"),
    ("src/oauth/transfer.rs", "into the head of a request"),
    ("src/ops/client_secret.rs", "to compare a known client secret with a given one"),
    ("src/ops/consent.rs", "to read a pasted address"),
    ("src/ops/refresh.rs", "to see whether the refresh token was replaced"),
    ("src/ops/import/replace/copies.rs", "into the copies of files that are sealed"),
    ("src/seal/backup.rs", "into the content of a backup"),
    ("src/seal/item.rs", "into the plaintext that is sealed"),
    ("src/seal/key.rs", "to derive keys, and into the plaintext of a key slot"),
    ("src/serve/cargo.rs", "into the answer to cargo"),
    ("src/serve/kubectl.rs", "into the answer to kubectl"),
    ("src/serve/docker.rs", "into the answer to docker"),
    ("src/serve/git.rs", "into the answer to git"),
    ("src/serve/locked.rs", "into memory that is never written to disk"),
    ("src/serve/reply.rs", "into the answer to a program"),
    ("src/serve/sasl.rs", "into what a mail program sends to its server"),
    ("src/serve/server.rs", "into the address where a program renews its token"),
    ("src/serve/visit.rs", "to compare what a program brings with the secret of the run"),
    ("src/system/run_dir.rs", "into the private files of a program that is run"),
    ("src/unlock/identity.rs", "to parse an identity file"),
    ("src/unlock/keychain/linux.rs", "into the keychain"),
    ("src/unlock/keychain/mod.rs", "to compare what the keychain gives back"),
    ("src/unlock/keychain/native.rs", "into the keychain"),
    ("src/unlock/message.rs", "into the plaintext of a key slot"),
    ("src/unlock/passphrase.rs", "to count the characters of a passphrase"),
    ("src/unlock/plugin.rs", "to an age plugin that asks for it"),
];

/// What only `cli` does, where it stands elsewhere after all, and why.
const OUTSIDE_CLI: [(&str, &str, &str); 2] = [
    ("src/main.rs", "ExitCode", "the program's one line"),
    ("src/system/process.rs", "process::exit", "where a process cannot be replaced, its end is passed on"),
];

/// Lines of a file before its tests: longer ones have more than one thought.
const LONGEST_FILE: usize = 450;

/// Longer files, and why they are one thought all the same.
const LONG_FILES: [(&str, &str); 1] =
    [("src/ops/error.rs", "one enum: a variant for each thing that may stand in the way")];

#[test]
fn every_room_uses_only_the_rooms_below_it() {
    let found: BTreeSet<String> = sources().iter().flat_map(Source::forbidden_uses).collect();
    assert!(found.is_empty(), "the arrows point down only:\n{}", lines(&found));
}

#[test]
fn every_room_of_the_library_is_in_the_table() {
    let rooms: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
    let table: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, table);
}

#[test]
fn secrets_leave_their_wrappers_only_at_the_doors() {
    let open: BTreeSet<String> =
        sources().into_iter().filter(|source| source.is_a_door()).map(|source| source.path).collect();
    let listed: BTreeSet<String> = DOORS.iter().map(|(path, _)| (*path).to_owned()).collect();

    let unlisted: BTreeSet<_> = open.difference(&listed).cloned().collect();
    let stale: BTreeSet<_> = listed.difference(&open).cloned().collect();
    assert!(unlisted.is_empty(), "new doors; each needs a reason in this test:\n{}", lines(&unlisted));
    assert!(stale.is_empty(), "these are no doors any more:\n{}", lines(&stale));
}

#[test]
fn only_the_command_line_prints_prompts_reads_the_environment_and_ends_the_process() {
    let mut found: BTreeSet<String> =
        sources().iter().filter(|source| source.room != "cli").flat_map(Source::outward_acts).collect();
    found.extend(main_file().outward_acts());
    let listed: BTreeSet<String> =
        OUTSIDE_CLI.iter().map(|(path, act, _)| format!("{path}: {act}")).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_crate_of_one_room_is_used_there_only() {
    let found: BTreeSet<String> = sources().iter().flat_map(Source::borrowed_crates).collect();
    assert!(found.is_empty(), "{}", lines(&found));
}

#[test]
fn whoever_gets_at_the_vault_key_says_so_to_the_audit_log() {
    let sources = sources();
    let unlocking: Vec<&Source> = sources.iter().filter(|source| source.unlocks()).collect();

    assert!(unlocking.len() >= 2, "they are found");
    let silent: BTreeSet<String> = unlocking
        .into_iter()
        .filter(|source| !source.words.iter().any(|word| word == "concerns"))
        .map(|source| source.path.clone())
        .collect();
    assert!(silent.is_empty(), "these make an `Unlocked` and no line:\n{}", lines(&silent));
}

#[test]
fn no_file_holds_more_than_one_thought() {
    let long: BTreeSet<String> =
        sources().into_iter().filter(|it| it.lines_of_code() > LONGEST_FILE).map(|it| it.path).collect();
    let listed: BTreeSet<String> = LONG_FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(long, listed, "split it, or say here why it is one thought");
}

#[test]
fn no_file_of_tests_is_forgotten() {
    let forgotten: BTreeSet<String> =
        ["tests/cli", "tests/simulation"].into_iter().flat_map(undeclared_modules).collect();
    assert!(forgotten.is_empty(), "not in main.rs, so never run:\n{}", lines(&forgotten));
}

fn undeclared_modules(folder: &str) -> Vec<String> {
    let main = std::fs::read_to_string(format!("{folder}/main.rs")).unwrap();
    let is_declared = |name: &str| main.lines().any(|line| line.trim() == format!("mod {name};"));
    let mut undeclared = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|it| it == "rs") || path.join("mod.rs").exists();
        if is_module && name != "main" && !is_declared(&name) {
            undeclared.push(format!("{folder}/{name}"));
        }
    }
    undeclared
}

/// One file of the library, without its tests.
struct Source {
    path: String,
    room: String,
    /// The names of its module and of those around it, from the top.
    module: Vec<String>,
    text: String,
    words: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let module = module_of(path);
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut words = Vec::new();
        flatten(tokens, &mut words);
        let room = module.first().cloned().unwrap_or_default();
        Self { path: path.to_owned(), room, module, text: text.to_owned(), words }
    }

    /// Rooms that it names, and may not.
    fn forbidden_uses(&self) -> Vec<String> {
        let allowed = ROOMS.iter().find(|(room, _)| *room == self.room).map_or(&[][..], |(_, uses)| uses);
        let is_allowed = |used: &str| used == self.room || allowed.contains(&used);
        let used = self.rooms_used();
        used.into_iter()
            .filter(|used| !is_allowed(used))
            .map(|it| format!("{} uses {it}", self.path))
            .collect()
    }

    /// The first name behind `crate::`, or behind as many `super::` as lead to the top.
    fn rooms_used(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        let mut at = 0;
        while at < self.words.len() {
            let (steps, next) = self.steps_up(at);
            if steps == Some(self.module.len()) {
                used.extend(first_names(&self.words[next..]));
            }
            at = next.max(at + 1);
        }
        used
    }

    /// How many modules a path at `at` goes up, and where it goes on.
    fn steps_up(&self, at: usize) -> (Option<usize>, usize) {
        let is_path = |place: usize| self.words.get(place + 1).is_some_and(|word| word == "::");
        if self.words[at] == "crate" {
            return (is_path(at).then_some(self.module.len()), at + 2);
        }
        let mut steps = 0;
        let mut place = at;
        while self.words.get(place).is_some_and(|word| word == "super") && is_path(place) {
            steps += 1;
            place += 2;
        }
        if steps == 0 { (None, at + 1) } else { (Some(steps), place) }
    }

    /// Whether it makes an `Unlocked`.
    fn unlocks(&self) -> bool {
        self.words.windows(3).any(|words| {
            let is_item = matches!(words[0].as_str(), "struct" | "impl" | "for");
            !is_item && words[1] == "Unlocked" && words[2] == "{"
        })
    }

    fn is_a_door(&self) -> bool {
        self.words.iter().any(|word| matches!(word.as_str(), "expose_secret" | "expose_secret_mut"))
    }

    fn outward_acts(&self) -> Vec<String> {
        let said = |path: &[&str]| {
            self.words.windows(path.len()).any(|words| words.iter().zip(path).all(|(word, it)| word == it))
        };
        let acts: [(&str, &[&str]); 13] = [
            ("print!", &["print", "!"]),
            ("println!", &["println", "!"]),
            ("eprint!", &["eprint", "!"]),
            ("eprintln!", &["eprintln", "!"]),
            ("dbg!", &["dbg", "!"]),
            ("stdin", &["io", "::", "stdin"]),
            ("stdout", &["io", "::", "stdout"]),
            ("stderr", &["io", "::", "stderr"]),
            ("std::env", &["std", "::", "env"]),
            ("env::var", &["env", "::", "var"]),
            ("process::exit", &["process", "::", "exit"]),
            ("process::abort", &["process", "::", "abort"]),
            ("ExitCode", &["ExitCode"]),
        ];
        let found = acts.iter().filter(|(_, path)| said(path));
        found.map(|(act, _)| format!("{}: {act}", self.path)).collect()
    }

    /// Crates that it names, and that belong to another room.
    fn borrowed_crates(&self) -> Vec<String> {
        let names = |name: &str| {
            // A path of its own, not the end of another one.
            (1..self.words.len()).any(|at| {
                self.words[at] == "::" && self.words[at - 1] == name && (at < 2 || self.words[at - 2] != "::")
            })
        };
        let borrowed = CRATES_OF_ONE_ROOM.iter().filter(|(name, room)| *room != self.room && names(name));
        borrowed.map(|(name, room)| format!("{} uses the crate {name} of {room}", self.path)).collect()
    }

    /// Lines above the tests at the bottom.
    fn lines_of_code(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let tests = lines.windows(2).position(|two| two[0] == "#[cfg(test)]" && two[1].starts_with("mod "));
        tests.unwrap_or(lines.len())
    }
}

/// The tokens in a row, without items under `#[cfg(test)]`. `::` is one word, literals are blank.
fn flatten(tokens: TokenStream, words: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = end_of_item(&tokens, at + 2);
            continue;
        }
        match &tokens[at] {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                words.push(open.to_owned());
                flatten(group.stream(), words);
                words.push(close.to_owned());
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && is_punct(tokens.get(at + 1), ':') => {
                words.push("::".to_owned());
                at += 1;
            }
            TokenTree::Literal(_) => words.push(String::new()),
            token => words.push(token.to_string()),
        }
        at += 1;
    }
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`; what is under `cfg(any(test, …))` is part of the product.
fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(group), ..] = tokens else { return false };
    let condition = group.stream().to_string().replace(' ', "");
    is_punct(Some(hash), '#') && (condition == "cfg(test)" || condition.starts_with("cfg(all(test,"))
}

/// Behind the item that begins at `at`: behind its block, or its semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(Some(token), ';'),
    };
    let is_use = matches!(&tokens.get(at), Some(TokenTree::Ident(word)) if word == "use");
    let end = tokens[at..].iter().position(|token| ends(token) && (!is_use || is_punct(Some(token), ';')));
    at + end.map_or(tokens.len() - at, |end| end + 1)
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// `a` of `a::b`, or `a` and `c` of `{a::b, c as d}`.
fn first_names(words: &[String]) -> Vec<String> {
    match words.first().map(String::as_str) {
        Some("{") => names_in_braces(&words[1..]),
        Some(name) => vec![name.to_owned()],
        None => Vec::new(),
    }
}

fn names_in_braces(words: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut is_first = true;
    for word in words {
        match word.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => is_first = true,
            "," => {}
            name if is_first && depth == 0 => {
                names.push(name.to_owned());
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

/// `[oauth, callback, page]` for `src/oauth/callback/page.rs`.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|name| !matches!(*name, "lib" | "main")).map(str::to_owned).collect()
}

/// Every file of the rooms, without those of modules under `#[cfg(test)]`.
fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    collect(Path::new("src"), &mut paths);
    paths.sort();
    let files: Vec<(String, String)> = paths
        .iter()
        .map(|path| (path.to_str().unwrap().replace('\\', "/"), std::fs::read_to_string(path).unwrap()))
        .collect();
    let tests: Vec<String> = files.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let is_test = |path: &str| {
        let module = format!("{}/", module_of(path).join("/"));
        tests.iter().any(|test| module.starts_with(test))
    };
    let is_room = |path: &str| !module_of(path).is_empty() && !is_test(path);
    files.iter().filter(|(path, _)| is_room(path)).map(|(path, text)| Source::new(path, text)).collect()
}

fn main_file() -> Source {
    Source::new("src/main.rs", &std::fs::read_to_string("src/main.rs").unwrap())
}

/// The modules that `text` declares under `#[cfg(test)]` in files of their own, as `oauth/tests/`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|two| two[0] == "#[cfg(test)]").filter_map(|two| {
        let name = two[1].trim_start_matches("pub(super) ").strip_prefix("mod ")?.strip_suffix(';')?;
        Some(format!("{}/{name}/", module_of(path).join("/")))
    });
    declared.collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|it| it == "rs") {
            paths.push(path);
        }
    }
}

fn lines(found: &BTreeSet<String>) -> String {
    found.iter().map(|line| format!("  {line}\n")).collect()
}

/// Each rule can fail.
mod rules {
    use super::*;

    fn uses(path: &str, text: &str) -> Vec<String> {
        Source::new(path, text).rooms_used().into_iter().collect()
    }

    #[test]
    fn every_way_to_name_a_room_is_seen() {
        assert_eq!(uses("src/seal/key.rs", "use crate::store::Error;"), ["store"]);
        assert_eq!(uses("src/seal/key.rs", "fn f() -> crate::ops::Error {}"), ["ops"]);
        assert_eq!(uses("src/seal/key.rs", "fn f() { write!(x, \"{}\", crate::cli::y()) }"), ["cli"]);
        assert_eq!(
            uses("src/seal/key.rs", "use crate::{domain::{Id, Name}, ops, store as s};"),
            ["domain", "ops", "store"]
        );
        assert_eq!(uses("src/seal/key.rs", "use super::super::oauth::Http;"), ["oauth"]);
        assert_eq!(uses("src/seal/mod.rs", "use super::unlock;"), ["unlock"]);
        assert_eq!(uses("src/seal/key.rs", "use super::{super::serve::keys};"), Vec::<String>::new());
        assert_eq!(uses("src/seal/key.rs", "use crate::*;"), ["*"]);
    }

    #[test]
    fn what_is_no_use_of_a_room_is_not_taken_for_one() {
        for text in [
            "use super::item;",
            "pub(crate) fn f() {} pub(super) fn g() {}",
            "// crate::ops\nfn f() {}",
            "/// As [`crate::ops::Error`] says.\nfn f() {}",
            "const A: &str = \"crate::ops\";",
            "#[cfg(test)]\nmod tests { use crate::ops; }",
            "#[cfg(test)]\nuse crate::{ops, cli};",
            "#[cfg(test)]\nfn f() -> crate::ops::Error { x }",
            "#[cfg(test)]\n#[allow(a)]\nmod tests { use crate::ops; }",
        ] {
            assert_eq!(uses("src/seal/key.rs", text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(uses("src/seal/key.rs", "#[cfg(test)]\nmod t {}\nuse crate::ops;"), ["ops"]);
    }

    #[test]
    fn an_arrow_that_points_up_or_aside_is_refused() {
        let refused = |path, text| !Source::new(path, text).forbidden_uses().is_empty();

        assert!(refused("src/domain/id.rs", "use crate::seal::Item;"));
        assert!(refused("src/oauth/mod.rs", "use crate::store::Error;"));
        assert!(refused("src/store/mod.rs", "use crate::unlock::Ways;"));
        assert!(refused("src/ops/token.rs", "use crate::cli::exit::Code;"));
        assert!(refused("src/serve/agent.rs", "use crate::unlock::agent;"));
        assert!(!refused("src/serve/agent.rs", "use crate::{domain, ops, serve, system};"));
        assert!(!refused("src/cli/mod.rs", "use crate::{domain, ops, serve, system, unlock};"));
    }

    #[test]
    fn doors_acts_and_borrowed_crates_are_seen() {
        let source = |text: &str| Source::new("src/ops/token.rs", text);

        assert!(source("fn f() { s.expose_secret() }").is_a_door());
        assert!(source("fn f() { x!(s.expose_secret()) }").is_a_door());
        assert!(!source("#[cfg(test)]\nmod tests { fn f() { s.expose_secret() } }").is_a_door());
        for act in [
            "println!(\"x\")",
            "eprintln!()",
            "std::env::var(\"X\")",
            "std::process::exit(1)",
            "io::stdout().write_all(b)",
        ] {
            let text = format!("fn f() {{ {act}; }}");
            assert_eq!(source(&text).outward_acts().len(), if act.contains("env") { 2 } else { 1 }, "{act}");
        }
        assert!(source("fn f() { command.stdout(Stdio::null()); }").outward_acts().is_empty());
        assert_eq!(source("use reqwest::Client;").borrowed_crates().len(), 1);
        assert!(source("fn f() { File::open(x); a::clap::b(); }").borrowed_crates().is_empty());
    }

    #[test]
    fn lines_are_counted_up_to_the_tests() {
        let source = Source::new("src/a/b.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(source.lines_of_code(), 2);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_no_product() {
        let text = "mod a;\n#[cfg(test)]\nmod script;\n";
        assert_eq!(test_modules("src/oauth/mod.rs", text), ["oauth/script/"]);
    }
}
