//! `vault log`: what was done with the vault on this machine.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cli::age_words::parse_duration;
use crate::cli::error::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::table::{Cell, Look, Tone, table};
use crate::domain::ProfileName;
use crate::ops::Context;
use crate::ops::audit::{By, Event};
use crate::ops::log::{Batch, Line, Log, Query};

/// How often `--follow` looks for new lines.
const PAUSE: Duration = Duration::from_millis(250);

const HEADER: [&str; 5] = ["TIME", "WHAT", "PROFILE", "BY", "RESULT"];

/// The least width of each column with `--follow`, where later lines are not known yet.
const WIDTHS: [usize; 5] = [20, 16, 12, 32, 0];

/// Show what was done with the vault on this machine
///
/// Each command that asks for the vault key leaves one line, whether it succeeds or not: when, what, about
/// which profile, which process started it, and how it ended. No line holds a secret. The oldest lines are
/// forgotten: the last 1 MiB at least, some thousand lines, is kept.
///
/// The log helps you to see what your programs do. It proves nothing against whoever can write your
/// files: any program of yours can change it, and what opens the vault without this program leaves no line.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  vault log work --since 2d
  vault log --follow
  vault log --json | jq 'select(.result != \"ok\")'

Times are in UTC. BY is the process that started vault, its program, and the user's number.
With `--json` each line is an object, as it is stored.")]
pub(super) struct Args {
    /// Only what is about this profile or client
    #[arg(add = crate::cli::complete::profiles())]
    name: Option<ProfileName>,
    /// Only what is newer: a time such as 2d or 90m, or a moment such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// Go on with new lines as they come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

#[derive(Clone, Copy, Debug)]
enum Since {
    Ago(SignedDuration),
    Moment(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(moment) = text.parse() {
        return Ok(Since::Moment(moment));
    }
    parse_duration(text).map(Since::Ago).map_err(|error| format!("{error}, or 2026-01-31T09:00:00Z"))
}

impl Since {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            // Before the beginning of time, everything is newer.
            Self::Ago(time) => now.checked_sub(time).unwrap_or(Timestamp::MIN),
            Self::Moment(moment) => moment,
        }
    }
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    session.with(|ctx| {
        let since = args.since.map(|since| since.moment(ctx.clock.now()));
        let log = Log::open(ctx, Query { about: args.name, since })?;
        let view = View { session, follows: args.follow, is_warned: false, is_begun: false };
        view.show(ctx, log)
    })
}

/// What is shown, and what has been said about it.
struct View<'a> {
    session: &'a Session,
    follows: bool,
    is_warned: bool,
    is_begun: bool,
}

impl View<'_> {
    fn show(mut self, ctx: Context<'_>, mut log: Log<'_>) -> Result<(), Failure> {
        loop {
            let batch = all(&mut log)?;
            self.warn(batch.unreadable > 0 || (!self.follows && log.is_cut_off()));
            self.print(&batch.lines)?;
            if !self.follows || !output::has_reader() {
                return Ok(());
            }
            ctx.clock.sleep(PAUSE);
        }
    }

    fn warn(&mut self, is_unreadable: bool) {
        if is_unreadable && !self.is_warned {
            self.session.output.warn("some lines of the log cannot be read and are left out");
            self.is_warned = true;
        }
    }

    fn print(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let output = self.session.output;
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        if output.json {
            return output.answer(&lines.iter().map(|line| format!("{}\n", line.text)).collect::<String>());
        }
        if !self.follows {
            if lines.is_empty() {
                output.say("The log has nothing of that");
                return Ok(());
            }
            let rows = lines.iter().map(|line| row(&line.event).map(Column::cell).into()).collect();
            return output.answer(&table(&HEADER, rows, output.look()));
        }
        // Each line is to stand under those before, so that none is broken.
        let rows = lines.iter().map(|line| padded(row(&line.event))).collect();
        let text = table(
            &padded_header().each_ref().map(String::as_str),
            rows,
            Look { width: None, ..output.look() },
        );
        let text = if is_first { &text } else { text.split_once('\n').map_or("", |(_, rows)| rows) };
        output.answer(text)
    }
}

/// Everything that is there by now.
fn all(log: &mut Log<'_>) -> Result<Batch, Failure> {
    let mut all = Batch::default();
    while let Some(batch) = log.more()? {
        all.lines.extend(batch.lines);
        all.unreadable += batch.unreadable;
    }
    Ok(all)
}

/// What a cell says, and how.
struct Column(String, Tone);

impl Column {
    fn cell(self) -> Cell {
        Cell::new(self.0, self.1)
    }
}

fn row(event: &Event) -> [Column; 5] {
    let plain = |text: String| Column(text, Tone::Plain);
    [
        plain(format!("{:.0}", event.time)),
        plain(what(event)),
        plain(about(event)),
        plain(by(&event.by)),
        result(event),
    ]
}

/// `token, refreshed`, `reveal api_key`
fn what(event: &Event) -> String {
    let details: Vec<&str> = event.fields.iter().chain(&event.slot).map(String::as_str).collect();
    let mut text = event.what.clone();
    if !details.is_empty() {
        text = format!("{text} {}", details.join(" "));
    }
    match &event.token {
        Some(source) => format!("{text}, {source}"),
        None => text,
    }
}

/// `work`, `work -> home`, `client desktop`
fn about(event: &Event) -> String {
    let name = match (&event.profile, &event.client) {
        (Some(profile), _) => profile.clone(),
        (None, Some(client)) => format!("client {client}"),
        (None, None) => return "-".to_owned(),
    };
    match &event.to {
        Some(to) => format!("{name} -> {to}"),
        None => name,
    }
}

/// `4711 /usr/bin/bash (1000)`
fn by(by: &By) -> String {
    let pid = by.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
    let program = by.program.as_deref().unwrap_or("?");
    match by.user {
        Some(user) => format!("{pid} {program} ({user})"),
        None => format!("{pid} {program}"),
    }
}

/// `ok`, `login needed (5)`
fn result(event: &Event) -> Column {
    match event.exit {
        None => Column(event.result.clone(), Tone::Good),
        Some(exit) => Column(format!("{} ({exit})", event.result), Tone::Bad),
    }
}

fn padded(row: [Column; 5]) -> Vec<Cell> {
    let pad = |(Column(text, tone), width)| Cell::new(format!("{text:width$}"), tone);
    row.into_iter().zip(WIDTHS).map(pad).collect()
}

fn padded_header() -> [String; 5] {
    let mut widths = WIDTHS.into_iter();
    HEADER.map(|name| format!("{name:width$}", width = widths.next().unwrap_or_default()))
}
