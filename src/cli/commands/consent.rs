//! The options of every login.

use std::time::Duration;

use clap::ValueEnum;
use jiff::SignedDuration;

use crate::cli::args::duration;
use crate::cli::courier::TerminalCourier;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::ops::consent::Request;

/// How the user consents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Flow {
    /// Open a browser on this machine
    Browser,
    /// Open the address anywhere, and paste the one where it ends
    Paste,
    /// Do not log in now
    None,
}

/// The options of a login.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Login")]
pub(super) struct ConsentArgs {
    /// How to consent: browser, paste or none [default: browser if there is one, else paste]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    flow: Option<Flow>,
    /// Print the address instead of opening a browser, and wait for it
    #[arg(long)]
    no_browser: bool,
    /// Ask for this scope too; short names such as gmail.readonly are fine
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<String>,
    /// How long to wait for the browser
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: SignedDuration,
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
        if self.no_browser || self.flow.is_some_and(|flow| flow != Flow::None) {
            return Err(Failure::usage("this profile needs no person: there is nothing to consent to")
                .hint("leave out `--flow` and `--no-browser`; `--no-check` asks for no token now"));
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
        let has_browser = environment.browser.is_some() || environment.has_display;
        Ok(TerminalCourier {
            output: session.output,
            opens_browser: !self.no_browser && self.flow.map_or(has_browser, |flow| flow == Flow::Browser),
            browser: environment.browser.clone(),
        })
    }

    /// The login that is asked for.
    pub(super) fn request<'a>(&'a self, courier: &'a TerminalCourier, replace_account: bool) -> Request<'a> {
        let patience = Duration::try_from(self.timeout).unwrap_or_default();
        Request { courier, scopes: &self.scopes, patience, replace_account, renews: false }
    }

    /// The login that takes the place of one that still works.
    pub(super) fn renewal<'a>(&'a self, courier: &'a TerminalCourier) -> Request<'a> {
        Request { renews: true, ..self.request(courier, false) }
    }
}
