//! A small disk in the place of a folder: a tmpfs that only the test sees, and that ends with it.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::outside::leave_out;

/// What a tmpfs counts in, in bytes.
const PAGE: u64 = 4096;

/// More than any test writes.
const PLENTY: u64 = 4 << 20;

/// A mounted tmpfs.
pub struct Disk {
    at: PathBuf,
}

/// Does `work` in a thread whose mounts nobody else sees. They end with it, however it ends.
///
/// Without the right to mount, says so and does nothing: a failure in a strict run.
pub fn with_own_mounts(work: impl FnOnce() + Send) {
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| match take_own_mounts() {
            Ok(()) => work(),
            Err(error) => leave_out(&format!("cannot mount here: {error}")),
        });
        thread.join()
    });
    done.unwrap_or_else(|panic| resume_unwind(panic));
}

fn take_own_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Otherwise the mounts would be passed on to where we came from.
    mount(none(), "/", none(), MsFlags::MS_REC | MsFlags::MS_PRIVATE, none())
}

impl Disk {
    /// Moves what is in `folder` to a disk of its own that stands in its place.
    pub fn under(folder: &Path) -> Self {
        let aside = tempfile::tempdir().unwrap();
        mount(Some("tmpfs"), aside.path(), Some("tmpfs"), MsFlags::empty(), none()).unwrap();
        let copied = Command::new("cp").arg("-a").arg(folder.join(".")).arg(aside.path()).status();
        assert!(copied.unwrap().success());
        mount(Some(aside.path()), folder, none(), MsFlags::MS_MOVE, none()).unwrap();
        Self { at: folder.to_owned() }
    }

    /// Leaves so many pages of 4 KiB free.
    pub fn leave_pages(&self, pages: u64) {
        let now = rustix::fs::statvfs(&self.at).unwrap();
        let used = (now.f_blocks - now.f_bfree) * now.f_frsize;
        self.remount(MsFlags::empty(), &format!("size={}", used + pages * PAGE));
    }

    /// Leaves room for so many new files, whatever their size.
    pub fn leave_files(&self, files: u64) {
        let now = rustix::fs::statvfs(&self.at).unwrap();
        self.remount(MsFlags::empty(), &format!("nr_inodes={}", now.f_files - now.f_ffree + files));
    }

    /// Allows reading only.
    pub fn forbid_writing(&self) {
        self.remount(MsFlags::MS_RDONLY, "");
    }

    /// Gives room and the right to write again.
    pub fn mend(&self) {
        self.remount(MsFlags::empty(), &format!("size={PLENTY},nr_inodes=1000"));
    }

    fn remount(&self, flags: MsFlags, options: &str) {
        mount(none(), &self.at, none(), MsFlags::MS_REMOUNT | flags, Some(options)).unwrap();
    }
}

/// The least room, at most `most`, with which something succeeds.
pub fn least_enough(most: u64, is_enough: impl Fn(u64) -> bool) -> u64 {
    let (mut too_little, mut enough) = (0, most);
    while too_little < enough {
        let middle = (too_little + enough) / 2;
        if is_enough(middle) { enough = middle } else { too_little = middle + 1 }
    }
    enough
}

fn none() -> Option<&'static str> {
    None
}
