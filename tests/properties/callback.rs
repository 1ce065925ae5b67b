//! The callback request: nothing but a plain GET of the redirect URI with the state of this login
//! answers it.

use std::sync::LazyLock;

use secrecy::ExposeSecret;
use url::{Url, form_urlencoded};
use vault::domain::{Client, ClientAuth, Endpoints};
use vault::oauth::Error;
use vault::oauth::authorization::{Answer, Consent, Flow};
use vault::oauth::callback;

/// Stands in a request for the state of the login, which nobody can write down beforehand.
const STATE: &str = "{state}";

/// Longest authorization code in bytes.
const MAX_CODE: usize = 4096;

/// Two logins at once; a request is made for the first one.
static FLOWS: LazyLock<(Flow, Flow)> = LazyLock::new(|| (begin(), begin()));

/// Holds whatever `request` is, as a request and as a pasted text; says whether it ends the login.
pub fn holds(request: &[u8]) -> bool {
    let (flow, other) = &*FLOWS;
    let head = with_state(request, &state(flow));

    let theirs = [callback::judge(&head, other).ok(), Some(other.accept_pasted(&text(&head)))];
    assert!(!theirs.into_iter().flatten().any(|answer| is_ours(&answer)), "it answers another login");
    if let Answer::Ours(answer) = flow.accept_pasted(&text(&head)) {
        assert!(text(&head).contains(&state(flow)), "pasted, it answers without the state");
        assert_answer_is_clean(&answer);
    }
    match callback::judge(&head, flow) {
        Ok(Answer::Ours(answer)) => {
            assert_is_a_visit(&head, flow, &answer);
            assert_answer_is_clean(&answer);
            true
        }
        _ => false,
    }
}

fn begin() -> Flow {
    let url = |path: &str| Url::parse(&format!("https://as.example/{path}")).unwrap();
    let client = Client {
        name: "client".parse().unwrap(),
        provider: "as.example".into(),
        issuer: "https://as.example".into(),
        endpoints: Endpoints::of(url("authorize"), url("token")),
        client_id: "me".into(),
        client_auth: ClientAuth::Post,
        client_auth_pinned: false,
        redirect_uri: None,
        insecure_loopback: false,
        pinned: Default::default(),
        issuer_in_response: false,
        offline_scope: false,
        key_id: None,
        key_id_next: None,
        key_id_previous: None,
        secret_set_at: None,
    };
    Flow::begin(&client, &Consent::default(), "http://127.0.0.1:4000/".parse().unwrap())
}

fn state(flow: &Flow) -> String {
    let (_, state) = flow.url().query_pairs().find(|(name, _)| name == "state").unwrap();
    state.into_owned()
}

fn with_state(request: &[u8], state: &str) -> Vec<u8> {
    let mut head = Vec::new();
    let mut rest = request;
    while let Some(at) = rest.windows(STATE.len()).position(|window| window == STATE.as_bytes()) {
        head.extend_from_slice(&rest[..at]);
        head.extend_from_slice(state.as_bytes());
        rest = &rest[at + STATE.len()..];
    }
    head.extend_from_slice(rest);
    head
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_ours(answer: &Answer) -> bool {
    matches!(answer, Answer::Ours(_))
}

/// Read once more, with less patience.
fn assert_is_a_visit(head: &[u8], flow: &Flow, answer: &Result<secrecy::SecretString, Error>) {
    let head = String::from_utf8_lossy(head);
    let (first, fields) = head.split_once("\r\n").expect("a line ends with CRLF");
    let query = first.strip_prefix("GET /?").expect("a GET of the one path").split(' ').next().unwrap();
    let hosts = fields.lines().filter(|line| line.to_ascii_lowercase().starts_with("host:"));
    let hosts: Vec<&str> = hosts.map(|line| line[5..].trim()).collect();
    assert_eq!(hosts, ["127.0.0.1:4000"]);
    let values = |wanted: &str| -> Vec<String> {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        pairs.filter(|(name, _)| name == wanted).map(|(_, value)| value).collect()
    };
    assert_eq!(values("state"), [state(flow)], "the state, once");
    if let Ok(code) = answer {
        assert_eq!(values("code"), [code.expose_secret()]);
        assert!(values("error").is_empty());
        assert!(values("iss").iter().all(|issuer| issuer == "https://as.example"));
    }
}

fn assert_answer_is_clean(answer: &Result<secrecy::SecretString, Error>) {
    match answer {
        Ok(code) => {
            let code = code.expose_secret();
            assert!(!code.is_empty() && code.len() <= MAX_CODE && !code.contains(|c: char| c.is_control()));
        }
        Err(error) => crate::clean::assert_error(error),
    }
}
