//! What a round of a story is about: who takes part, and what they meet.

use fastrand::Rng;

use crate::commands::Command;
use crate::fate::Fate;

/// A process of a round.
pub(crate) struct Cast {
    pub(crate) command: Command,
    pub(crate) fate: Fate,
}

/// What a round is about.
#[derive(Clone, Copy)]
pub(crate) enum Round {
    /// Many want a token, and nothing goes wrong.
    Calm,
    /// Anything.
    Mixed,
    /// One command that changes names, struck at one of its changes; others come to its traces.
    Names,
    /// Many want a token, and somebody deletes the lock files.
    Locks,
    /// The vault key is rotated, struck at one of its changes, while others do anything.
    Rotation,
}

/// How often each comes.
pub(crate) const ROUNDS: [Round; 10] = [
    Round::Calm,
    Round::Mixed,
    Round::Mixed,
    Round::Mixed,
    Round::Mixed,
    Round::Names,
    Round::Names,
    Round::Locks,
    Round::Rotation,
    Round::Rotation,
];

/// How far the clock on the wall is set, in seconds: a battery, a time zone, a person.
pub(crate) const WALL_JUMPS: [i64; 5] = [-7200, -600, 600, 7200, 30 * 86_400];

impl Round {
    /// The `number`th of those who take part, of whom the first `struck` meet something.
    pub(crate) fn draw(self, random: &mut Rng, number: usize, struck: usize) -> Cast {
        let is_first = number == 0;
        match self {
            Self::Names if is_first => {
                Cast { command: draw_change_of_names(random), fate: Fate::draw_for_names(random) }
            }
            Self::Rotation if is_first => {
                // Now and then nothing happens to it.
                let is_struck = random.u8(..5) > 0;
                let fate = if is_struck { Fate::draw_for_rotation(random) } else { Fate::Lives };
                Cast { command: Command::Rotate, fate }
            }
            Self::Rotation => Cast { command: draw_beside_rotation(random), fate: Fate::Lives },
            Self::Names => Cast { command: draw_command(random), fate: Fate::Lives },
            Self::Locks if is_first => {
                Cast { command: draw_token(random), fate: Fate::draw_for_locks(random) }
            }
            Self::Calm | Self::Locks => Cast { command: draw_token(random), fate: Fate::Lives },
            Self::Mixed => {
                let command = draw_command(random);
                Cast { command, fate: if number < struck { Fate::draw(random) } else { Fate::Lives } }
            }
        }
    }
}

fn draw_token(random: &mut Rng) -> Command {
    if random.u8(..3) == 0 { Command::Refresh("work") } else { Command::Token("work") }
}

fn draw_command(random: &mut Rng) -> Command {
    let profile = *random.choice(&["work", "work", "work", "home", "job"]).unwrap();
    match random.u8(..42) {
        0..=11 => Command::Token(profile),
        12..=29 => Command::Refresh(profile),
        30..=31 => Command::Login(profile),
        32..=33 => Command::Edit(profile),
        34..=35 => Command::Rename("work", "job"),
        36 => Command::Rename("job", "work"),
        37 => Command::Remove("home"),
        38..=39 => Command::Rotate,
        _ => Command::Reveal(profile),
    }
}

fn draw_beside_rotation(random: &mut Rng) -> Command {
    match random.u8(..6) {
        0 => Command::Rotate,
        1 => draw_change_of_names(random),
        _ => draw_command(random),
    }
}

fn draw_change_of_names(random: &mut Rng) -> Command {
    match random.u8(..4) {
        0 | 1 => Command::Rename("work", "job"),
        2 => Command::Rename("job", "work"),
        _ => Command::Remove("home"),
    }
}
