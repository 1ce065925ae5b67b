//! The command line as a whole: global options, and the arguments that many commands share.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::Styles;
use clap::{Args, ColorChoice, Command, FromArgMatches, ValueEnum};
use jiff::SignedDuration;

use super::age_words::parse_duration;
use super::commands;
use super::error::Failure;
use super::exit::Code;
use super::session::Session;
use crate::domain::{Field, ProfileName, VariableName};
use crate::ops::{self, Context, Unlocked, Vault, registry};

const ABOUT: &str = "Keeps OAuth accounts in an encrypted vault and hands out fresh access tokens";

const AFTER_HELP: &str = "\
Start here:
  vault add-profile work --client-file client_secret.json --scope gmail.readonly
  vault token work                    a token that works now
  eval \"$(vault env work)\"            variables for this shell
  vault exec work -- ./sync.py        variables for one program

`vault COMMAND --help` explains each command.

Exit codes:
  0 done      4 locked         8 try later       12 cancelled
  1 bug       5 login needed   9 bad answer      13 part-way
  2 usage     6 not trusted   10 storage failed  14 too new
  3 not found 7 refused       11 only a rescue   15 found";

/// What every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(super) struct Globals {
    /// Use the vault in this directory [env: VAULT_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub vault_dir: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Never ask or open a browser; fail instead
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Say more on standard error; -vv and -vvv even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors on standard error
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// When to use colour: auto (the default), always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: When,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The whole command line. Each command's own arguments are built only when it is the one.
pub fn command() -> Command {
    // Not global here: the parser would copy them into every command, whichever is called.
    Globals::augment_args(Command::new("vault"))
        .mut_args(|argument| argument.global(false))
        .about(ABOUT)
        .long_about(None)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .infer_subcommands(false)
        .styles(Styles::plain())
        .color(ColorChoice::Never)
        .subcommands(commands::all())
}

/// Prints clap's own answer: help on standard output, a mistake on standard error.
pub(super) fn explain(refused: &clap::Error) -> ExitCode {
    if !refused.use_stderr() {
        // A closed pipe is nobody's mistake.
        let _ = refused.print();
        return Code::Done.into();
    }
    super::output::complain(&refused.render().to_string());
    Code::Usage.into()
}

impl Globals {
    /// The global options of a command line.
    pub(super) fn of(matches: &clap::ArgMatches) -> Result<Self, Failure> {
        Self::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// The profile that a command is about.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ProfileArg {
    /// The profile [default: VAULT_PROFILE, else the default profile]
    #[arg(value_name = "NAME", add = super::complete::profiles())]
    name: Option<ProfileName>,
    /// The same as NAME
    #[arg(short = 'p', long = "profile", value_name = "NAME", conflicts_with = "name", add = super::complete::profiles())]
    option: Option<ProfileName>,
}

impl ProfileArg {
    /// A name that was typed, if one was, for a command that reads its words by itself.
    pub(super) fn of(name: Option<ProfileName>) -> Self {
        Self { name, option: None }
    }

    /// The name that was typed, if one was.
    pub(super) fn typed(&self) -> Option<&ProfileName> {
        self.name.as_ref().or(self.option.as_ref())
    }

    /// The profile that is meant: the typed one, VAULT_PROFILE, the default, or a picked one.
    pub(super) fn resolve(
        &self,
        session: &Session,
        ctx: Context<'_>,
        vault: &Unlocked,
    ) -> Result<ProfileName, Failure> {
        self.resolve_with(session, || registry::default_profile(ctx, &vault.manifest.facts))
    }

    /// The same for a program that asks on somebody's behalf: nobody is there to pick one.
    pub(super) fn resolve_silently(
        &self,
        session: &Session,
        ctx: Context<'_>,
        vault: &Unlocked,
    ) -> Result<ProfileName, Failure> {
        if let Some(name) = self.named(session)? {
            return Ok(name);
        }
        Ok(registry::default_profile(ctx, &vault.manifest.facts)?)
    }

    /// The same for a command that only shows: the default is read from a manifest that has not been
    /// verified.
    pub(super) fn resolve_unverified(
        &self,
        session: &Session,
        ctx: Context<'_>,
    ) -> Result<ProfileName, Failure> {
        self.resolve_with(session, || registry::default_profile(ctx, Vault::open(ctx)?.manifest()))
    }

    /// The typed one, else VAULT_PROFILE.
    fn named(&self, session: &Session) -> Result<Option<ProfileName>, Failure> {
        match self.typed() {
            Some(name) => Ok(Some(name.clone())),
            None => session.profile_from_environment(),
        }
    }

    fn resolve_with(
        &self,
        session: &Session,
        default: impl FnOnce() -> Result<ProfileName, ops::Error>,
    ) -> Result<ProfileName, Failure> {
        if let Some(name) = self.named(session)? {
            return Ok(name);
        }
        match default() {
            Err(ops::Error::NoDefault { known }) if session.may_ask() && !known.is_empty() => {
                session.pick_profile(&known)
            }
            found => Ok(found?),
        }
    }
}

/// `VAR=field`, split at the first `=`.
#[derive(Clone, Debug)]
pub(super) struct Assignment(pub VariableName, pub Field);

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, field) = text.split_once('=').ok_or("write it as VAR=field")?;
        let variable = variable.parse::<VariableName>().map_err(|error| error.to_string())?;
        let field = field.parse::<Field>().map_err(|error| error.to_string())?;
        Ok(Self(variable, field))
    }
}

/// Variables besides the default ones.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SetArgs {
    /// Also set VAR to a field: access_token, api_key, client_id, client_secret, refresh_token,
    /// account or expires_at
    #[arg(long = "set", value_name = "VAR=FIELD")]
    set: Vec<Assignment>,
}

impl SetArgs {
    /// The assignments.
    pub(super) fn assignments(&self) -> Vec<(VariableName, Field)> {
        self.set.iter().map(|Assignment(variable, field)| (variable.clone(), *field)).collect()
    }
}

/// Reads a duration such as `10m`.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_options_may_stand_before_the_command_and_behind_it() {
        let typed =
            ["vault", "--json", "--vault-dir", "a", "client", "--no-input", "list", "--vault-dir", "b"];
        let matches = command().try_get_matches_from(typed).unwrap();

        let globals = Globals::of(matches.subcommand().unwrap().1).unwrap();

        assert!(globals.json && globals.no_input && !globals.quiet);
        assert_eq!(globals.vault_dir, Some(PathBuf::from("b")));
    }
}
