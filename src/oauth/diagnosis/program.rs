//! Why a provider refuses a client that asks without a person.

use jiff::{SignedDuration, Timestamp};

use super::{Cause, counted, told, words};
use crate::domain::GrantType;
use crate::oauth::ServerError;

/// A clock that is wrong by less than this is not what an assertion is refused for.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(30);

/// The likely causes of `error`, the answer to a request that was made at `now` by a client in its own right, or
/// with an assertion. The words are Google's:
/// <https://developers.google.com/identity/protocols/oauth2/service-account#error-codes>
pub fn of_program(error: &ServerError, now: Timestamp, grant_type: &GrantType) -> Vec<Cause> {
    let words = words(error);
    let says = |text: &str| words.contains(text);
    let is_delegated = matches!(grant_type, GrantType::JwtBearer { subject: Some(_) });
    let cause = match error.error.as_str() {
        "invalid_grant" if says("jwt signature") || says("key was not found") => Some(Cause::KeyRejected),
        "invalid_grant" if says("account not found") || says("invalid email") => {
            Some(Cause::ServiceAccountUnknown)
        }
        "unauthorized_client" if is_delegated => Some(Cause::NotDelegated),
        "disabled_client" | "invalid_grant" if says("disabled") => Some(Cause::KeyRejected),
        "invalid_client" if matches!(grant_type, GrantType::JwtBearer { .. }) => Some(Cause::KeyRejected),
        _ => told(error),
    };
    cause.map(|cause| with_clock(cause, error, now)).into_iter().collect()
}

/// Says by how much the clock is wrong, where the server has told its own time.
pub(super) fn with_clock(cause: Cause, error: &ServerError, now: Timestamp) -> Cause {
    match cause {
        Cause::ClockWrong { .. } => {
            let ahead = error.date.map(|date| now.duration_since(date));
            Cause::ClockWrong { ahead: ahead.filter(|by| by.abs() > CLOCK_SLACK) }
        }
        cause => cause,
    }
}

/// How wrong the clock is.
pub(super) fn clock(ahead: Option<SignedDuration>) -> String {
    let Some(ahead) = ahead else { return "the clock of this machine is wrong".to_owned() };
    let side = if ahead.is_negative() { "behind" } else { "ahead of" };
    let seconds = ahead.abs().as_secs();
    let by = match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => counted(seconds, "second"),
        (0, 0, minutes) => counted(minutes, "minute"),
        (0, hours, _) => counted(hours, "hour"),
        (days, ..) => counted(days, "day"),
    };
    format!("the clock of this machine is {by} {side} the provider's")
}
