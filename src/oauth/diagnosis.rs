//! Why a provider refuses, as far as its error and what we remember can tell.
//!
//! Google answers a dead grant with the same words whatever killed it. What is known of the grant
//! (its age, its last use, its scopes) rules some causes out and ranks the others. The limits are
//! those of <https://developers.google.com/identity/protocols/oauth2#expiration>.

mod program;

mod warning;

use std::fmt;

use jiff::{SignedDuration, Timestamp};

pub use warning::{Warning, warnings};

use super::{ServerError, provider};
use crate::domain::provider::Life;
use crate::domain::{Provider, Scopes};

pub use program::of_program;

/// How long a grant lasts while the Google app is in *Testing*.
const TESTING_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How far our dates may be off: the grant began before we noted it.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// How long before the end of an idle grant people are warned.
const IDLE_NOTICE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long before the known end of a grant people are warned.
const END_NOTICE: SignedDuration = SignedDuration::from_hours(3 * 24);

/// What is known of a grant.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The provider's id.
    pub provider: &'a str,
    /// How long its grants last, as its pages say.
    pub limits: Limits,
    /// When the user consented; `None` during the login itself.
    pub obtained_at: Option<Timestamp>,
    /// When it last brought an access token, as far as is known.
    pub last_used: Option<Timestamp>,
    /// When the provider last replaced the refresh token, if it ever did.
    pub rotated_at: Option<Timestamp>,
    /// When it ends, where the provider has said so.
    pub expires_at: Option<Timestamp>,
    /// What it allows.
    pub granted: &'a Scopes,
    /// What time it is.
    pub now: Timestamp,
}

/// How long the grants of a provider last, as its pages say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Without being used.
    pub idle: Option<SignedDuration>,
    /// Whatever is done with the refresh token.
    pub life: Option<SignedDuration>,
}

impl Limits {
    /// Those of `provider`.
    pub fn of(provider: &Provider) -> Self {
        let span = |life: Option<Life>| life.and_then(Life::span);
        Self { idle: span(provider.refresh.idle), life: span(provider.refresh.lifetime) }
    }
}

