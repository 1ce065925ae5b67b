//! Mail programs that get their token from `vault token`, at servers that take nothing else.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;

use crate::expiry::{expired, expired_at};
use crate::home::{Home, Run, VAULT};
use crate::mailbox::{MAIL, Mailbox, USER};
use crate::outside::{installed_library, program};
use crate::provider::{Config, Endpoint, HOST, Provider};

#[test]
fn msmtp_sends_with_a_token_that_works_now() {
    let Some(msmtp) = program("msmtp") else { return };
    let (provider, home) = expired_at(Config { expires_in: 30, ..Config::default() });
    let mailbox = Mailbox::of(provider);

    for mechanism in ["xoauth2", "oauthbearer"] {
        msmtprc(&home, &mailbox, mechanism);
        let _ = send(&home, &msmtp, &["-C", "msmtprc", "you@example.com"]).expect_code(0);
    }

    assert_eq!(mailbox.sent().len(), 2);
    assert!(mailbox.sent()[0].ends_with("\n\nSee you."), "{:?}", mailbox.sent());
    let tokens: Vec<_> = mailbox.logins().iter().map(|(_, response)| token_of(response)).collect();
    assert_ne!(tokens[0], tokens[1], "a token that has ended is not used for the second mail");
}

#[test]
fn msmtp_shows_why_there_is_no_token() {
    let Some(msmtp) = program("msmtp") else { return };
    let (provider, home) = expired();
    provider.revoke_user_grant("desktop", USER);
    let mailbox = Mailbox::of(provider);
    msmtprc(&home, &mailbox, "xoauth2");

    let run = send(&home, &msmtp, &["-C", "msmtprc", "you@example.com"]);

    assert_ne!(run.code, 0);
    let _ = run.expect_said("the provider no longer accepts the grant of profile `work`");
    assert_eq!(mailbox.logins(), []);
}

#[test]
fn mbsync_fetches_with_a_token_that_works_now() {
    let Some(mbsync) = program("mbsync") else { return };
    let Some(_) = installed_library("sasl2/libkdexoauth2.so") else { return };
    let (provider, home) = expired();
    let mailbox = Mailbox::of(provider);
    let ca = home.write("authority.pem", mailbox.authority.pem());
    let rc = format!(
        "IMAPAccount it\nHost {HOST}\nPort {}\nUser {USER}\nPassCmd \"{VAULT} token work\"\nSSLType IMAPS\n\
         CertificateFile {}\nSystemCertificates no\nAuthMechs XOAUTH2\n\n\
         IMAPStore far\nAccount it\n\n\
         MaildirStore near\nPath mail/\nInbox mail/INBOX\n\n\
         Channel it\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState *\n",
        mailbox.imap.port(),
        ca.display(),
    );
    home.write("mbsyncrc", rc);
    std::fs::create_dir(home.path("mail")).unwrap();

    let _ = run(&home, &mbsync, &["-c", "mbsyncrc", "it"]).expect_code(0);

    let mails = home.files("mail/INBOX/new");
    assert_eq!(mails.len(), 1);
    let mail = std::fs::read_to_string(&mails[0]).unwrap();
    assert!(mail.ends_with("\nGood morning.\n") && MAIL.contains("Good morning."), "{mail}");
    let token = home.run(&["token", "work", "--format", "sasl"]).answer();
    assert_eq!(mailbox.logins(), [("XOAUTH2".to_owned(), token)]);
}

#[test]
fn neomutt_sends_with_a_token_that_works_now() {
    let Some(neomutt) = program("neomutt") else { return };
    let (provider, home) = expired();
    let mailbox = Mailbox::of(provider);
    let ca = home.write("authority.pem", mailbox.authority.pem());
    let rc = format!(
        "set smtp_url = \"smtps://{USER}@{HOST}:{}/\"\nset smtp_authenticators = \"oauthbearer:xoauth2\"\n\
         set smtp_oauth_refresh_command = \"{VAULT} token work\"\nset certificate_file = \"{}\"\n\
         set from = \"{USER}\"\nset copy = no\nset folder = \"mail\"\nset spool_file = \"mail/INBOX\"\n",
        mailbox.smtp.port(),
        ca.display(),
    );
    home.write("neomuttrc", rc);

    let _ = send(&home, &neomutt, &["-F", "neomuttrc", "-s", "hello", "you@example.com"]).expect_code(0);

    assert_eq!(mailbox.sent().len(), 1);
    let token = home.run(&["token", "work"]).answer();
    assert_eq!(token_of(&mailbox.logins()[0].1), token);
}

