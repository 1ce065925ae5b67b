//! What the file of a provider must be, whoever wrote it: nothing in it may carry a secret to where the user did
//! not mean it to go, or anything else than plain words to a terminal.

use std::collections::BTreeSet;

use url::Url;

use super::file::Flaw;
use crate::domain::provider::{
    Allow, AuthorizationHabits, EndpointTemplates, Loopback, Pages, QuestionMethod, RevocationStyle,
    Separator, Values, Variable, Who,
};
use crate::domain::{Field, Host, Provider, Scopes, VariableName};
use crate::oauth::check_url;

/// Longest text in characters: some lines on a screen.
const MAX_TEXT: usize = 500;

/// Longest id in bytes.
const MAX_ID: usize = 32;

/// What depends on who asks.
pub(super) struct Form {
    /// Whether `http:` on this machine is fine.
    pub(super) insecure_loopback: bool,
}

type Checked = Result<(), Flaw>;

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Flaw::of(what())) }
}

pub(super) fn check(provider: &Provider, form: &Form) -> Checked {
    check_id(&provider.id)?;
    check_texts(provider)?;
    check_variables(&provider.variables)?;
    check_endpoints(provider, form)?;
    check_redirect(provider)?;
    check_scopes(provider)?;
    check_request(&provider.authorization_request)?;
    check_answer(provider)?;
    check_exports(provider)?;
    check_api(provider)?;
    check_pages(&provider.pages, provider)
}

fn check_id(id: &str) -> Checked {
    let is_start = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_id = id.len() <= MAX_ID
        && id.bytes().next().is_some_and(is_start)
        && id.bytes().all(|b| is_start(b) || b == b'-');
    require(is_id, || format!("the id {id:?} is none: use up to {MAX_ID} lower-case letters, digits and `-`"))
}

/// Every text that people see is one line of visible characters.
fn check_texts(provider: &Provider) -> Checked {
    let Provider { title, checked, sources, unchecked, variables, redirect, refresh, device, revoke, .. } =
        provider;
    let notes = [checked, &redirect.note, &refresh.note, &device.note, &revoke.note].into_iter().flatten();
    let errors = provider.errors.iter().flat_map(|known| {
        [Some(&known.error), known.description.as_ref(), Some(&known.means), known.hint.as_ref()]
    });
    std::iter::once(title)
        .chain(notes)
        .chain(sources)
        .chain(unchecked)
        .chain(variables.iter().map(|variable| &variable.help))
        .chain(errors.flatten())
        .try_for_each(|text| check_text(text))
}

fn check_text(text: &str) -> Checked {
    let length = text.chars().count();
    require((1..=MAX_TEXT).contains(&length) && text.trim() == text, || {
        format!(
            "a text has between 1 and {MAX_TEXT} characters and no space around it, unlike {:?}",
            start(text)
        )
    })?;
    require(text.chars().all(is_visible), || {
        format!("a text is one line without control characters, unlike {:?}", start(text))
    })
}

/// Neither a control character nor one that hides or turns what stands beside it.
fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        && !matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn start(text: &str) -> String {
    text.chars().take(60).collect()
}

fn check_variables(variables: &[Variable]) -> Checked {
    let mut names = BTreeSet::new();
    for variable in variables {
        let name = &variable.name;
        let is_name = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && name.len() <= MAX_ID
            && name != CLIENT_ID;
        require(is_name, || {
            format!("{name:?} is no name of a variable: use lower-case letters, digits and `_`")
        })?;
        require(names.insert(name), || format!("the variable `{name}` stands twice"))?;
        if let Some(default) = &variable.default {
            variable.read(default).map_err(|error| Flaw::of(error.to_string()))?;
        }
    }
    Ok(())
}

/// What stands in GitHub's revocation endpoint, and is no variable of the user's.
const CLIENT_ID: &str = "client_id";

