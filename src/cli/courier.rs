//! Leads the user to the provider's consent page and takes what is pasted.

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::Sender;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::output::Output;
use super::screen::{Screen, Why};
use super::{browser, qr};
use crate::domain::counted;
use crate::ops::Error;
use crate::ops::consent::{Courier, WayThere};
use crate::ops::device::Invitation;

/// Longest pasted line in bytes.
const MAX_LINE: u64 = 16 * 1024;

/// The way to the user.
#[derive(Clone, Debug)]
pub(super) struct TerminalCourier {
    /// Where to talk.
    pub output: Output,
    /// Whether to open a browser.
    pub opens_browser: bool,
    /// The command of `BROWSER`, which opens an address where the profile has none of its own.
    pub browser: Option<OsString>,
    /// Where a browser would open.
    pub screen: Screen,
    /// Why the person is asked to paste without having chosen that.
    pub why_paste: Option<Why>,
}

impl Courier for TerminalCourier {
    fn lead(&self, way: &WayThere<'_>, pasted: Sender<SecretString>) -> Result<(), Error> {
        let url = way.url;
        let is_open = self.opens_browser && self.open(way);
        if is_open {
            self.output.say(&format!("Your browser opens to log in. If it does not, go to:\n\n  {url}\n"));
        } else {
            if let Some(why) = &self.why_paste {
                self.output.say(&format!("No browser is opened, because {why}."));
            }
            // Not `say`: without the address, even a quiet login could not go on.
            let _ = writeln!(io::stderr(), "Open this address in a browser:\n\n  {url}\n");
            self.tell_of_other_ways(way);
        }
        if self.takes_paste(way) {
            self.output.say(&how_to_paste(way.redirect_uri));
            std::thread::spawn(move || forward_lines(&pasted));
        }
        Ok(())
    }

    fn refuse(&self, why: &str) {
        self.output.warn(&format!("{why}; still waiting"));
    }

    fn invite(&self, invitation: &Invitation<'_>) -> Result<(), Error> {
        let Invitation { user_code, verification_uri, profile, .. } = invitation;
        // First, so that the code is what stands last on a small screen.
        if let Some(picture) = self.picture(invitation) {
            let _ = write!(io::stderr(), "\n{picture}\n");
        }
        // Not `say`: without the code, even a quiet login could not go on.
        let _ = writeln!(
            io::stderr(),
            "Open this address on any device:\n\n  {verification_uri}\n\nand type this code there:\n\n  \
             {user_code}\n"
        );
        let account = invitation.account.map_or_else(String::new, |account| format!(" as {account}"));
        self.output.say(&format!(
            "It logs profile `{profile}` in at {}{account}. A code that somebody else sends you is never for \
             you to type.\nWaiting; the code works for {}. Ctrl-C gives up.",
            invitation.issuer,
            in_minutes(invitation.expires_in),
        ));
        Ok(())
    }
}

impl TerminalCourier {
    /// Standard input is read only where a person types, or where pasting may be the only way.
    fn takes_paste(&self, way: &WayThere<'_>) -> bool {
        !self.opens_browser || !comes_back(way.redirect_uri) || io::stdin().is_terminal()
    }

    /// Starts the browser without waiting for it. The one of the profile has no substitute: another one would be
    /// logged in with another account.
    fn open(&self, way: &WayThere<'_>) -> bool {
        let named = way.browser.or_else(|| self.browser.as_ref()?.to_str());
        let started = match named {
            Some(command) => browser::start_named(command, way.url),
            None => browser::start_usual(way.url),
        };
        match (&started, way.browser) {
            (Err(error), Some(command)) => {
                self.output.warn(&format!(
                    "the browser of this profile, `{command}`, could not be started: {error}"
                ));
            }
            (Err(error), None) => log::info!("no browser could be started: {error}"),
            (Ok(()), _) => {}
        }
        started.is_ok()
    }

    /// What is more comfortable than to paste.
    fn tell_of_other_ways(&self, way: &WayThere<'_>) {
        if let Some(tunnel) = self.screen.tunnel(way.redirect_uri) {
            self.output.say(&format!(
                "So that the browser of your own machine comes back to this one, type this there first:\n\n  {}\n\n{}\n",
                tunnel.line(),
                tunnel.advice()
            ));
        }
        if self.why_paste.is_some() && way.offers_device {
            self.output
                .say("This provider has another way: with `--flow device` you type a code on any device.\n");
        }
    }

    /// A picture of the address where there is somebody to see it and it fits.
    fn picture(&self, invitation: &Invitation<'_>) -> Option<String> {
        let columns = self.output.columns_of_stderr()?;
        let url = invitation.verification_uri_complete.unwrap_or(invitation.verification_uri);
        qr::picture(url.as_str(), columns.into(), self.output.colours_stderr())
    }
}

/// Whether a browser on this machine comes back by itself: nobody listens at an address with https.
fn comes_back(redirect_uri: &Url) -> bool {
    redirect_uri.scheme() != "https"
}

fn how_to_paste(redirect_uri: &Url) -> String {
    let end = address(redirect_uri);
    let begin = match comes_back(redirect_uri) {
        true => format!("If the browser is on another machine, it ends at {end}, which it cannot load."),
        false => format!("The browser ends at {end}, and does not come back here by itself."),
    };
    format!("{begin}\nThen copy the whole address from its address bar, paste it here and press Enter.")
}

fn address(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or("127.0.0.1"), url.port_or_known_default().unwrap_or(80))
}

fn in_minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => counted(usize::try_from(seconds).unwrap_or_default(), "second"),
        seconds => counted(usize::try_from(seconds / 60).unwrap_or_default(), "minute"),
    }
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
