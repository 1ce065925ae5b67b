//! The keychain slot, on a real GNOME keyring on a D-Bus of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::doctor::{Said, only, said};
use crate::home::{Home, Run};
use crate::outside;
use crate::provider::{Config, Provider};

#[test]
fn a_keychain_that_works_is_chosen_and_unlocks_every_new_process() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let provider = Provider::start(Config::default());
    let home = keyring.home();

    home.run(&["init"]).expect_code(0).expect_said("keychain");
    home.add_profile(&provider, "work").expect_code(0);

    let token = home.run(&["token", "work", "--no-input"]).answer();
    assert!(provider.is_live_access_token(&token));
    let slots = home.run(&["key", "list", "--json"]).answer();
    assert!(slots.contains("\"keychain\"") && !slots.contains("\"passphrase\""), "{slots}");
}

#[test]
fn add_profile_makes_the_vault_with_the_keychain_by_itself() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let provider = Provider::start(Config::default());
    let home = keyring.home();

    home.add_profile(&provider, "work").expect_code(0).expect_said("keychain");

    assert!(keyring.lookup(&home).is_some());
}

#[test]
fn the_entry_is_the_age_identity_that_opens_every_item() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let Some(age) = outside::program("age") else { return };
    let provider = Provider::start(Config::default());
    let home = keyring.home();
    home.add_profile(&provider, "work").expect_code(0);

    let entry = keyring.lookup(&home).unwrap();

    assert!(entry.starts_with("AGE-SECRET-KEY-1"));
    let identity = home.write("from-keyring.txt", format!("{entry}\n"));
    let item = document(&home, "profiles/work.json")["secrets"]["refresh_token"].as_str().unwrap().to_owned();
    let sealed = home.write("item.age", item);
    let opened = Command::new(age).arg("-d").arg("-i").arg(identity).arg(sealed).output().unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let plaintext: Value = serde_json::from_slice(&opened.stdout).unwrap();
    assert_eq!(plaintext["value"].as_str(), provider.live_refresh_tokens().first().map(String::as_str));
}

#[test]
fn a_locked_keychain_is_an_error_at_once_and_no_dialog() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let home = keyring.home();
    home.run(&["init"]).expect_code(0);
    keyring.set_state("locked");

    let start = Instant::now();
    verify(&home)
        .expect_code(4)
        .expect_said("the keychain is locked")
        .expect_said("hint: unlock the keychain of your desktop session");

    assert!(start.elapsed() < Duration::from_secs(4), "it waited for somebody: {:?}", start.elapsed());
}

#[test]
fn without_a_keyring_or_a_bus_a_keychain_vault_stays_locked() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let mut home = keyring.home();
    home.run(&["init"]).expect_code(0);

    keyring.set_state("absent");
    verify(&home).expect_code(4).expect_said("there is no keychain here");
    home.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    verify(&home).expect_code(4).expect_said("there is no session bus");
    home.unset("DBUS_SESSION_BUS_ADDRESS");
    verify(&home).expect_code(4).expect_said("there is no keychain here");
}

#[test]
fn without_a_keychain_no_vault_is_made_by_another_way_than_was_said() {
    let Some(keyring) = Keyring::start("absent") else { return };
    let nowhere = Home::bare();

    for home in [keyring.home(), nowhere] {
        home.run(&["init"])
            .expect_code(4)
            .expect_said("vault init --unlock identity --identity FILE")
            .expect_said("VAULT_PASSPHRASE_FILE");
        home.run(&["init", "--unlock", "keychain"]).expect_code(4).expect_said("keychain");
        assert!(!home.vault_dir().join("vault.json").exists());
    }
}

#[test]
fn a_locked_keychain_is_not_chosen_for_a_new_vault() {
    let Some(keyring) = Keyring::start("locked") else { return };
    let home = keyring.home();

    home.run(&["init"]).expect_code(4).expect_said("VAULT_PASSPHRASE_FILE");

    assert!(!home.vault_dir().join("vault.json").exists());
}

