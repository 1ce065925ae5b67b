//! The exit codes: a contract with scripts, described in `docs/exit-codes.md`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Done = 0,
    /// A bug in vault.
    Bug = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No such profile, client, slot or field.
    NotFound = 3,
    /// No way to get the vault key.
    Locked = 4,
    /// Only a login helps.
    LoginNeeded = 5,
    /// A document or a directory cannot be trusted.
    Integrity = 6,
    /// Refused by the provider, or by a protocol or policy check.
    Refused = 7,
    /// Try again later; nothing has changed.
    Later = 8,
    /// The provider's answer makes no sense; nothing was stored.
    Nonsense = 9,
    /// Local storage failed before anything was sent.
    Storage = 10,
    /// New tokens were saved only as a rescue block.
    Rescue = 11,
    /// Cancelled by the user.
    Cancelled = 12,
    /// Stopped part-way; run it again to resume.
    Partial = 13,
    /// Written by a newer version of vault.
    Newer = 14,
    /// What was looked for was found: `vault scan`.
    Found = 15,
}

impl Code {
    /// Every code with its meaning, as the documentation lists them.
    pub const ALL: [(Self, &'static str); 16] = [
        (Self::Done, "done"),
        (Self::Bug, "bug"),
        (Self::Usage, "usage"),
        (Self::NotFound, "no such profile, client, slot or field"),
        (Self::Locked, "locked: no way to get the vault key"),
        (Self::LoginNeeded, "login needed"),
        (Self::Integrity, "integrity refused"),
        (Self::Refused, "refused by a protocol or policy check, or by the provider"),
        (Self::Later, "try again later, nothing changed"),
        (Self::Nonsense, "the provider's answer makes no sense, nothing stored"),
        (Self::Storage, "local storage failed before anything was sent"),
        (Self::Rescue, "saved only as a rescue"),
        (Self::Cancelled, "cancelled"),
        (Self::Partial, "stopped part-way, run again to resume"),
        (Self::Newer, "written by a newer version"),
        (Self::Found, "`vault scan` has found secrets"),
    ];

    /// The code in the few words of `vault --help`.
    pub(super) fn in_words(status: u8) -> &'static str {
        const WORDS: [&str; 16] = [
            "done",
            "bug",
            "usage",
            "not found",
            "locked",
            "login needed",
            "not trusted",
            "refused",
            "try later",
            "bad answer",
            "storage failed",
            "only a rescue",
            "cancelled",
            "part-way",
            "too new",
            "found",
        ];
        WORDS.get(usize::from(status)).copied().unwrap_or("failed")
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
