//! A run in which we stay up: with a server, or a file that is kept fresh, as long as the program runs.

use std::process::Command;
use std::thread;

use secrecy::ExposeSecret;

use super::adc::Adc;
use super::surroundings::{self, Changes, GCLOUD_TOKEN, GCLOUD_TOKEN_FILE, TOKEN_FILE};
use super::told::Told;
use super::{not_run, set};
use crate::cli::desk::SessionDesk;
use crate::cli::environment::inherited;
use crate::cli::error::Failure;
use crate::cli::exit::Code;
use crate::cli::session::Session;
use crate::domain::{AccessToken, Profile, ProfileName, Scopes, Variable, VariableName};
use crate::ops::setup::token_url_variable;
use crate::ops::token::{self, Request};
use crate::ops::variables::{self, Opened, Plan};
use crate::ops::{Context, Unlocked};
use crate::serve::{Server, TokenFile};
use crate::system::{Child, Ended, RunDir, RunDirError, SystemClock};

/// How the program is to get its tokens.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// By which server.
    pub(super) adc: Adc,
    /// Whether the user has asked for that one.
    pub(super) is_asked: bool,
    /// Whether by files alone, and not by variables.
    pub(super) token_file: bool,
}

/// Everything that the program is to find.
pub(super) struct Staying<'a> {
    session: &'a Session,
    how: How,
    facts: Profile,
    profile: ProfileName,
    project: Option<String>,
    client_project: Option<String>,
    variables: Vec<Variable>,
    /// The variables that hold no token, although they would without a file.
    taken: Vec<VariableName>,
    /// The variables that name the file with the token.
    file_names: Vec<VariableName>,
    /// Whether gcloud has a variable of the user's own.
    gcloud_is_served: bool,
    token: AccessToken,
    /// The scopes of its tokens, if not all of the login.
    only: Option<Scopes>,
    held: Option<Unlocked>,
}

impl<'a> Staying<'a> {
    /// Opens all of it, so that whatever is wrong is told before the program starts.
    pub(super) fn open(
        session: &'a Session,
        ctx: Context<'_>,
        vault: &Unlocked,
        mut plan: Plan,
        how: How,
    ) -> Result<Self, Failure> {
        let facts = plan.profile().clone();
        let taken =
            plan.take_tokens(|name, is_the_users| how.token_file || (name == GCLOUD_TOKEN && !is_the_users));
        let file_names = if how.token_file { file_names(&taken)? } else { Vec::new() };
        let gcloud_is_served = how.adc == Adc::None || plan.sets(GCLOUD_TOKEN);
        let client_project = match how.adc {
            Adc::None => None,
            _ => variables::project_of_client(ctx, vault, &facts)?,
        };
        let only = plan.only().cloned();
        let Opened { variables, token } = plan.open(ctx, vault)?;
        let token = match token {
            Some(token) => token,
            None => {
                token::token(ctx, vault, &facts.name, Request { only: only.clone(), ..Default::default() })?
            }
        };
        let (profile, project) = (facts.name.clone(), facts.project.clone());
        Ok(Self {
            session,
            how,
            facts,
            profile,
            project,
            client_project,
            variables,
            taken,
            file_names,
            gcloud_is_served,
            token,
            only,
            held: None,
        })
    }

    /// The same, with the vault if its key is to be held until the end.
    pub(super) fn holding(self, held: Option<Unlocked>) -> Self {
        Self { held, ..self }
    }

    /// Runs the program to its end, and ends as it did.
    pub(super) fn run(self, command: Command) -> Result<(), Failure> {
        let mut child = Child::prepare()
            .map_err(|error| Failure::new(Code::Storage, format!("signals cannot be passed on: {error}")))?;
        let ended = self.attended(command, &mut child);
        child.settle();
        match ended?.pass() {
            0 => Ok(()),
            status => Err(Failure::of_status(status)),
        }
    }

