//! One story: some rounds in which things go wrong, then quiet, and the question what is left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use url::Url;
use vault::domain::{Binding, ClientAuth};
use vault::ops::Error;
use vault::seal::Document;

use crate::commands::{API_KEY, CLIENT_SECRET, Command, HOME, Keyring, Outcome, account_of};
use crate::disk::Disk;
use crate::fate::Fate;
use crate::judge::{is_distrust, is_odd, is_overtaken, kept_aside};
use crate::ledger::{End, Purpose, Reader};
use crate::machine::Machine;
use crate::round::{Cast, ROUNDS, Round, WALL_JUMPS};
use crate::server::{Habits, LIFE, Server};
use crate::world::{Killed, MOST, State, World};

/// A vault with two profiles of one client, as every story finds it.
pub(crate) struct Scene {
    disk: Disk,
    server: Server,
    keyring: Keyring,
    reader: Reader,
    time: Duration,
}

/// What came of a story.
pub(crate) struct Report {
    pub(crate) violations: Vec<String>,
    pub(crate) trace: Vec<String>,
    /// Why a login was needed at the end, for each profile that needed one.
    pub(crate) logins: Vec<&'static str>,
}

impl Scene {
    /// Has the product make it, on a day when nothing goes wrong.
    pub(crate) fn make() -> Self {
        let mut disk = Disk::with_directory(HOME.as_ref());
        disk.settle();
        let state = State::new(Rng::with_seed(0), disk, Server::default());
        let story = Story { world: Arc::new(World::new(state)) };
        let outcome = story.calmly(Command::Make(&["work", "home"]));
        assert!(matches!(outcome, Outcome::Done), "{outcome:?}");

        let mut state = story.world.state();
        state.disk.settle();
        let manifest = state.disk.seen().find(|(path, _)| path.ends_with("vault.json")).unwrap().1;
        let reader = Reader {
            vault: Document::parse(manifest).unwrap().vault().clone(),
            keys: state.keyring.vault_keys().cloned().collect(),
            binding: Binding {
                issuer: "https://as.example/token".to_owned(),
                token_endpoint: Url::parse("https://as.example/token").ok(),
                revocation_endpoint: None,
                client_id: Some("client".to_owned()),
                client_auth: Some(ClientAuth::Post),
            },
        };
        let scene = Self {
            disk: state.disk.clone(),
            server: state.server.clone(),
            keyring: state.keyring.clone(),
            reader,
            time: state.time,
        };
        drop(state);
        let tokens = scene.disk.seen().filter(|(_, bytes)| scene.reader.refresh_token(bytes).is_some());
        assert_eq!(tokens.count(), 2, "the reader opens what the product has made");
        scene
    }

    /// The story of `seed`.
    pub(crate) fn tell(&self, seed: u64) -> Report {
        let mut state = State::new(Rng::with_seed(seed), self.disk.clone(), self.server.clone());
        state.time = self.time;
        state.keyring = self.keyring.clone();
        state.ledger.reader = Some(self.reader.clone());
        let story = Story { world: Arc::new(World::new(state)) };
        story.tell()
    }
}

struct Story {
    world: Arc<World>,
}

impl Story {
    fn tell(&self) -> Report {
        let mut rescues = Vec::new();
        let (mut removed, mut rotated) = (false, false);
        let rounds = {
            let mut state = self.world.state();
            state.server.habits = draw_habits(&mut state.random);
            state.random.usize(1..=4)
        };
        for _ in 0..rounds {
            let casts = self.draw_round();
            removed |= casts.iter().any(|cast| matches!(cast.command, Command::Remove(_)));
            rotated |= casts.iter().any(|cast| matches!(cast.command, Command::Rotate));
            let outcomes = self.play(casts);
            let must_import = self.collect_rescues(&outcomes, &mut rescues);
            self.let_power_fail();
            if must_import || self.world.state().random.bool() {
                self.import(&mut rescues);
            }
        }
        self.import(&mut rescues);
        if rotated {
            self.finish_rotation();
        }
        let logins = self.ask_what_is_left(removed);
        let mut state = self.world.state();
        Report {
            violations: std::mem::take(&mut state.ledger.violations),
            trace: std::mem::take(&mut state.trace),
            logins,
        }
    }