#[test]
fn a_keychain_that_hangs_is_given_up() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let home = keyring.home();
    home.run(&["init"]).expect_code(0);
    keyring.set_state("hung");

    let start = Instant::now();
    verify(&home).expect_code(4).expect_said("the keychain did not answer within");

    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn an_entry_that_is_gone_or_holds_another_key_unlocks_nothing() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let (home, other) = (keyring.home(), keyring.home());
    home.run(&["init"]).expect_code(0);
    other.run(&["init"]).expect_code(0);
    let foreign = keyring.lookup(&other).unwrap();

    keyring.store(&home, &foreign);
    verify(&home).expect_code(4).expect_said("it gives another key");
    keyring.store(&home, "no key at all");
    verify(&home).expect_code(4).expect_unsaid("no key at all");
    keyring.clear(&home);
    verify(&home).expect_code(4).expect_said("the keychain has no entry for this vault");
    verify(&other).expect_code(0);
}

#[test]
fn a_keychain_slot_can_be_added_and_removed_with_its_entry() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let mut home = keyring.home();
    let identity = home.path("identity.txt");
    crate::home::write_identity(&identity);
    home.run(&["init", "--unlock", "identity", "--identity", identity.to_str().unwrap()]).expect_code(0);
    assert!(keyring.lookup(&home).is_none());

    home.run(&["key", "add", "--keychain"]).expect_code(0);

    assert!(keyring.lookup(&home).is_some());
    std::fs::rename(&identity, home.path("away.txt")).unwrap();
    verify(&home).expect_code(0);
    home.set("VAULT_IDENTITY_FILE", home.path("away.txt").to_str().unwrap());
    home.run(&["key", "remove", &slot(&home, "keychain")]).expect_code(0);
    assert!(keyring.lookup(&home).is_none(), "the entry stays behind");
    home.run(&["key", "remove", &slot(&home, "recipient")]).expect_code(7).expect_said("last");
    verify(&home).expect_code(0);
}

#[test]
fn the_doctor_proves_the_keychain_leaves_nothing_in_it_and_opens_no_dialog() {
    let Some(keyring) = Keyring::start("unlocked") else { return };
    let mut home = keyring.home();
    let (empty, _) = examined(&home);
    assert_eq!(empty.result, "ok", "also for a vault that is still to be made: {empty:?}");
    answered(|| home.run(&["init"]), |run| run.code == 0);

    let (keychain, slot) = examined(&home);
    assert!(keychain.found.contains("written, read back and deleted"), "{keychain:?}");
    assert_eq!(slot.unwrap().result, "ok");
    let found = keyring.tool("search").args(["--all", "service", "vault"]).output().unwrap();
    let listed =
        format!("{}{}", String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
    assert!(!listed.contains("probe/"), "{listed}");

    let entry = keyring.lookup(&home).unwrap();
    keyring.clear(&home);
    let slot = examined(&home).1.unwrap();
    assert!(slot.result == "bad" && slot.found.contains("no entry"), "{slot:?}");
    keyring.store(&home, &entry);

    for (state, word) in [("locked", "is locked"), ("absent", "there is no keychain")] {
        keyring.set_state(state);
        let (keychain, _) = examined(&home);
        assert!(keychain.result == "bad" && keychain.found.contains(word), "{state}: {keychain:?}");
        assert!(keychain.fix.contains("vault key add --passphrase"), "{keychain:?}");
    }
    home.unset("DBUS_SESSION_BUS_ADDRESS");
    let gone = home.run(&["doctor", "--json", "--offline"]);
    assert_eq!(gone.code, 4, "{}", gone.stderr);
    assert_eq!(only(&said(&gone), "keychain").result, "bad");
}

/// What the doctor says of the keychain, and of the slot if there is a vault.
fn examined(home: &Home) -> (Said, Option<Said>) {
    let is_slow = |run: &Run| run.stdout.contains("did not answer within");
    let run = answered(|| home.run(&["doctor", "--json", "--offline"]), |run| !is_slow(run));
    let checks = said(&run);
    (only(&checks, "keychain"), checks.into_iter().find(|it| it.check == "slot"))
}

/// Asks again where a keyring on a busy machine takes longer to write than anybody waits for it.
fn answered(run: impl Fn() -> Run, is_good: impl Fn(&Run) -> bool) -> Run {
    (0..10).map(|_| run()).find(is_good).expect("one of ten is answered in time")
}

/// A command that needs the vault key.
fn verify(home: &Home) -> Run {
    home.run(&["verify", "--no-input"])
}

fn slot(home: &Home, kind: &str) -> String {
    let slots: Value = serde_json::from_str(&home.run(&["key", "list", "--json"]).answer()).unwrap();
    let of_kind = |slot: &&Value| slot["type"] == kind;
    slots["slots"].as_array().unwrap().iter().find(of_kind).unwrap()["id"].as_str().unwrap().to_owned()
}

fn document(home: &Home, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(home.vault_dir().join(name)).unwrap()).unwrap()
}

