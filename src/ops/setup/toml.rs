//! Where in `~/.cargo/config.toml` our line goes: behind the header of its registry, or with a header at the end.

use toml_edit::{Document, Item, Table};

use super::Refusal;
use super::block::Place;

/// The key that says who gives out the token of a registry.
const KEY: &str = "credential-provider";

/// What a configuration of cargo says of one registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registry {
    /// Where our line goes.
    pub place: Place,
    /// Whether its header must come with it.
    pub needs_header: bool,
    /// Where its index is, if that is said.
    pub index: Option<String>,
    /// Whether it has a provider already.
    pub has_provider: bool,
}

impl Registry {
    /// Reads it.
    pub(super) fn read(text: &str, name: &str) -> Result<Self, Refusal> {
        let document = Document::parse(text).map_err(|error| {
            let first = error.message().lines().next().unwrap_or_default();
            Refusal::because(format!("it is not TOML: {first}"))
        })?;
        let Some(item) = document.get("registries").and_then(|it| it.get(name)) else {
            check_room(document.get("registries"))?;
            return Ok(Self { place: Place::End, needs_header: true, index: None, has_provider: false });
        };
        let table = item.as_table().filter(|table| !table.is_dotted() && !table.is_implicit());
        let header = table.and_then(Table::span).ok_or_else(elsewhere)?;
        // The span is that of the header; what follows on its line may be a comment.
        let end = text[header.end..].find('\n').map(|at| header.end + at + 1).ok_or_else(elsewhere)?;
        Ok(Self {
            place: Place::At(end),
            needs_header: false,
            index: item.get("index").and_then(Item::as_str).map(str::to_owned),
            has_provider: item.get(KEY).is_some(),
        })
    }
}

/// A header can be added unless all registries are written as one value.
fn check_room(registries: Option<&Item>) -> Result<(), Refusal> {
    match registries {
        None => Ok(()),
        Some(item) if item.as_table().is_some_and(|table| !table.is_dotted()) => Ok(()),
        Some(_) => Err(elsewhere()),
    }
}

fn elsewhere() -> Refusal {
    Refusal::because("its registry is not written under a header of its own, as in `[registries.NAME]`")
}