    /// All that is there for the program has ended and is removed when this returns.
    fn attended(mut self, mut command: Command, child: &mut Child) -> Result<Ended, Failure> {
        let run_dir = RunDir::make(self.session.runtime_dir()).map_err(|error| no_place(&error))?;
        let server = self.server(&run_dir, &mut command)?;
        let file = self.token_file(&run_dir, &mut command)?;
        set(&mut command, &self.variables);
        let desk = SessionDesk::lasting(self.session, "exec", self.held.take()).narrowed(self.only.clone());
        let tell = |text: &str| self.session.output.warn(text);
        let desk = Told::new(&desk, &tell);
        thread::scope(|scope| {
            let server = server.as_ref();
            if let Some(server) = server {
                scope.spawn(|| server.run(&desk));
            }
            if let Some(file) = &file {
                scope.spawn(|| file.keep(&desk, &SystemClock));
            }
            let ended = child.run(command);
            server.inspect(|server| server.stop());
            file.as_ref().inspect(|file| file.stop());
            ended
        })
        .map_err(|error| not_run(&error))
    }

    /// The server that was asked for, and what leads the program to it.
    fn server(&self, run_dir: &RunDir, command: &mut Command) -> Result<Option<Server>, Failure> {
        if self.how.adc == Adc::None {
            return Ok(None);
        }
        let server = Server::bind(self.profile.clone(), 0).map_err(|error| {
            Failure::new(Code::Storage, format!("no server can be had on 127.0.0.1: {error}"))
        })?;
        let server = server.knowing(self.facts.clone());
        // For the remote that `vault setup rclone` makes.
        command.env(token_url_variable(&self.profile), server.token_url().expose_secret());
        change(
            command,
            surroundings::of_both(&inherited, self.project.as_deref(), self.client_project.as_deref()),
        );
        let changes = match self.how.adc {
            Adc::Metadata => {
                self.warn_of_users_own();
                surroundings::of_metadata(&server, run_dir)
            }
            _ => surroundings::of_broker(&server, run_dir, self.project.as_deref()),
        };
        change(command, changes.map_err(|error| no_place(&error))?);
        Ok(Some(server))
    }

    /// Libraries of Go and Rust look there, wherever gcloud's directory is. A program for which the metadata
    /// server was chosen by its name uses neither.
    fn warn_of_users_own(&self) {
        let own = self.session.home().join(".config/gcloud/application_default_credentials.json");
        if self.how.is_asked && own.exists() {
            let own = own.display();
            self.session.output.say(&format!("Programs in Go and Rust use {own} before the metadata server"));
        }
    }

    /// The file with the token, where anything reads one, and the variables that name it.
    fn token_file<'d>(
        &self,
        run_dir: &'d RunDir,
        command: &mut Command,
    ) -> Result<Option<TokenFile<'d>>, Failure> {
        if self.gcloud_is_served && !self.how.token_file {
            return Ok(None);
        }
        let file = TokenFile::write(run_dir, self.profile.clone(), self.token.clone())
            .map_err(|error| no_place(&error))?;
        // There may be an old one from before.
        for name in &self.taken {
            command.env_remove(name.as_str());
        }
        for name in &self.file_names {
            command.env(name.as_str(), file.path());
        }
        if !self.gcloud_is_served {
            // It would be preferred.
            command.env_remove(GCLOUD_TOKEN).env(GCLOUD_TOKEN_FILE, file.path());
        }
        Ok(Some(file))
    }
}

fn no_place(error: &RunDirError) -> Failure {
    Failure::of_run_dir(error).hint(
        "set XDG_RUNTIME_DIR to a directory that is yours alone, or run it with `--adc none` and variables",
    )
}

/// `VAR_FILE` for each variable that would have held the token.
fn file_names(variables: &[VariableName]) -> Result<Vec<VariableName>, Failure> {
    let names = variables.iter().map(|name| format!("{name}_FILE")).chain([TOKEN_FILE.to_owned()]);
    let names =
        names.map(|name| name.parse().map_err(|error| Failure::usage(format!("--token-file: {error}"))));
    names.collect()
}

fn change(command: &mut Command, changes: Changes) {
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}
