//! `vault doctor --report`: a text that may be shown to everybody.
//!
//! Nothing is taken out of it: it is made of words and numbers of our own alone. Names, addresses and paths
//! become placeholders that stay the same within one report.

use std::fmt::Write;

use super::told::{Told, place};
use crate::cli::session::Session;
use crate::oauth::provider;
use crate::ops::doctor::{Counts, Subject, Surroundings};
use crate::system::system_name;

/// The report.
pub(super) fn report(session: &Session, around: &Surroundings, counts: &Counts, told: &[Told]) -> String {
    let mut text = format!("vault {} for {}\n", env!("CARGO_PKG_VERSION"), target());
    let features = if cfg!(feature = "ssh") { "ssh" } else { "none" };
    let slots = if counts.slots.is_empty() { "none".to_owned() } else { counts.slots.join(", ") };
    let lines = [
        ("features", features.to_owned()),
        ("system", system_name(std::env::consts::OS)),
        ("vault directory", where_it_is(session, around).to_owned()),
        ("key slots", slots),
        ("profiles", counts.profiles.to_string()),
        ("clients", counts.clients.to_string()),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "{:<17}{value}", format!("{name}:"));
    }
    text.push('\n');
    let mut stand_ins = StandIns::default();
    for told in told {
        let about = stand_ins.of(&told.about).map(|about| format!("{about}: ")).unwrap_or_default();
        let _ = writeln!(text, "{:<8} {:<12} {about}{}", told.word(), told.check, told.public);
    }
    text
}

fn target() -> String {
    let libc = match () {
        () if cfg!(target_env = "musl") => " (musl)",
        () if cfg!(target_env = "gnu") => " (gnu)",
        () => "",
    };
    format!("{}-{}{libc}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Its usual path holds no name of the user's but that of the home.
fn where_it_is(session: &Session, around: &Surroundings) -> &'static str {
    match session.usual_vault_dir().is_some_and(|usual| usual.starts_with(&around.home)) {
        true => "in its usual place below ~",
        false => "in a place of the user's choice",
    }
}

/// What stands for a name: the same each time.
#[derive(Default)]
struct StandIns {
    known: Vec<(&'static str, String)>,
}

impl StandIns {
    fn of(&mut self, subject: &Subject) -> Option<String> {
        Some(match subject {
            Subject::Profile(name) => self.stand_in("profile", name.as_str()),
            Subject::Client(name) => self.stand_in("client", name.as_str()),
            Subject::Host(host) if is_well_known(host) => host.clone(),
            Subject::Host(host) => self.stand_in("host", host),
            Subject::Slot { kind, id } => format!("{kind} {}", self.stand_in("slot", &id.to_string())),
            Subject::Place(role) => place(*role).to_owned(),
            Subject::Path { what, .. } => (*what).to_owned(),
            Subject::Variable(name) => (*name).to_owned(),
            _ => return None,
        })
    }

    /// `profile-1` for the first one that is spoken of.
    fn stand_in(&mut self, kind: &'static str, name: &str) -> String {
        let is_it = |(of, known): &(&str, String)| *of == kind && known == name;
        if !self.known.iter().any(is_it) {
            self.known.push((kind, name.to_owned()));
        }
        let of_kind = self.known.iter().filter(|(of, _)| *of == kind);
        let number = of_kind.take_while(|(_, known)| known != name).count() + 1;
        format!("{kind}-{number}")
    }
}

/// Whether everybody knows the host: it is of a provider that is built in.
fn is_well_known(host: &str) -> bool {
    let endpoints = provider::all().filter_map(|provider| provider.endpoints());
    endpoints.into_iter().any(|endpoints| endpoints.token.host_str() == Some(host))
}
