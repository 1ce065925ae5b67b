//! Who holds which refresh token, and whether it may be lost: computed from what has happened on the
//! disk and at the server, never from what the product says of itself.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use vault::domain::{Binding, SealedField, VaultId};
use vault::seal::{Document, Format};

use crate::disk::Disk;
use crate::fate::{Act, Verdict};
use crate::keys;
use crate::server::{Deed, Server};

/// Requests to the system, counted from the arrival of a new refresh token, before which a kill may
/// lose it: the write is the first one.
const KILL_WINDOW: u32 = 1;

/// The same for a power loss: write, cut off, sync.
const POWER_WINDOW: u32 = 3;

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A token; a cached one is fine.
    Token,
    /// A new token.
    Refresh,
    /// Anything else.
    Other,
}

/// Opens what is on the disk, as anybody with the keychain could.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) vault: VaultId,
    pub(crate) keys: Vec<SecretString>,
    pub(crate) binding: Binding,
}

impl Reader {
    /// The refresh token of a whole profile document.
    pub(crate) fn refresh_token(&self, bytes: &[u8]) -> Option<String> {
        let document = Document::parse(bytes).ok().filter(|found| found.format() == Format::Profile)?;
        let keys = keys::ring(self.keys.iter())?;
        let document = document.verify(&self.vault, &keys).ok()?;
        let (token, _) = document.open(&keys, SealedField::RefreshToken, &self.binding).ok()?;
        Some(token.expose_secret().to_owned())
    }

    fn has<'a>(&self, mut files: impl Iterator<Item = (&'a Path, &'a [u8])>, token: &str) -> bool {
        files.any(|(_, bytes)| self.refresh_token(bytes).is_some_and(|found| found == token))
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) reader: Option<Reader>,
    /// What must not have happened.
    pub(crate) violations: Vec<String>,
    /// Refresh tokens that nobody could have kept, and why.
    pub(crate) losses: BTreeMap<String, &'static str>,
    /// Refresh tokens whose process was killed between its write and its sync: still there, as long as the
    /// power is.
    fragile: Vec<String>,
    /// Nothing odd happens in this round, so that one request must be enough.
    pub(crate) is_calm: bool,
    /// To which processes of this round anything is to happen.
    pub(crate) struck: Vec<bool>,
    /// Whether the keychain has ever refused anything: then a key may be left in it.
    pub(crate) has_keychain_failed: bool,
    accounts: Vec<Account>,
    /// Families of logins that have succeeded.
    pub(crate) logins: Vec<usize>,
    /// When an answer arrived in this round, and of which family.
    answers: Vec<(Duration, usize)>,
}

/// What is known about one process.
struct Account {
    purpose: Purpose,
    /// When it asked for a lock for the first time.
    queued_at: Option<Duration>,
    /// A refresh token that is on its way to it.
    in_flight: Option<String>,
    /// A refresh token that has arrived and may be in its memory only.
    held: Option<String>,
    acts_since_answer: Option<u32>,
    has_failed: bool,
    /// Whether more has failed than that no block was left.
    has_failed_oddly: bool,
    /// Whether the last failure was that no rescue could be recorded.
    has_failed_to_record: bool,
}

impl Ledger {
    /// A round begins.
    pub(crate) fn begin(&mut self, purposes: &[Purpose]) {
        self.answers.clear();
        self.accounts = purposes
            .iter()
            .map(|purpose| Account {
                purpose: *purpose,
                queued_at: None,
                in_flight: None,
                held: None,
                acts_since_answer: None,
                has_failed: false,
                has_failed_oddly: false,
                has_failed_to_record: false,
            })
            .collect();
    }

    pub(crate) fn violated(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("the vault is made before anything odd happens")
    }

    pub(crate) fn acts_since_answer(&self, process: usize) -> Option<u32> {
        self.accounts[process].acts_since_answer
    }

    pub(crate) fn count_act(&mut self, process: usize, act: &Act<'_>, time: Duration) {
        let account = &mut self.accounts[process];
        if matches!(act, Act::OpenLock(_)) {
            account.queued_at.get_or_insert(time);
        }
        if let Some(acts) = &mut account.acts_since_answer {
            *acts += 1;
        }
    }

    pub(crate) fn has_failed(&mut self, process: usize, act: &Act<'_>, how: Verdict) {
        self.has_keychain_failed |= matches!(act, Act::Keychain(_));
        let account = &mut self.accounts[process];
        account.has_failed_to_record = act.path().is_some_and(is_in_memory);
        account.has_failed = true;
        account.has_failed_oddly |= how != Verdict::Fail(ErrorKind::StorageFull);
    }

    /// Whether anything is to happen to another process than this one.
    pub(crate) fn is_another_struck(&self, process: usize) -> bool {
        self.struck.iter().enumerate().any(|(number, struck)| *struck && number != process)
    }

    /// Whether anything has failed that `process` has asked for.
    pub(crate) fn has_met_failure(&self, process: usize) -> bool {
        self.accounts[process].has_failed
    }

    /// Whether `process` could leave word of a rescue, so that others know of it.
    pub(crate) fn could_record(&self, process: usize) -> bool {
        !self.accounts[process].has_failed_to_record
    }

    /// The server has acted upon a request of `process`.
    pub(crate) fn server_acted(
        &mut self,
        process: usize,
        deed: &Deed,
        arrives: bool,
        server: &Server,
        disk: &Disk,
    ) {
        match deed {
            Deed::Rotated(family) => {
                self.check_need(process, *family);
                let token = server.families[*family].live().to_owned();
                if arrives {
                    self.accounts[process].in_flight = Some(token);
                } else {
                    self.losses.insert(token, "the network has lost the answer");
                }
            }
            Deed::Answered(family) => self.check_need(process, *family),
            Deed::Revoked(family) => self.check_reuse(server.families[*family].live(), disk),
            Deed::Refused => {}
        }
    }