    /// Adds the blocks that were printed. Whether a person has to take them in at once, because the program
    /// could not leave word of one.
    fn collect_rescues(&self, outcomes: &[Outcome], rescues: &mut Vec<String>) -> bool {
        let state = self.world.state();
        let mut must_import = false;
        for (process, outcome) in outcomes.iter().enumerate() {
            if let End::Rescue(block) = outcome.end() {
                rescues.push(block.to_owned());
                must_import |= !state.ledger.could_record(process);
            }
        }
        must_import
    }

    fn import(&self, rescues: &mut Vec<String>) {
        for block in rescues.drain(..) {
            let _ = self.calmly(Command::ImportRescue(block));
        }
    }

    /// Now and then, before the next round, when all processes of this one have ended.
    fn let_power_fail(&self) {
        let mut state = self.world.state();
        if state.random.u8(..4) == 0 {
            state.note(0, "the power fails between two rounds");
            state.lose_power();
        }
    }

    /// Draws who does what in the next round, how the network is, and how much time has passed.
    fn draw_round(&self) -> Vec<Cast> {
        let mut state = self.world.state();
        let state = &mut *state;
        let random = &mut state.random;
        state.time += match random.u8(..4) {
            0 => Duration::from_secs(random.u64(..300)),
            _ => LIFE + Duration::from_secs(random.u64(..300)),
        };
        if random.u8(..8) == 0 {
            state.clock_was_set = true;
            state.wall_offset += random.choice(&WALL_JUMPS).unwrap();
            state.trace.push(format!("the clock on the wall is off by {} s", state.wall_offset));
        }
        state.restlessness = *random.choice(&[0.02, 0.1, 0.3, 0.7]).unwrap();
        let round = *random.choice(&ROUNDS).unwrap();
        state.ledger.is_calm = matches!(round, Round::Calm);
        state.trouble =
            if state.ledger.is_calm { 0.0 } else { *random.choice(&[0.0, 0.0, 0.3, 0.7]).unwrap() };
        let number = random.usize(1..=MOST - 2);
        let struck = random.usize(..=2.min(number));
        (0..number).map(|cast| round.draw(random, cast, struck)).collect()
    }

    /// Has all of a round's processes run at the same time.
    fn play(&self, casts: Vec<Cast>) -> Vec<Outcome> {
        let purposes: Vec<Purpose> = casts.iter().map(|cast| cast.command.purpose()).collect();
        let (commands, fates): (Vec<Command>, Vec<Fate>) =
            casts.into_iter().map(|cast| (cast.command, cast.fate)).unzip();
        {
            let mut state = self.world.state();
            state.ledger.begin(&purposes);
            state.ledger.struck = fates.iter().map(|fate| !matches!(fate, Fate::Lives)).collect();
            for (process, (command, fate)) in commands.iter().zip(&fates).enumerate() {
                state.note(process, &format!("{command:.60?}, {fate:?}"));
            }
        }
        self.world.begin(fates);
        if let [command] = &commands[..] {
            return vec![self.run(0, command)];
        }
        std::thread::scope(|scope| {
            let run = |(process, command)| scope.spawn(move || self.run(process, command));
            let running: Vec<_> = commands.iter().enumerate().map(run).collect();
            running.into_iter().map(|process| process.join().unwrap()).collect()
        })
    }

    /// Runs one command alone, while nothing goes wrong.
    fn calmly(&self, command: Command) -> Outcome {
        let trouble = std::mem::take(&mut self.world.state().trouble);
        let outcome = self.play(vec![Cast { command, fate: Fate::Lives }]).pop().unwrap();
        self.world.state().trouble = trouble;
        outcome
    }

