//! `vault export`: the long-lived secrets of a profile in plain text, for somebody who leaves.

mod formats;
mod members;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::init::absolute;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::{GrantState, ProfileName};
use crate::ops::export::{self, Copy, Format};
use crate::system::{NewFile, NewFileError, Overwrite};
use formats::Page;

/// Write the long-lived secrets of a profile in plain text, to leave
///
/// What comes out is what vault is there to keep out of files: whoever reads it is the account, until the login is
/// ended at the provider. To move to another machine, `vault backup` is the way; a program that needs tokens gets
/// them from `vault exec`, `vault serve` or `vault setup`. Hence the name of `--plaintext`, without which nothing is
/// opened.
///
/// The file is made with mode 0600, as a whole or not at all, and takes the place of another one only with `--force`.
/// Without `--output` the text goes to standard output, which may be a pipe or a private file, and a terminal only
/// with `--show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Formats:
  adc              application_default_credentials.json, for the libraries of Google
  oauthlib         token.json of google-auth-oauthlib
  rclone           a remote, for rclone.conf
  clasp            .clasprc.json
  env              CLIENT_ID, CLIENT_SECRET and REFRESH_TOKEN, as a .env file
  client           the client alone, as client_secret.json
  service-account  the key of a service account
  json             everything that the vault has of the profile

Examples:
  vault export work --plaintext --format adc --output adc.json
  vault export work --plaintext --format rclone >> ~/.config/rclone/rclone.conf
  vault export work --plaintext --format env --output .env")]
pub(super) struct Args {
    /// The profile
    #[arg(add = crate::cli::complete::profiles())]
    name: ProfileName,
    /// Yes, in plain text
    #[arg(long)]
    plaintext: bool,
    /// For whom; the formats are listed below
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, value_parser = format())]
    format: Option<Format>,
    /// The file to make, for you alone; without it, standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file that stands there
    #[arg(long, requires = "output")]
    force: bool,
    /// Print it even on a terminal
    #[arg(long, conflicts_with = "output")]
    show: bool,
    /// For rclone: the kind of remote, such as drive
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<String>,
}

fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::as_str)).try_map(|text| text.parse::<Format>())
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let format = meant(&args)?;
    let file = args.output.clone().map(absolute).transpose()?;
    match &file {
        Some(file) => export::check_place(file, args.force)?,
        None => check_standard_output(session, args.show)?,
    }
    let (copy, text) = session.unlocked(|ctx, vault| {
        let copy = export::export(ctx, vault, &args.name, format)?;
        let text = Page { copy: &copy, remote: args.kind.as_deref() }.written(format)?;
        Ok((copy, text))
    })?;
    match &file {
        Some(file) => write(file, &text, args.force)?,
        None => session.output.secret(&text)?,
    }
    tell(session, &args.name, format, file.as_deref(), &copy)
}

/// Nothing is opened for somebody who does not know what comes out.
fn meant(args: &Args) -> Result<Format, Failure> {
    if !args.plaintext {
        return Err(Failure::usage(
            "this writes long-lived secrets in plain text: whoever reads them is the account until its login is ended",
        )
        .hint("`vault exec` and `vault setup` give programs tokens without them, and `vault backup` moves a vault")
        .hint("to take them out all the same, add `--plaintext`"));
    }
    let format = args.format.ok_or_else(|| {
        Failure::usage("it was not said for whom")
            .hint(format!("add `--format FORMAT`: {}", names(&Format::ALL)))
    })?;
    match &args.kind {
        Some(_) if format != Format::Rclone => {
            Err(Failure::usage("`--type` is the kind of a remote of rclone; this is another format"))
        }
        _ => Ok(format),
    }
}

/// The names of formats, as they are typed.
fn names(formats: &[Format]) -> String {
    formats.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ")
}

/// Where the text would stay, or could be read by others.
fn check_standard_output(session: &Session, show: bool) -> Result<(), Failure> {
    if session.output.json {
        return Err(Failure::usage("`--json` says what was written, and needs `--output FILE`")
            .hint("for the profile itself as JSON, use `--format json`"));
    }
    if io::stdout().is_terminal() && !show {
        return Err(Failure::new(Code::Refused, "the secrets would be shown on this terminal")
            .hint("add `--output FILE` for a private file, or `--show` if nobody is looking"));
    }
    if is_open_to_others() {
        return Err(Failure::new(Code::Refused, "standard output is a file that others may read")
            .hint("add `--output FILE`, which makes a private one, or close it first: `chmod 600 FILE`"));
    }
    Ok(())
}

#[cfg(unix)]
fn is_open_to_others() -> bool {
    use rustix::fs::{FileType, fstat};

    fstat(io::stdout()).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_mode & 0o077 != 0
    })
}

#[cfg(not(unix))]
fn is_open_to_others() -> bool {
    false
}

fn write(file: &Path, text: &SecretString, may_replace: bool) -> Result<(), Failure> {
    let overwrite = if may_replace { Overwrite::Allowed } else { Overwrite::Never };
    let written = NewFile::begin(file, overwrite).and_then(|mut new| {
        new.write(text.expose_secret().as_bytes())?;
        new.finish()
    });
    written.map_err(|error: NewFileError| crate::ops::Error::from(error).into())
}

fn tell(
    session: &Session,
    name: &ProfileName,
    format: Format,
    file: Option<&Path>,
    copy: &Copy,
) -> Result<(), Failure> {
    for caution in cautions(name, copy) {
        session.output.warn(&caution);
    }
    let Some(file) = file else { return Ok(()) };
    let fields: Vec<String> = copy.fields().iter().map(ToString::to_string).collect();
    if session.output.json {
        return session.output.json(
            "export",
            json!({
                "profile": name,
                "format": format.as_str(),
                "file": file.display().to_string(),
                "fields": fields,
            }),
        );
    }
    let held = if fields.is_empty() { "no secret".to_owned() } else { fields.join(" and ") };
    session.output.say(&format!("Wrote {}, with {held} in plain text", file.display()));
    if copy.refresh_token.is_some() {
        session.output.say(&format!(
            "When it has served, remove it; `vault rotate grant {name} --compromised` makes every copy worthless"
        ));
    }
    Ok(())
}

/// What the person has to know who has a copy now.
fn cautions(name: &ProfileName, copy: &Copy) -> Vec<String> {
    let mut cautions = Vec::new();
    if copy.is_replaced_with_use() {
        cautions.push(format!(
            "the provider of `{name}` replaces the refresh token when it is used: whoever uses it first, the copy or \
             this vault, locks the other out, and some providers end the whole login then; if the copy is to live, \
             run `vault logout {name} --local-only` now"
        ));
    }
    if copy.profile.grant.as_ref().is_some_and(|grant| grant.state == GrantState::Dead) {
        cautions.push(format!(
            "the provider does not accept the login of `{name}` any more; the copy will not work"
        ));
    }
    cautions
}
