//! What `vault setup` tells: lines, changes, and what was done.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use similar::TextDiff;

use super::{Request, Work};
use crate::cli::error::Failure;
use crate::cli::session::Session;
use crate::domain::ProfileName;
use crate::ops::setup::change::FileChange;
use crate::ops::setup::{Plan, Tool};

/// What is told where nothing is changed.
pub(super) struct Told<'a> {
    pub tool: Tool,
    pub profile: &'a ProfileName,
    pub plan: &'a Plan,
}

impl Told<'_> {
    /// The lines on standard output; on standard error where they go, and what would be done besides.
    pub(super) fn print(&self, session: &Session) -> Result<(), Failure> {
        if session.output.json {
            return session.output.json("setup", self.as_json());
        }
        let files = self.files();
        let several = files.len() > 1;
        for (at, (file, lines)) in files.iter().enumerate() {
            let heading = if several { format!("# {}\n", file.display()) } else { String::new() };
            let gap = if at > 0 { "\n" } else { "" };
            session.output.answer(&format!("{gap}{heading}{lines}"))?;
        }
        for (file, _) in &files {
            session.output.say(&format!("goes into {}", file.display()));
        }
        session.output.say(&format!("`--write` puts it there{}", self.besides()));
        say_all(session, &self.plan.advice);
        Ok(())
    }

    fn as_json(&self) -> Value {
        let file = |(file, lines): &(&Path, String)| json!({ "file": text(file), "lines": lines });
        json!({
            "tool": self.tool.as_str(),
            "profile": self.profile,
            "is_written": false,
            "files": self.files().iter().map(file).collect::<Vec<_>>(),
            "hosts": hosts(self.plan),
            "helper": self.tool.helper(),
            "advice": self.plan.advice,
        })
    }

    /// The lines for each file, in order.
    fn files(&self) -> Vec<(&Path, String)> {
        let mut files: Vec<(&Path, String)> = Vec::new();
        for change in &self.plan.changes {
            match files.iter_mut().find(|(file, _)| *file == change.file) {
                Some((_, lines)) => lines.push_str(&change.edit.lines()),
                None => files.push((&change.file, change.edit.lines())),
            }
        }
        files
    }

    fn besides(&self) -> String {
        let hosts: Vec<String> = self.plan.hosts.iter().map(|(_, host)| host.to_string()).collect();
        let bind = match hosts.is_empty() {
            true => String::new(),
            false => format!(", lets the token of `{}` go to {}", self.profile, hosts.join(", ")),
        };
        let link = self.tool.helper().map_or_else(String::new, |name| format!(", and makes the link {name}"));
        format!("{bind}{link}")
    }
}

/// Shows what is about to be done.
pub(super) fn show(session: &Session, work: &Work, is_undo: bool) {
    if work.is_nothing() {
        session.output.say("nothing is to be changed: it is as it should be");
        return;
    }
    for file in work.files.iter().filter(|file| file.is_needed()) {
        // A tab would be shown as something that a terminal must not obey.
        session.output.say(diff(file).replace('\t', "    ").trim_end());
    }
    for (need, host) in &work.hosts {
        let may = if is_undo { "will no longer" } else { "will" };
        session.output.say(&format!("the token of `{}` {may} go to {host}, for {need}", work.profile));
    }
    if let Some(link) = &work.link {
        let verb = if is_undo { "removes" } else { "makes" };
        session.output.say(&format!("{verb} the link {}", link.display()));
    }
}

/// The change as `diff -U0` shows it, without the lines of others: they may hold secrets of other programs.
fn diff(file: &FileChange) -> String {
    let name = |text: Option<&str>| text.map_or_else(|| "/dev/null".to_owned(), |_| text_of(&file.path));
    let (before, after) = (file.before(), file.after());
    let diff = TextDiff::from_lines(&whole_lines(before), &whole_lines(after))
        .unified_diff()
        .context_radius(0)
        .header(&name(before), &name(after))
        .to_string();
    let heading = diff.split_inclusive('\n').take(2);
    heading.map(str::to_owned).chain(shown(file, diff.lines().skip(2))).collect()
}

/// The last line of a file is not changed by the line break that it gets when ours follow.
fn whole_lines(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let is_whole = text.is_empty() || text.ends_with('\n');
    if is_whole { text.to_owned() } else { format!("{text}\n") }
}

/// The lines of a diff; of those that may not be shown, how many there are.
fn shown<'d>(file: &FileChange, lines: impl Iterator<Item = &'d str>) -> Vec<String> {
    let lines: Vec<(Option<char>, &str)> = lines.map(|line| (hidden(file, line), line)).collect();
    let runs = lines.chunk_by(|one, next| one.0.is_some() && one.0 == next.0);
    let text = |run: &[(Option<char>, &str)]| match run {
        [(None, line), ..] => format!("{line}\n"),
        [(Some(sign), _)] => format!("{sign}… (1 other line, not shown)\n"),
        [(Some(sign), _), ..] => format!("{sign}… ({} other lines, not shown)\n", run.len()),
        [] => String::new(),
    };
    runs.map(text).collect()
}

/// How a line of a diff begins, if the rest of it may not be shown.
fn hidden(file: &FileChange, line: &str) -> Option<char> {
    let sign = line.chars().next().filter(|first| "+-".contains(*first))?;
    (!file.may_show(&line[1..])).then_some(sign)
}

/// Tells what was done.
pub(super) fn done(
    session: &Session,
    request: &Request,
    work: &Work,
    copies: &[Option<PathBuf>],
) -> Result<(), Failure> {
    if session.output.json {
        let changed: Vec<&FileChange> = work.files.iter().filter(|file| file.is_needed()).collect();
        let file = |(file, copy): (&&FileChange, &Option<PathBuf>)| json!({ "file": text(&file.path), "copy": copy.as_deref().map(text), "diff": diff(file) });
        let answer = json!({
            "tool": request.tool.as_str(),
            "profile": work.profile,
            "is_written": !request.common.undo,
            "files": changed.iter().zip(copies).map(file).collect::<Vec<_>>(),
            "hosts": hosts(&work.plan),
            "link": work.link.as_deref().map(text),
            "advice": work.plan.advice,
        });
        return session.output.json("setup", answer);
    }
    for copy in copies.iter().flatten() {
        session.output.say(&format!("what was there is in {}", copy.display()));
    }
    say_all(session, &work.plan.advice);
    Ok(())
}

fn say_all(session: &Session, lines: &[String]) {
    for line in lines {
        session.output.say(line);
    }
}

fn hosts(plan: &Plan) -> Vec<String> {
    plan.hosts.iter().map(|(_, host)| host.to_string()).collect()
}

fn text(path: &Path) -> Value {
    text_of(path).into()
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}
