use super::*;

const DAY: i64 = 24 * 60 * 60;

/// The login, in days before day 1000.
fn ago(days: i64) -> Timestamp {
    Timestamp::from_second((1000 - days) * DAY).unwrap()
}

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

fn drive() -> Scopes {
    scopes("openid email https://www.googleapis.com/auth/drive")
}

/// A grant at Google of which nothing is known but its age.
fn grant(granted: &Scopes, age: i64) -> Facts<'_> {
    Facts {
        provider: "google",
        limits: Limits::of(provider::get("google")),
        obtained_at: Some(ago(age)),
        last_used: None,
        rotated_at: None,
        expires_at: None,
        granted,
        now: ago(0),
    }
}

fn expired() -> ServerError {
    ServerError::new("invalid_grant", 400).with_description(Some("Token has been expired or revoked."))
}

#[test]
fn a_grant_that_dies_after_seven_days_is_one_of_a_testing_app() {
    let granted = drive();
    let causes = diagnose(&expired(), &Facts { last_used: Some(ago(1)), ..grant(&granted, 7) });

    assert_eq!(causes[0], Cause::TestingApp { age: SignedDuration::from_hours(7 * 24) });
    assert_eq!(
        causes[0].to_string(),
        "the login is 7 days old, and a login to a Google app in Testing lasts 7 days"
    );
    assert_eq!(causes[1..], [Cause::Revoked, Cause::TooManyTokens]);
}

#[test]
fn testing_is_ruled_out_by_age_use_scope_and_provider() {
    let (drive, sign_in) = (drive(), scopes("openid https://www.googleapis.com/auth/userinfo.email profile"));
    let ruled_out = [
        grant(&drive, 3),
        Facts { last_used: Some(ago(1)), ..grant(&drive, 30) },
        grant(&sign_in, 7),
        Facts { provider: "sso.example", limits: Limits::default(), ..grant(&drive, 7) },
        Facts { expires_at: Some(ago(-20)), ..grant(&drive, 7) },
    ];
    for facts in ruled_out {
        assert_eq!(diagnose(&expired(), &facts)[0], Cause::Revoked, "{facts:?}");
    }
}

#[test]
fn six_months_of_rest_are_named() {
    let granted = drive();
    let facts = Facts { last_used: Some(ago(200)), ..grant(&granted, 400) };

    assert_eq!(
        diagnose(&expired(), &facts)[0],
        Cause::Idle {
            idle: SignedDuration::from_hours(200 * 24),
            limit: SignedDuration::from_hours(181 * 24)
        }
    );
    assert!(!matches!(
        diagnose(&expired(), &Facts { last_used: Some(ago(170)), ..facts })[0],
        Cause::Idle { .. }
    ));
}

#[test]
fn a_consent_that_was_limited_in_time_is_named_with_its_end() {
    let granted = drive();
    let facts = Facts { expires_at: Some(ago(2)), last_used: Some(ago(3)), ..grant(&granted, 30) };

    assert_eq!(diagnose(&expired(), &facts)[0], Cause::TimeLimited { expires_at: ago(2) });
}

#[test]
fn a_change_of_password_matters_to_gmail_only() {
    for scope in ["https://mail.google.com/", "https://www.googleapis.com/auth/gmail.readonly"] {
        let granted = scopes(scope);
        let causes = diagnose(&expired(), &grant(&granted, 3));
        assert_eq!(causes, [Cause::Revoked, Cause::PasswordChanged, Cause::TooManyTokens], "{scope}");
    }
    assert!(!diagnose(&expired(), &grant(&drive(), 3)).contains(&Cause::PasswordChanged));
}

#[test]
fn a_token_that_rotates_may_have_been_used_elsewhere() {
    let granted = drive();
    let facts = Facts {
        provider: "sso.example",
        limits: Limits::default(),
        rotated_at: Some(ago(1)),
        ..grant(&granted, 30)
    };

    assert_eq!(diagnose(&expired(), &facts), [Cause::UsedElsewhere, Cause::Revoked]);
}

