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
    // To the nearest of the unit of which there are two at least.
    let in_units_of = |unit: i64| (seconds + unit / 2) / unit;
    let by = match seconds {
        ..=99 => counted(seconds, "second"),
        100..=5999 => counted(in_units_of(60), "minute"),
        6000..=149_999 => counted(in_units_of(3600), "hour"),
        _ => counted(in_units_of(86_400), "day"),
    };
    format!("the clock of this machine is {by} {side} the provider's")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(error: &str, description: &str, grant_type: &GrantType) -> Vec<Cause> {
        let error = ServerError::new(error, 400).with_description(Some(description));
        of_program(
            &error.at("2030-01-01T00:00:00Z".parse().ok()),
            "2030-01-01T02:00:10Z".parse().unwrap(),
            grant_type,
        )
    }

    #[test]
    fn what_google_says_to_an_assertion_is_understood() {
        let key = GrantType::JwtBearer { subject: None };
        let delegated = GrantType::JwtBearer { subject: Some("me@example.com".into()) };
        let late = Cause::ClockWrong { ahead: Some(SignedDuration::from_secs(7210)) };
        for (error, description, grant_type, cause) in [
            ("invalid_grant", "Invalid JWT Signature.", &key, Cause::KeyRejected),
            ("invalid_grant", "Invalid JWT: Token must be in a reasonable timeframe.", &key, late),
            ("invalid_grant", "Invalid grant: account not found", &key, Cause::ServiceAccountUnknown),
            ("disabled_client", "The OAuth client was disabled.", &key, Cause::KeyRejected),
            ("unauthorized_client", "Client is unauthorized.", &delegated, Cause::NotDelegated),
            ("unauthorized_client", "Client is unauthorized.", &key, Cause::WrongClientKind),
            ("invalid_scope", "Empty or missing scope not allowed.", &key, Cause::InvalidScope),
            ("invalid_client", "", &GrantType::ClientCredentials, Cause::SecretRejected),
        ] {
            assert_eq!(causes(error, description, grant_type), [cause], "{error}: {description}");
        }
        assert!(causes("invalid_grant", "Bad Request", &key).is_empty(), "nothing is guessed");
    }

    #[test]
    fn a_clock_is_told_to_the_nearest_of_its_largest_unit() {
        let clock = |seconds| clock(Some(SignedDuration::from_secs(seconds)));

        assert!(clock(45).contains("45 seconds ahead of"));
        assert!(clock(-7199).contains("2 hours behind"));
        assert!(clock(-600).contains("10 minutes behind"));
        assert!(clock(259_199).contains("3 days ahead of"));
    }
}
