//! `vault man`: writes the manual pages.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;

use crate::cli::args;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;

/// Write the manual pages
///
/// One page for vault, and one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  vault man ~/.local/share/man/man1 && man vault-token")]
pub(super) struct Args {
    /// The directory that they are written to; made if it is not there
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// Runs it.
pub(super) fn run(session: &Session, args: Args) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(&args.dir).and_then(|()| write_pages(&whole_command(), &args.dir));
    match written {
        Ok(()) => {
            session.output.say(&format!("Wrote the manual pages to {}", args.dir.display()));
            Ok(())
        }
        Err(error) => {
            let mut failure = Failure::new(Code::Storage, format!("cannot write to {}", args.dir.display()));
            failure.messages.push(error.to_string());
            Err(failure)
        }
    }
}

/// The command line with the arguments of every command, which are built late elsewhere.
fn whole_command() -> Command {
    let mut command = args::command().disable_help_subcommand(true);
    command.build();
    with_one_line(command)
}

/// Splits what a command says of itself into its line for lists and the whole description.
fn with_one_line(command: Command) -> Command {
    let whole = command.get_about().map(ToString::to_string).unwrap_or_default();
    let line = whole.split("\n\n").next().unwrap_or_default().to_owned();
    command.about(line).long_about(whole).mut_subcommands(with_one_line)
}

fn write_pages(command: &Command, dir: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_pages(subcommand, dir)?;
    }
    let page = Man::new(command.clone());
    File::create(dir.join(page.get_filename()))?.write_all(&rendered(&page, command)?)
}

fn rendered(page: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut roff = Vec::new();
    page.render_title(&mut roff)?;
    page.render_name_section(&mut roff)?;
    page.render_synopsis_section(&mut roff)?;
    page.render_description_section(&mut roff)?;
    page.render_options_section(&mut roff)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut roff)?;
    }
    if let Some(text) = command.get_after_help() {
        roff.extend(text.to_string().split("\n\n").map(section).collect::<String>().bytes());
    }
    Ok(roff)
}

/// A paragraph of examples or of a table, line by line as it stands. `Examples:` is its heading.
fn section(paragraph: &str) -> String {
    let (heading, body) = match paragraph.split_once(":\n") {
        Some((heading, body)) => (heading.to_uppercase(), body),
        None => ("NOTES".to_owned(), paragraph),
    };
    let lines: String = body.lines().map(|line| format!("{}\n", escaped(line))).collect();
    format!(".SH \"{heading}\"\n.nf\n{lines}.fi\n")
}

/// The line as roff shows it to the letter, so that it can be copied into a shell.
fn escaped(line: &str) -> String {
    let mut text = String::from("\\&");
    for c in line.chars() {
        match c {
            '\\' => text.push_str("\\e"),
            '-' => text.push_str("\\-"),
            '\'' => text.push_str("\\(aq"),
            '`' => text.push_str("\\(ga"),
            '~' => text.push_str("\\(ti"),
            '^' => text.push_str("\\(ha"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_shown_to_the_letter() {
        let section = section("Examples:\n  eval \"$(vault env work)\"\n  .x 'y' --z ~/a\\b");

        assert_eq!(
            section,
            ".SH \"EXAMPLES\"\n.nf\n\\&  eval \"$(vault env work)\"\n\\&  .x \\(aqy\\(aq \\-\\-z \\(ti/a\\eb\n.fi\n"
        );
    }

    #[test]
    fn a_list_of_commands_has_one_line_for_each() {
        let command = whole_command();
        let abouts: Vec<_> = command.get_subcommands().filter_map(Command::get_about).collect();

        assert!(abouts.len() > 20);
        assert!(abouts.iter().all(|about| !about.to_string().contains('\n')));
    }
}