/// Why a provider refuses. `Display` says it in one line; what to do about it is for others to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// An earlier refresh was sent and its answer lost: the provider may have replaced the token then.
    AnswerLost,
    /// The grant was limited in time from the beginning, and that time is over.
    TimeLimited {
        /// When it ended.
        expires_at: Timestamp,
    },
    /// The app is in *Testing*, where grants last seven days.
    TestingApp {
        /// How old the grant is.
        age: SignedDuration,
    },
    /// Nobody used the grant for longer than the provider allows.
    Idle {
        /// For how long nobody did.
        idle: SignedDuration,
        /// How long it may rest.
        limit: SignedDuration,
    },
    /// The refresh token has come to the end of its life, whatever was done with it.
    OldToken {
        /// How old it is.
        age: SignedDuration,
    },
    /// What the provider's pages say of its error.
    Told {
        /// What it means.
        means: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The user, or a revocation of another token of the same client, has ended the grant.
    Revoked,
    /// The password was changed, which ends grants that reach into Gmail.
    PasswordChanged,
    /// There were more logins of the same account and client than the provider keeps.
    TooManyTokens,
    /// The refresh token was replaced while somebody else used it.
    UsedElsewhere,
    /// The organisation asks for a new login every few hours.
    SessionControl,
    /// The account was deleted or disabled.
    AccountGone,
    /// The organisation's administrator does not allow the app.
    AdminPolicy,
    /// The app is for members of its organisation only.
    OrganisationOnly,
    /// The app is not verified, and the account is not one of its test users.
    NotATestUser,
    /// The user did not consent.
    NoConsent,
    /// The code was used before, is too old, or was meant for another client.
    CodeSpent,
    /// The client was deleted.
    ClientDeleted,
    /// The client was disabled.
    ClientDisabled,
    /// There is no client of that id.
    ClientUnknown,
    /// The client secret is not, or no longer, the right one.
    SecretRejected,
    /// The provider wants a client secret and got none.
    SecretMissing,
    /// The client is of a kind that may not do this.
    WrongClientKind,
    /// The redirect URI is not registered for the client.
    RedirectMismatch,
    /// A scope does not exist, or is more than was granted.
    InvalidScope,
    /// The clock of this machine is wrong.
    ClockWrong {
        /// By how much it is ahead of the provider's, if that is known.
        ahead: Option<SignedDuration>,
    },
    /// The key of a service account was deleted or disabled, or belongs to another one.
    KeyRejected,
    /// There is no service account of that address, or no user on whose behalf it is to act.
    ServiceAccountUnknown,
    /// The domain has not allowed a service account to act on behalf of its users.
    NotDelegated,
    /// The login was opened in a browser that the provider does not accept.
    BrowserRefused,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::AnswerLost => {
                "the answer to an earlier refresh was lost, and the provider may have replaced the token in it"
            }
            Self::TimeLimited { expires_at } => {
                return write!(f, "the consent was limited in time and ended at {expires_at:.0}");
            }
            Self::TestingApp { age } => {
                return write!(
                    f,
                    "the login is {} old, and a login to a Google app in Testing lasts 7 days",
                    days(*age)
                );
            }
            Self::Idle { idle, limit } => {
                return write!(
                    f,
                    "the login was not used for {}, and the provider ends those that rest for {}",
                    days(*idle),
                    months(*limit)
                );
            }
            Self::OldToken { age } => {
                return write!(f, "the login is {} old, and the provider ends it then", days(*age));
            }
            Self::Told { means, .. } => means,
            Self::Revoked => {
                "access was removed in the settings of the account, or a login of the same client was revoked"
            }
            Self::PasswordChanged => {
                "the password of the account was changed, which ends logins that reach into Gmail"
            }
            Self::TooManyTokens => {
                "there were more than 100 logins of this account with this client, and the oldest gave way"
            }
            Self::UsedElsewhere => "the refresh token was used in another place, which replaced it",
            Self::SessionControl => "the organisation of the account asks for a new login every few hours",
            Self::AccountGone => "the account was deleted or disabled",
            Self::AdminPolicy => "the administrator of the account does not allow this app",
            Self::OrganisationOnly => "the app is for members of its own organisation only",
            Self::NotATestUser => "the app is not verified, and the account is not one of its test users",
            Self::NoConsent => "consent was not given",
            Self::CodeSpent => "the code was used before, has expired, or belongs to another client",
            Self::ClientDeleted => "the OAuth client was deleted",
            Self::ClientDisabled => "the OAuth client was disabled",
            Self::ClientUnknown => "there is no OAuth client of that id",
            Self::SecretRejected => "the client secret is not, or no longer, the right one",
            Self::SecretMissing => "the provider wants a client secret",
            Self::WrongClientKind => "the OAuth client is of a kind that may not do this",
            Self::RedirectMismatch => "the redirect URI is not registered for this client",
            Self::InvalidScope => "a scope does not exist, or is more than was granted",
            Self::ClockWrong { ahead } => return f.write_str(&program::clock(*ahead)),
            Self::KeyRejected => {
                "the key was deleted or disabled at the provider, or it is of another service account"
            }
            Self::ServiceAccountUnknown => {
                "there is no such service account any more, or no such user on whose behalf it is to act"
            }
            Self::NotDelegated => {
                "the domain has not allowed this service account to act on behalf of its users with these scopes"
            }
            Self::BrowserRefused => "the provider does not accept the browser in which the login was opened",
        };
        f.write_str(text)
    }
}

/// The likely causes of `error`, the likeliest first; none if nothing is known about it.
pub fn diagnose(error: &ServerError, facts: &Facts<'_>) -> Vec<Cause> {
    if let Some(cause) = told(error) {
        return vec![program::with_clock(cause, error, facts.now)];
    }
    match error.error.as_str() {
        "invalid_grant" if facts.obtained_at.is_none() => vec![Cause::CodeSpent],
        "invalid_grant" => ranked(facts),
        _ => Vec::new(),
    }
}

/// The cause, where the server says it.
fn told(error: &ServerError) -> Option<Cause> {
    if let Some(known) = &error.known {
        return Some(Cause::Told { means: known.means.clone(), hint: known.hint.clone() });
    }
    let words = words(error);
    let says = |text: &str| words.contains(text);
    let cause = match error.error.as_str() {
        "invalid_rapt" | "rapt_required" => Cause::SessionControl,
        "invalid_grant" => return told_of_grant(&words),
        "deleted_client" => Cause::ClientDeleted,
        "disabled_client" => Cause::ClientDisabled,
        "invalid_client" if says("not found") => Cause::ClientUnknown,
        "invalid_client" => Cause::SecretRejected,
        "invalid_request" if says("client_secret is missing") => Cause::SecretMissing,
        "invalid_request" if says("redirect_uri") || says("out-of-band") => Cause::RedirectMismatch,
        "unauthorized_client" | "unsupported_grant_type" => Cause::WrongClientKind,
        "redirect_uri_mismatch" => Cause::RedirectMismatch,
        "invalid_scope" => Cause::InvalidScope,
        "org_internal" => Cause::OrganisationOnly,
        "admin_policy_enforced" | "policy_enforced" => Cause::AdminPolicy,
        "restricted_client" => Cause::NotATestUser,
        "disallowed_useragent" => Cause::BrowserRefused,
        "access_denied" if says("restricted") => Cause::AdminPolicy,
        "access_denied" if says("verification") => Cause::NotATestUser,
        "access_denied" => Cause::NoConsent,
        _ => return None,
    };
    Some(cause)
}

