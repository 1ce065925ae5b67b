//! Providers under TLS: right certificates are trusted, and a wrong one gets not a byte of a request.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::expiry::{assert_no_stray_file, refresh_token};
use crate::home::Home;
use crate::outside::program;
use crate::provider::{Authority, Config, Endpoint, HOST, Provider, Tls};

#[test]
fn a_login_and_a_refresh_work_under_tls() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);

    let _ = home.add_profile(&provider, "work").expect_code(0);
    let token = home.run(&["token", "work", "--refresh"]).answer();

    assert!(provider.is_live_access_token(&token));
}

#[test]
fn tls_1_2_is_good_enough() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST).of_version_1_2());
    let home = Home::trusting(&authority);

    let _ = home.add_profile(&provider, "work").expect_code(0);
    let token = home.run(&["token", "work", "--refresh"]).answer();

    assert!(provider.is_live_access_token(&token));
}

/// How a certificate is wrong, what is said about it, and what can be done.
fn wrong(authority: &Authority) -> [(Option<Tls>, &'static str, &'static str); 7] {
    let clock = "check the clock of this machine";
    let stranger = "not signed by an authority that this machine trusts";
    [
        (Some(authority.expired()), "has expired: it was good until 2001-01-01T00:00:00Z", clock),
        (Some(authority.not_yet_valid()), "not valid yet: it is good from 2999-01-01T00:00:00Z", clock),
        (Some(authority.for_another_host()), "for another host (DnsName(\"elsewhere.example\"))", "a proxy"),
        (Some(Tls::self_signed()), stranger, "in SSL_CERT_FILE"),
        (Some(Authority::new().certify(HOST)), stranger, "in SSL_CERT_FILE"),
        (Some(authority.demanding_a_certificate()), "asks for a client certificate", "ask the provider"),
        (None, "corrupt message", "check the network"),
    ]
}

#[test]
fn a_wrong_certificate_gets_nothing_of_a_refresh_and_the_right_one_is_trusted_again() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);
    let _ = home.add_profile(&provider, "work").expect_code(0);
    let kept = refresh_token(&home);

    for (tls, cause, advice) in wrong(&authority) {
        let is_tls = tls.is_some();
        provider.present(tls);
        let before = (provider.requests().len(), provider.bytes_received());

        let run = home.run(&["token", "work", "--refresh"]).expect_code(8);

        let _ = run.expect_said("cannot reach localhost").expect_said(cause).expect_said(advice);
        assert_eq!(provider.requests().len(), before.0, "{cause}");
        // Plain HTTP gets the beginning of a handshake, and no more.
        assert!(!is_tls || provider.bytes_received() == before.1, "{cause}");
        assert_no_stray_file(&home);
    }
    assert_eq!(refresh_token(&home), kept);
    provider.present(authority.certify(HOST));
    let token = home.run(&["token", "work", "--refresh"]).answer();
    assert!(provider.is_live_access_token(&token));
}

#[test]
fn a_wrong_certificate_ends_a_login_before_it_begins() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);

    for (tls, cause, advice) in wrong(&authority) {
        provider.present(tls);

        let _ = home.add_profile(&provider, "work").expect_code(8).expect_said(cause).expect_said(advice);

        assert_eq!(provider.requests().len(), 0, "{cause}");
    }
}

#[test]
fn a_wrong_certificate_does_not_get_the_code() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let home = Home::trusting(&authority);
    let login = start_login(&home, &provider);
    let way_back = crate::provider::browser::authorize(login.url.as_ref().unwrap()).unwrap();

    provider.present(authority.expired());
    let _ = crate::provider::browser::get(&way_back, &[]);

    let _ = login.finish(&["add-profile"]).expect_code(8).expect_said("has expired");
    assert_eq!(provider.count(Endpoint::Token), 0);
}

#[test]
fn tls_1_0_and_1_1_are_not_spoken() {
    let Some(openssl) = program("openssl") else { return };
    let authority = Authority::new();
    let home = Home::trusting(&authority);
    let (certificate, key) = authority.certificate_and_key(HOST);
    let (certificate, key) = (home.write("server.pem", certificate), home.write("server.key", key));

    for version in ["-tls1", "-tls1_1"] {
        let mut server = Command::new(&openssl)
            .args([
                "s_server",
                version,
                "-cipher",
                "ALL:@SECLEVEL=0",
                "-accept",
                "127.0.0.1:0",
                "-naccept",
                "1",
            ])
            .args(["-cert".as_ref(), certificate.as_os_str(), "-key".as_ref(), key.as_os_str()])
            // It ends a connection when its own input ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap());
        let port = port_of(&mut said);

        let issuer = format!("https://{HOST}:{port}");
        let run =
            home.run(&["client", "add", "--issuer", &issuer, "--client-id", "x", "--client-auth", "none"]);

        // Whether its alert or its reset comes first is chance; the server says what it was.
        let _ = run.expect_code(8).expect_said("cannot reach localhost");
        let mut heard = String::new();
        let _ = said.read_to_string(&mut heard).unwrap();
        let _ = server.stderr.take().unwrap().read_to_string(&mut heard).unwrap();
        let _ = server.wait().unwrap();
        assert!(heard.contains("unsupported protocol"), "{version}: {heard}");
        assert!(!heard.contains("GET "), "{version}: {heard}");
    }
}

/// The port in the line `ACCEPT 127.0.0.1:PORT`.
fn port_of(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    while said.read_line(&mut line).unwrap() > 0 {
        if let Some((_, port)) = line.trim().strip_prefix("ACCEPT ").and_then(|it| it.rsplit_once(':')) {
            return port.to_owned();
        }
        line.clear();
    }
    panic!("openssl does not listen");
}

#[test]
fn a_machine_that_trusts_nobody_says_how_to_change_that() {
    let authority = Authority::new();
    let provider = Provider::start_https(Config::default(), authority.certify(HOST));
    let mut home = Home::trusting(&authority);
    let _ = home.add_profile(&provider, "work").expect_code(0);
    let nothing = home.write("nothing.pem", "");
    home.set("SSL_CERT_FILE", nothing.to_str().unwrap());

    let run = home.run(&["token", "work", "--refresh"]).expect_code(8);

    let _ = run.expect_said("has no certificates of authorities").expect_said("ca-certificates");
}

fn start_login(home: &Home, provider: &Provider) -> crate::home::Login {
    let options = home.desktop(provider);
    let mut arguments = vec!["add-profile", "work", "--no-browser"];
    arguments.extend(options.iter().map(String::as_str));
    home.start_login(&arguments)
}
