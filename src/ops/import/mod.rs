//! `vault import`: takes in what other tools have left in plain text.

mod formats;
mod item;
mod text;

pub use formats::{is_wanted, read};
pub use item::{FoundClient, FoundGrant, Input, Item, MAX_ITEMS, MAX_SIZE, Odd};