fn check_endpoints(provider: &Provider, form: &Form) -> Checked {
    let Some(known) = &provider.endpoints else { return Err(Flaw::of("it has no [endpoints]")) };
    let EndpointTemplates { issuer, authorization, token, .. } = known;
    let required = [("issuer", issuer), ("authorization", authorization), ("token", token)];
    let optional = [
        ("userinfo", &known.userinfo),
        ("device_authorization", &known.device_authorization),
        ("jwks", &known.jwks),
        ("iam", &known.iam),
    ];
    let optional = optional.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?)));
    for (name, template) in required.into_iter().chain(optional) {
        check_endpoint(name, template, provider, form)?;
    }
    if let Some(pattern) = &known.id_token_issuer {
        check_id_token_issuer(pattern, issuer, provider, form)?;
    }
    require(known.device_authorization.is_none() || provider.device.support, || {
        "there is an endpoint `device_authorization`, and [device] does not say `support = true`".to_owned()
    })?;
    check_revocation(provider, known, form)?;
    match &provider.who {
        Some(who) => check_who(who, known, provider, form),
        None => Ok(()),
    }
}

/// Another name of the same server: `*` may stand for one segment of its path, and never for its host.
fn check_id_token_issuer(pattern: &str, issuer: &str, provider: &Provider, form: &Form) -> Checked {
    let server = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let segments = pattern.split('/').filter(|segment| segment.contains('*'));
    let is_pattern = server(pattern) == server(issuer)
        && pattern.splitn(4, '/').nth(3).is_some()
        && !server(pattern).contains('*')
        && segments.eq(pattern.contains('*').then_some("*"));
    require(is_pattern, || {
        "the endpoint `id_token_issuer` is not on the server of `issuer`, with one `*` as a segment of its path"
            .to_owned()
    })?;
    check_endpoint("id_token_issuer", &pattern.replace("/*", "/any"), provider, form)
}

fn check_endpoint(name: &str, template: &str, provider: &Provider, form: &Form) -> Checked {
    check_template(name, template, &provider.variables)?;
    let odd = |what: String| Flaw::of(format!("the endpoint `{name}`: {what}"));
    let url = Url::parse(&sample(template, &provider.variables)).map_err(|e| odd(e.to_string()))?;
    check_url(&url, form.insecure_loopback).map_err(|e| odd(e.to_string()))
}

/// `template` with something harmless in each place.
fn sample(template: &str, variables: &[Variable]) -> String {
    let values: Values = variables
        .iter()
        .map(|variable| {
            let value = match variable.allow {
                Allow::Word => "word",
                Allow::Host => "host.example",
            };
            (variable.name.clone(), value.to_owned())
        })
        .collect();
    crate::domain::provider::fill(template, &values)
}

/// A host is filled in as the whole host, a word behind it: so that neither can become another part.
fn check_template(name: &str, template: &str, variables: &[Variable]) -> Checked {
    let is_plain = template.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'));
    require(is_plain && template.len() <= MAX_TEXT, || format!("the endpoint `{name}` is not a URL"))?;
    let after_scheme = template.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let path = template[after_scheme..].find('/').map_or(template.len(), |at| after_scheme + at);
    let mut at = 0;
    while let Some(open) = template[at..].find('{').map(|found| at + found) {
        let Some(close) = template[open..].find('}').map(|found| open + found) else {
            return Err(Flaw::of(format!("the endpoint `{name}` has a brace that does not close")));
        };
        let inner = &template[open + 1..close];
        let variable = variables.iter().find(|variable| variable.name == inner);
        let variable = variable
            .ok_or_else(|| Flaw::of(format!("the endpoint `{name}` names no variable: {{{inner}}}")))?;
        let is_in_place = match variable.allow {
            Allow::Host => open == after_scheme && close + 1 == path,
            Allow::Word => open > path,
        };
        require(is_in_place, || {
            format!("in the endpoint `{name}`, {{{inner}}} must be the whole host, or a word in the path")
        })?;
        at = close + 1;
    }
    require(!template[at..].contains('}'), || format!("the endpoint `{name}` has a brace that does not open"))
}

