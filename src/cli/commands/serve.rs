//! `vault serve`: servers that give out tokens until they are told to end.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::thread;

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::exec::surroundings::{self, Changes};
use super::exec::told::Told;
use crate::cli::args::ProfileArg;
use crate::cli::complete;
use crate::cli::desk::SessionDesk;
use crate::cli::environment::inherited;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::format::{self, Format};
use crate::cli::session::Session;
use crate::domain::{Profile, ProfileName, Variable, VariableName};
use crate::ops::{Context, Unlocked, variables};
use crate::serve::Server;
use crate::system::{Ending, RunDir};

/// Give tokens to programs until told to end
///
/// There is one server for each profile, on 127.0.0.1 and for programs of the same user alone. What is printed is for
/// the shells in which those programs are started. Their tokens are renewed as long as this runs; while the vault is
/// locked or the provider cannot be reached, the programs are told so. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault serve work                       then paste what it prints into another shell
  vault serve work > ~/.adc.sh &         then `. ~/.adc.sh` wherever it is wanted
  vault serve work home --port 8200      work at 8200, home at 8201
  vault serve work --adc metadata        for Java, .NET, Ruby and gcloud")]
pub(super) struct Args {
    /// The profiles [default: VAULT_PROFILE, else the default profile]
    #[arg(value_name = "NAME", add = complete::profiles())]
    names: Vec<ProfileName>,
    /// The same as NAME
    #[arg(short = 'p', long = "profile", value_name = "NAME", add = complete::profiles())]
    more: Vec<ProfileName>,
    /// How programs ask: broker (Python, Node, Go, Rust) or metadata (also Java, .NET, Ruby and gcloud)
    #[arg(long, value_name = "HOW", default_value = "broker", hide_possible_values = true)]
    adc: Adc,
    /// For whom the variables are written, as in `vault env`
    #[arg(long, value_name = "FORMAT", default_value = "sh", hide_possible_values = true)]
    format: Format,
    /// The port; each further profile gets the next one [default: any that is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

/// How programs that use Google's Application Default Credentials ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Adc {
    /// A file that names a token endpoint on loopback
    Broker,
    /// What machines in Google's cloud have
    Metadata,
}

impl Adc {
    fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Metadata => "metadata",
        }
    }
}

/// What is known of a profile before its server is there.
struct Served {
    facts: Profile,
    client_project: Option<String>,
}

/// A server, and what leads programs to it.
struct Open {
    server: Server,
    changes: Changes,
}

/// Runs it until it is told to end.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let (served, held) = session.with(|ctx| {
        let (vault, by_hand) = session.unlock_to_go_on(ctx)?;
        let served = served(session, &args, ctx, &vault)?;
        if !by_hand {
            // Whoever is given a token has a line of its own.
            ctx.audit.forgo();
        }
        Ok((served, by_hand.then_some(vault)))
    })?;
    // Before there is anything to tidy up.
    let mut ending = Ending::begin()
        .map_err(|error| Failure::new(Code::Storage, format!("signals cannot be heard: {error}")))?;
    let run_dir = RunDir::make(session.runtime_dir()).map_err(|error| Failure::of_run_dir(&error))?;
    let opened = open_all(&served, &args, &run_dir)?;
    tell(session, &args, &opened)?;

    let desk = SessionDesk::lasting(session, "serve", held);
    let warn = |text: &str| session.output.warn(text);
    let desk = Told::new(&desk, &warn);
    thread::scope(|scope| {
        for Open { server, .. } in &opened {
            let desk = &desk;
            scope.spawn(move || server.run(desk));
        }
        ending.wait();
        session.output.say("Ending");
        opened.iter().for_each(|open| open.server.stop());
        // A second signal does not wait for the last answers.
        drop(ending);
    });
    Ok(())
}

fn served(
    session: &Session,
    args: &Args,
    ctx: Context<'_>,
    vault: &Unlocked,
) -> Result<Vec<Served>, Failure> {
    let mut names: Vec<ProfileName> = args.names.iter().chain(&args.more).cloned().collect();
    if names.is_empty() {
        names.push(ProfileArg::default().resolve(session, ctx, vault)?);
    }
    let mut served = Vec::<Served>::new();
    for name in names {
        if served.iter().any(|other| other.facts.name == name) {
            return Err(Failure::usage(format!("profile `{name}` is named twice")));
        }
        let facts = vault.profile(ctx, &name)?.facts;
        let client_project = variables::project_of_client(ctx, vault, &facts)?;
        served.push(Served { facts, client_project });
    }
    Ok(served)
}

