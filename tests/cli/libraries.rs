//! Programs that ask a client library of Google for tokens: those of `tests/clients`, as `tests/run` builds them.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::home::Home;
use crate::outside::{installed, newest_node, ours, program};

/// By which server a program is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The token endpoint, and the file that names it.
    Broker,
    /// The metadata server.
    Metadata,
}

impl Door {
    /// As `--adc` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Metadata => "metadata",
        }
    }
}

/// Every library that is there, at each door that it can use. That for Go, of the age that Debian has it, refuses
/// a token endpoint which is not Google's, and so does that for Java.
pub fn everyone() -> impl Iterator<Item = (Library, Door)> {
    let both =
        [Library::python, Library::node, Library::rust].map(|library| (library as fn() -> _, Door::Broker));
    let metadata = [Library::python, Library::node, Library::rust, Library::go, Library::java];
    let metadata = metadata.map(|library| (library as fn() -> Option<Library>, Door::Metadata));
    both.into_iter().chain(metadata).filter_map(|(library, door)| Some((library()?, door)))
}

/// A program that is written with one of the libraries.
#[derive(Debug)]
pub struct Library {
    name: &'static str,
    words: Vec<String>,
}

impl Library {
    /// google-auth of PyPI.
    pub fn python() -> Option<Self> {
        Some(Self::of("python", [installed("python/bin/python")?, ours("tests/clients/python/ask.py")]))
    }

    /// google-auth-library of npm.
    pub fn node() -> Option<Self> {
        Some(Self::of("node", [newest_node()?, installed("clients/node/ask.mjs")?]))
    }

    /// golang.org/x/oauth2/google of Debian.
    pub fn go() -> Option<Self> {
        Some(Self::of("go", [installed("clients/go/ask")?]))
    }

    /// google-cloud-auth of crates.io.
    pub fn rust() -> Option<Self> {
        Some(Self::of("rust", [installed("clients/rust/debug/google-client")?]))
    }

    /// google-auth-library-java of Debian.
    pub fn java() -> Option<Self> {
        let classes = installed("clients/java/Ask.class")?.parent()?.to_owned();
        let listed = Command::new(ours("tests/clients/java/classpath")).output().unwrap();
        let classpath = format!("{}:{}", String::from_utf8(listed.stdout).unwrap().trim(), classes.display());
        // A small machine starts faster if it compiles less.
        let options = ["-XX:TieredStopAtLevel=1", "-classpath", &classpath, "Ask"].map(PathBuf::from);
        Some(Self::of("java", [program("java")?].into_iter().chain(options)))
    }

    fn of(name: &'static str, words: impl IntoIterator<Item = PathBuf>) -> Self {
        let text = |word: PathBuf| word.to_str().unwrap().to_owned();
        Self { name, words: words.into_iter().map(text).collect() }
    }

    /// The language.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The program that asks for `scopes`, run by `vault exec` for `profile`.
    pub fn run_by_exec(&self, home: &Home, profile: &str, door: Door, scopes: &[&str]) -> Asker {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let exec = ["exec", profile, "--adc", door.name(), "--"];
        let command = home.command(&[&exec[..], &words, scopes].concat());
        Asker::start(command, &home.path(format!("{}.stderr", self.name)))
    }

    /// The program that asks for `scopes`, with these variables and none of ours.
    pub fn run_with(&self, home: &Home, variables: &[(String, String)], scopes: &[&str]) -> Asker {
        let mut command = Command::new(&self.words[0]);
        home.prepare(&mut command);
        command.args(&self.words[1..]).args(scopes).envs(variables.iter().cloned());
        Asker::start(command, &home.path(format!("{}.stderr", self.name)))
    }
}

/// A program that asks whenever it is told to, until it is dropped.
pub struct Asker {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
}

impl Asker {
    fn start(mut command: Command, stderr: &Path) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(stderr).unwrap());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout, stderr: stderr.to_owned() }
    }

    /// The token that the library gives now.
    #[track_caller]
    pub fn token(&mut self) -> String {
        let answer = self.ask();
        let token = answer.strip_prefix("token ");
        token.unwrap_or_else(|| panic!("no token but: {answer}\n{}", self.said())).to_owned()
    }

    /// What the library says to a user who gets none.
    #[track_caller]
    pub fn error(&mut self) -> String {
        let answer = self.ask();
        let error = answer.strip_prefix("error ");
        error.unwrap_or_else(|| panic!("no error but: {answer}\n{}", self.said())).to_owned()
    }

    /// Standard error until now: the program's and ours.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap()).into_owned()
    }

    fn ask(&mut self) -> String {
        // A program that has ended is found out when nothing comes back.
        let _ = self.stdin.as_mut().unwrap().write_all(b"\n");
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Asker {
    /// The end of its input ends the program.
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}