/// A session bus with a keyring on it, as long as this lives.
pub struct Keyring {
    session: Child,
    stdin: Option<ChildStdin>,
    bus: String,
    runtime_dir: String,
}

impl Keyring {
    /// None where a program is missing.
    pub fn start(state: &str) -> Option<Self> {
        if !outside::have(&["dbus-run-session", "dbus-send", "gnome-keyring-daemon", "secret-tool"]) {
            return None;
        }
        // It tells where it is, and stays until its input ends.
        let script = r#"printf '%s\n' "$DBUS_SESSION_BUS_ADDRESS" "$XDG_RUNTIME_DIR"; cat >/dev/null"#;
        let mut session = Command::new(outside::ours("tests/keyring/with-keyring"))
            .args([state, "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = session.stdin.take();
        let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("with-keyring says why on stderr").unwrap();
        Some(Self { bus: line(), runtime_dir: line(), stdin, session })
    }

    /// An empty home on this session bus.
    pub fn home(&self) -> Home {
        let mut home = Home::bare();
        home.set("DBUS_SESSION_BUS_ADDRESS", &self.bus);
        home
    }

    /// Where its session bus is.
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// Switches it: `unlocked`, `locked`, `hung`, `absent`.
    pub fn set_state(&self, state: &str) {
        let done = self.command(outside::ours("tests/keyring/set-state")).arg(state).status().unwrap();
        assert!(done.success(), "set-state {state}");
    }

    /// What `secret-tool` finds under the vault key's name.
    pub fn lookup(&self, home: &Home) -> Option<String> {
        self.look(&attributes(&name(home)))
    }

    /// What it finds under the name of an entry.
    pub fn entry(&self, name: &str) -> Option<String> {
        self.look(&attributes(name))
    }

    fn look(&self, attributes: &[String; 4]) -> Option<String> {
        let found = self.tool("lookup").args(attributes).output().unwrap();
        let text = String::from_utf8(found.stdout).unwrap();
        found.status.success().then(|| text.trim_end().to_owned())
    }

    fn store(&self, home: &Home, secret: &str) {
        self.put(&name(home), secret);
    }

    /// Stores a secret under the name of an entry.
    pub fn put(&self, name: &str, secret: &str) {
        let mut command = self.tool("store");
        command.args(["--label", "of a test"]).args(attributes(name)).stdin(Stdio::piped());
        let mut tool = command.spawn().unwrap();
        tool.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
        assert!(tool.wait().unwrap().success());
    }

    /// How many entries of ours there are.
    pub fn count(&self) -> usize {
        let found = self.tool("search").args(["--all", "service", "vault"]).output().unwrap();
        let text = [found.stdout, found.stderr].concat();
        String::from_utf8(text).unwrap().matches("attribute.username = ").count()
    }

    fn clear(&self, home: &Home) {
        assert!(self.tool("clear").args(attributes(&name(home))).status().unwrap().success());
    }

    fn tool(&self, what: &str) -> Command {
        let mut command = self.command("secret-tool".into());
        command.arg(what);
        command
    }

    fn command(&self, program: std::path::PathBuf) -> Command {
        let mut command = Command::new(program);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.bus).env("XDG_RUNTIME_DIR", &self.runtime_dir);
        command
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.session.wait();
    }
}

/// The name of the entry of a home's vault key.
pub fn name(home: &Home) -> String {
    let manifest = document(home, "vault.json");
    format!("{}/{}", manifest["vault"].as_str().unwrap(), manifest["kid"].as_str().unwrap())
}

fn attributes(name: &str) -> [String; 4] {
    ["service", "vault", "username", name].map(str::to_owned)
}
