//! Where logins are looked for: files, standard input, the environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Args;
use crate::cli::environment;
use crate::cli::error::Failure;
use crate::cli::secret_input;
use crate::ops;
use crate::ops::import::{self, Error, Found, FoundClient, Input, Item, MAX_SIZE, Odd};
use crate::system::{names_in, read_named_file};

/// What standard input is called.
const STDIN: &str = "standard input";

/// Most names that are looked at beside a file.
const MOST_NAMES: usize = 1000;

/// Most client files that are read beside a file.
const MOST_BESIDE: usize = 20;

/// Everything that was read. It is understood anew each time it is needed, since secrets are not copied about.
pub(super) struct Sources {
    parts: Vec<Part>,
}

struct Part {
    /// What it is called when it is told of.
    name: String,
    path: Option<PathBuf>,
    content: Content,
}

enum Content {
    Bytes(Zeroizing<Vec<u8>>),
    Variables(Vec<(String, Zeroizing<String>)>),
}

impl Sources {
    /// Reads whatever was named.
    pub(super) fn of(args: &Args) -> Result<Self, Failure> {
        if args.env {
            let prefix = args.env_prefix.as_deref().unwrap_or_default();
            let variables = environment::wanted(|name| name.starts_with(prefix) && import::is_wanted(name));
            let content = Content::Variables(variables);
            return Ok(Self {
                parts: vec![Part { name: "the environment".to_owned(), path: None, content }],
            });
        }
        let parts = args.files.iter().map(|path| Part::read(path));
        Ok(Self { parts: parts.collect::<Result<_, _>>()? })
    }

    /// Reads what of these files can be read and understood; of each other one, why not.
    pub(super) fn readable<'a>(paths: impl Iterator<Item = &'a Path>) -> (Self, Vec<String>) {
        let (mut parts, mut left) = (Vec::new(), Vec::new());
        for path in paths {
            match Part::read(path) {
                Ok(part) => parts.push(part),
                Err(failure) => left.push(failure.in_one_line()),
            }
        }
        let (sources, odd) = Self { parts }.sift(|one| one.found().map(drop));
        left.extend(odd);
        (sources, left)
    }

    /// Those that stand a check, each by itself; of each other one, why not.
    pub(super) fn sift(self, check: impl Fn(&Self) -> Result<(), Failure>) -> (Self, Vec<String>) {
        let (mut parts, mut left) = (Vec::new(), Vec::new());
        for part in self.parts {
            let one = Self { parts: vec![part] };
            match check(&one) {
                Ok(()) => parts.extend(one.parts),
                Err(failure) => left.push(failure.in_one_line()),
            }
        }
        (Self { parts }, left)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What is in them.
    pub(super) fn found(&self) -> Result<Vec<Found>, Failure> {
        let mut found: Vec<Found> = Vec::new();
        let mut clients: Vec<FoundClient> = Vec::new();
        for part in &self.parts {
            let items = part
                .items()
                .map_err(|source| ops::Error::from(Error::Odd { file: part.name.clone(), source }))?;
            let beside = if items.iter().all(is_complete) { Vec::new() } else { part.clients_beside() };
            let named = |item| Found { source: part.name.clone(), item, beside: beside.clone() };
            found.extend(items.into_iter().map(named));
        }
        // Clients that were named too, however their files are called.
        let alone = found.iter().filter(|found| found.item.grant.is_none());
        clients.extend(alone.filter_map(|found| found.item.client.clone()));
        for found in &mut found {
            let is_new =
                |client: &&FoundClient| found.beside.iter().all(|it| it.client_id != client.client_id);
            let new: Vec<FoundClient> = clients.iter().filter(is_new).cloned().collect();
            found.beside.extend(new);
        }
        Ok(found)
    }

    /// The files among them, with what they are called.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path, &[u8])> {
        self.parts.iter().filter_map(|part| match (&part.path, &part.content) {
            (Some(path), Content::Bytes(bytes)) => {
                Some((part.name.as_str(), path.as_path(), bytes.as_slice()))
            }
            _ => None,
        })
    }

    /// The files among them, which are as plain as before when all is done; or whether it was the environment.
    pub(super) fn plain_files(&self) -> Vec<String> {
        self.parts.iter().filter(|part| part.name != STDIN).map(|part| part.name.clone()).collect()
    }
}

impl Part {
    fn read(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let bytes = secret_input::read_bytes("the file", path, MAX_SIZE as u64)?;
            return Ok(Self { name: STDIN.to_owned(), path: None, content: Content::Bytes(bytes) });
        }
        let bytes = read_named_file(path, MAX_SIZE).map_err(|error| ops::Error::from(Error::from(error)))?;
        let name = path.display().to_string();
        Ok(Self { name, path: Some(path.to_owned()), content: Content::Bytes(bytes) })
    }

    fn items(&self) -> Result<Vec<Item>, Odd> {
        match &self.content {
            Content::Bytes(bytes) => {
                import::read(&Input { name: self.path.as_deref().and_then(Path::file_name), bytes })
            }
            Content::Variables(variables) => {
                import::of_variables(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            }
        }
    }

    /// Clients in the same folder: tutorials keep `credentials.json` beside `token.json`.
    fn clients_beside(&self) -> Vec<FoundClient> {
        let Some(folder) = self.path.as_deref().and_then(Path::parent) else { return Vec::new() };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let own = self.path.as_deref().and_then(Path::file_name);
        let names = names_in(folder, MOST_NAMES);
        let likely = names.iter().filter(|name| Some(name.as_os_str()) != own && is_likely_a_client(name));
        let mut clients: Vec<FoundClient> = Vec::new();
        for name in likely.take(MOST_BESIDE) {
            let Ok(bytes) = read_named_file(&folder.join(name), 64 * 1024) else { continue };
            let items = import::read(&Input { name: Some(name), bytes: &bytes }).unwrap_or_default();
            let found = items.into_iter().filter(|item| item.grant.is_none()).filter_map(|item| item.client);
            clients.extend(found.filter(|client| client.key.is_none()));
        }
        clients.sort_by(|one, two| one.client_id.cmp(&two.client_id));
        clients.dedup_by(|one, two| one.client_id == two.client_id);
        clients
    }
}

/// Whether nothing is missing of a login's client.
fn is_complete(item: &Item) -> bool {
    item.grant.is_none() || item.client.as_ref().is_some_and(|client| client.client_secret.is_some())
}

/// The names that the tools of the table give to their client files.
fn is_likely_a_client(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let starts = [
        "client_secret",
        "client_id",
        "credentials",
        "oauth2_client",
        "gcp-oauth.keys",
        "secret.json",
        "config",
    ];
    starts.iter().any(|start| name.starts_with(start))
}
