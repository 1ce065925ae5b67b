//! A program that `vault exec` runs, and that stands still where a test can look at it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::holder::wait_until;
use crate::home::{Home, Run};
use crate::tree::json;

/// `vault exec` with such a program.
pub struct Running {
    /// The process of `vault exec`.
    pub vault: Child,
    /// The program.
    pub program: Program,
}

/// A program that has written down its environment and its number, and ends when its standard input does.
pub struct Program {
    /// What it has found.
    pub environment: BTreeMap<String, String>,
    /// The number of its process.
    pub number: u32,
}

/// The program; `$0` is where it writes.
const PROGRAM: &str = r#"env -0 >"$0.env"; echo $$ >"$0.part"; mv "$0.part" "$0.pid"; exec cat"#;

impl Running {
    /// Starts it with these arguments of `vault exec`, and waits until the program runs.
    #[track_caller]
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::start_by(home.command(&[]), home, arguments)
    }

    /// The same by a command that runs `vault`.
    #[track_caller]
    pub fn start_by(mut command: Command, home: &Home, arguments: &[&str]) -> Self {
        let place = home.path(format!("program-{}", fastrand::u64(..)));
        command.args(Program::call(arguments, &place));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let vault = command.spawn().unwrap();
        Self { vault, program: Program::at(&place) }
    }

    /// Has the program end, and waits for the end of `vault exec`.
    pub fn finish(mut self) -> Run {
        drop(self.vault.stdin.take());
        Run::of(&["exec"], self.vault.wait_with_output().unwrap())
    }
}

impl Deref for Running {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Program {
    /// The arguments of `vault` that run it; it writes to `place`.
    pub fn call(arguments: &[&str], place: &Path) -> Vec<String> {
        let call = [&["exec"], arguments, &["--", "sh", "-c", PROGRAM, place.to_str().unwrap()]].concat();
        call.into_iter().map(str::to_owned).collect()
    }

    /// The one that writes to `place`, as soon as it runs.
    #[track_caller]
    pub fn at(place: &Path) -> Self {
        let pid = place.with_extension("pid");
        wait_until("the program to run", || pid.exists());
        Self {
            environment: environment(&fs::read_to_string(place.with_extension("env")).unwrap()),
            number: fs::read_to_string(pid).unwrap().trim().parse().unwrap(),
        }
    }

    /// The value of a variable that the program must have.
    #[track_caller]
    pub fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("{name} is not set"))
    }

    /// The value of a variable, if the program has it.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The file that a variable names.
    #[track_caller]
    pub fn file(&self, variable: &str) -> String {
        fs::read_to_string(self.get(variable)).unwrap()
    }

    /// What Google's libraries are told.
    pub fn adc(&self) -> Value {
        json(self.get("GOOGLE_APPLICATION_CREDENTIALS"))
    }

    /// A token, asked for as Google's libraries do with what they were told.
    pub fn exchange(&self, scope: &str) -> Reply {
        let adc = self.adc();
        let secret = fs::read_to_string(adc["credential_source"]["file"].as_str().unwrap()).unwrap();
        exchange(&adc, &secret, scope)
    }
}

/// The exchange of `secret` for a token.
pub fn exchange(adc: &Value, secret: &str, scope: &str) -> Reply {
    let url = url::Url::parse(adc["token_url"].as_str().unwrap()).unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("audience", adc["audience"].as_str().unwrap())
        .append_pair("scope", scope)
        .append_pair("requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("subject_token", secret)
        .append_pair("subject_token_type", adc["subject_token_type"].as_str().unwrap())
        .finish();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n",
        url.path(),
        form.len(),
        port = url.port().unwrap(),
    );
    Reply::to(url.port().unwrap(), &format!("{head}{form}"))
}

/// What a server has answered.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The content.
    pub body: String,
}

impl Reply {
    /// What is answered at `port` to `request`.
    pub fn to(port: u16, request: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        Self { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: body.to_owned() }
    }

    /// The content, parsed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The access token that it must be.
    #[track_caller]
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// The directories of runs that are there.
pub fn run_dirs(home: &Home) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.path("run/vault")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| name_of(path).starts_with("run-")).collect()
}

/// Whether a process has ended; whoever has started it may not know yet.
pub fn is_dead(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// Sends it to one process alone, as `kill` does.
pub fn send(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(process.try_into().unwrap()).unwrap(), signal).unwrap();
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn environment(text: &str) -> BTreeMap<String, String> {
    let variables = text.split_terminator('\0').filter_map(|line| line.split_once('='));
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