fn check_revocation(provider: &Provider, known: &EndpointTemplates, form: &Form) -> Checked {
    let style = provider.revoke.style;
    let Some(template) = &known.revocation else {
        let needs_one = !matches!(style, RevocationStyle::Rfc7009 | RevocationStyle::None);
        return require(!needs_one, || "this style of revocation needs the endpoint `revocation`".to_owned());
    };
    require(style != RevocationStyle::None, || {
        "there is an endpoint `revocation`, and the style says that there is none".to_owned()
    })?;
    if style != RevocationStyle::Github {
        return check_endpoint("revocation", template, provider, form);
    }
    let parts: Vec<&str> = template.split("{client_id}").collect();
    require(
        parts.len() == 2 && parts[0].ends_with('/') && !parts[0].ends_with("//") && parts[1].starts_with('/'),
        || "the endpoint `revocation` must hold {client_id} once, as a segment of its path".to_owned(),
    )?;
    check_endpoint("revocation", &parts.join("id"), provider, form)
}

fn check_who(who: &Who, known: &EndpointTemplates, provider: &Provider, form: &Form) -> Checked {
    require(known.userinfo.is_none(), || {
        "[who] stands in the place of the endpoint `userinfo`: name one of them".to_owned()
    })?;
    check_endpoint("who", &who.url, provider, form)?;
    for pointer in std::iter::once(&who.subject).chain(&who.email) {
        check_pointer(pointer)?;
    }
    for (name, value) in &who.headers {
        check_header(name)?;
        require(value.bytes().all(|b| matches!(b, 0x20..=0x7e)) && value.len() <= MAX_TEXT, || {
            format!("the value of the header field {name} is not visible ASCII")
        })?;
    }
    who.client_id_header.as_deref().map_or(Ok(()), check_header)?;
    let Some(body) = &who.body else { return Ok(()) };
    require(who.method == QuestionMethod::Post, || "a `body` is sent with POST only".to_owned())?;
    let is_json = serde_json::from_str::<serde_json::Value>(body).is_ok();
    require(is_json, || "the `body` of [who] is not JSON".to_owned())
}

/// RFC 6901, 3.
fn check_pointer(pointer: &str) -> Checked {
    let is_escaped = pointer.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'));
    let is_pointer = pointer.starts_with('/')
        && is_escaped
        && pointer.len() <= MAX_TEXT
        && pointer.chars().all(is_visible);
    require(is_pointer, || format!("{:?} is no JSON pointer: it begins with `/`", start(pointer)))
}

/// A header field of the provider's own (RFC 9110, 5.1), and none that says who asks, how long the body is or
/// where the request goes.
fn check_header(name: &str) -> Checked {
    const OURS: &[&str] = &[
        "authorization",
        "proxy-authorization",
        "cookie",
        "host",
        "content-length",
        "content-type",
        "connection",
        "transfer-encoding",
        "te",
        "upgrade",
        "expect",
        "trailer",
    ];
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let is_name = !name.is_empty() && name.len() <= 64 && name.bytes().all(is_token);
    require(is_name, || format!("{:?} is no name of a header field", start(name)))?;
    require(!OURS.contains(&name.to_ascii_lowercase().as_str()), || {
        format!("the header field {name} is not the provider's to choose")
    })
}

fn check_redirect(provider: &Provider) -> Checked {
    let redirect = &provider.redirect;
    require(redirect.port.is_none() || redirect.loopback == Loopback::FixedPort, || {
        "a `port` is for `loopback = \"fixed-port\"` only".to_owned()
    })?;
    // Below, only root may listen.
    require(redirect.port.is_none_or(|port| port >= 1024), || "the `port` is below 1024".to_owned())
}

fn check_scopes(provider: &Provider) -> Checked {
    let habits = &provider.scopes;
    let names = habits.names.iter().chain(&habits.aliases).flat_map(|(one, other)| [one, other]);
    let includes = habits.includes.iter().flat_map(|(whole, parts)| std::iter::once(whole).chain(parts));
    let all = habits
        .default
        .iter()
        .chain(&habits.offline)
        .chain(&provider.device.scopes)
        .chain(names)
        .chain(includes);
    for scope in all {
        Scopes::default().insert(scope).map_err(|error| Flaw::of(error.to_string()))?;
        let is_one = habits.separator == Separator::Space || !scope.contains(',');
        require(is_one, || format!("the scope {scope:?} holds the separator of scopes"))?;
    }
    let mut short = BTreeSet::new();
    for (name, _) in &habits.names {
        require(short.insert(name), || format!("the short name `{name}` stands twice"))?;
    }
    check_parameter(&habits.parameter, &["scope"])
}

