//! Which files git tracks, read from its index (gitformat-index(5)): without git, which would run what the
//! configuration of a foreign repository tells it to.

use std::collections::HashSet;

/// An index that cannot be understood. Nothing is known then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// No path is longer, in bytes: PATH_MAX of Linux.
const LONGEST_NAME: usize = 4096;

/// Times, device, inode, mode, owner and size of an entry, in bytes.
const FACTS: usize = 40;

/// SHA-1 and SHA-256, in bytes. Only the repository's configuration says which.
const HASHES: [usize; 2] = [20, 32];

/// Those of `wanted`, as paths from the top with slashes, that the index has.
///
/// # Errors
///
/// [`Odd`] if it is damaged, of an unknown version, or only the half of one that is split.
pub(super) fn tracked(index: &[u8], wanted: &HashSet<Vec<u8>>) -> Result<HashSet<Vec<u8>>, Odd> {
    HASHES.iter().find_map(|hash| Entries::new(index, *hash)?.all(wanted).ok()).ok_or(Odd)
}

struct Entries<'a> {
    index: &'a [u8],
    hash: usize,
    version: u32,
    count: u32,
    at: usize,
    name: Vec<u8>,
}

impl<'a> Entries<'a> {
    fn new(index: &'a [u8], hash: usize) -> Option<Self> {
        let head = index.get(..12).filter(|head| head.starts_with(b"DIRC"))?;
        let (version, count) = (number(&head[4..])?, number(&head[8..])?);
        (2..=4).contains(&version).then_some(Self { index, hash, version, count, at: 12, name: Vec::new() })
    }

    fn all(mut self, wanted: &HashSet<Vec<u8>>) -> Result<HashSet<Vec<u8>>, Odd> {
        let mut found = HashSet::new();
        for _ in 0..self.count {
            self.next()?;
            if let Some(name) = wanted.get(&self.name) {
                found.insert(name.clone());
            }
        }
        self.check_rest()?;
        Ok(found)
    }

    /// Reads one entry; its name is in `self.name` then.
    fn next(&mut self) -> Result<(), Odd> {
        let start = self.at;
        let mode = number(self.index.get(start + 24..).ok_or(Odd)?).ok_or(Odd)?;
        // Files, links, submodules, and folders of a sparse index.
        if !matches!(mode >> 12, 0o10 | 0o12 | 0o16 | 0o04) {
            return Err(Odd);
        }
        let mut at = start + FACTS + self.hash;
        let flags = self.index.get(at..at + 2).ok_or(Odd)?;
        let is_extended = flags[0] & 0x40 != 0;
        if is_extended && self.version == 2 {
            return Err(Odd);
        }
        at += if is_extended { 4 } else { 2 };
        match self.version {
            4 => at += self.shorten(at)?,
            _ => self.name.clear(),
        }
        let rest = self.index.get(at..).ok_or(Odd)?;
        let length = rest.iter().take(LONGEST_NAME + 1).position(|byte| *byte == 0).ok_or(Odd)?;
        self.name.extend_from_slice(&rest[..length]);
        if self.name.is_empty() || self.name.len() > LONGEST_NAME {
            return Err(Odd);
        }
        at += length;
        self.at = match self.version {
            4 => at + 1,
            // One to eight zeros up to the next multiple of eight.
            _ => start + ((at - start) / 8 + 1) * 8,
        };
        Ok(())
    }

    /// Cuts off the end of the name before, as many bytes as a number of variable length says; returns how many
    /// bytes that number has.
    fn shorten(&mut self, at: usize) -> Result<usize, Odd> {
        let mut less = 0;
        for (place, byte) in self.index.get(at..).ok_or(Odd)?.iter().take(4).enumerate() {
            less = (less << 7) + usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                self.name.truncate(self.name.len().checked_sub(less).ok_or(Odd)?);
                return Ok(place + 1);
            }
            less += 1;
        }
        Err(Odd)
    }

    /// Behind the entries stand extensions, each with its length, and a checksum.
    fn check_rest(&self) -> Result<(), Odd> {
        let end = self.index.len().checked_sub(self.hash).ok_or(Odd)?;
        let mut at = self.at;
        while at < end {
            let name = self.index.get(at..at + 4).ok_or(Odd)?;
            // The other half of a split index is in another file.
            if name == b"link" || !name.iter().all(u8::is_ascii_alphabetic) {
                return Err(Odd);
            }
            at += 8 + number(self.index.get(at + 4..).ok_or(Odd)?).ok_or(Odd)? as usize;
        }
        if at == end { Ok(()) } else { Err(Odd) }
    }
}

/// Four bytes, the highest first.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