#[test]
fn what_the_server_says_is_the_only_cause() {
    let granted = drive();
    let cases = [
        ("invalid_grant", "reauth related error (invalid_rapt)", "invalid_rapt", Cause::SessionControl),
        ("invalid_grant", "reauth related error (rapt_required)", "", Cause::SessionControl),
        ("rapt_required", "", "", Cause::SessionControl),
        ("invalid_grant", "Account has been deleted", "", Cause::AccountGone),
        ("invalid_grant", "", "policy_enforced", Cause::AdminPolicy),
        (
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe",
            "",
            Cause::ClockWrong { ahead: None },
        ),
        ("deleted_client", "The OAuth client was deleted.", "", Cause::ClientDeleted),
        ("disabled_client", "The OAuth client was disabled.", "", Cause::ClientDisabled),
        ("invalid_client", "Unauthorized", "", Cause::SecretRejected),
        ("invalid_client", "The provided client secret is invalid.", "", Cause::SecretRejected),
        ("invalid_client", "The OAuth client was not found.", "", Cause::ClientUnknown),
        ("invalid_request", "client_secret is missing.", "", Cause::SecretMissing),
        ("invalid_request", "The out-of-band (OOB) flow has been blocked", "", Cause::RedirectMismatch),
        ("invalid_scope", "", "", Cause::InvalidScope),
        ("unauthorized_client", "", "", Cause::WrongClientKind),
        ("unsupported_grant_type", "", "", Cause::WrongClientKind),
        ("redirect_uri_mismatch", "", "", Cause::RedirectMismatch),
        ("org_internal", "", "", Cause::OrganisationOnly),
        ("admin_policy_enforced", "", "", Cause::AdminPolicy),
        ("restricted_client", "", "", Cause::NotATestUser),
        ("disallowed_useragent", "", "", Cause::BrowserRefused),
        ("access_denied", "", "", Cause::NoConsent),
        ("access_denied", "Account restricted", "", Cause::AdminPolicy),
        ("access_denied", "app has not completed the Google verification process", "", Cause::NotATestUser),
    ];
    for (code, description, subtype, cause) in cases {
        let error =
            ServerError::new(code, 400).with_description(Some(description)).with_subtype(Some(subtype));
        assert_eq!(diagnose(&error, &grant(&granted, 7)), [cause], "{error}");
    }
}

#[test]
fn a_code_that_is_refused_was_spent() {
    let granted = Scopes::default();
    let facts = Facts { obtained_at: None, ..grant(&granted, 0) };

    assert_eq!(diagnose(&ServerError::new("invalid_grant", 400), &facts), [Cause::CodeSpent]);
    assert_eq!(diagnose(&ServerError::new("strange", 400), &facts), []);
}

#[test]
fn people_are_warned_before_a_grant_ends() {
    let granted = drive();
    let young = grant(&granted, 2);
    assert_eq!(warnings(&young), [Warning::EndsIfTesting { ends_at: ago(-5) }]);

    let limited = Facts { expires_at: Some(ago(-1)), ..grant(&granted, 6) };
    let left = SignedDuration::from_hours(24);
    assert_eq!(warnings(&limited), [Warning::EndsSoon { expires_at: ago(-1), left }]);

    let resting = Facts { last_used: Some(ago(160)), ..grant(&granted, 400) };
    let idle = SignedDuration::from_hours(160 * 24);
    assert_eq!(warnings(&resting), [Warning::Resting { ends_at: ago(-21), idle }]);

    let ahead = Facts { last_used: Some(ago(-1)), expires_at: Some(ago(-1)), ..grant(&granted, 2) };
    assert_eq!(warnings(&ahead), [Warning::FromTheFuture { at: ago(-1) }]);
}

#[test]
fn nobody_is_warned_without_need() {
    let (drive, sign_in) = (drive(), scopes("openid email"));
    let calm = [
        Facts { last_used: Some(ago(1)), ..grant(&drive, 60) },
        grant(&sign_in, 2),
        Facts { provider: "sso.example", limits: Limits::default(), ..grant(&drive, 2) },
        Facts { expires_at: Some(ago(-60)), ..grant(&drive, 2) },
        Facts { obtained_at: None, ..grant(&drive, 2) },
    ];
    for facts in calm {
        assert_eq!(warnings(&facts), [], "{facts:?}");
    }
}

#[test]
fn every_line_is_one_sentence_without_a_full_stop() {
    let left = SignedDuration::from_hours(1);
    let lines = [
        Cause::TimeLimited { expires_at: ago(0) }.to_string(),
        Cause::Idle { idle: SignedDuration::from_hours(24), limit: SignedDuration::from_hours(24) }
            .to_string(),
        Warning::EndsSoon { expires_at: ago(0), left }.to_string(),
        Warning::EndsSoon { expires_at: ago(0), left: -left }.to_string(),
    ];
    for line in lines {
        assert!(!line.ends_with('.') && !line.contains('\n'), "{line}");
    }
}
