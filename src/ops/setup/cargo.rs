//! cargo: a credential provider for one registry (The Cargo Book, Registry Authentication).

use super::block::{self, Block, Place};
use super::places::Places;
use super::{Change, Edit, Plan, Refusal, Wish, toml};

/// A registry as cargo knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its name.
    pub name: String,
    /// Where its index is, if that is to be written too.
    pub index: Option<String>,
    /// The line that names us.
    pub(super) provider: String,
}

impl Registry {
    /// The registry of that name.
    pub fn new(name: String, index: Option<String>) -> Self {
        Self { name, index, provider: String::new() }
    }

    /// Whether a registry may be called so: as cargo takes it, in ASCII. It needs no quotes then, and is one word.
    pub fn is_name(name: &str) -> bool {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !name.is_empty() && name.bytes().all(is_plain)
    }

    /// Where its index is, as `text` says it, if it does.
    ///
    /// # Errors
    ///
    /// If the text is not what cargo reads, or the registry stands in it in another way.
    pub fn index_in(text: &str, name: &str) -> Result<Option<String>, Refusal> {
        Ok(toml::Registry::read(text, name)?.index)
    }

    /// As a person would add it.
    pub(super) fn lines_with_header(&self) -> String {
        format!("[registries.{}]\n{}", self.name, self.lines(true))
    }

    fn lines(&self, with_index: bool) -> String {
        let index = self.index.as_ref().filter(|_| with_index);
        let index = index.map_or_else(String::new, |index| format!("index = {}\n", text(index)));
        format!("{index}{}", self.provider)
    }

    /// The text with the lines behind the registry's header, or with the header at its end.
    pub(super) fn written(&self, text: Option<&str>, block: &Block) -> Result<String, Refusal> {
        let name = &block.name;
        let Some(without) = text.map(|text| block::removed(text, name)).transpose()?.flatten() else {
            return Block { name: name.clone(), lines: self.lines_with_header() }.written(None, Place::End);
        };
        let found = toml::Registry::read(&without, &self.name)?;
        if found.has_provider {
            let why =
                format!("registry `{}` has a `credential-provider` already; take that out first", self.name);
            return Err(Refusal::because(why));
        }
        let lines = match found.needs_header {
            true => self.lines_with_header(),
            false => self.lines(found.index.is_none()),
        };
        let written = Block { name: name.clone(), lines }.written(Some(&without), found.place)?;
        // What we have written is what cargo will read.
        match toml::Registry::read(&written, &self.name)? {
            read if read.has_provider => Ok(written),
            _ => Err(Refusal::because("our lines would stand in another table of it")),
        }
    }
}

pub(super) fn plan(wish: &Wish, places: &Places, is_undo: bool) -> Plan {
    let mut changes = Vec::new();
    let name = match &wish.registry {
        Some(registry) => format!("{} {}", wish.block_name(), registry.name),
        None => wish.block_name(),
    };
    if wish.registry.is_some() || is_undo {
        let registry = wish.registry.clone().unwrap_or_else(|| Registry::new(String::new(), None));
        let words = ["cargo-credential-vault", "--profile", wish.profile.as_str()];
        let provider = format!("credential-provider = [{}]\n", words.map(text).join(", "));
        let edit = Edit::Registry(Registry { provider, ..registry }, Block { name, lines: String::new() });
        changes.push(Change { file: places.cargo(), edit });
    }
    Plan { changes, hosts: wish.bindings(), advice: wish.advice_on_options() }
}

fn text(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(index: Option<&str>) -> Registry {
        let provider = "credential-provider = [\"cargo-credential-vault\"]\n".to_owned();
        Registry { provider, ..Registry::new("corp".into(), index.map(Into::into)) }
    }

    fn block() -> Block {
        Block { name: "cargo work corp".into(), lines: String::new() }
    }

    #[test]
    fn the_lines_go_under_the_header_of_the_registry_and_away_again() {
        for text in [
            "",
            "# mine\n[build]\njobs = 2",
            "[registries.corp]\nindex = \"sparse+https://a.example/\"\n",
            "[registries.corp] # ours\nindex = \"sparse+https://a.example/\" # why\n\n[net]\nretry = 1\n",
            "[registries]\n\n[registries.\"corp\"]\n[registries.other]\ncredential-provider = \"cargo:token\"\n",
            "[registries.other]\nindex = \"x\"\n",
        ] {
            let with = registry(None).written(Some(text), &block()).unwrap();

            assert_eq!(registry(None).written(Some(&with), &block()).unwrap(), with, "twice is as once");
            assert!(toml::Registry::read(&with, "corp").unwrap().has_provider);
            assert_eq!(block::removed(&with, "cargo work").unwrap().as_deref(), Some(text));
        }
    }

    #[test]
    fn the_index_is_written_only_where_it_is_not_said() {
        let new = registry(Some("sparse+https://b.example/")).written(None, &block()).unwrap();
        assert_eq!(Registry::index_in(&new, "corp").unwrap().as_deref(), Some("sparse+https://b.example/"));
        assert_eq!(block::removed(&new, "cargo work").unwrap(), None);

        let known = "[registries.corp]\nindex = \"sparse+https://a.example/\"\n";
        let with = registry(Some("sparse+https://b.example/")).written(Some(known), &block()).unwrap();
        assert_eq!(Registry::index_in(&with, "corp").unwrap().as_deref(), Some("sparse+https://a.example/"));
    }

    #[test]
    fn what_is_written_in_another_way_is_left() {
        for text in [
            "[registries.corp]\ncredential-provider = \"cargo:token\"\n",
            "registries = {}\n",
            "[registries]\ncorp = { index = \"x\" }\n",
            "registries.corp.index = \"x\"\n",
            "[registries]\ncorp.index = \"x\"\n",
            "not toml",
            "[[registries.corp]]\nindex = \"x\"\n",
        ] {
            assert!(registry(None).written(Some(text), &block()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_index_is_written_as_toml_and_a_name_that_would_need_quotes_is_none() {
        assert_eq!(text("a\"b"), "'a\"b'");
        assert!(Registry::is_name("my-reg_1"));
        for name in ["", "my.reg", "a b", "a\n[build]", "é"] {
            assert!(!Registry::is_name(name), "{name:?}");
        }
    }
}
