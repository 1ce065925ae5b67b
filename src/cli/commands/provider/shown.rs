//! What is known of a provider, for people: what a login needs, and what to type.

use crate::cli::table::{Cell, Look, details};
use crate::domain::Provider;
use crate::domain::provider::{Life, Loopback, PkceSupport, RevocationStyle, Rotates};
use crate::ops::providers::Listed;

/// How a person can log in there.
pub(super) fn flows(provider: &Provider) -> Vec<&'static str> {
    let browser = if provider.redirect.loopback == Loopback::HttpsOnly { "paste" } else { "browser" };
    let device = provider.device.support.then_some("device");
    std::iter::once(browser).chain(device).collect()
}

/// Everything, and the command to type at its end.
pub(super) fn page(listed: &Listed, look: Look) -> String {
    let provider = &*listed.provider;
    let lines = [basics(listed), endpoints(provider), rules(provider), tokens(provider), sources(provider)];
    let facts = details(lines.into_iter().flatten().collect(), look);
    format!("{}\n{}\n\nTo use it:\n{}\n", facts.trim_end(), scopes(provider), usage(provider))
}

type Lines = Vec<(&'static str, Cell)>;

fn optional(name: &'static str, text: Option<impl AsRef<str>>) -> Option<(&'static str, Cell)> {
    text.map(|text| (name, Cell::from(text)))
}

fn basics(listed: &Listed) -> Lines {
    let provider = &*listed.provider;
    let names: Vec<String> = listed.clients.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        ("Provider", provider.id.as_str().into()),
        ("Title", provider.title.as_str().into()),
        ("From", if listed.is_own { "you".into() } else { "built in".into() }),
        ("Clients", Cell::optional((!names.is_empty()).then(|| names.join(", ")))),
    ];
    lines.extend(optional("Make one at", provider.pages.client.as_ref()));
    lines.extend(optional("Access is removed at", provider.pages.grants.as_ref()));
    lines
}

fn endpoints(provider: &Provider) -> Lines {
    let Some(known) = &provider.endpoints else { return Vec::new() };
    let mut lines = vec![
        ("Issuer", known.issuer.as_str().into()),
        ("Consent at", known.authorization.as_str().into()),
        ("Tokens from", known.token.as_str().into()),
        ("Revoked at", Cell::optional(known.revocation.as_ref())),
    ];
    let who = provider.who.as_ref().map(|who| &who.url);
    lines.push(("Account from", Cell::optional(known.userinfo.as_ref().or(who))));
    lines.extend(optional("Device codes from", known.device_authorization.as_ref()));
    lines.extend(provider.variables.iter().map(|variable| {
        let default = variable.default.as_ref().map(|text| format!(" [default: {text}]")).unwrap_or_default();
        ("To fill in", Cell::from(format!("{{{}}}: {}{default}", variable.name, variable.help)))
    }));
    lines
}

fn rules(provider: &Provider) -> Lines {
    let redirect = match (provider.redirect.loopback, provider.redirect.registered()) {
        (Loopback::HttpsOnly, _) => "https: only; the browser's last address is pasted".to_owned(),
        (_, Some(uri)) => format!("register {uri}"),
        _ => format!("any port of {}", provider.redirect.host.as_str()),
    };
    let pkce = match provider.pkce.support {
        PkceSupport::Required => "required",
        PkceSupport::Supported => "supported",
        PkceSupport::Ignored => "ignored; sent all the same",
        PkceSupport::Refused => "refused; not sent",
    };
    let mut lines = vec![("Login by", flows(provider).join(", ").into()), ("Redirect URI", redirect.into())];
    lines.extend(optional("", provider.redirect.note.as_ref()));
    lines.push(("PKCE", pkce.into()));
    let auth = provider.client.auth.map_or("basic, else post", |auth| auth.as_str());
    lines.push(("Authentication", auth.into()));
    if provider.device.support && !provider.device.scopes.is_empty() {
        lines.push(("Device scopes", provider.device.scopes.join(" ").into()));
    }
    lines.extend(optional("Device flow", provider.device.note.as_ref()));
    lines
}

fn tokens(provider: &Provider) -> Lines {
    let refresh = &provider.refresh;
    let rotates = refresh.rotates.map(|rotates| match rotates {
        Rotates::Always => "a refresh brings a new one, and the old one ends",
        Rotates::Never => "a refresh leaves it as it is",
        Rotates::Sometimes => "a refresh may bring a new one",
    });
    let mut lines = Vec::new();
    lines.extend(optional("Refresh token", rotates));
    lines.extend(optional("It lasts", refresh.lifetime.map(String::from)));
    lines.extend(optional("It may rest", refresh.idle.map(String::from)));
    let access = refresh.access_lifetime.map(|life| match life {
        Life::Unlimited => "until it is revoked".to_owned(),
        life => String::from(life),
    });
    lines.extend(optional("Access token lasts", access));
    lines.extend(optional("", refresh.note.as_ref()));
    let ends = match (provider.revoke.style, provider.revoke.ends_siblings) {
        (RevocationStyle::None, _) => Some("not offered"),
        (_, true) => Some("ends every login of the account with the same client"),
        _ => None,
    };
    lines.extend(optional("Revocation", ends));
    lines.extend(optional("", provider.revoke.note.as_ref()));
    let exports = provider.exports.default.iter().map(|(name, field)| format!("{name}={field}"));
    lines.push(("Variables", exports.collect::<Vec<_>>().join(" ").into()));
    let hosts = (!provider.api.hosts.is_empty()).then(|| provider.api.hosts.join(" "));
    lines.push(("APIs at", Cell::optional(hosts)));
    lines
}

fn sources(provider: &Provider) -> Lines {
    let mut lines = Vec::new();
    lines.extend(optional("Checked", provider.checked.as_ref()));
    lines.extend(provider.unchecked.iter().map(|what| ("Not checked", Cell::from(what))));
    lines.extend(provider.sources.iter().map(|page| ("Source", Cell::from(page))));
    lines
}

fn scopes(provider: &Provider) -> String {
    let habits = &provider.scopes;
    let always: Vec<&str> = habits.default.iter().chain(&habits.offline).map(String::as_str).collect();
    let mut text = String::new();
    if !always.is_empty() {
        text.push_str(&format!("\nAlways asked for: {}\n", always.join(" ")));
    }
    if !habits.names.is_empty() {
        text.push_str("\nShort names of scopes:\n");
        let width = habits.names.iter().map(|(short, _)| short.len()).max().unwrap_or_default();
        for (short, full) in &habits.names {
            text.push_str(&format!("  {short:width$}  {full}\n"));
        }
    }
    text.trim_end().to_owned()
}

/// The line to type, with every word that the user has to fill in in capitals.
fn usage(provider: &Provider) -> String {
    let mut words = vec![format!("  vault add-profile NAME --provider {}", provider.id)];
    for variable in provider.variables.iter().filter(|variable| variable.default.is_none()) {
        words.push(format!("--provider-set {}={}", variable.name, variable.name.to_uppercase()));
    }
    words.push("--client-id ID".to_owned());
    if provider.redirect.loopback == Loopback::HttpsOnly {
        words.push("--redirect-uri https://REGISTERED".to_owned());
    }
    if let Some((short, _)) = provider.scopes.names.first() {
        words.push(format!("--scope {short}"));
    }
    words.join(" ")
}