fn told_of_grant(words: &str) -> Option<Cause> {
    let says = |text: &str| words.contains(text);
    if says("invalid_rapt") || says("rapt_required") {
        Some(Cause::SessionControl)
    } else if says("account has been deleted") || says("account has been disabled") {
        Some(Cause::AccountGone)
    } else if says("policy_enforced") || says("account restricted") {
        Some(Cause::AdminPolicy)
    } else if says("invalid jwt") || says("timeframe") {
        Some(Cause::ClockWrong { ahead: None })
    } else {
        None
    }
}

/// Everything that the server says beside the code, in small letters.
fn words(error: &ServerError) -> String {
    let parts = [error.description.as_deref(), error.subtype.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// What may have ended a grant of which the server says only that it is no longer good.
fn ranked(facts: &Facts<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(testing_app(facts));
    causes.extend(time_limit(facts));
    causes.extend(idle(facts));
    causes.extend(old_token(facts));
    if facts.rotated_at.is_some() {
        causes.push(Cause::UsedElsewhere);
    }
    causes.push(Cause::Revoked);
    if is_google(facts) {
        causes.extend(reaches_into_gmail(facts.granted).then_some(Cause::PasswordChanged));
        causes.push(Cause::TooManyTokens);
    }
    causes
}

fn is_google(facts: &Facts<'_>) -> bool {
    facts.provider == "google"
}

/// Seven days after the login, unless the grant was seen alive after that.
fn testing_app(facts: &Facts<'_>) -> Option<Cause> {
    let age = facts.now.duration_since(facts.obtained_at?);
    let is_old_enough = age >= TESTING_LIFE - SLACK;
    (is_old_enough && may_be_testing(facts)).then_some(Cause::TestingApp { age })
}

/// Whether nothing speaks against it: only Google has such a limit, it does not hold for signing in
/// alone, a grant that was used later is not under it, and one with another end has that end.
fn may_be_testing(facts: &Facts<'_>) -> bool {
    let Some(obtained_at) = facts.obtained_at else { return false };
    let is_within = |date: Timestamp| date.duration_since(obtained_at) <= TESTING_LIFE + SLACK;
    is_google(facts)
        && !is_for_signing_in(facts.granted)
        && facts.last_used.is_none_or(is_within)
        && facts.expires_at.is_none_or(is_within)
}

fn is_for_signing_in(scopes: &Scopes) -> bool {
    let google = provider::get("google");
    scopes.iter().all(|scope| matches!(google.canonical_scope(scope), "openid" | "email" | "profile"))
}

fn reaches_into_gmail(scopes: &Scopes) -> bool {
    let is_gmail = |scope: &str| {
        scope == "https://mail.google.com/" || scope.starts_with("https://www.googleapis.com/auth/gmail.")
    };
    scopes.iter().any(is_gmail)
}

fn time_limit(facts: &Facts<'_>) -> Option<Cause> {
    let expires_at = facts.expires_at?;
    let is_over = facts.now.duration_since(expires_at) >= -SLACK;
    is_over.then_some(Cause::TimeLimited { expires_at })
}

fn idle(facts: &Facts<'_>) -> Option<Cause> {
    let (idle, limit) = (idle_time(facts)?, facts.limits.idle?);
    (idle >= limit).then_some(Cause::Idle { idle, limit })
}

fn old_token(facts: &Facts<'_>) -> Option<Cause> {
    let age = facts.now.duration_since(token_since(facts)?);
    (age >= facts.limits.life? - SLACK).then_some(Cause::OldToken { age })
}

/// Since when the refresh token is what it is.
fn token_since(facts: &Facts<'_>) -> Option<Timestamp> {
    facts.rotated_at.max(facts.obtained_at)
}

fn idle_time(facts: &Facts<'_>) -> Option<SignedDuration> {
    let last = facts.last_used.max(facts.rotated_at).max(facts.obtained_at)?;
    Some(facts.now.duration_since(last))
}

/// Months where it is some of them, else days.
fn months(span: SignedDuration) -> String {
    let days = span.as_hours() / 24;
    if days >= 60 { counted((days + 15) / 30, "month") } else { counted(days, "day") }
}

fn days(span: SignedDuration) -> String {
    counted(span.as_hours() / 24, "day")
}

/// Days, or hours where there is less than two days.
fn span(span: SignedDuration) -> String {
    if span.as_hours() < 48 { counted(span.as_hours().max(1), "hour") } else { days(span) }
}

fn counted(count: i64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests;
