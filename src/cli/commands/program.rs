//! The options of a profile that needs no person.

use jiff::SignedDuration;
use url::Url;

use crate::cli::args::duration;
use crate::cli::error::Failure;
use crate::domain::ProfileName;
use crate::oauth::impersonation::MAX_LIFETIME;
use crate::oauth::service_account::is_address;
use crate::ops::Context;
use crate::ops::add_profile::ClientChoice;
use crate::ops::add_program::Right;
use crate::ops::clients;

/// By what right a program gets its tokens.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Without a person")]
pub(super) struct ProgramArgs {
    /// Ask for tokens in the client's own right
    #[arg(long, conflicts_with_all = ["service_account_key", "subject", "impersonate"])]
    client_credentials: bool,
    /// Act on behalf of this user of the domain, which has allowed the service account to
    #[arg(long, value_name = "USER", conflicts_with = "impersonate", value_parser = user)]
    subject: Option<String>,
    /// Act as this service account, by the right of another profile
    #[arg(long, value_name = "EMAIL", requires = "via", value_parser = service_account, conflicts_with_all =
        ["client", "client_file", "client_id", "service_account_key", "provider", "issuer", "token_url"])]
    impersonate: Option<String>,
    /// The profile that may act as it
    #[arg(long, value_name = "PROFILE", requires = "impersonate", add = crate::cli::complete::profiles())]
    via: Option<ProfileName>,
    /// A service account in between, which may act as the next; the first one first
    #[arg(long, value_name = "EMAIL", requires = "impersonate", value_parser = service_account)]
    delegate: Vec<String>,
    /// How long a token of it lives [default: 1h]
    #[arg(long, value_name = "TIME", requires = "impersonate", value_parser = lifetime)]
    lifetime: Option<u64>,
    /// The API that issues tokens of service accounts [default: the provider's]
    #[arg(long, value_name = "URL", requires = "impersonate")]
    iam_url: Option<Url>,
    /// Ask for no token now
    #[arg(long)]
    no_check: bool,
}

/// An hour, which needs nobody's leave.
const LIFETIME: u64 = 3600;

fn service_account(text: &str) -> Result<String, &'static str> {
    match is_address(text) {
        true => Ok(text.to_owned()),
        false => Err("the address of a service account is like name@project.iam.gserviceaccount.com"),
    }
}

fn user(text: &str) -> Result<String, &'static str> {
    match !text.is_empty() && text.len() <= 320 && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("the address of a user is like me@example.com"),
    }
}

fn lifetime(text: &str) -> Result<u64, String> {
    let span: SignedDuration = duration(text)?;
    let seconds = u64::try_from(span.as_secs()).unwrap_or(0);
    match (1..=MAX_LIFETIME).contains(&seconds) {
        true => Ok(seconds),
        false => Err("a token of a service account lives 12h at most".to_owned()),
    }
}

impl ProgramArgs {
    /// Whether the tokens are those of a service account that another profile may act as: then no client is named.
    pub(super) fn is_impersonation(&self) -> bool {
        self.impersonate.is_some()
    }

    /// Whether the first token is left for later.
    pub(super) fn is_unchecked(&self) -> bool {
        self.no_check
    }

    /// By what right the profile gets its tokens, if it is one that needs no person.
    pub(super) fn right(&self, ctx: Context<'_>, client: ClientChoice) -> Result<Asked, Failure> {
        if let (Some(service_account), Some(via)) = (&self.impersonate, &self.via) {
            return Ok(Asked::Program(Right::Impersonation {
                via: via.clone(),
                service_account: service_account.clone(),
                delegates: self.delegate.clone(),
                lifetime_s: self.lifetime.unwrap_or(LIFETIME),
                api: self.iam_url.clone(),
            }));
        }
        // The parser forgives what is required where something else conflicts with it.
        if self.via.is_some()
            || !self.delegate.is_empty()
            || self.lifetime.is_some()
            || self.iam_url.is_some()
        {
            return Err(Failure::usage(
                "`--via`, `--delegate`, `--lifetime` and `--iam-url` go with `--impersonate`",
            ));
        }
        if self.client_credentials {
            return Ok(Asked::Program(Right::Client(client)));
        }
        if is_key(ctx, &client) {
            return Ok(Asked::Program(Right::Key { client, subject: self.subject.clone() }));
        }
        if self.subject.is_some() {
            return Err(Failure::usage("only a service account acts on behalf of a `--subject`")
                .hint("add `--service-account-key FILE`, or `--client NAME` with one that is stored"));
        }
        if self.no_check {
            return Err(Failure::usage("there is nothing to check where a person logs in")
                .hint("`--flow none` leaves the login for later"));
        }
        Ok(Asked::Login(client))
    }
}

/// What kind of profile is asked for.
pub(super) enum Asked {
    /// One that a person logs in.
    Login(ClientChoice),
    /// One that needs no person.
    Program(Right),
}

/// Whether it is the key of a service account, which is for programs whatever else is said. Nothing is verified
/// yet: that comes before it is used.
fn is_key(ctx: Context<'_>, client: &ClientChoice) -> bool {
    let is_key = |listed: &clients::Listed| {
        let auth = listed.client.as_ref().map(|facts| facts.client.client_auth);
        matches!(auth, Ok(crate::domain::ClientAuth::Assertion))
    };
    match client {
        ClientChoice::New(new) => new.key.is_some(),
        ClientChoice::Stored(name) => clients::show(ctx, name).is_ok_and(|listed| is_key(&listed)),
        ClientChoice::Only => clients::list(ctx).is_ok_and(|all| matches!(&all[..], [one] if is_key(one))),
    }
}
