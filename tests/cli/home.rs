//! A user with an empty home directory, who has nothing but the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::provider::{Authority, Provider, browser};

/// The program under test.
pub const VAULT: &str = env!("CARGO_BIN_EXE_vault");

/// A home directory of its own. The vault in it is unlocked by an age identity file, which costs
/// less than a millisecond.
pub struct Home {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
    /// What the program is run by: a tracer, say, and its options.
    runner: Vec<String>,
}

impl Home {
    /// An empty home with an identity file, and `VAULT_IDENTITY_FILE` naming it.
    pub fn new() -> Self {
        Self::bare().with_identity()
    }

    /// The same in memory, where the machine has such a place: for tests that write a thousand times,
    /// and have no use for a real disk. It trusts one authority only: hundreds are read for nothing
    /// where no connection is encrypted.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let mut home = if memory.is_dir() { Self::bare_in(memory).with_identity() } else { Self::new() };
        home.set("SSL_CERT_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/certificate.pem"));
        home
    }

    fn with_identity(self) -> Self {
        let mut home = self;
        let identity = home.path("identity.txt");
        write_identity(&identity);
        home.set("VAULT_IDENTITY_FILE", identity.to_str().unwrap());
        home
    }

    /// An empty home, and nothing that unlocks.
    pub fn bare() -> Self {
        Self::bare_in(&std::env::temp_dir())
    }

    fn bare_in(place: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("vault-test-").tempdir_in(place).unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        make_private(&dir.path().join("run"));
        Self { dir, variables: Vec::new(), runner: Vec::new() }
    }

    /// The same on a machine that trusts this authority and no other.
    pub fn trusting(authority: &Authority) -> Self {
        let mut home = Self::new();
        let file = home.write("authority.pem", authority.pem());
        home.set("SSL_CERT_FILE", file.to_str().unwrap());
        home
    }

    /// A home with a vault, a client `desktop` and a logged-in profile `work` at `provider`.
    pub fn logged_in(provider: &Provider) -> Self {
        let home = Self::new();
        home.add_profile(provider, "work").expect_code(0);
        home
    }

    /// The same files in a home of its own, as a synced directory has them on another machine.
    pub fn copy_of(other: &Self) -> Self {
        let mut home = Self::bare();
        for folder in ["data", "state", "cache"] {
            for path in other.files(folder) {
                let copy = home.path(path.strip_prefix(other.dir.path()).unwrap());
                let parent = copy.parent().unwrap();
                std::fs::create_dir_all(parent).unwrap();
                make_private(parent);
                std::fs::copy(path, copy).unwrap();
            }
        }
        home.variables.clone_from(&other.variables);
        home
    }

    /// A path in this home.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The vault directory.
    pub fn vault_dir(&self) -> PathBuf {
        self.path("data/vault")
    }

    /// The document of a profile.
    pub fn profile(&self, name: &str) -> PathBuf {
        self.vault_dir().join("profiles").join(format!("{name}.json"))
    }

    /// The document of a client.
    pub fn client(&self, name: &str) -> PathBuf {
        self.vault_dir().join("clients").join(format!("{name}.json"))
    }

    /// Every file below `folder`, in order.
    pub fn files(&self, folder: impl AsRef<Path>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.path(folder), &mut files);
        files.sort();
        files
    }

    /// Sets a variable for every run from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// From now on the program is run by this one, which takes it and its arguments as its own last ones.
    /// With no words it is run by itself again.
    pub fn run_by(&mut self, words: &[&str]) {
        self.runner = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Takes a variable away again.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// Writes a file of mode 0600 into this home.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        make_private(&path);
        path
    }

    /// The program with these arguments, this home, and nothing else of our environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let words: Vec<&str> = self.runner.iter().map(String::as_str).chain([VAULT]).collect();
        let mut command = Command::new(words[0]);
        self.prepare(&mut command);
        command.args(&words[1..]).args(arguments);
        command
    }

    /// Gives `command` this home and nothing else of our environment.
    pub fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path())
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .envs(self.variables.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
    }

    /// Runs the program to its end.
    #[must_use = "say what is expected of it"]
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(arguments, self.command(arguments).output().unwrap())
    }

    /// Runs the program with `input` on its standard input.
    #[must_use = "say what is expected of it"]
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The program may have ended without reading: then there is nobody to write to.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Run::of(arguments, child.wait_with_output().unwrap())
    }

    /// The options that make a client of `provider`'s client `desktop`.
    pub fn desktop(&self, provider: &Provider) -> Vec<String> {
        let secret = self.write("desktop.secret", "GOCSPX-desktop-secret\n");
        [
            "--issuer",
            &provider.issuer(),
            "--insecure-loopback",
            "--client-id",
            "desktop",
            "--client-secret-file",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([secret.to_str().unwrap().to_owned()])
        .collect()
    }

    /// `vault add-profile NAME` with a new client, and a user who consents.
    #[must_use = "say what is expected of it"]
    pub fn add_profile(&self, provider: &Provider, name: &str) -> Run {
        let options = self.desktop(provider);
        let mut arguments = vec!["add-profile", name, "--no-browser"];
        arguments.extend(options.iter().map(String::as_str));
        self.consent(&arguments)
    }

    /// Runs a command that logs in, and consents in the browser as soon as it shows the address.
    #[must_use = "say what is expected of it"]
    pub fn consent(&self, arguments: &[&str]) -> Run {
        Self::consent_to(self.command(arguments), arguments)
    }

    /// The same for a command that runs the program with these arguments.
    #[must_use = "say what is expected of it"]
    pub fn consent_to(command: Command, arguments: &[&str]) -> Run {
        let login = Login::start(command);
        if let Some(url) = login.url.clone() {
            // A login that refuses the answer closes the connection with a page that says so.
            let _ = browser::consent(&url);
        }
        login.finish(arguments)
    }

    /// Starts a command that logs in, and waits until it shows the address.
    pub fn start_login(&self, arguments: &[&str]) -> Login {
        Login::start(self.command(arguments))
    }
}

