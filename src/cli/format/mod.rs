//! Variables written so that a shell, a file or a program reads back exactly the same values.
//!
//! A value is any text without NUL. A format that has no way to write a value down refuses it by
//! name: nothing is ever left out, cut or changed.

mod docker;
mod dotenv;
mod fish;
mod github;
mod json;
mod nushell;
mod page;
mod powershell;
mod sh;

use std::fmt;

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};

use crate::domain::{Variable, VariableName};
use page::Page;

/// For whom the variables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
#[non_exhaustive]
pub enum Format {
    /// dash, bash, zsh, ksh: `eval "$(vault env work)"`
    Sh,
    /// fish: `vault env work --format fish | source`
    Fish,
    /// PowerShell: `vault env work --format powershell | Invoke-Expression`
    Powershell,
    /// Nushell: `vault env work --format nushell | from json | load-env`
    Nushell,
    /// A `.env` file, for programs that read one
    Dotenv,
    /// A file for `docker run --env-file`
    Docker,
    /// GitHub Actions: `vault env work --format github >> "$GITHUB_ENV"`
    Github,
    /// One JSON object of strings
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no format is hidden from the command line");
        f.write_str(value.get_name())
    }
}

/// What `vault env` answers.
#[derive(Debug)]
pub struct Rendered {
    /// The answer, for standard output. Ends with a line break unless it is empty.
    pub stdout: SecretString,
    /// For GitHub Actions: the commands that hide the secrets in its logs. They go to standard
    /// error, and before `stdout` is written. See the format's module.
    pub masks: Option<SecretString>,
}

/// Why variables were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format has no way to write this value.
    #[error("the format `{format}` cannot carry the value of {variable}: {reason}")]
    Unrepresentable {
        /// Whose value it is.
        variable: VariableName,
        /// The format that was asked for.
        format: Format,
        /// What about the value is in the way; says nothing of the value itself.
        reason: &'static str,
    },
}

/// Writes `variables` in `format`.
///
/// # Errors
///
/// [`Error::Unrepresentable`] if a value cannot be written in this format so that it is read back
/// the same.
pub fn render(format: Format, variables: &[Variable]) -> Result<Rendered, Error> {
    let assignments: Vec<_> = variables.iter().map(Assignment::of).collect();
    let mut page = Page::with_room_for(&assignments);
    for assignment in &assignments {
        let written = check(assignment).and_then(|()| write_line(format, assignment, &mut page));
        written.map_err(|refused| refused.naming(assignment, format))?;
    }
    match format {
        Format::Json => json::object(&assignments, &mut page),
        Format::Nushell => nushell::record(&assignments, &mut page),
        _ => {}
    }
    let masks = (format == Format::Github).then(|| github::masks(&assignments));
    Ok(Rendered { stdout: page.into_secret(), masks })
}

/// Takes these variables away. Only shells can be told to; in the other formats there is nothing to say.
pub fn removal(format: Format, names: &[&str]) -> String {
    if names.is_empty() {
        return String::new();
    }
    match format {
        Format::Sh => format!("unset {};\n", names.join(" ")),
        Format::Fish => format!("set -e {};\n", names.join(" ")),
        Format::Powershell => {
            let paths: Vec<String> = names.iter().map(|name| format!("Env:{name}")).collect();
            format!("Remove-Item {} -ErrorAction SilentlyContinue\n", paths.join(", "))
        }
        _ => String::new(),
    }
}

/// Refuses what no environment holds.
fn check(assignment: &Assignment<'_>) -> Result<(), Unwritable> {
    match assignment.value.contains('\0') {
        true => Err(Unwritable("it holds a NUL, which no environment variable can")),
        false => Ok(()),
    }
}

/// Writes one variable, in the formats that go line by line.
fn write_line(format: Format, assignment: &Assignment<'_>, page: &mut Page) -> Result<(), Unwritable> {
    match format {
        Format::Sh => sh::line(assignment, page),
        Format::Fish => fish::line(assignment, page),
        Format::Powershell => powershell::line(assignment, page)?,
        Format::Dotenv => dotenv::line(assignment, page)?,
        Format::Docker => docker::line(assignment, page)?,
        Format::Github => github::lines(assignment, page)?,
        Format::Nushell | Format::Json => {}
    }
    Ok(())
}

/// A variable with its value open, for as long as it takes to write it down.
struct Assignment<'a> {
    name: &'a VariableName,
    value: &'a str,
    is_secret: bool,
}

impl<'a> Assignment<'a> {
    fn of(variable: &'a Variable) -> Self {
        Self { name: &variable.name, value: variable.value.expose_secret(), is_secret: variable.is_secret }
    }
}

/// What about a value is in the way.
#[derive(Debug, PartialEq, Eq)]
struct Unwritable(&'static str);

impl Unwritable {
    fn naming(self, assignment: &Assignment<'_>, format: Format) -> Error {
        Error::Unrepresentable { variable: assignment.name.clone(), format, reason: self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(value: &str) -> Variable {
        Variable { name: "TOKEN".parse().unwrap(), value: value.into(), is_secret: true }
    }

    fn rendered(format: Format, value: &str) -> Result<String, Error> {
        render(format, &[variable(value)]).map(|it| it.stdout.expose_secret().to_owned())
    }

    #[test]
    fn an_ordinary_token_reads_in_every_format_as_its_users_would_write_it() {
        let written = |format| rendered(format, "ya29.a-b_c").unwrap();

        assert_eq!(written(Format::Sh), "export TOKEN='ya29.a-b_c';\n");
        assert_eq!(written(Format::Fish), "set -gx TOKEN 'ya29.a-b_c';\n");
        assert_eq!(written(Format::Powershell), "$env:TOKEN = 'ya29.a-b_c'\n");
        assert_eq!(written(Format::Nushell), "{\"TOKEN\":\"ya29.a-b_c\"}\n");
        assert_eq!(written(Format::Dotenv), "TOKEN='ya29.a-b_c'\n");
        assert_eq!(written(Format::Docker), "TOKEN=ya29.a-b_c\n");
        assert_eq!(written(Format::Github), "TOKEN<<VAULT_END\nya29.a-b_c\nVAULT_END\n");
        assert_eq!(written(Format::Json), "{\"TOKEN\":\"ya29.a-b_c\"}\n");
    }

    #[test]
    fn a_refusal_names_variable_and_format_and_not_the_value() {
        let refused = rendered(Format::Docker, "canary\n").unwrap_err();

        let words = refused.to_string();
        assert_eq!(words, "the format `docker` cannot carry the value of TOKEN: it has a line break");
        assert!(!format!("{refused:?}").contains("canary"));
    }

    #[test]
    fn no_format_carries_a_nul() {
        for format in Format::value_variants() {
            assert!(rendered(*format, "a\0b").is_err(), "{format}");
        }
    }

    #[test]
    fn only_github_has_masks() {
        for format in Format::value_variants() {
            let masks = render(*format, &[variable("x")]).unwrap().masks;
            assert_eq!(masks.is_some(), *format == Format::Github, "{format}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}{:?}", variable("canary"), render(Format::Sh, &[variable("canary")]));
        assert!(!shown.contains("canary"));
    }
}
