//! `vault import`: takes in what other tools have left in plain text.
//!
//! Three steps: [`read`] says what a file holds, [`plan`] what would be made of it, and [`apply`] makes it.

mod apply;
mod error;
mod formats;
mod item;
mod names;
mod plan;
pub mod replace;
mod text;
mod whose;

pub use apply::{Imported, OnEach, apply};
pub use error::{Already, Error, Known};
pub use formats::{is_wanted, of_variables, read};
pub use item::{FoundClient, FoundGrant, Input, Item, MAX_ITEMS, MAX_SIZE, Odd};
pub use plan::{Found, Plan, Step, Wish, plan};