    /// One request for each expiry: who has queued before an answer arrived must not ask again.
    fn check_need(&mut self, process: usize, family: usize) {
        let account = &self.accounts[process];
        let since = match account.purpose {
            Purpose::Token => Duration::ZERO,
            Purpose::Refresh => account.queued_at.unwrap_or_default(),
            Purpose::Other => return,
        };
        let is_needless = self.answers.iter().any(|(at, of)| *of == family && *at >= since);
        if self.is_calm && is_needless {
            self.violated(format!("process {process} has asked although an answer was there"));
        }
    }

    /// A spent token may be sent only if nobody could know its successor.
    fn check_reuse(&mut self, successor: &str, disk: &Disk) {
        let holds = |account: &Account| account.held.as_deref() == Some(successor);
        if self.accounts.iter().any(holds) {
            self.violated(format!("a spent token was sent while a process held {successor}"));
        } else if self.reader().has(disk.seen(), successor) {
            self.violated(format!("a spent token was sent while {successor} was on the disk"));
        } else if !self.losses.contains_key(successor) {
            self.violated(format!("a spent token was sent, and {successor} should not be lost"));
        }
    }

    /// A whole answer has arrived.
    pub(crate) fn received(
        &mut self,
        process: usize,
        family: usize,
        refresh_token: Option<String>,
        time: Duration,
    ) {
        self.answers.push((time, family));
        let account = &mut self.accounts[process];
        account.in_flight = None;
        if refresh_token.is_some() {
            account.held = refresh_token;
            account.acts_since_answer = Some(0);
        }
    }

    /// The process was killed; what it had written is still there.
    pub(crate) fn killed(&mut self, process: usize, disk: &Disk) {
        let account = &self.accounts[process];
        let is_in_window =
            account.has_failed || account.acts_since_answer.is_some_and(|acts| acts <= POWER_WINDOW);
        self.fragile.extend(account.held.clone().filter(|_| is_in_window));
        self.mourn(process, disk, KILL_WINDOW, "its process was killed before it was written");
    }

    /// The power is about to fail: whatever was written through meanwhile is safe.
    pub(crate) fn power_fails(&mut self, disk: &Disk) {
        let mut fragile = std::mem::take(&mut self.fragile);
        fragile.retain(|token| !self.reader().has(disk.durable(), token));
        self.fragile = fragile;
    }

    /// The power is back, and the disk has what was left.
    pub(crate) fn power_is_back(&mut self, disk: &Disk) {
        for token in std::mem::take(&mut self.fragile) {
            if !self.reader().has(disk.seen(), &token) {
                self.losses.insert(token, "a kill before it was on the disk, and then the power has failed");
            }
        }
    }

    /// The machine has lost its power, and this process with it.
    pub(crate) fn lost_power(&mut self, process: usize, disk: &Disk) {
        self.mourn(process, disk, POWER_WINDOW, "the power has failed before it was on the disk");
    }

    fn mourn(&mut self, process: usize, disk: &Disk, window: u32, why: &'static str) {
        let account = &mut self.accounts[process];
        let (acts, has_failed) = (account.acts_since_answer.unwrap_or_default(), account.has_failed);
        let (in_flight, held) = (account.in_flight.take(), account.held.take());
        if let Some(token) = in_flight {
            self.losses.insert(token, "its process has ended before the answer arrived");
        }
        let Some(token) = held.filter(|token| !self.reader().has(disk.seen(), token)) else { return };
        if acts > window && !has_failed {
            self.violated(format!("{token} was lost {acts} requests after its arrival: {why}"));
        }
        self.losses.insert(token, why);
    }

    /// The process has ended by itself: what it held must be where no power loss can take it, or with a
    /// person.
    pub(crate) fn ended(&mut self, process: usize, end: End<'_>, server: &Server, disk: &Disk) {
        let account = &mut self.accounts[process];
        account.in_flight = None;
        let Some(token) = account.held.take() else { return };
        let (purpose, has_failed_oddly) = (account.purpose, account.has_failed_oddly);
        let is_recorded = !account.has_failed_to_record;
        let rescued = match end {
            End::Rescue(block) => self.reader().refresh_token(block.as_bytes()),
            _ => None,
        };
        if rescued.as_ref() == Some(&token) {
            if !has_failed_oddly {
                self.violated(format!("process {process} had no room for {token}"));
            }
            if !is_recorded {
                // Whoever comes before the person has taken it in cannot know of it.
                self.losses.insert(token, "it was printed, and no word of it could be left");
            }
            return;
        }
        if end == End::Success && purpose == Purpose::Other {
            self.logins.extend(server.family(&token));
        }
        if end == End::Failure && purpose == Purpose::Other {
            // The grant before it is as good as it was.
            self.losses.insert(token, "the login has failed");
        } else if !self.reader().has(disk.durable(), &token) {
            self.violated(format!("process {process} has ended, and {token} is not safe"));
        }
    }
}

/// Whether a request is about what the machine remembers, and not about the second place.
fn is_in_memory(path: &Path) -> bool {
    path.starts_with("/home/state") && path.parent().is_some_and(|folder| !folder.ends_with("next"))
}

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End<'a> {
    Success,
    Failure,
    /// It has handed over this block.
    Rescue(&'a str),
}
