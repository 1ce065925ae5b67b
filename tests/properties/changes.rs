//! Bytes that are nearly right: seeds with a few changes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What makes readers disagree, in JSON, in HTTP and in texts.
const WORDS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\",
    "null",
    "-0",
    "1e400",
    "9007199254740992",
    "\r\n",
    "\n",
    " ",
    "\t",
    "%00",
    "&",
    "=",
    "{state}",
    "\u{202e}",
    "1//CANARY-RT-4f2c9a",
];

/// One change, at places that are chosen when the length is known.
#[derive(Clone, Debug)]
enum Change {
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Repeat(Index, Index, Index),
}

/// A seed with up to four changes.
pub fn of(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        vec(any::<u8>(), 1..8),
        (select(seeds.clone()), any::<Index>(), 1_usize..40).prop_map(|(seed, at, length)| {
            let start = place(&at, &seed);
            seed[start..seed.len().min(start + length)].to_vec()
        }),
    ];
    let change = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(from, to, at)| Change::Repeat(from, to, at)),
    ];
    (select(seeds), vec(change, 1..5)).prop_map(|(seed, changes)| changes.iter().fold(seed, apply))
}

fn apply(mut bytes: Vec<u8>, change: &Change) -> Vec<u8> {
    match change {
        Change::Put(at, byte) => {
            let at = place(at, &bytes);
            if let Some(place) = bytes.get_mut(at) {
                *place = *byte;
            }
        }
        Change::Insert(at, piece) => {
            let at = place(at, &bytes);
            bytes.splice(at..at, piece.iter().copied());
        }
        Change::Cut(from, to) => drop(bytes.drain(range(from, to, &bytes))),
        Change::Repeat(from, to, at) => {
            let piece = bytes[range(from, to, &bytes)].to_vec();
            let at = place(at, &bytes);
            bytes.splice(at..at, piece);
        }
    }
    bytes
}

fn place(at: &Index, bytes: &[u8]) -> usize {
    at.index(bytes.len() + 1)
}

fn range(one: &Index, other: &Index, bytes: &[u8]) -> std::ops::Range<usize> {
    let (one, other) = (place(one, bytes), place(other, bytes));
    one.min(other)..one.max(other)
}
