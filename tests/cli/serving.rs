//! `vault serve`, running, and programs that ask it.

use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::home::{Home, Run};
use crate::provider::browser::{self, Page};
use crate::tree::json;

/// What a token exchange says it is (RFC 8693, 2.1).
pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// `vault serve --json`, which is told to end when this is dropped.
pub struct Serving {
    /// The process.
    pub vault: Child,
    /// What it has printed.
    pub printed: Value,
}

impl Serving {
    /// Starts it with these arguments beside, and waits until it has said where it is.
    #[track_caller]
    pub fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command(&[&["serve", "--json", "-v"], arguments].concat());
        let mut vault = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = vault.stdout.as_mut().unwrap();
        let printed = serde_json::Deserializer::from_reader(stdout).into_iter().next();
        let Some(Ok(printed)) = printed else {
            panic!("{:?}", Run::of(arguments, vault.wait_with_output().unwrap()));
        };
        Self { vault, printed }
    }

    /// A fact of the server at this place.
    pub fn fact(&self, server: usize, name: &str) -> &Value {
        &self.printed["servers"][server][name]
    }

    /// A variable that leads to it.
    #[track_caller]
    pub fn variable(&self, server: usize, name: &str) -> &str {
        self.fact(server, "variables")[name].as_str().unwrap_or_else(|| panic!("{name} is not set"))
    }

    /// All that are to be set.
    pub fn variables(&self, server: usize) -> Vec<(String, String)> {
        let variables = self.fact(server, "variables").as_object().unwrap().iter();
        variables.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// Its port.
    pub fn port(&self, server: usize) -> u16 {
        self.fact(server, "port").as_u64().unwrap().try_into().unwrap()
    }

    /// What Google's libraries are told.
    pub fn adc(&self, server: usize) -> Value {
        json(self.variable(server, "GOOGLE_APPLICATION_CREDENTIALS"))
    }

    /// The secret of the run.
    pub fn secret(&self, server: usize) -> String {
        let url = self.fact(server, "token_url").as_str().unwrap();
        url.rsplit('/').nth(1).unwrap().to_owned()
    }

    /// What a program is answered that asks the first server for a token which is good for `scope`.
    #[track_caller]
    pub fn exchange(&self, scope: &str) -> Page {
        self.exchange_at(0, scope)
    }

    /// The same at another server.
    #[track_caller]
    pub fn exchange_at(&self, server: usize, scope: &str) -> Page {
        let adc = self.adc(server);
        let secret = std::fs::read_to_string(adc["credential_source"]["file"].as_str().unwrap()).unwrap();
        let form = [("grant_type", EXCHANGE), ("subject_token", &secret), ("scope", scope)];
        browser::post(adc["token_url"].as_str().unwrap(), &form, &[]).unwrap()
    }

    /// What is told below `/computeMetadata/v1/` to a program of the same user that has no secret.
    #[track_caller]
    pub fn metadata(&self, key: &str) -> Page {
        let url = format!("http://127.0.0.1:{}/computeMetadata/v1/{key}", self.port(0));
        browser::get(&url, &[("Metadata-Flavor", "Google")]).unwrap()
    }

    /// Tells it to end by `signal`, and waits.
    pub fn end_by(mut self, signal: Signal) -> Run {
        kill_process(Pid::from_child(&self.vault), signal).unwrap();
        let vault = std::mem::replace(&mut self.vault, nobody());
        Run::of(&["serve"], vault.wait_with_output().unwrap())
    }

    /// The same by the usual one.
    pub fn end(self) -> Run {
        self.end_by(Signal::TERM)
    }
}

/// A process that is of no account.
fn nobody() -> Child {
    std::process::Command::new("true").spawn().unwrap()
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.vault), Signal::TERM);
        let _ = self.vault.wait();
    }
}

/// The token of an answer that must have one.
#[track_caller]
pub fn token(page: &Page) -> String {
    assert_eq!(page.status, 200, "{page:?}");
    page.json()["access_token"].as_str().unwrap().to_owned()
}

/// The error and its description of an answer that must have this status.
#[track_caller]
pub fn error(page: &Page, status: u16) -> (String, String) {
    assert_eq!(page.status, status, "{page:?}");
    let text = |name: &str| page.json()[name].as_str().unwrap().to_owned();
    (text("error"), text("error_description"))
}
