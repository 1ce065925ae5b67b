//! Lines with a name and a value: ini files, `.env` files, start files of shells, and YAML as far as it is that.
//!
//! Nothing is copied: sections and values are parts of the text, which is wiped as a whole.

use std::collections::HashMap;

use super::{json, pairs};
use crate::ops::import::item::{Input, Item, MAX_ITEMS, Odd};
use crate::ops::import::text;

/// A part of the file with a name of its own; what stands before the first one has none.
struct Section<'a> {
    name: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Section<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

pub(super) fn read(input: &Input<'_>, text: &str) -> Result<Vec<Item>, Odd> {
    check_is_no_other(text)?;
    let sections = sections(text)?;
    let mut items = Vec::new();
    for section in &sections {
        items.extend(remote(section)?);
        if items.len() > MAX_ITEMS {
            return Err(Odd::TooMany);
        }
    }
    if items.is_empty() {
        items = settings(input, &sections);
    }
    if items.is_empty()
        && sections.iter().any(|section| section.get("token").is_some_and(|it| it.starts_with('{')))
    {
        return Err(Odd::useless(
            "its tokens have no refresh token, so that they end by themselves and cannot be renewed",
            "log in with `vault add-profile NAME`, then run `vault setup rclone`",
        ));
    }
    Ok(items)
}

/// Forms that look like this one, and hold nothing that could be used.
fn check_is_no_other(text: &str) -> Result<(), Odd> {
    if text.contains("RCLONE_ENCRYPT_V") {
        return Err(Odd::useless(
            "it is an encrypted file of rclone",
            "write the plain one to a pipe: `rclone config show | vault import -`",
        ));
    }
    if text.lines().any(|line| is_git_cookie(line.trim())) {
        return Err(Odd::useless(
            "its tokens belong to the client of googlesource.com, with which nobody else can renew them",
            "run `vault setup git` for a profile with the scope gerritcodereview, then remove these lines",
        ));
    }
    if text.lines().any(|line| line.trim_start().starts_with("oauth_token:")) {
        return Err(Odd::useless(
            "it is a file of gh or hub, whose token does not end and cannot be refreshed",
            "run `gh auth logout` and log in again where a keyring is, or use a GitHub app whose tokens end: \
             `vault add-profile NAME --provider github`",
        ));
    }
    Ok(())
}

/// A line of `.gitcookies` or `.netrc` with a token of Google's git servers.
fn is_git_cookie(line: &str) -> bool {
    !line.starts_with("[") && line.contains("git-") && (line.contains("=1/") || line.contains(" 1/"))
}

fn sections(text: &str) -> Result<Vec<Section<'_>>, Odd> {
    let mut sections = vec![Section { name: "", pairs: Vec::new() }];
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name)
        {
            sections.push(Section { name: name.trim(), pairs: Vec::new() });
        } else if let (Some(pair), Some(section)) = (pair(line), sections.last_mut()) {
            section.pairs.push(pair);
        }
    }
    match sections.iter().find_map(given_twice) {
        Some(name) => Err(Odd::malformed(format!(
            "it gives {} twice, with different values",
            crate::oauth::printable(name, 60)
        ))),
        None => Ok(sections),
    }
}

/// A name that has two values, of those that are looked for. A file may have a million lines: each is looked up.
fn given_twice<'a>(section: &Section<'a>) -> Option<&'a str> {
    let mut known = HashMap::new();
    let wanted = section.pairs.iter().filter(|(name, _)| pairs::is_wanted(name));
    let mut twice =
        wanted.filter(|(name, value)| *known.entry(name.to_ascii_lowercase()).or_insert(*value) != *value);
    twice.next().map(|(name, _)| *name)
}

/// `name = value`, `name: value`, `export NAME=value`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let line =
        ["export ", "set -gx ", "setenv "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let end = line.find(|c| !is_of_name(c))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (!name.is_empty()).then(|| (name, unquoted(value.trim())))
}

/// The value without its quotes, or without what is noted behind it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside;
        }
    }
    if value.starts_with('{') {
        return value;
    }
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    value.trim_end_matches(';').trim()
}

/// A remote of rclone: its token is JSON in a value.
fn remote(section: &Section<'_>) -> Result<Option<Item>, Odd> {
    let Some(token) = section.get("token").filter(|token| token.starts_with('{')) else { return Ok(None) };
    let Ok(mut found) = json::read(&Input { name: None, bytes: token.as_bytes() }, token.as_bytes()) else {
        return Ok(None);
    };
    let Some(mut item) = found.pop().filter(|item| item.grant.is_some()) else { return Ok(None) };
    let own = section.pairs.iter().filter(|(name, _)| *name != "token").copied();
    let around = pairs::items("rclone", None, own.clone()).pop();
    // Without a secret it is a client all the same.
    let id = section.get("client_id").and_then(text::word);
    item.client = around.and_then(|around| around.client).or_else(|| {
        id.map(|client_id| crate::ops::import::item::FoundClient { client_id, ..Default::default() })
    });
    item.kind = "rclone";
    item.label = text::label(section.name);
    item.provider = section.get("type").and_then(provider_of_remote);
    item.token_endpoint = section.get("token_url").and_then(text::url);
    if let Some(grant) = &mut item.grant {
        grant.scopes =
            section.get("scope").map(|scope| scopes_of_remote(item.provider, scope)).unwrap_or_default();
    }
    Ok(Some(item))
}

/// The providers of the kinds of remotes (<https://rclone.org/overview/>).
fn provider_of_remote(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "drive" | "google cloud storage" | "google photos" => "google",
        "onedrive" => "microsoft",
        "dropbox" => "dropbox",
        _ => return None,
    })
}

/// rclone shortens the scopes of Google Drive.
fn scopes_of_remote(provider: Option<&str>, scope: &str) -> crate::domain::Scopes {
    let whole: Vec<String> = scope
        .split([',', ' '])
        .filter(|scope| !scope.is_empty())
        .map(|scope| match provider {
            Some("google") if !scope.contains('/') => format!("https://www.googleapis.com/auth/{scope}"),
            _ => scope.to_owned(),
        })
        .collect();
    text::scopes(whole.iter().map(String::as_str))
}

/// Any other settings.
fn settings(input: &Input<'_>, sections: &[Section<'_>]) -> Vec<Item> {
    let all = || sections.iter().flat_map(|section| section.pairs.iter().copied());
    let has = |wanted: &str| all().any(|(name, _)| name == wanted);
    if has("gs_oauth2_refresh_token") {
        // Its client stands in a section of its own.
        return pairs::items("boto", None, all());
    }
    if has("developer_token") {
        return pairs::items("google-ads", None, all());
    }
    let is_env = input.name().is_some_and(|name| name.contains("env"))
        || all().any(|(name, _)| pairs::is_wanted(name) && name.chars().all(|c| !c.is_ascii_lowercase()));
    let kind = if is_env { "env" } else { "settings" };
    sections
        .iter()
        .flat_map(|section| {
            let label = Some(own_name(section.name)).filter(|name| !name.is_empty());
            pairs::items(kind, label, section.pairs.iter().copied())
        })
        .collect()
}

/// The name of a section without what it is a section of: `Repository Work`, `storage calendar`.
fn own_name(name: &str) -> &str {
    let words = ["Repository ", "Account ", "storage ", "pair ", "profile "];
    words.iter().find_map(|word| name.strip_prefix(word)).unwrap_or(name)
}
