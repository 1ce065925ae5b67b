//! What holds for every reader of foreign bytes, whatever the bytes. The same functions run under a
//! fuzzer (`fuzz/run`); here they meet its seeds, every input that ever broke one of them, and a
//! bounded number of changed seeds.
#![allow(unreachable_pub, reason = "the modules of one binary have no outside")]
#![allow(clippy::disallowed_methods, reason = "tests own their files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod backup;
mod callback;
mod changes;
mod clean;
mod client_file;
mod device_answer;
mod document;
mod helper_request;
mod import;
mod key_set;
mod keys;
mod plaintext;
mod scan;
mod tampering;
mod token_answer;
mod vault_of_vectors;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, TestRunner};

/// A reader of foreign bytes.
struct Reader {
    /// The name of its fuzz target.
    name: &'static str,
    /// Panics if something does not hold; says whether the bytes were taken.
    holds: fn(&[u8]) -> bool,
    /// Where its seeds are.
    seeds: &'static [&'static str],
    /// How many changed seeds it meets in a run: some seconds of work.
    cases: u32,
}

const READERS: [Reader; 11] = [
    DOCUMENT,
    PLAINTEXT,
    CALLBACK,
    TOKEN_ANSWER,
    CLIENT_FILE,
    BACKUP,
    HELPER_REQUEST,
    IMPORT,
    DEVICE_ANSWER,
    KEY_SET,
    SCAN,
];

const SCAN: Reader =
    Reader { name: "scan", holds: scan::holds, seeds: &["fuzz/seeds/import", "fuzz/seeds/scan"], cases: 400 };

const DOCUMENT: Reader = Reader {
    name: "document",
    holds: document::holds,
    seeds: &["fuzz/seeds/document", "tests/vectors/documents"],
    cases: 3000,
};

const PLAINTEXT: Reader =
    Reader { name: "plaintext", holds: plaintext::holds, seeds: &["fuzz/seeds/plaintext"], cases: 1500 };

const CALLBACK: Reader =
    Reader { name: "callback", holds: callback::holds, seeds: &["fuzz/seeds/callback"], cases: 12_000 };

const TOKEN_ANSWER: Reader = Reader {
    name: "token_answer",
    holds: token_answer::holds,
    seeds: &["fuzz/seeds/token_answer"],
    cases: 12_000,
};

const CLIENT_FILE: Reader = Reader {
    name: "client_file",
    holds: client_file::holds,
    seeds: &["fuzz/seeds/client_file"],
    cases: 12_000,
};

const BACKUP: Reader =
    Reader { name: "backup", holds: backup::holds, seeds: &["fuzz/seeds/backup"], cases: 1500 };

const HELPER_REQUEST: Reader = Reader {
    name: "helper_request",
    holds: helper_request::holds,
    seeds: &["fuzz/seeds/helper_request"],
    cases: 12_000,
};

const IMPORT: Reader =
    Reader { name: "import", holds: import::holds, seeds: &["fuzz/seeds/import"], cases: 12_000 };

#[test]
fn what_is_taken_from_a_file_of_another_tool_is_bounded_and_fit_to_be_stored() {
    IMPORT.meets_its_seeds_and_their_changes();
}

#[test]
fn a_scan_of_any_file_ends_and_tells_nothing_of_its_secrets() {
    SCAN.meets_its_seeds_and_their_changes();
}

const DEVICE_ANSWER: Reader = Reader {
    name: "device_answer",
    holds: device_answer::holds,
    seeds: &["fuzz/seeds/device_answer"],
    cases: 12_000,
};

#[test]
fn a_device_answer_gives_a_code_that_can_be_typed_at_an_address_that_may_be_opened() {
    DEVICE_ANSWER.meets_its_seeds_and_their_changes();
}

const KEY_SET: Reader =
    Reader { name: "key_set", holds: key_set::holds, seeds: &["fuzz/seeds/key_set"], cases: 6000 };

#[test]
fn no_id_token_is_taken_but_one_that_its_issuer_has_signed() {
    KEY_SET.meets_its_seeds_and_their_changes();
}

#[test]
fn only_a_plain_question_for_the_bound_host_is_given_the_token() {
    HELPER_REQUEST.meets_its_seeds_and_their_changes();
}

#[test]
fn a_backup_that_is_taken_is_a_whole_vault_under_one_key() {
    BACKUP.meets_its_seeds_and_their_changes();
}

#[test]
fn a_document_that_parses_means_the_same_to_every_reader_and_survives_a_write() {
    DOCUMENT.meets_its_seeds_and_their_changes();
}

#[test]
fn a_sealed_plaintext_opens_only_where_it_says_and_seals_again_to_the_same() {
    PLAINTEXT.meets_its_seeds_and_their_changes();
}

#[test]
fn only_a_visit_with_the_state_of_a_login_answers_it() {
    CALLBACK.meets_its_seeds_and_their_changes();
}

#[test]
fn a_token_answer_gives_only_tokens_and_its_errors_repeat_nothing_that_was_sent() {
    TOKEN_ANSWER.meets_its_seeds_and_their_changes();
}

#[test]
fn a_client_file_leads_only_to_the_provider_and_reads_again_as_it_was() {
    CLIENT_FILE.meets_its_seeds_and_their_changes();
}

#[test]
fn every_reader_has_seeds_that_it_takes_and_seeds_that_it_refuses() {
    for reader in READERS {
        let outcomes: BTreeSet<bool> = reader.seeds().iter().map(|seed| (reader.holds)(seed)).collect();
        assert_eq!(outcomes.len(), 2, "{}", reader.name);
    }
}

#[test]
fn every_reader_has_a_fuzz_target() {
    let targets = files("fuzz/fuzz_targets");
    let targets: BTreeSet<&str> =
        targets.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();

    assert_eq!(targets, READERS.iter().map(|reader| reader.name).collect());

    let script = fs::read_to_string("fuzz/run").unwrap();
    assert!(script.contains(&format!("targets=({})", READERS.map(|reader| reader.name).join(" "))));
}

impl Reader {
    fn meets_its_seeds_and_their_changes(&self) {
        let seeds = self.seeds();
        for seed in &seeds {
            (self.holds)(seed);
        }
        let config = Config { cases: self.cases, failure_persistence: None, ..Config::default() };
        let met = TestRunner::new(config).run(&changes::of(seeds), |bytes| {
            (self.holds)(&bytes);
            Ok(())
        });
        met.unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let files = self.seeds.iter().flat_map(|folder| files(folder));
        files.map(|path| fs::read(path).unwrap()).collect()
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