/// A login that waits for the browser.
pub struct Login {
    /// The process.
    pub child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    said: String,
    /// Where the user consents; `None` if the program has ended without showing it.
    pub url: Option<String>,
}

impl Login {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let mut line = String::new();
            if stderr.read_line(&mut line).unwrap() == 0 {
                break None;
            }
            said.push_str(&line);
            let word = line.trim();
            if word.starts_with("http") && word.contains("response_type=code") {
                break Some(word.to_owned());
            }
        };
        Self { child, stderr, said, url }
    }

    /// Types a line.
    pub fn paste(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        let _ = stdin.write_all(format!("{line}\n").as_bytes());
    }

    /// Waits for its end.
    pub fn finish(mut self, arguments: &[&str]) -> Run {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stderr = self.said.into_bytes();
        Run::of(arguments, output)
    }
}

/// What a run of the program has left.
#[derive(Debug)]
pub struct Run {
    /// What it was called with.
    pub arguments: String,
    /// The exit code; 128 and more for a signal, as shells have it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// What a run with these arguments has left.
    pub fn of(arguments: &[&str], output: Output) -> Self {
        Self {
            arguments: arguments.join(" "),
            code: output.status.code().unwrap_or_else(|| 128 + signal(output.status)),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Panics unless it ended with `code`. A failure must leave standard output empty.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "vault {}\n{}\n{}", self.arguments, self.stdout, self.stderr);
        if code != 0 {
            assert_eq!(self.stdout, "", "vault {}: an error is no answer", self.arguments);
        }
        self
    }

    /// Panics unless it succeeded; the answer without its line break.
    #[track_caller]
    pub fn answer(self) -> String {
        self.expect_code(0).stdout.trim_end_matches('\n').to_owned()
    }

    /// Panics unless standard error holds `text`.
    #[track_caller]
    pub fn expect_said(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "vault {} should say {text:?}:\n{}", self.arguments, self.stderr);
        self
    }

    /// Panics if standard error holds `text`.
    #[track_caller]
    pub fn expect_unsaid(self, text: &str) -> Self {
        assert!(
            !self.stderr.contains(text),
            "vault {} should not say {text:?}:\n{}",
            self.arguments,
            self.stderr
        );
        self
    }
}

/// Writes a new age identity file.
pub fn write_identity(path: &Path) {
    use age::secrecy::ExposeSecret;
    let identity = age::x25519::Identity::generate();
    std::fs::write(path, format!("{}\n", identity.to_string().expose_secret())).unwrap();
    make_private(path);
}

/// Gives it to its owner alone.
pub fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn signal(status: std::process::ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::signal(&status).unwrap()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
