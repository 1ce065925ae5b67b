//! The vectors of the vault format, each through the program; and a second program that reads and
//! writes the format, each checking the other.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value};
use vault::domain::{DocumentId, VaultId};
use vault::seal::{Draft, Format, KeyRing, VaultKey};

use crate::home::Home;
use crate::outside;
use crate::provider::{Config, Provider};

/// Where the vectors are.
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");

#[test]
fn every_vector_ends_as_the_index_says_and_changes_no_document() {
    let index: Vec<Vector> =
        serde_json::from_slice(&fs::read(vectors("index.json")).unwrap()).expect("the index is a list");

    let failed: Vec<String> = index.iter().filter_map(Vector::failure).collect();

    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), index.len(), failed.join("\n"));
}

#[test]
fn the_index_names_every_document_once() {
    let index: Vec<Vector> = serde_json::from_slice(&fs::read(vectors("index.json")).unwrap()).unwrap();

    let mut named: Vec<String> = index.into_iter().map(|vector| vector.file).collect();
    named.sort();
    let mut there: Vec<String> = fs::read_dir(vectors("documents"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();

    assert_eq!(named, there);
}

#[test]
fn a_second_program_accepts_what_this_one_wrote() {
    let Some(script) = Script::find() else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    home.run(&["token", "work", "--refresh"]).expect_code(0);
    home.run(&["rename", "work", "renamed"]).expect_code(0);

    let checked = script.run(&["check", &text(home.vault_dir()), &text(home.path("identity.txt"))], b"");

    assert_eq!(checked, "3 documents, 2 items\n");
}

#[test]
fn this_program_accepts_what_a_second_one_wrote() {
    let Some(script) = Script::find() else { return };
    let home = vault_of_the_vectors();
    let profile = fs::read_to_string(home.profile("work")).unwrap();
    let edited = profile.replace("me@work.example", "chef@küche.example");

    fs::write(home.profile("work"), &edited).unwrap();
    home.run(&["reveal", "work", "account"]).expect_code(6);
    let dir = text(home.vault_dir());
    let signed = script.run(&["sign", &dir, &text(home.path("identity.txt"))], edited.as_bytes());
    fs::write(home.profile("work"), signed).unwrap();

    assert_eq!(home.run(&["reveal", "work", "account"]).answer(), "chef@küche.example");
    assert_eq!(home.run(&["reveal", "work", "refresh_token"]).answer(), "refresh-token-of-work");
}

#[test]
fn two_programs_agree_on_the_mac_of_ten_thousand_random_documents() {
    let Some(script) = Script::find() else { return };
    let home = Home::bare();
    let (keys, vault) = (KeyRing::of(VaultKey::generate()), VaultId::from_bytes([7; 16]));
    let key_file = home.write("key.txt", expose(keys.current()));
    let documents: Vec<Map<String, Value>> = random_objects(10_000)
        .into_iter()
        .map(|facts| {
            let draft = Draft::new(Format::Profile, vault.clone(), DocumentId::from_bytes([9; 16]));
            let document = draft.facts(&facts).sign(&keys);
            serde_json::from_slice(&document.to_bytes()).unwrap()
        })
        .collect();
    let lines: String =
        documents.iter().map(|document| format!("{}\n", Value::Object(document.clone()))).collect();

    let theirs = script.run(&["macs", &text(key_file), &vault.to_string()], lines.as_bytes());

    let ours = documents.iter().map(|document| document["mac"].as_str().unwrap());
    let ours: Vec<&str> = std::iter::once(documents[0]["kid"].as_str().unwrap()).chain(ours).collect();
    assert_eq!(theirs.lines().collect::<Vec<_>>(), ours);
}

#[test]
fn the_page_about_the_format_quotes_the_vault_of_the_vectors() {
    let page = fs::read_to_string(vectors("../../docs/vault-format.md")).unwrap();
    let profile: Value =
        serde_json::from_slice(&fs::read(vectors("vault/profiles/work.json")).unwrap()).unwrap();
    let identity = fs::read_to_string(vectors("TEST-KEY-NOT-SECRET.txt")).unwrap();
    let manifest: Value = serde_json::from_slice(&fs::read(vectors("vault/vault.json")).unwrap()).unwrap();
    let identity = identity.lines().last().unwrap().parse().unwrap();
    let key = crate::forge::open(&identity, manifest["slots"][0]["sealed"].as_str().unwrap());

    for name in ["vault", "id", "kid", "mac", "client"] {
        assert!(page.contains(profile[name].as_str().unwrap()), "{name}");
    }
    assert!(page.contains(profile["grant"]["id"].as_str().unwrap()));
    assert!(page.contains(key.trim()));
}

/// One line of the index.
#[derive(serde::Deserialize)]
struct Vector {
    /// Its name below `documents/`.
    file: String,
    /// Which document of the vault it stands in for.
    place: String,
    command: Vec<String>,
    code: i32,
    /// What the command answers.
    #[serde(default)]
    answer: Option<String>,
    /// A part of what it says about it.
    #[serde(default)]
    says: Option<String>,
}

impl Vector {
    /// What was not as expected.
    fn failure(&self) -> Option<String> {
        let home = vault_of_the_vectors();
        let place = home.path(if self.place.starts_with("cache/") {
            PathBuf::from("cache/vault").join(self.place.trim_start_matches("cache/"))
        } else {
            home.vault_dir().join(&self.place)
        });
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(vectors("documents").join(&self.file), &place).unwrap();
        let before = documents(&home);

        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let run = home.run(&command);

        let answered = run.stdout.trim_end() == self.answer.as_deref().unwrap_or_default();
        let said = self.says.as_ref().is_none_or(|text| run.stderr.contains(text.as_str()));
        let unchanged = documents(&home) == before;
        let good = run.code == self.code && answered && said && unchanged;
        (!good).then(|| {
            format!(
                "{}: code {} for {}, answered {answered}, said {said}, unchanged {unchanged}: {}{}",
                self.file, run.code, self.code, run.stdout, run.stderr
            )
        })
    }
}

/// A home with a copy of the vault of the vectors.
fn vault_of_the_vectors() -> Home {
    let mut home = Home::bare();
    let identity = home.write("identity.txt", fs::read(vectors("TEST-KEY-NOT-SECRET.txt")).unwrap());
    home.set("VAULT_IDENTITY_FILE", identity.to_str().unwrap());
    for name in ["vault.json", "clients/desktop.json", "profiles/work.json", "profiles/other.json"] {
        let to = home.vault_dir().join(name);
        make_private(to.parent().unwrap());
        fs::copy(vectors("vault").join(name), to).unwrap();
    }
    home
}

fn make_private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap();
}

/// Everything in the vault and the cache, but the locks.
fn documents(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = home.files("data/vault").into_iter().chain(home.files("cache"));
    let documents = files.filter(|path| path.extension().is_none_or(|extension| extension != "lock"));
    documents.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn vectors(name: &str) -> PathBuf {
    Path::new(VECTORS).join(name)
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

fn expose(key: &VaultKey) -> String {
    use secrecy::ExposeSecret;
    key.to_identity_file().expose_secret().to_owned()
}

/// The same ones in every run. Their names are not those of the envelope.
fn random_objects(count: usize) -> Vec<Map<String, Value>> {
    let leaf = proptest::prop_oneof![
        proptest::strategy::Just(Value::Null),
        proptest::bool::ANY.prop_map(Value::from),
        (0..=(1_u64 << 53) - 1).prop_map(Value::from),
        proptest::collection::vec(proptest::char::any(), 0..20)
            .prop_map(|text| Value::from(text.into_iter().collect::<String>())),
    ];
    let value = leaf.prop_recursive(6, 32, 8, |inner| {
        proptest::prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::btree_map("[A-Za-z0-9_]{1,9}", inner, 0..8)
                .prop_map(|object| Value::Object(object.into_iter().collect())),
        ]
    });
    let object = proptest::collection::btree_map("[A-Z0-9_][A-Za-z0-9_]{0,8}", value, 0..10);
    let mut runner = TestRunner::deterministic();
    let next = |_| object.new_tree(&mut runner).unwrap().current().into_iter().collect();
    (0..count).map(next).collect()
}

/// `make.py`, the second program.
struct Script;

impl Script {
    fn find() -> Option<Self> {
        outside::have(&["python3", "age", "age-keygen"]).then_some(Self)
    }

    /// Its answer to `input`.
    fn run(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("python3");
        command.arg(vectors("make.py")).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "make.py {arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
