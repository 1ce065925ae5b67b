//! An empty home, an authorization server, and the program.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use age::secrecy::ExposeSecret;

use crate::browser;
use crate::provider::{Config, Endpoint, Provider};
use crate::telling::Telling;

/// Set for the copies of the demo that are to be `vault`.
const AS_VAULT: &str = "DEMO_PLAYS_VAULT";

/// The secret of the demo's client.
const CLIENT_SECRET: &str = "GOCSPX-desktop-secret";

/// Why a step did not show what it promised.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Whether this process is to be `vault`.
pub(crate) fn is_vault() -> bool {
    std::env::var_os(AS_VAULT).is_some()
}

/// Everything that the story needs. The home goes away with it.
pub(crate) struct World {
    /// The authorization server.
    pub(crate) provider: Provider,
    /// How to talk.
    pub(crate) telling: Telling,
    /// The public half of the age identity in the home.
    pub(crate) recipient: String,
    home: tempfile::TempDir,
    program: PathBuf,
}

/// How a command has ended.
pub(crate) struct Run {
    /// Standard output without its last line break.
    pub(crate) answer: String,
    /// Standard error.
    pub(crate) talk: String,
    /// The exit code.
    pub(crate) code: Option<i32>,
}

impl World {
    /// A running server, and a home with an age identity and a downloaded client file in it.
    pub(crate) fn new(telling: Telling) -> Result<Self> {
        let identity = age::x25519::Identity::generate();
        let world = Self {
            recipient: identity.to_public().to_string(),
            provider: Provider::start(Config::default()),
            telling,
            home: tempfile::Builder::new().prefix("vault-demo-").tempdir()?,
            program: std::env::current_exe()?,
        };
        std::fs::create_dir(world.path("run"))?;
        std::fs::set_permissions(world.path("run"), PermissionsExt::from_mode(0o700))?;
        world.write("key.txt", &format!("{}\n", identity.to_string().expose_secret()))?;
        world.write("client_secret.json", &client_file())?;
        Ok(world)
    }

    /// A path in the home.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.path(name), text)?;
        Ok(std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o600))?)
    }

    /// Puts the program into the home once more, under another name.
    pub(crate) fn link(&self, name: &str) -> Result<()> {
        Ok(std::os::unix::fs::symlink(&self.program, self.path(name))?)
    }

    /// Shows a command line, runs it, shows what it says, and expects it to end with `code`.
    pub(crate) fn types(&self, line: &str, code: i32) -> Result<Run> {
        self.telling.command(line);
        let run = self.runs(line)?;
        self.telling.said(&run.answer, &self.secrets());
        self.telling.said(&run.talk, &self.secrets());
        if run.code != Some(code) {
            return Err(format!("`{line}` should end with {code}, not {:?}", run.code).into());
        }
        Ok(run)
    }

    /// Runs a command line without a word.
    pub(crate) fn runs(&self, line: &str) -> Result<Run> {
        let output = self.command(line)?.output()?;
        Ok(Run {
            answer: text(&output.stdout).trim_end_matches('\n').to_owned(),
            talk: text(&output.stderr),
            code: output.status.code(),
        })
    }

    /// Starts a command line.
    pub(crate) fn starts(&self, line: &str) -> Result<Child> {
        Ok(self.command(line)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// The program as `vault`, with this home and nothing else of our environment.
    fn command(&self, line: &str) -> Result<Command> {
        let words = shlex::split(line).ok_or("the quotes do not match")?;
        let home = self.home.path();
        let program = self.program.to_str().ok_or("the path of the demo is not UTF-8 text")?;
        let mut command = Command::new(&self.program);
        command
            .arg0("vault")
            .args(words.iter().skip(1))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("BROWSER", format!("{} {} %s", shlex::try_quote(program)?, browser::OPEN))
            .env(AS_VAULT, "1")
            .current_dir(home)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// How many requests have reached the token endpoint while `work` was done.
    pub(crate) fn requests<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, usize)> {
        let before = self.provider.count(Endpoint::Token);
        let result = work()?;
        Ok((result, self.provider.count(Endpoint::Token) - before))
    }

    /// Every code and token that was ever issued, and the client secret.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = self.provider.issued();
        secrets.push(CLIENT_SECRET.to_owned());
        secrets
    }

    /// Every file in the home.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let (mut files, mut folders) = (Vec::new(), vec![self.path("")]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        Ok(files)
    }
}

/// The outcome of a process that was started.
pub(crate) fn outcome(child: Child) -> Result<(bool, String)> {
    let Output { status, stdout, .. } = child.wait_with_output()?;
    Ok((status.success(), text(&stdout).trim_end().to_owned()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A client file of the shape that Google's console lets a developer download.
fn client_file() -> String {
    serde_json::json!({ "installed": {
        "client_id": "desktop",
        "project_id": "demo",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "client_secret": CLIENT_SECRET,
        "redirect_uris": ["http://localhost"],
    }})
    .to_string()
}