#[test]
fn oauthbearer_is_what_curl_says_itself() {
    let (Some(sh), Some(_)) = (program("sh"), program("curl")) else { return };
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);
    let mailbox = Mailbox::of(provider);
    home.write("authority.pem", mailbox.authority.pem());
    let port = mailbox.imap.port().to_string();
    let script = format!(
        "printf 'oauth2-bearer = \"%s\"\\n' \"$({VAULT} token work)\" |
         curl --silent --show-error --cacert authority.pem -K - --user {USER} imaps://{HOST}:{port}/"
    );

    let _ = run(&home, &sh, &["-c", &script]).expect_code(0);

    let ours = home.run(&["token", "work", "--format", "oauthbearer", "--host", HOST, "--port", &port]);
    assert_eq!(mailbox.logins(), [("OAUTHBEARER".to_owned(), ours.answer())]);
}

#[test]
fn host_and_port_are_for_oauthbearer_and_each_is_what_it_says() {
    let provider = Provider::start(Config::default());
    let home = Home::logged_in(&provider);

    for (options, code) in [
        ("--format sasl --host imap.example.com", 2),
        ("--port 993", 2),
        ("--format oauthbearer --host imap.example.com:993", 2),
        ("--format oauthbearer --host imap.example.com:443", 2),
        ("--format oauthbearer --host b\u{fc}cher.example:993", 2),
        ("--format oauthbearer --host imaps://imap.example.com", 2),
        ("--format oauthbearer --port 0", 2),
        ("--format oauthbearer", 0),
    ] {
        let arguments: Vec<&str> = ["token", "work"].into_iter().chain(options.split(' ')).collect();
        let _ = home.run(&arguments).expect_code(code);
    }
}

#[test]
fn an_address_that_is_not_known_is_not_made_up() {
    let provider = Provider::start(Config { id_token_claims: json!({"email": null}), ..Config::default() });
    provider.amend(Endpoint::Userinfo, json!({"email": null}));
    let home = Home::logged_in(&provider);

    for format in ["sasl", "oauthbearer"] {
        let run = home.run(&["token", "work", "--format", format]).expect_code(3);
        let _ = run.expect_said("the address of profile `work` is not known").expect_said("--scope email");
    }
}

fn msmtprc(home: &Home, mailbox: &Mailbox, mechanism: &str) {
    let ca = home.write("authority.pem", mailbox.authority.pem());
    let rc = format!(
        "account default\nhost {HOST}\nport {}\ntls on\ntls_starttls off\ntls_trust_file {}\nauth {mechanism}\n\
         user {USER}\nfrom {USER}\npasswordeval \"{VAULT} token work\"\n",
        mailbox.smtp.port(),
        ca.display(),
    );
    home.write("msmtprc", rc);
}

/// Runs it with a mail on its standard input.
fn send(home: &Home, program: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    home.prepare(&mut command);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(b"Subject: hello\n\nSee you.\n");
    Run::of(arguments, child.wait_with_output().unwrap())
}

fn run(home: &Home, program: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(program);
    home.prepare(&mut command);
    Run::of(arguments, command.args(arguments).output().unwrap())
}

/// The token in an initial response.
#[track_caller]
fn token_of(response: &str) -> String {
    let text = String::from_utf8(BASE64_STANDARD.decode(response).unwrap()).unwrap();
    let (_, bearer) = text.split_once("auth=Bearer ").unwrap();
    bearer.trim_end_matches('\u{1}').to_owned()
}
