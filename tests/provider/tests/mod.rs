//! The server itself is tested, so that a test that leans on it may trust it.

mod faults;
mod grants;
mod login;

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use super::browser::{self, Page};
use super::http::{find, pairs};
use super::*;

const VERIFIER: &str = "a-verifier-of-exactly-forty-three-character";
const REDIRECT: &str = "http://127.0.0.1:9/back";
const SOON: Duration = Duration::from_secs(10);

fn graceful(grace_secs: u64) -> Config {
    Config { rotation: Rotation::Rotate { grace_secs }, frozen_at: Some(1_800_000_000), ..Config::default() }
}

/// Logs the client `desktop` in, with these parameters put over the usual ones.
fn log_in(provider: &Provider, params: &[(&str, &str)]) -> Value {
    redeem(provider, &code(provider, params)).json()
}

fn code(provider: &Provider, params: &[(&str, &str)]) -> String {
    let location = authorize(provider, params).unwrap();
    param(&location, "code").unwrap()
}

fn authorize(provider: &Provider, params: &[(&str, &str)]) -> io::Result<String> {
    browser::authorize(&authorize_url(provider, params))
}

/// An authorization URL; an empty parameter is left out.
fn authorize_url(provider: &Provider, over: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let usual = [
        ("client_id", "desktop"),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "s-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let kept = |(name, _): &&(&str, &str)| !over.iter().any(|(other, _)| other == name);
    let all = usual.iter().filter(kept).chain(over);
    let given = all.filter(|(_, value)| !value.is_empty());
    Url::parse_with_params(&provider.url("/authorize"), given).unwrap().into()
}

fn redeem(provider: &Provider, code: &str) -> Page {
    redeem_with(provider, code, VERIFIER, REDIRECT)
}

fn redeem_with(provider: &Provider, code: &str, verifier: &str, redirect: &str) -> Page {
    let form = code_form(code, verifier, redirect);
    browser::post(&provider.url("/token"), &form, &[]).unwrap()
}

/// The form of a code exchange; the client's own fields come last.
fn code_form<'a>(code: &'a str, verifier: &'a str, redirect: &'a str) -> [(&'a str, &'a str); 6] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", verifier),
        ("redirect_uri", redirect),
        ("client_id", "desktop"),
        ("client_secret", "GOCSPX-desktop-secret"),
    ]
}

fn refresh(provider: &Provider, token: &str) -> Page {
    refresh_with(provider, token, &[])
}

fn refresh_with(provider: &Provider, token: &str, more: &[(&str, &str)]) -> Page {
    send_refresh(provider, token, more).unwrap()
}

fn try_refresh(provider: &Provider, token: &str) -> io::Result<Page> {
    send_refresh(provider, token, &[])
}

fn send_refresh(provider: &Provider, token: &str, more: &[(&str, &str)]) -> io::Result<Page> {
    let mut form = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "desktop"),
        ("client_secret", "GOCSPX-desktop-secret"),
    ];
    form.extend(more);
    browser::post(&provider.url("/token"), &form, &[])
}

fn userinfo(provider: &Provider, tokens: &Value) -> Page {
    let bearer = format!("Bearer {}", text(tokens, "access_token"));
    browser::get(&provider.url("/userinfo"), &[("Authorization", &bearer)]).unwrap()
}

fn claims(tokens: &Value) -> Value {
    let payload = text(tokens, "id_token").split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

fn param(location: &str, name: &str) -> Option<String> {
    let url = Url::parse(location).unwrap();
    let query = pairs(url.query().unwrap_or_default().as_bytes());
    find(&query, name).map(str::to_owned)
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}