/// The name of a parameter of an authorization request, and none of ours but those `allowed`.
fn check_parameter(name: &str, allowed: &[&str]) -> Checked {
    const OURS: &[&str] = &[
        "response_type",
        "client_id",
        "client_secret",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "login_hint",
        "prompt",
        "response_mode",
        "request",
        "request_uri",
        "id_token_hint",
        "registration",
        "claims",
    ];
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    require(is_name, || format!("{:?} is no name of a parameter", start(name)))?;
    require(!OURS.contains(&name) || allowed.contains(&name), || {
        format!("the parameter `{name}` is not the provider's to choose")
    })
}

fn check_request(request: &AuthorizationHabits) -> Checked {
    for (name, value) in &request.parameters {
        check_parameter(name, &[])?;
        check_text(value)?;
    }
    let prompts = [&request.prompt_known, &request.prompt_any];
    require(prompts[0].is_some() == prompts[1].is_some(), || {
        "`prompt_known` and `prompt_any` stand together".to_owned()
    })?;
    prompts.into_iter().flatten().try_for_each(|prompt| check_text(prompt))
}

fn check_answer(provider: &Provider) -> Checked {
    let status = provider.answer.error_status;
    require(status.is_none_or(|status| (200..600).contains(&status)), || {
        "`error_status` is no HTTP status".to_owned()
    })?;
    provider.answer.token_at.as_deref().map_or(Ok(()), check_pointer)
}

/// Secrets that last are handed out only where the user says so.
fn check_exports(provider: &Provider) -> Checked {
    let mut names = BTreeSet::new();
    for (name, field) in &provider.exports.default {
        name.parse::<VariableName>().map_err(|error| Flaw::of(error.to_string()))?;
        require(names.insert(name), || format!("the variable {name} stands twice"))?;
        let lasts = matches!(field, Field::RefreshToken | Field::ClientSecret);
        require(!lasts, || format!("no variable is set to the {field} by default"))?;
    }
    Ok(())
}

fn check_api(provider: &Provider) -> Checked {
    for host in &provider.api.hosts {
        check_api_host(host, &provider.variables)?;
    }
    let headers = [&provider.api.api_key_header, &provider.api.project_header];
    headers.into_iter().flatten().try_for_each(|name| check_header(name))?;
    for host in &provider.client.file_hosts {
        require(host.parse::<Host>().is_ok(), || format!("{host:?} in `file_hosts` is no host"))?;
    }
    Ok(())
}

/// A host, `{variable}` for one, or `.example.com` for all below a domain that is not a whole top level.
fn check_api_host(host: &str, variables: &[Variable]) -> Checked {
    let is_variable = |name: &str| variables.iter().any(|it| it.name == name && it.allow == Allow::Host);
    if let Some(name) = host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return require(is_variable(name), || format!("`hosts` names no variable for a host: {{{name}}}"));
    }
    let name = host.strip_prefix('.').unwrap_or(host);
    let is_host = name.parse::<Host>().is_ok_and(|known| known.to_string() == name);
    let is_below_top = name == host
        || (name.contains('.')
            && !name.contains(':')
            && url::Host::parse(name).is_ok_and(|it| matches!(it, url::Host::Domain(_))));
    require(is_host && is_below_top, || {
        format!("{host:?} in `hosts` is no host, and no domain as in `.example.com`")
    })
}

fn check_pages(pages: &Pages, provider: &Provider) -> Checked {
    let Pages { client, grants, api_keys, audience } = pages;
    let form = Form { insecure_loopback: false };
    for page in [client, grants, api_keys, audience].into_iter().flatten() {
        check_endpoint("page", page, provider, &form)?;
    }
    for source in &provider.sources {
        // A page of documentation may be named with the place in it.
        let page = source.split('#').next().unwrap_or_default();
        check_endpoint("sources", page, &Provider::default(), &form)?;
    }
    Ok(())
}
