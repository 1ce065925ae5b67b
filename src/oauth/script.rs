//! For tests: a provider that answers as its script says.

use std::collections::VecDeque;
use std::sync::Mutex;

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{Authorization, Http, Method, Own, Request, Response, TransportError};

/// Answers one request after the other, and remembers them.
pub(super) struct Script {
    answers: Mutex<VecDeque<Response>>,
    sent: Mutex<Vec<Sent>>,
}

/// A request as the provider saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) url: String,
    pub(super) form: Vec<(String, String)>,
    pub(super) authorization: Option<String>,
}

impl Sent {
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Script {
    pub(super) fn new(answers: impl IntoIterator<Item = Response>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), sent: Mutex::default() }
    }

    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

impl Http for Script {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        self.sent.lock().unwrap().push(seen(request));
        let host = request.url.host_str().unwrap().to_owned();
        let answer = self.answers.lock().unwrap().pop_front();
        answer.ok_or(TransportError::Lost { host, cause: "connection reset".into() })
    }
}

fn seen(request: &Request) -> Sent {
    let form = match &request.method {
        Method::PostForm(form) => {
            form.iter().map(|(name, value)| ((*name).to_owned(), value.expose_secret().to_owned())).collect()
        }
        Method::PostJson(text) => vec![("".to_owned(), text.expose_secret().to_owned())],
        Method::Own(own) => own_fields(own),
        Method::Get => Vec::new(),
    };
    let authorization = request.authorization.as_ref().map(|authorization| match authorization {
        Authorization::Basic { id, secret } => format!("Basic {id} {}", secret.expose_secret()),
        Authorization::Bearer(token) => format!("Bearer {}", token.expose_secret()),
    });
    Sent { url: request.url.to_string(), form, authorization }
}

/// An answer with nothing but a status and a body.
pub(super) fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        retry_after: None,
        date: None,
        location: None,
        body: Zeroizing::new(body.as_bytes().to_vec()),
    }
}

/// An answer that leads elsewhere.
pub(super) fn redirect(to: &str) -> Response {
    Response { location: Some(to.to_owned()), ..answer(302, "") }
}

/// The verb, the header fields, and the body under no name.
fn own_fields(own: &Own) -> Vec<(String, String)> {
    let verb = ("verb".to_owned(), format!("{:?}", own.verb));
    let json = own.json.iter().map(|json| (String::new(), json.expose_secret().to_owned()));
    std::iter::once(verb).chain(own.headers.clone()).chain(json).collect()
}
