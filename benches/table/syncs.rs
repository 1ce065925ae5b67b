//! What a run makes durable, as strace saw it, and the same once more with nothing around it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::builds;
use crate::world::{World, text};

/// As long as a profile with its sealed items is.
const DOCUMENT: [u8; 4096] = [b'x'; 4096];

/// One sync.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// Of what was written to a file.
    File,
    /// Of the names in a directory.
    Directory,
}

/// What one run syncs, in order.
pub struct Syncs(Vec<Sync>);

impl Syncs {
    /// How many files.
    pub fn files(&self) -> usize {
        self.0.iter().filter(|sync| **sync == Sync::File).count()
    }

    /// How many directories.
    pub fn directories(&self) -> usize {
        self.0.len() - self.files()
    }
}

/// Watches one run of `program`; none where there is no strace.
pub fn of(world: &World, program: &Path, arguments: &[&str]) -> Result<Option<Syncs>, String> {
    let Some(strace) = builds::installed("strace") else { return Ok(None) };
    let log = world.path("syncs.log");
    let mut command = world.command(&strace, &["-f", "-y", "-e", "trace=fsync,fdatasync", "-o"]);
    command.arg(&log).arg(program).args(arguments).stdout(Stdio::null());
    let status = command.status().map_err(text)?;
    if !status.success() {
        return Ok(None);
    }
    let synced = fs::read_to_string(&log).map_err(text)?;
    let path = |line: &str| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned());
    let sync = |path: String| if Path::new(&path).is_dir() { Sync::Directory } else { Sync::File };
    Ok(Some(Syncs(synced.lines().filter_map(path).map(sync).collect())))
}

/// Writes and renames in the directory `place` as much as has to be made durable, and makes it so.
pub fn repeat(syncs: &Syncs, place: &Path) -> Result<Duration, String> {
    fs::create_dir_all(place).map_err(text)?;
    let (new, document) = (place.join("document.next"), place.join("document"));
    let begun = Instant::now();
    for sync in &syncs.0 {
        match sync {
            Sync::File => {
                let mut file = File::create(&new).map_err(text)?;
                file.write_all(&DOCUMENT).map_err(text)?;
                file.sync_all().map_err(text)?;
            }
            Sync::Directory => {
                // The second sync of a directory in a row has nothing to rename.
                let _ = fs::rename(&new, &document);
                File::open(place).and_then(|place| place.sync_all()).map_err(text)?;
            }
        }
    }
    Ok(begun.elapsed())
}
