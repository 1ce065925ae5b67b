//! rclone: a remote that has no secret, and asks a server on this machine for its tokens.
//!
//! rclone refreshes its token itself, at the address `token_url`. That of `vault serve` and `vault exec` is another
//! one in each run, so it comes from a variable; what stands in the file leads nowhere and says what is missing.

use super::places::Places;
use super::{Change, Edit, Plan, Refusal, Wish};
use crate::domain::ProfileName;
use crate::ops::Error;

/// Nothing listens there (RFC 6335, 6: a system port); rclone shows it to whom it fails.
const NOWHERE: &str = "http://127.0.0.1:1/vault-serve-is-not-running";

/// A token that has long ended, and what rclone brings to get the next one. No secret.
const TOKEN: &str = r#"{"access_token":"none","token_type":"Bearer","refresh_token":"vault","expiry":"2000-01-01T00:00:00Z"}"#;

/// A remote of rclone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// What it is called; else as the profile.
    pub name: Option<String>,
    /// Its kind, such as `drive`.
    pub kind: String,
}

/// A section of `rclone.conf`. rclone does not keep comments when it writes the file, so that ours is known by where
/// its tokens come from.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// What stands below its header.
    pub lines: String,
}

pub(super) fn plan(wish: &Wish, places: &Places) -> Result<Plan, Error> {
    let named = wish.remote.as_ref().and_then(|remote| remote.name.clone());
    let name = named.unwrap_or_else(|| usual_name(wish.profile.as_str()));
    if name != usual_name(&name) || name.is_empty() {
        return Err(Error::Usage(format!(
            "no variable can name the remote `{name}`; take letters, digits and `_` for `--remote`"
        )));
    }
    let kind = wish.remote.as_ref().map_or("drive", |remote| &remote.kind);
    let lines = format!("type = {kind}\n{}", secret_free_remote());
    let variable = variable(&name);
    let served = format!(
        "{variable} must be the `token_url` that `{} serve {} --json` prints",
        wish.vault, wish.profile
    );
    let where_it_runs = if variable == token_url_variable(&wish.profile) {
        format!(
            "run it by `{} exec {} --adc broker -- rclone lsd {name}:`; elsewhere, {served}",
            wish.vault, wish.profile
        )
    } else {
        format!("where it runs, {served}")
    };
    let advice = vec![
        where_it_runs,
        "rclone writes each access token, which ends within an hour, into this file".to_owned(),
    ];
    let edit = Edit::Section(Section { name, lines });
    let changes = vec![Change { file: places.rclone(), edit }];
    Ok(Plan { changes, hosts: Vec::new(), advice })
}

/// What a remote has in the place of its login.
pub fn secret_free_remote() -> String {
    format!("client_id = vault\nclient_secret = vault\ntoken_url = {NOWHERE}\ntoken = {TOKEN}\n")
}

/// The variable that says where the tokens of `profile`'s usual remote come from.
pub fn token_url_variable(profile: &ProfileName) -> String {
    variable(&usual_name(profile.as_str()))
}

/// The variable that says where a remote's tokens come from (rclone, "Config file" in Environment Variables).
fn variable(remote: &str) -> String {
    format!("RCLONE_CONFIG_{}_TOKEN_URL", remote.to_uppercase())
}

/// rclone puts a remote's name into the variable as it is, and not everything may stand in the name of one.
fn usual_name(profile: &str) -> String {
    profile.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

impl Section {
    /// As a person would add it.
    pub(super) fn lines_with_header(&self) -> String {
        format!("[{}]\n{}", self.name, self.lines)
    }

    /// The text with the section at its end; one of ours stays as rclone has it.
    pub(super) fn written(&self, text: Option<&str>) -> Result<String, Refusal> {
        let text = text.unwrap_or_default();
        check_plain(text)?;
        match self.find(text) {
            None if text.is_empty() || text.ends_with('\n') => Ok([text, &self.lines_with_header()].concat()),
            // As it ended before, so that this is known when it is taken away.
            None => Ok([text, "\n", self.lines_with_header().trim_end_matches('\n')].concat()),
            Some(range) if is_ours(&text[range.clone()]) => Ok(text.to_owned()),
            Some(_) => Err(Refusal::because(format!(
                "it has another remote `{}`; choose a `--remote NAME`",
                self.name
            ))),
        }
    }

    /// The text without the section, if it is ours.
    pub(super) fn removed(&self, text: &str) -> Result<Option<String>, Refusal> {
        check_plain(text)?;
        let Some(range) = self.find(text).filter(|range| is_ours(&text[range.clone()])) else {
            return Ok(Some(text.to_owned()));
        };
        let takes_break = !text[range.clone()].ends_with('\n') && text[..range.start].ends_with('\n');
        let start = range.start - usize::from(takes_break);
        Ok(Some([&text[..start], &text[range.end..]].concat()))
    }

    /// From the header to behind the last line before the next one.
    fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let header = format!("[{}]", self.name);
        let mut start = None;
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let is_header = line.trim().starts_with('[') && line.trim().ends_with(']');
            match start {
                Some(start) if is_header => return Some(start..at),
                None if line.trim() == header => start = Some(at),
                _ => {}
            }
            at += line.len();
        }
        start.map(|start| start..text.len())
    }
}

fn is_ours(section: &str) -> bool {
    section.lines().any(|line| {
        line.split_once('=').is_some_and(|(key, value)| (key.trim(), value.trim()) == ("token_url", NOWHERE))
    })
}

fn check_plain(text: &str) -> Result<(), Refusal> {
    match text.contains("RCLONE_ENCRYPT_V") {
        true => Err(Refusal::because("it is encrypted; add the lines with `rclone config`")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        Section { name: "work".into(), lines: format!("type = drive\ntoken_url = {NOWHERE}\n") }
    }

    #[test]
    fn a_remote_is_added_at_the_end_and_taken_away_again() {
        for text in ["", "[other]\ntype = local\n", "[other]\ntype = local", "# mine\n", "[work2]\n\n"] {
            let with = section().written(Some(text)).unwrap();

            assert_eq!(section().written(Some(&with)).unwrap(), with, "twice is as once");
            assert_eq!(section().removed(&with).unwrap().as_deref(), Some(text));
        }
    }

    #[test]
    fn one_that_rclone_has_written_anew_is_still_ours() {
        let text =
            format!("[work]\ntoken = new\ntype = drive\ntoken_url = {NOWHERE}\n\n[other]\ntype = local\n");
        assert_eq!(section().written(Some(&text)).unwrap(), text);
        assert_eq!(section().removed(&text).unwrap().as_deref(), Some("[other]\ntype = local\n"));
    }

    #[test]
    fn a_remote_of_somebody_else_is_left() {
        let theirs = "[work]\ntype = drive\ntoken = theirs\n";
        assert!(section().written(Some(theirs)).is_err());
        assert_eq!(section().removed(theirs).unwrap().as_deref(), Some(theirs));
        assert!(section().written(Some("# Encrypted\n\nRCLONE_ENCRYPT_V0:\nabc")).is_err());
    }

    #[test]
    fn the_variable_is_the_one_that_rclone_reads() {
        assert_eq!(variable(&usual_name("my-drive@1")), "RCLONE_CONFIG_MY_DRIVE_1_TOKEN_URL");
    }
}