fn open_all(served: &[Served], args: &Args, run_dir: &RunDir) -> Result<Vec<Open>, Failure> {
    // Zero is any that is free.
    let ports: Box<dyn Iterator<Item = u16>> = match args.port {
        Some(first) => Box::new(first..=u16::MAX),
        None => Box::new(std::iter::repeat(0)),
    };
    let opened: Result<Vec<Open>, Failure> =
        served.iter().zip(ports).map(|(served, port)| open(served, args.adc, port, run_dir)).collect();
    match opened {
        Ok(opened) if opened.len() < served.len() => Err(Failure::usage("there are not so many ports")),
        opened => opened,
    }
}

fn open(served: &Served, adc: Adc, port: u16, run_dir: &RunDir) -> Result<Open, Failure> {
    let Served { facts, client_project } = served;
    let server = Server::bind(facts.name.clone(), port).map_err(|error| not_bound(port, &error))?;
    let server = server.knowing(facts.clone());
    let mut changes = surroundings::of_both(&inherited, facts.project.as_deref(), client_project.as_deref());
    changes.extend(
        match adc {
            Adc::Broker => surroundings::of_broker(&server, run_dir, facts.project.as_deref()),
            Adc::Metadata => surroundings::of_metadata(&server, run_dir),
        }
        .map_err(|error| Failure::of_run_dir(&error))?,
    );
    Ok(Open { server, changes })
}

fn not_bound(port: u16, error: &io::Error) -> Failure {
    let what = match (port, error.kind()) {
        (0, _) => format!("no server can be had on 127.0.0.1: {error}"),
        (_, ErrorKind::AddrInUse) => format!("port {port} of 127.0.0.1 is taken"),
        _ => format!("port {port} of 127.0.0.1 cannot be had: {error}"),
    };
    Failure::new(Code::Refused, what)
        .hint("choose another one with `--port N`, or leave it out to get any that is free")
}

/// Prints what leads programs to the servers.
fn tell(session: &Session, args: &Args, opened: &[Open]) -> Result<(), Failure> {
    let text = if session.output.json { as_json(args.adc, opened)? } else { in_format(args.format, opened)? };
    session.output.secret(&text)?;
    for Open { server, .. } in opened {
        session.output.say(&format!("Serving `{}` at 127.0.0.1:{}", server.profile(), server.port()));
    }
    session.output.say("Ctrl-C ends it");
    Ok(())
}

fn in_format(format: Format, opened: &[Open]) -> Result<SecretString, Failure> {
    if opened.len() > 1 && matches!(format, Format::Json | Format::Nushell) {
        return Err(Failure::usage("this format is for one profile").hint("`--json` answers for several"));
    }
    let mut text = String::new();
    for Open { server, changes } in opened {
        if opened.len() > 1 {
            text.push_str(&format!("# {}\n", server.profile()));
        }
        text.push_str(&format::removal(format, &removed_by(changes)));
        text.push_str(format::render(format, &variables_of(changes)?)?.stdout.expose_secret());
    }
    Ok(text.into())
}

fn as_json(adc: Adc, opened: &[Open]) -> Result<SecretString, Failure> {
    let server = |Open { server, changes }: &Open| {
        let variables = variables_of(changes)?.into_iter();
        let values = variables.map(|it| (it.name.as_str().to_owned(), it.value.expose_secret().into()));
        // What must not be set.
        let removed = removed_by(changes).into_iter().map(|name| (name.to_owned(), Value::Null));
        Ok(json!({
            "profile": server.profile(),
            "adc": adc.name(),
            "port": server.port(),
            "token_url": server.token_url().expose_secret(),
            "variables": values.chain(removed).collect::<serde_json::Map<String, Value>>(),
        }))
    };
    let servers = opened.iter().map(server).collect::<Result<Vec<Value>, Failure>>()?;
    Ok(format!("{:#}\n", json!({ "version": 1, "servers": servers })).into())
}

/// The changes that are values.
fn variables_of(changes: &Changes) -> Result<Vec<Variable>, Failure> {
    let values = changes.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let variable = |(name, value): (&&'static str, &OsStr)| {
        let value = value.to_str();
        let value = value.ok_or_else(|| Failure::usage(format!("the value of {name} is not UTF-8 text")))?;
        Ok(Variable { name: VariableName::ours(name), value: value.into(), is_secret: true })
    };
    values.map(variable).collect()
}

/// The variables that must not be set. Empty ones would do for most programs, but Google's library for Rust takes
/// the empty name of a file for a file.
fn removed_by(changes: &Changes) -> Vec<&'static str> {
    changes.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect()
}
