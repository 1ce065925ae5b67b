//! What is to happen to a process, and when.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use fastrand::Rng;

/// One request to the system.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act<'a> {
    Look(&'a Path),
    Open(&'a Path),
    OpenLock(&'a Path),
    Create(&'a Path),
    Read(&'a Path),
    /// With whether the file grows by it.
    Write(&'a Path, bool),
    SetLength(&'a Path),
    Sync(&'a Path),
    SyncDirectory(&'a Path),
    Rename(&'a Path),
    Remove(&'a Path),
    MakeDirectories(&'a Path),
    List(&'a Path),
    Lock(&'a Path),
    /// A change in the keychain.
    Keychain(&'static str),
    Send,
    Receive,
}

impl Act<'_> {
    /// Whether it may leave the disk other than it was.
    fn changes(&self) -> bool {
        match self {
            Self::Create(_)
            | Self::Write(..)
            | Self::SetLength(_)
            | Self::Sync(_)
            | Self::SyncDirectory(_)
            | Self::Rename(_)
            | Self::Remove(_)
            | Self::MakeDirectories(_)
            | Self::Keychain(_) => true,
            Self::Look(_) | Self::Open(_) | Self::OpenLock(_) | Self::Read(_) | Self::List(_) => false,
            Self::Lock(_) | Self::Send | Self::Receive => false,
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Look(path)
            | Self::Open(path)
            | Self::OpenLock(path)
            | Self::Create(path)
            | Self::Read(path)
            | Self::Write(path, _)
            | Self::SetLength(path)
            | Self::Sync(path)
            | Self::SyncDirectory(path)
            | Self::Rename(path)
            | Self::Remove(path)
            | Self::MakeDirectories(path)
            | Self::List(path)
            | Self::Lock(path) => Some(path),
            Self::Keychain(_) | Self::Send | Self::Receive => None,
        }
    }
}

impl fmt::Display for Act<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{self:?}");
        let name = text.split(['(', ' ']).next().unwrap_or_default();
        match (self, self.path()) {
            (Self::Keychain(change), _) => write!(f, "{name} {change}"),
            (_, Some(path)) => write!(f, "{name} {}", without_ids(&path.to_string_lossy())),
            (_, None) => f.write_str(name),
        }
    }
}

/// Identifiers are drawn anew in each run, and say nothing.
fn without_ids(path: &str) -> String {
    let is_id = |part: &str| part.len() >= 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = path.split_inclusive(['/', '.', '-']).map(|part| {
        let bare = part.trim_end_matches(['/', '.', '-']);
        if is_id(bare) { part.replace(bare, "*") } else { part.to_owned() }
    });
    parts.collect()
}

/// How many changes a rotation makes, at most.
const ROTATION: u32 = 120;

/// What is to happen to a process.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Lives,
    /// At one moment.
    Meets(Moment, Blow),
    /// The disk fails from the `after`th request of its kind on, so many times; or only counts from the
    /// server's answer on.
    Disk {
        kind: Failure,
        since_answer: bool,
        after: u32,
        times: u32,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Moment {
    /// At so many requests after its beginning.
    Request(u32),
    /// At so many requests that change the disk.
    Change(u32),
    /// At so many requests after an answer of the server that brought a refresh token.
    AfterAnswer(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    Kill,
    LosePower,
    Stall(Duration),
    /// Somebody deletes the lock files of the vault, whoever holds them.
    DeleteLocks,
}

/// How a disk fails, and where: everywhere, below a directory of this name, or at files that end in it.
/// So `next` is both places of a successor, and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) place: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No block is left.
    Full,
    /// Nothing can be written through.
    Sync,
    /// It can only be read.
    ReadOnly,
    /// Nothing can be read.
    Unreadable,
    /// It says that it has written, and has not.
    Lying,
    /// The keychain, and not the disk: it does not do what it is told.
    Keychain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail(ErrorKind),
    /// It succeeds, and is not done.
    Lie,
    Kill,
    LosePower,
    Stall(Duration),
    DeleteLocks,
}

impl Verdict {
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Pass => String::new(),
            Self::Lie => " IS NOT DONE".to_owned(),
            Self::Fail(error) => format!(" FAILS: {}", Error::from(error)),
            Self::Kill => " KILLED".to_owned(),
            Self::LosePower => " THE POWER FAILS".to_owned(),
            Self::Stall(time) => format!(" STALLS for {time:?}"),
            Self::DeleteLocks => " FINDS NO LOCK FILES".to_owned(),
        }
    }
}

impl Failure {
    fn meets(self, act: &Act<'_>) -> Option<Verdict> {
        if let (Kind::Keychain, Act::Keychain(_)) = (self.kind, act) {
            return Some(Verdict::Fail(ErrorKind::TimedOut));
        }
        let path = act.path()?;
        if !self.place.is_none_or(|place| is_at(path, place)) {
            return None;
        }
        match (self.kind, act) {
            (Kind::Full, Act::Create(_) | Act::MakeDirectories(_) | Act::Write(_, true)) => {
                Some(Verdict::Fail(ErrorKind::StorageFull))
            }
            (Kind::Sync, Act::Sync(_) | Act::SyncDirectory(_)) => Some(Verdict::Fail(ErrorKind::Other)),
            (
                Kind::ReadOnly,
                Act::Create(_) | Act::MakeDirectories(_) | Act::Write(..) | Act::Rename(_) | Act::Remove(_),
            ) => Some(Verdict::Fail(ErrorKind::ReadOnlyFilesystem)),
            (Kind::Unreadable, Act::Open(_) | Act::Read(_) | Act::List(_)) => {
                Some(Verdict::Fail(ErrorKind::Other))
            }
            // Only the second write of a file is read back by whoever has written it.
            (Kind::Lying, Act::Write(_, false)) => Some(Verdict::Lie),
            _ => None,
        }
    }
}

impl Fate {
    /// What happens at `act`, which is the `answered`th since the server's answer.
    pub(crate) fn judge(&mut self, act: &Act<'_>, answered: Option<u32>) -> Verdict {
        match self {
            Self::Lives => Verdict::Pass,
            Self::Meets(moment, blow) => {
                let comes = match moment {
                    Moment::Request(left) => count_down(left),
                    Moment::Change(left) => act.changes() && count_down(left),
                    Moment::AfterAnswer(number) => answered.is_some_and(|acts| acts >= *number),
                };
                let verdict = blow.verdict();
                if comes {
                    *self = Self::Lives;
                    return verdict;
                }
                Verdict::Pass
            }
            Self::Disk { since_answer: true, .. } if answered.is_none() => Verdict::Pass,
            Self::Disk { kind, after, times, .. } => match kind.meets(act) {
                Some(verdict) if count_down(after) && *times > 0 => {
                    *times -= 1;
                    verdict
                }
                _ => Verdict::Pass,
            },
        }
    }

    /// A fate that fits a refresh: about a hundred requests, of which a few follow the answer.
    pub(crate) fn draw(random: &mut Rng) -> Self {
        match random.u8(..12) {
            0..=2 => Self::Meets(Moment::draw(random), Blow::Kill),
            3..=5 => Self::Meets(Moment::draw(random), Blow::LosePower),
            6 => Self::Meets(Moment::draw(random), Blow::Stall(Duration::from_secs(random.u64(1..60)))),
            7..=9 => Failure::draw(random),
            _ => Failure::draw_at_both_places(random),
        }
    }

    /// A fate that fits a command which changes names: a rename asks for some 25 changes.
    pub(crate) fn draw_for_names(random: &mut Rng) -> Self {
        let moment = Moment::Change(random.u32(..28));
        Self::Meets(moment, if random.bool() { Blow::Kill } else { Blow::LosePower })
    }

    /// A fate that fits a rotation: some hundred changes.
    pub(crate) fn draw_for_rotation(random: &mut Rng) -> Self {
        let at_change = Moment::Change(random.u32(..ROTATION));
        match random.u8(..8) {
            0..=2 => Self::Meets(at_change, Blow::Kill),
            3..=4 => Self::Meets(at_change, Blow::LosePower),
            5 => Self::Meets(at_change, Blow::Stall(Duration::from_secs(random.u64(1..60)))),
            6 => {
                let kind =
                    *random.choice(&[Kind::Full, Kind::Sync, Kind::ReadOnly, Kind::Unreadable]).unwrap();
                let place = *random.choice(&[None, Some("vault"), Some("profiles"), Some("state")]).unwrap();
                let times =
                    if kind == Kind::Full { u32::MAX } else { *random.choice(&[1, 2, u32::MAX]).unwrap() };
                let after = random.u32(..ROTATION / 2);
                Self::Disk { kind: Failure { kind, place }, since_answer: false, after, times }
            }
            _ => {
                let kind = Failure { kind: Kind::Keychain, place: None };
                Self::Disk { kind, since_answer: false, after: random.u32(..2), times: 1 }
            }
        }
    }

    /// The lock files go while a refresh is under way.
    pub(crate) fn draw_for_locks(random: &mut Rng) -> Self {
        Self::Meets(Moment::draw(random), Blow::DeleteLocks)
    }
}

impl Moment {
    fn draw(random: &mut Rng) -> Self {
        match random.u8(..4) {
            0 => Self::Request(random.u32(..120)),
            1 => Self::AfterAnswer(random.u32(..30)),
            // The moments that matter most.
            _ => Self::AfterAnswer(random.u32(..7)),
        }
    }
}

impl Failure {
    /// Nobody can save the successor, and the machine can still remember that it was printed.
    fn draw_at_both_places(random: &mut Rng) -> Fate {
        let kind = *random.choice(&[Kind::Sync, Kind::ReadOnly]).unwrap();
        let failure = Self { kind, place: Some("next") };
        Fate::Disk { kind: failure, since_answer: true, after: 0, times: u32::MAX }
    }

    fn draw(random: &mut Rng) -> Fate {
        let since_answer = random.bool();
        let anywhere = [None, Some("vault"), Some("profiles"), Some("state"), Some("next")];
        let places = if since_answer { &[None, Some("profiles"), Some("next")][..] } else { &anywhere };
        let kinds = [Kind::Full, Kind::Sync, Kind::ReadOnly, Kind::Unreadable, Kind::Lying];
        match *random.choice(&kinds).unwrap() {
            // Blocks do not come back by themselves, and a refresh asks for some six times.
            kind @ Kind::Full => {
                let place = if random.bool() { None } else { *random.choice(places).unwrap() };
                let after = if since_answer { 0 } else { random.u32(..6) };
                Fate::Disk { kind: Self { kind, place }, since_answer, after, times: u32::MAX }
            }
            // A refresh writes once over what is there.
            kind @ Kind::Lying => {
                let place = if random.bool() { None } else { Some("profiles") };
                Fate::Disk { kind: Self { kind, place }, since_answer, after: 0, times: random.u32(1..3) }
            }
            kind => Fate::Disk {
                kind: Self { kind, place: *random.choice(places).unwrap() },
                since_answer,
                after: if since_answer { 0 } else { random.u32(..10) },
                times: *random.choice(&[1, 1, 1, 2, 3, u32::MAX]).unwrap(),
            },
        }
    }
}

impl Blow {
    fn verdict(self) -> Verdict {
        match self {
            Self::Kill => Verdict::Kill,
            Self::LosePower => Verdict::LosePower,
            Self::Stall(time) => Verdict::Stall(time),
            Self::DeleteLocks => Verdict::DeleteLocks,
        }
    }
}

fn is_at(path: &Path, place: &str) -> bool {
    path.extension().is_some_and(|end| end == place)
        || path.components().any(|part| part.as_os_str() == place)
}

/// Whether the counter has come to its end; it stays there.
fn count_down(left: &mut u32) -> bool {
    let is_over = *left == 0;
    *left = left.saturating_sub(1);
    is_over
}
