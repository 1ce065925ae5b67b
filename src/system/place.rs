//! What a place on this machine is like: facts to be told to a person, on which nothing else depends.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use super::{Disk, Kind, Opening, SystemDisk};

/// What stands under a name, a symbolic link itself included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it is; a link is [`Kind::Other`].
    pub kind: Kind,
    /// Its permission bits. Windows has none.
    pub mode: Option<u32>,
    /// Whether it belongs to the user as whom we run.
    pub is_ours: bool,
    /// Its length in bytes.
    pub length: u64,
}

impl Look {
    /// Whether other users can write to it.
    pub fn is_writable_by_others(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o022 != 0)
    }

    /// Whether other users can do anything with it.
    pub fn is_open_to_others(&self) -> bool {
        self.mode.is_some_and(|mode| mode & 0o077 != 0)
    }
}

/// What stands at `path`.
///
/// # Errors
///
/// As the operating system says.
pub fn look(path: &Path) -> io::Result<Look> {
    let found = fs::symlink_metadata(path)?;
    let kind = match () {
        () if found.is_file() => Kind::File,
        () if found.is_dir() => Kind::Directory,
        () => Kind::Other,
    };
    let (mode, is_ours) = permissions(&found);
    Ok(Look { kind, mode, is_ours, length: found.len() })
}

/// The same for what a symbolic link leads to.
///
/// # Errors
///
/// As the operating system says.
pub fn look_behind(path: &Path) -> io::Result<Look> {
    look(&fs::canonicalize(path)?)
}

#[cfg(unix)]
fn permissions(found: &fs::Metadata) -> (Option<u32>, bool) {
    use std::os::unix::fs::MetadataExt;

    (Some(found.mode() & 0o7777), found.uid() == SystemDisk.user())
}

#[cfg(not(unix))]
fn permissions(_: &fs::Metadata) -> (Option<u32>, bool) {
    (None, true)
}

/// The names in a directory, `limit` at most; none if it cannot be listed.
pub fn names_in(directory: &Path, limit: usize) -> Vec<OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.file_name())).take(limit).collect()
}

/// The first bytes of a plain file, `limit` at most; none if it is no such file or cannot be read.
pub fn read_start(path: &Path, limit: u64) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let path = fs::canonicalize(path).ok()?;
    let mut file = SystemDisk.open(&path, Opening::Read).ok()?;
    let found = file.facts().ok().filter(|found| found.kind == Kind::File)?;
    Some(zeroize::Zeroizing::new(file.read(found.length, limit).ok()?))
}

/// The file system that holds a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// What it is called; `None` if that is not known.
    pub name: Option<&'static str>,
    /// What may be expected of it.
    pub nature: Nature,
    /// Free room for us, in bytes.
    pub free: u64,
    /// How many more files it takes; `None` where it does not count them.
    pub free_files: Option<u64>,
    /// Whether it can only be read.
    pub is_read_only: bool,
}

/// What may be expected of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Locks, modes and renames work, and it lasts; or it is not known.
    Local,
    /// Other machines write to it too, or a program stands in between: locks may not exclude, and a rename
    /// may be seen late.
    Shared,
    /// It ends with the power.
    InMemory,
    /// It knows neither owners nor modes.
    WithoutModes,
}

/// The file system at `path`, or at the nearest directory above it that is there.
#[cfg(unix)]
pub fn file_system(path: &Path) -> Option<FileSystem> {
    let there = nearest(path)?;
    let counted = rustix::fs::statvfs(there).ok()?;
    let (name, nature) = kind_of(there);
    Some(FileSystem {
        name,
        nature,
        free: counted.f_bavail.saturating_mul(counted.f_frsize),
        // Some file systems make room for files as they come, and say 0 of 0.
        free_files: (counted.f_files > 0).then_some(counted.f_favail),
        is_read_only: counted.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// Not known here.
#[cfg(not(unix))]
pub fn file_system(_: &Path) -> Option<FileSystem> {
    None
}

#[cfg(unix)]
fn nearest(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.exists())
}

/// The magic numbers of statfs(2), Linux manual pages.
#[cfg(target_os = "linux")]
const KINDS: &[(u64, &str, Nature)] = &[
    (0x6969, "nfs", Nature::Shared),
    (0xff53_4d42, "cifs", Nature::Shared),
    (0xfe53_4d42, "smb2", Nature::Shared),
    (0x517b, "smb", Nature::Shared),
    (0x6573_5546, "fuse", Nature::Shared),
    (0x0102_1997, "9p", Nature::Shared),
    (0x5346_414f, "afs", Nature::Shared),
    (0x00c3_6400, "ceph", Nature::Shared),
    (0x0102_1994, "tmpfs", Nature::InMemory),
    (0x8584_58f6, "ramfs", Nature::InMemory),
    (0x4d44, "vfat", Nature::WithoutModes),
    (0x2011_bab0, "exfat", Nature::WithoutModes),
    (0x5346_544e, "ntfs", Nature::WithoutModes),
    (0xef53, "ext4", Nature::Local),
    (0x9123_683e, "btrfs", Nature::Local),
    (0x5846_5342, "xfs", Nature::Local),
    (0x2fc1_2fc1, "zfs", Nature::Local),
    (0xf2f5_2010, "f2fs", Nature::Local),
    (0xca45_1a4e, "bcachefs", Nature::Local),
    (0x794c_7630, "overlay", Nature::Local),
    (0xf15f, "ecryptfs", Nature::Local),
];

#[cfg(target_os = "linux")]
fn kind_of(path: &Path) -> (Option<&'static str>, Nature) {
    let Ok(found) = rustix::fs::statfs(path) else { return (None, Nature::Local) };
    // The field is signed on some machines and has 32 bits on others.
    let magic = found.f_type as u64 & 0xffff_ffff;
    let known = KINDS.iter().find(|(number, ..)| *number == magic);
    known.map_or((None, Nature::Local), |(_, name, nature)| (Some(name), *nature))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn kind_of(_: &Path) -> (Option<&'static str>, Nature) {
    (None, Nature::Local)
}

/// What the system calls itself and its kernel, for a bug report; `otherwise` where it does not say.
pub fn system_name(otherwise: &str) -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let title = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let title = title.map_or(otherwise, |title| title.trim_matches('"'));
    match fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(kernel) => format!("{title}, kernel {}", kernel.trim()),
        Err(_) => title.to_owned(),
    }
}