    fn run(&self, process: usize, command: &Command) -> Outcome {
        let machine = Machine { world: Arc::clone(&self.world), process };
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.world.join(process);
            command.run(&machine)
        }));
        let outcome = match result {
            Ok(Ok(Some(answer))) => Outcome::Answer(answer),
            Ok(Ok(None)) => Outcome::Done,
            Ok(Err(error)) => Outcome::Failed(Box::new(error)),
            Err(payload) if payload.is::<Killed>() => Outcome::Killed,
            Err(_) => Outcome::Panicked,
        };
        self.judge(process, command, &outcome);
        self.world.leave(process);
        outcome
    }

    /// What holds for every process, whatever has happened to it.
    fn judge(&self, process: usize, command: &Command, outcome: &Outcome) {
        let mut state = self.world.state();
        let state = &mut *state;
        let said = match outcome {
            Outcome::Failed(error) => format!("ends: {error}"),
            outcome => format!("ends: {outcome:?}"),
        };
        state.note(process, &said);
        match outcome {
            Outcome::Failed(error) if is_distrust(error) && !is_overtaken(command, error) => {
                state.ledger.violated(format!("process {process} trusts nobody: {error}: {error:?}"));
            }
            Outcome::Failed(error) if is_odd(command, error, state, process) => {
                state
                    .ledger
                    .violated(format!("process {process}, {command:?}, has no reason: {error}: {error:?}"));
            }
            Outcome::Panicked => state.ledger.violated(format!("process {process} has panicked")),
            Outcome::Answer(token) if command.purpose() != Purpose::Other => {
                // A clock that was set back can make a cached token look fresh.
                let is_fine = state.clock_was_set
                    || state.server.is_live(token, state.time)
                    || state.server.is_revoked(token);
                if !is_fine {
                    state
                        .ledger
                        .violated(format!("process {process} has answered {token}, which is not live"));
                }
            }
            _ => {}
        }
        if matches!((command, outcome), (Command::Rotate, Outcome::Done))
            && !state.ledger.has_met_failure(process)
        {
            state.check_rotated();
        }
        if state.ledger.reader.is_some() && !matches!(outcome, Outcome::Killed) {
            state.ledger.ended(process, outcome.end(), &state.server, &state.disk);
        }
    }
}

fn draw_habits(random: &mut Rng) -> Habits {
    Habits {
        grace: Duration::from_secs(*random.choice(&[0, 0, 60]).unwrap()),
        keeps_token: random.u8(..10) == 0,
        skew: *random.choice(&[0, 0, -400, 400]).unwrap(),
    }
}

impl Story {
    /// A plain run finishes what others have begun.
    fn finish_rotation(&self) {
        let mut outcome = self.calmly(Command::Rotate);
        if let Outcome::Failed(error) = &outcome
            && let Some(files) = kept_aside(error)
        {
            self.move_away(files);
            outcome = self.calmly(Command::Rotate);
        }
        if !matches!(outcome, Outcome::Done) {
            self.violated(format!("the rotation is not to be finished: {outcome:?}"));
        }
    }

    /// A person has looked at them.
    fn move_away(&self, files: &[String]) {
        let mut state = self.world.state();
        for file in files {
            state.disk.remove(file.as_ref()).unwrap();
        }
        state.disk.settle();
    }

