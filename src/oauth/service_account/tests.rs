use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

const PEM: &str = include_str!("../../../tests/provider/keys/robot.pem");

fn text_of(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut file = serde_json::json!({
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "0123abcd",
        "private_key": PEM,
        "client_email": "robot@my-project.iam.gserviceaccount.com",
        "client_id": "1234567890",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/robot",
        "universe_domain": "googleapis.com",
    });
    change(&mut file);
    file.to_string()
}

#[test]
fn a_key_reads_as_it_was_downloaded() {
    let file = parse(text_of(|_| ()).as_bytes()).unwrap();

    assert_eq!(file.client_email, "robot@my-project.iam.gserviceaccount.com");
    assert_eq!(file.private_key.expose_secret(), PEM);
    assert_eq!(file.private_key_id, "0123abcd");
    assert_eq!(file.token_uri.as_str(), "https://oauth2.googleapis.com/token");
    assert_eq!((file.project_id.as_deref(), file.universe_domain.as_deref()), (Some("my-project"), None));
    assert!(!format!("{file:?}").contains(PEM.lines().nth(3).unwrap()));
}

#[test]
fn what_is_no_key_file_is_refused_in_its_own_words_and_never_shown() {
    let twice = text_of(|_| ()).replacen('{', r#"{"client_email":"a@b","#, 1);
    let without = |key: &str| text_of(|file| drop(file.as_object_mut().unwrap().remove(key)));
    let with = |key: &str, value: serde_json::Value| text_of(|file| file[key] = value);
    let cases = [
        (String::new(), "not a JSON object"),
        (r#"{"installed":{"client_id":"a"}}"#.into(), "an OAuth client"),
        (r#"{"type":"authorized_user","refresh_token":"CANARY"}"#.into(), "the grant of a person"),
        (with("type", "external_account".into()), "external_account"),
        (twice, "twice"),
        (without("private_key"), "no private_key"),
        (without("private_key_id"), "no private_key_id"),
        (without("client_email"), "no client_email"),
        (without("token_uri"), "no token_uri"),
        (with("client_email", "robot@x.example\" --yes".into()), "not a plain text"),
        (with("client_email", "robot".into()), "not an address"),
        (with("client_email", "robot@../evil".into()), "not an address"),
        (with("private_key", "CANARY".into()), "not in PEM"),
        (with("private_key", 7.into()), "not a text"),
        (with("private_key_id", "a\u{1b}b".into()), "not a plain text"),
        (with("token_uri", "nowhere".into()), "not a URL"),
        (format!("{}{}", text_of(|_| ()), " ".repeat(MAX_SIZE)), "64 KiB"),
    ];
    for (text, words) in cases {
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(&error, Error::Nonsense { .. }), "{error:?}");
        let said = format!("{error} {error:?}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("CANARY") && !said.contains(PEM.lines().nth(3).unwrap()), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(cut in 0..1000usize, junk in prop::collection::vec(any::<u8>(), 0..40)) {
        let whole = text_of(|_| ());
        let mut bytes = whole.as_bytes()[..cut].to_vec();
        bytes.extend(&junk);
        bytes.extend(&whole.as_bytes()[cut..]);
        let _ = parse(&bytes);
        let _ = parse(&junk);
    }
}
