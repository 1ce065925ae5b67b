//! The options of every login.

use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;

use crate::cli::args::duration;
use crate::cli::browser;
use crate::cli::courier::TerminalCourier;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::screen::Screen;
use crate::cli::session::Session;
use crate::ops::consent::{Request, Way};

/// How long is waited for a browser. A device code has a life of its own.
const USUAL_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How the user consents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Flow {
    /// Open a browser on this machine
    Browser,
    /// Open the address anywhere, and paste the one where it ends
    Paste,
    /// Type a code on any device
    Device,
    /// Do not log in now
    None,
}

/// The options of a login.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Login")]
pub(super) struct ConsentArgs {
    /// How to consent: browser, paste, device or none [default: browser if there is one, else paste]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    flow: Option<Flow>,
    /// Print the address instead of opening a browser, and wait for it
    #[arg(long)]
    no_browser: bool,
    /// Open it with this command from now on, for this profile; the address takes the place of %s or comes last
    #[arg(long, value_name = "CMD", value_parser = browser::parse, conflicts_with = "no_browser")]
    pub browser: Option<String>,
    /// Ask for this scope too; short names such as gmail.readonly are fine
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<String>,
    /// How long to wait for the consent [default: 5m; with a device code, as long as the code works]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<SignedDuration>,
}

/// One scope, or some with spaces between them, as providers' pages list them.
fn scope(text: &str) -> Result<String, &'static str> {
    match text.trim().is_empty() || text.chars().any(char::is_control) {
        true => Err("a scope is printable text on one line"),
        false => Ok(text.to_owned()),
    }
}

impl ConsentArgs {
    /// Whether there is to be a login at all.
    pub(super) fn is_wanted(&self) -> bool {
        self.flow != Some(Flow::None)
    }

    /// Refuses what only makes sense where a person logs in.
    pub(super) fn refuse_for_a_program(&self) -> Result<(), Failure> {
        let names_a_browser = self.no_browser || self.browser.is_some();
        if names_a_browser || self.flow.is_some_and(|flow| flow != Flow::None) {
            return Err(Failure::usage("this profile needs no person: there is nothing to consent to").hint(
                "leave out `--flow`, `--browser` and `--no-browser`; `--no-check` asks for no token now",
            ));
        }
        Ok(())
    }

    /// The way to the user.
    pub(super) fn courier(&self, session: &Session) -> Result<TerminalCourier, Failure> {
        if session.no_input() {
            return Err(Failure::new(
                Code::LoginNeeded,
                "a login needs a person, and `--no-input` forbids to ask one",
            )
            .hint(
                "run it without `--no-input`; `vault add-profile --flow none` leaves the login for later",
            ));
        }
        let environment = &session.environment;
        let why_not = match &environment.screen {
            // Whoever names a command knows where it opens a window.
            Screen::None(why) if environment.browser.is_none() && self.browser.is_none() => Some(why),
            _ => None,
        };
        let is_chosen = self.no_browser || self.flow.is_some();
        Ok(TerminalCourier {
            output: session.output,
            opens_browser: !self.no_browser
                && self.flow.map_or(why_not.is_none(), |flow| flow == Flow::Browser),
            browser: environment.browser.clone(),
            screen: environment.screen.clone(),
            why_paste: why_not.filter(|_| !is_chosen).cloned(),
        })
    }

    /// The login that is asked for.
    pub(super) fn request<'a>(&'a self, courier: &'a TerminalCourier, replace_account: bool) -> Request<'a> {
        let patience = self.timeout.map(|timeout| Duration::try_from(timeout).unwrap_or_default());
        let way = match self.flow {
            Some(Flow::Device) => Way::Device { patience },
            _ => Way::Browser { patience: patience.unwrap_or(USUAL_PATIENCE) },
        };
        let browser = self.browser.as_deref();
        Request { courier, scopes: &self.scopes, way, browser, replace_account, renews: false }
    }

    /// The login that takes the place of one that still works.
    pub(super) fn renewal<'a>(&'a self, courier: &'a TerminalCourier) -> Request<'a> {
        Request { renews: true, ..self.request(courier, false) }
    }
}