    /// When all is quiet: whether each profile gives a token, or asks for a login for a good reason.
    fn ask_what_is_left(&self, was_removed: bool) -> Vec<&'static str> {
        {
            let mut state = self.world.state();
            state.trouble = 0.0;
            state.ledger.is_calm = false;
            state.time += LIFE * 2;
        }
        let mut logins = Vec::new();
        for account in ["work", "home"] {
            let Some(profile) = self.ask_for_a_token(account, &mut logins) else {
                if account == "work" || !was_removed {
                    self.violated(format!("the profile {account} is gone"));
                }
                continue;
            };
            let secrets = self.calmly(Command::Reveal(profile));
            if !matches!(&secrets, Outcome::Answer(found) if *found == format!("{API_KEY} {CLIENT_SECRET}")) {
                self.violated(format!("{profile} has lost its secrets: {secrets:?}"));
            }
            self.look_for_leftovers(profile);
        }
        logins
    }

    /// Has the profile of `account` refreshed under the name that it has now, and returns that.
    fn ask_for_a_token(&self, account: &str, logins: &mut Vec<&'static str>) -> Option<&'static str> {
        let names: &[&'static str] = if account == "home" { &["home"] } else { &["work", "job"] };
        let mut found = names.iter().copied().filter(|profile| self.ask_as(profile, logins));
        let profile = found.next()?;
        if let Some(other) = found.next() {
            self.violated(format!("{profile} is there as {other} too"));
        }
        Some(profile)
    }

    /// Whether there is such a profile; it must give a token, or ask for a login for a good reason.
    fn ask_as(&self, profile: &'static str, logins: &mut Vec<&'static str>) -> bool {
        let stored = self.stored_token(profile);
        match self.calmly(Command::Refresh(profile)) {
            Outcome::Answer(_) => {}
            Outcome::Failed(error) => match *error {
                Error::NoProfile { .. } => return false,
                Error::GrantRefused { .. } | Error::LoginNeeded { .. } => {
                    logins.extend(self.reason_for_login(profile, stored.as_deref()));
                    self.log_in(profile);
                }
                error => self.violated(format!("{profile} gives no token: {error:?}")),
            },
            other => self.violated(format!("{profile} gives no token: {other:?}")),
        }
        self.check_family(profile);
        true
    }

    /// Why nobody could have kept the token after the one that was stored.
    fn reason_for_login(&self, profile: &str, stored: Option<&str>) -> Option<&'static str> {
        let mut state = self.world.state();
        // What was recovered is stored now.
        let family = stored.and_then(|token| state.server.family(token));
        let live = family.map(|family| state.server.families[family].live().to_owned());
        let reason = live.as_ref().and_then(|token| state.ledger.losses.get(token)).copied();
        if reason.is_none() {
            state.ledger.violated(format!("{profile} needs a login, and {live:?} was not lost"));
        }
        reason
    }

    fn log_in(&self, profile: &'static str) {
        for command in [Command::Login(profile), Command::Refresh(profile)] {
            let outcome = self.calmly(command.clone());
            if !matches!(outcome, Outcome::Done | Outcome::Answer(_)) {
                self.violated(format!("{command:?} does not help: {outcome:?}"));
            }
        }
    }

    fn violated(&self, what: String) {
        self.world.state().ledger.violated(what);
    }

    /// What is stored comes from a consent for this account, and no later login is forgotten.
    fn check_family(&self, profile: &str) {
        let stored = self.stored_token(profile);
        let mut state = self.world.state();
        let account = account_of(profile);
        let family = stored.as_ref().and_then(|token| state.server.family(token));
        let is_of_account = |family: &usize| state.server.families[*family].account == account;
        let newest = state.ledger.logins.iter().copied().filter(is_of_account).max();
        if !family.is_some_and(|family| is_of_account(&family)) {
            state.ledger.violated(format!("{stored:?} is stored for {profile}"));
        } else if family < newest {
            state.ledger.violated(format!("the login {newest:?} of {profile} is forgotten for {family:?}"));
        }
    }

    fn stored_token(&self, profile: &str) -> Option<String> {
        let state = self.world.state();
        let path = format!("{HOME}/vault/profiles/{profile}.json");
        let found = state.disk.seen().find(|(found, _)| *found == Path::new(&path))?.1;
        state.ledger.reader.as_ref()?.refresh_token(found)
    }

    /// Whoever has finished has cleaned up.
    fn look_for_leftovers(&self, profile: &str) {
        let mut state = self.world.state();
        let names = [format!("{profile}.json.next"), format!("profile-{profile}.json")];
        let is_leftover = |path: &Path| names.iter().any(|name| path.ends_with(name));
        let left: Vec<&Path> =
            state.disk.seen().map(|(path, _)| path).filter(|path| is_leftover(path)).collect();
        if !left.is_empty() {
            let left = format!("left behind: {left:?}");
            state.ledger.violated(left);
        }
    }
}
