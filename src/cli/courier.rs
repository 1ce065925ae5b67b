//! Leads the user to the provider's consent page and takes what is pasted.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::Sender;

use secrecy::SecretString;
use url::Url;

use super::output::Output;
use crate::ops::Error;
use crate::ops::consent::Courier;

/// Longest pasted line in bytes.
const MAX_LINE: u64 = 16 * 1024;

/// The way to the user.
#[derive(Clone, Debug)]
pub(super) struct TerminalCourier {
    /// Where to talk.
    pub output: Output,
    /// Whether to open a browser.
    pub opens_browser: bool,
    /// The command that opens an address, if it is not the system's own.
    pub browser: Option<OsString>,
}

impl Courier for TerminalCourier {
    fn lead(&self, url: &Url, redirect_uri: &Url, pasted: Sender<SecretString>) -> Result<(), Error> {
        if self.opens_browser && self.open(url) {
            self.output.say(&format!("Your browser opens to log in. If it does not, go to:\n\n  {url}\n"));
        } else {
            // Not `say`: without the address, even a quiet login could not go on.
            let _ = writeln!(io::stderr(), "Open this address in a browser:\n\n  {url}\n");
        }
        if self.takes_paste() {
            self.output.say(&format!(
                "If the browser is on another machine, it ends at {}, which it cannot load.\nThen copy the \
                 whole address from its address bar, paste it here and press Enter.",
                address(redirect_uri)
            ));
            std::thread::spawn(move || forward_lines(&pasted));
        }
        Ok(())
    }

    fn refuse(&self, why: &str) {
        self.output.warn(&format!("{why}; still waiting"));
    }
}

impl TerminalCourier {
    /// Standard input is read only where a person types, or where pasting is the only way.
    fn takes_paste(&self) -> bool {
        !self.opens_browser || io::stdin().is_terminal()
    }

    /// Starts the browser without waiting for it. The address is an argument of its own: no shell
    /// ever sees it.
    fn open(&self, url: &Url) -> bool {
        let commands = match &self.browser {
            Some(browser) => named_browser(browser, url).into_iter().collect(),
            None => open::commands(url.as_str()),
        };
        let mut started = commands.into_iter().map(start);
        let is_started = started.any(|started| started.is_ok());
        if !is_started {
            log::info!("no browser could be started");
        }
        is_started
    }
}

/// The command of `BROWSER`, with the address in place of `%s` or at its end.
fn named_browser(browser: &OsString, url: &Url) -> Option<Command> {
    let words = browser.to_str().and_then(shlex::split)?;
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| argument.replace("%s", url.as_str())));
    if !arguments.iter().any(|argument| argument.contains("%s")) {
        command.arg(url.as_str());
    }
    Some(command)
}

fn start(mut command: Command) -> io::Result<()> {
    for name in super::environment::UNLOCKING {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(|_| ())
}

fn address(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or("127.0.0.1"), url.port_or_known_default().unwrap_or(80))
}

/// Sends each line on. The end of the input ends the pasting and nothing else.
fn forward_lines(pasted: &Sender<SecretString>) {
    let mut stdin = io::Read::take(io::stdin().lock(), MAX_LINE * 64);
    loop {
        let mut line = String::new();
        match stdin.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => {}
            Ok(_) => {
                if pasted.send(SecretString::from(line)).is_err() {
                    return;
                }
            }
        }
    }
}
