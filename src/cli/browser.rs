//! The program that opens an address.

use std::io;
use std::process::{Command, Stdio};

use url::Url;

/// Longest command, in bytes: it stands in a document.
const MAX_LENGTH: usize = 1000;

/// A command as a person types it: a program and its arguments, with `%s` where the address goes, if that is not
/// the end.
pub(super) fn parse(text: &str) -> Result<String, &'static str> {
    if text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
        return Err("a command is a short text on one line");
    }
    match shlex::split(text) {
        None => Err("the quotes do not match"),
        Some(words) if words.first().is_none_or(|program| program.is_empty()) => Err("it names no program"),
        Some(_) => Ok(text.to_owned()),
    }
}

/// Starts what `text` says, without waiting for it. The address is an argument of its own, or a part of one: no
/// shell ever sees it.
pub(super) fn start_named(text: &str, url: &Url) -> io::Result<()> {
    let command = named(text, url).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    start(command)
}

/// Starts what the system opens addresses with.
pub(super) fn start_usual(url: &Url) -> io::Result<()> {
    let mut started = open::commands(url.as_str()).into_iter().map(start);
    started.find(io::Result::is_ok).unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
}

fn named(text: &str, url: &Url) -> Option<Command> {
    let words = shlex::split(text)?;
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments.iter().map(|argument| argument.replace("%s", url.as_str())));
    if !arguments.iter().any(|argument| argument.contains("%s")) {
        command.arg(url.as_str());
    }
    Some(command)
}

fn start(mut command: Command) -> io::Result<()> {
    for name in super::environment::UNLOCKING {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        let url = Url::parse("https://as.example/a?b=$(c)&d=%25s").unwrap();
        let command = named(text, &url).unwrap();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_address_is_one_argument_wherever_it_stands() {
        let url = "https://as.example/a?b=$(c)&d=%25s";

        assert_eq!(arguments("firefox -P work"), ["firefox", "-P", "work", url]);
        assert_eq!(arguments("chromium --app=%s"), ["chromium", &format!("--app={url}")]);
        assert_eq!(
            arguments("open -na 'Google Chrome' --args '--profile-directory=Profile 2' %s"),
            ["open", "-na", "Google Chrome", "--args", "--profile-directory=Profile 2", url]
        );
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for text in ["", "  ", "''", "firefox 'x", "a\nb", "a\x1b[2J", &"a".repeat(1001)] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        parse("firefox -P 'my work'").unwrap();
    }
}
