//! Providers under TLS: right certificates are trusted, and a wrong one gets not a byte of a form.

use crate::home::Home;
use crate::provider::{Authority, Config, HOST, Provider};

#[test]
fn a_login_and_a_refresh_work_under_tls() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = trusting(&authority);

    let _ = home.add_profile(&provider, "work").expect_code(0);
    let token = home.run(&["token", "work", "--refresh"]).answer();

    assert!(provider.is_live_access_token(&token));
}

/// A home on a machine that trusts this authority and no other.
fn trusting(authority: &Authority) -> Home {
    let mut home = Home::new();
    let file = home.write("authority.pem", authority.pem());
    home.set("SSL_CERT_FILE", file.to_str().unwrap());
    home
}
