//! The page on which a person consents with a real browser, and its form.

use super::config::{Client, Config, Consent};
use super::http::{Response, find};

/// The form field of each scope that stays ticked.
pub(super) const TICK: &str = "grant";

/// The form field that says who consents, or [`CANCEL`].
const DECISION: &str = "decision";
const CANCEL: &str = "cancel";

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:10vh auto;padding:0 1rem}\
label,button{display:flex;gap:.5rem;justify-content:start;margin:.5rem 0}\
button{font:inherit;justify-content:center;width:100%;padding:.6rem;cursor:pointer}\
code{overflow-wrap:anywhere}";

/// Asks the person who is to consent, and to which of the scopes.
pub(super) fn show(
    config: &Config,
    client: &Client,
    scopes: &[String],
    params: &[(String, String)],
) -> Response {
    let client = escape(&client.id);
    let hidden: String = params.iter().map(hidden_field).collect();
    let ticks: String = scopes.iter().map(|scope| tick(scope)).collect();
    let buttons: String = config.users.iter().map(|user| button(&user.email)).collect();
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'>\
         <title>Test provider</title><style>{STYLE}</style>\
         <h1>Test provider</h1><p><b>{client}</b> wants to use your account for:\
         <form method=post action=/authorize>{hidden}{ticks}{buttons}\
         <button name={DECISION} value={CANCEL}>Cancel</button></form>\n"
    );
    Response::new(200, "text/html; charset=utf-8", page)
}

/// What the person decided on the page, put over what was planned.
pub(super) fn apply(mut consent: Consent, params: &[(String, String)]) -> Consent {
    match find(params, DECISION) {
        None => return consent,
        Some(CANCEL) => consent.error = Some("access_denied".into()),
        Some(user) => consent.user = Some(user.into()),
    }
    let ticked = params.iter().filter(|(name, _)| name == TICK);
    consent.granted = Some(ticked.map(|(_, scope)| scope.clone()).collect());
    consent
}

fn hidden_field((name, value): &(String, String)) -> String {
    let (name, value) = (escape(name), escape(value));
    format!("<input type=hidden name=\"{name}\" value=\"{value}\">")
}

fn tick(scope: &str) -> String {
    let scope = escape(scope);
    format!(
        "<label><input type=checkbox checked name={TICK} value=\"{scope}\"> \
         <code>{scope}</code></label>"
    )
}

fn button(email: &str) -> String {
    let email = escape(email);
    format!("<button name={DECISION} value=\"{email}\">Continue as {email}</button>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
