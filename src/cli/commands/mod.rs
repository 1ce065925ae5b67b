//! One file for each command: its arguments, and the call that does it.

mod add_profile;
mod agent_process;
mod api;
mod backup;
mod client;
mod completions;
mod consent;
mod doctor;
mod edit;
mod env;
mod exec;
mod export;
mod helper;
mod import;
mod import_rescue;
mod init;
mod key;
mod list;
mod lock;
mod log;
mod login;
mod logout;
mod man;
mod only;
mod program;
mod provider;
mod remove;
mod rename;
mod restore;
mod reveal;
mod rotate;
mod scan;
mod serve;
mod service_account;
mod setup;
mod show;
mod status;
mod token;
mod unlock;
mod unlocked;
mod use_profile;
mod verify;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::args::Globals;
use super::environment::Environment;
use super::error::Failure;
use super::session::Session;

/// A command: how it is called, and what it does.
struct Entry {
    name: &'static str,
    about: &'static str,
    arguments: fn(Command) -> Command,
    run: fn(&Session, &ArgMatches) -> Result<(), Failure>,
}

/// The entry of a module with `Args` and `run`.
macro_rules! entry {
    ($name:literal, $module:ident, $about:literal) => {
        Entry {
            name: $name,
            about: $about,
            arguments: |command| completed($module::Args::augment_args(command)),
            run: |session, matches| $module::run(session, parse(matches)?),
        }
    };
}

const COMMANDS: &[Entry] = &[
    entry!("init", init, "Make a vault and choose what unlocks it"),
    entry!("add-profile", add_profile, "Link an account and a client under a name, and log in"),
    entry!("login", login, "Log a profile in again, or for more scopes"),
    entry!("logout", logout, "End a login at the provider and forget it"),
    entry!("token", token, "Print an access token that works now"),
    entry!("env", env, "Print variables for the current shell or another tool"),
    entry!("api", api, "Send a request with the profile's token"),
    entry!("exec", exec, "Run a program with these variables"),
    entry!("serve", serve, "Give tokens to programs until told to end"),
    entry!("list", list, "List the profiles"),
    entry!("show", show, "Show one profile"),
    entry!("status", status, "Show how the vault and its logins are, and what needs attention"),
    entry!("use", use_profile, "Choose the default profile"),
    entry!("edit", edit, "Change what a profile links"),
    entry!("rename", rename, "Give a profile another name"),
    entry!("remove", remove, "Remove a profile and its secrets from the vault"),
    entry!("client", client, "List, show, add, rename and remove OAuth clients"),
    entry!("provider", provider, "List, show, add and remove providers"),
    entry!("reveal", reveal, "Print one secret or field of a profile"),
    entry!("rotate", rotate, "Renew the vault key, or a secret of a provider"),
    entry!("key", key, "List, add, change, remove and accept the ways to the vault key"),
    entry!("unlock", unlock, "Hold the vault key for a while, so that nothing is asked for"),
    entry!("lock", lock, "Forget the vault key that is held"),
    entry!("unlocked", unlocked, "Tell whether the vault key is held"),
    entry!("doctor", doctor, "Find out what is wrong, and what would mend it"),
    entry!("scan", scan, "Find secrets of OAuth that lie open in files"),
    entry!("verify", verify, "Prove that every document and secret opens"),
    entry!("log", log, "Show what was done with the vault on this machine"),
    entry!("backup", backup, "Write the whole vault into one encrypted file"),
    entry!("restore", restore, "Make a vault out of such a file"),
    entry!("import", import, "Take in the logins that other tools have left in plain text"),
    entry!("export", export, "Write the long-lived secrets of a profile in plain text, to leave"),
    entry!("import-rescue", import_rescue, "Take in tokens that could only be printed"),
    entry!("setup", setup, "Tell another program to take its tokens from here"),
    entry!("helper", helper, "Answer git, docker, kubectl or cargo when they ask for credentials"),
    entry!("completions", completions, "Print the completion script of a shell"),
    entry!("man", man, "Write the manual pages"),
];

/// What `vault unlock` starts; of no use by hand.
const HIDDEN: &[Entry] = &[entry!("agent-process", agent_process, "Hold vault keys for a while")];

/// Every command, for the parser. Arguments are built only for the one that is called.
pub(super) fn all() -> Vec<Command> {
    let command = |entry: &'static Entry| Command::new(entry.name).about(entry.about).defer(entry.arguments);
    COMMANDS.iter().map(command).chain(HIDDEN.iter().map(|entry| command(entry).hide(true))).collect()
}

/// Adds what every command takes, behind its own arguments. `-h` and `--help` are the same: everything,
/// and no blank line between the options.
fn completed(command: Command) -> Command {
    let whole = command.get_long_about().or(command.get_about()).cloned().unwrap_or_default();
    Globals::augment_args(command).about(whole).long_about(None)
}

/// Does what the command line says.
pub(super) fn run(environment: Environment, matches: &ArgMatches) -> Result<(), Failure> {
    let (name, arguments) = matches.subcommand().expect("the parser requires a command");
    let entry = COMMANDS.iter().chain(HIDDEN).find(|entry| entry.name == name);
    let entry = entry.expect("the parser knows only these commands");
    let session = Session::new(words(matches), Globals::of(arguments)?, environment)?;
    (entry.run)(&session, arguments)
}

/// The command as it is typed, without its arguments: `client add`.
fn words(matches: &ArgMatches) -> String {
    let commands = std::iter::successors(matches.subcommand(), |(_, inner)| inner.subcommand());
    commands.map(|(name, _)| name).collect::<Vec<_>>().join(" ")
}

fn parse<T: FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))
}
