//! Databases of SQLite: `credentials.db` of gcloud, and whatever else keeps a login as JSON or in columns.
//!
//! What is read is a copy in memory, of the bytes of the file alone: no path, no journal, no second database, and
//! nothing that could be written. A database may say of itself what is to be run when it is read (views, triggers,
//! expressions in columns), so that only plain columns of plain tables are asked for, and nothing else is allowed.

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use super::super::item::{Input, Item, MAX_ITEMS, Odd};
use super::super::text;
use super::{json, pairs};

/// <https://www.sqlite.org/fileformat2.html#the_database_header>
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where the header says how the file is written and read: 1 as ever, 2 with a log of its own beside it.
const VERSIONS: std::ops::Range<usize> = 18..20;
const WITH_LOG: u8 = 2;
const WITHOUT_LOG: u8 = 1;

/// Longest text, in bytes; also of the schema. A login is some kilobytes long.
const MAX_LENGTH: i32 = 1 << 20;

/// Most tables, columns of one, and rows of one.
const MAX_TABLES: usize = 64;
const MAX_COLUMNS: i32 = 64;
const MAX_ROWS: usize = 2000;

/// Most text of all rows, in bytes. A file may say that many rows have the same pages, which would be its length many
/// times.
const MAX_TEXT: usize = 2 * super::MAX_SIZE;

/// How often SQLite is to ask whether it may go on, in steps of its machine, and how often it may.
const STEPS: i32 = 1000;
const TURNS: usize = 5000;

/// The columns that say whose a login is, in the databases that are known.
const OWNERS: [&str; 4] = ["account_id", "account", "email", "user"];

pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Item>, Odd> {
    let database = open(bytes).map_err(damaged)?;
    let mut items = Vec::new();
    let mut room = MAX_TEXT;
    for table in tables(&database).map_err(damaged)? {
        // One that cannot be read hides no other.
        let _ = rows(&database, &table, &mut room, &mut items);
        if items.len() > MAX_ITEMS {
            return Err(Odd::TooMany);
        }
        if room == 0 {
            return Err(Odd::malformed("it is a database with more in its rows than the file is long"));
        }
    }
    if items.is_empty() { Err(why_nothing(&database)) } else { Ok(items) }
}

/// Never what SQLite says: it repeats names and texts of the file.
fn damaged(_: rusqlite::Error) -> Odd {
    Odd::malformed("it is a damaged database of SQLite, or one that is made to run something")
}

fn open(bytes: &[u8]) -> rusqlite::Result<Connection> {
    let mut copy = Zeroizing::new(bytes.to_vec());
    for version in copy.get_mut(VERSIONS).into_iter().flatten().filter(|version| **version == WITH_LOG) {
        // In memory there is no log. What stands in it alone is not read.
        *version = WITHOUT_LOG;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_in_memory_with_flags(flags)?;
    guard(&mut database)?;
    database.deserialize_read_exact("main", &copy[..], copy.len(), true)?;
    allow_reading_only(&mut database)?;
    Ok(database)
}

/// <https://www.sqlite.org/security.html#untrusted_sqlite_database_files>
fn guard(database: &mut Connection) -> rusqlite::Result<()> {
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
    ] {
        database.set_db_config(setting, value)?;
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_LENGTH),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_LENGTH),
        (Limit::SQLITE_LIMIT_COLUMN, MAX_COLUMNS),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 20),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 2),
        (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        database.set_limit(limit, most)?;
    }
    let mut turns = 0;
    database.progress_handler(
        STEPS,
        Some(move || {
            turns += 1;
            turns > TURNS
        }),
    )?;
    // Each page is held to its own lengths before it is used.
    database.pragma_update(None, "cell_size_check", true)
}

/// Columns of tables, and nothing that is computed, changed or attached.
fn allow_reading_only(database: &mut Connection) -> rusqlite::Result<()> {
    database.authorizer(Some(|asked: AuthContext<'_>| match asked.action {
        AuthAction::Select | AuthAction::Read { .. } if asked.accessor.is_none() => Authorization::Allow,
        _ => Authorization::Deny,
    }))
}

/// The names of plain tables: a virtual one has no page of its own.
fn tables(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut asked =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")?;
    let mut rows = asked.query(())?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        if names.len() == MAX_TABLES {
            break;
        }
        names.push(row.get(0)?);
    }
    Ok(names)
}

fn rows(database: &Connection, table: &str, room: &mut usize, items: &mut Vec<Item>) -> rusqlite::Result<()> {
    let name = table.replace('"', "\"\"");
    let mut asked = database.prepare(&format!("SELECT * FROM main.\"{name}\""))?;
    let columns: Vec<String> = asked.column_names().map(str::to_owned).collect();
    let mut rows = asked.query(())?;
    for _ in 0..MAX_ROWS {
        let Some(row) = rows.next()? else { break };
        let mut texts = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(at)? else { continue };
            *room = room.saturating_sub(bytes.len());
            if let Ok(text) = std::str::from_utf8(bytes) {
                texts.push((column.as_str(), text));
            }
        }
        items.extend(logins(&texts));
        if items.len() > MAX_ITEMS || *room == 0 {
            break;
        }
    }
    Ok(())
}

/// The logins in one row: in the JSON of a column, else in the columns themselves.
fn logins(row: &[(&str, &str)]) -> Vec<Item> {
    let is_json = |text: &str| {
        text.starts_with('{') && text.contains("\"refresh_token\"") || text.contains("\"private_key\"")
    };
    let documents = row.iter().filter(|(_, text)| is_json(text));
    let mut items: Vec<Item> = documents
        .filter_map(|(_, text)| {
            json::read(&Input { name: None, bytes: text.as_bytes() }, text.as_bytes()).ok()
        })
        .flatten()
        .collect();
    if items.is_empty() {
        items = pairs::items("sqlite", None, row.iter().copied());
        items.retain(|item| item.grant.is_some());
    }
    let owner = OWNERS.iter().find_map(|owner| row.iter().find(|(column, _)| column == owner));
    let owner = owner.map(|(_, text)| *text);
    for item in &mut items {
        item.kind = "sqlite";
        item.account = item.account.take().or_else(|| owner.and_then(text::email));
        item.label = item.label.take().or_else(|| owner.and_then(text::label));
    }
    items
}

fn why_nothing(database: &Connection) -> Odd {
    let of_gcloud = tables(database).unwrap_or_default().iter().any(|name| name == "access_tokens");
    if of_gcloud {
        return Odd::useless(
            "it is the cache of gcloud for access tokens, which end by themselves within an hour",
            "import `credentials.db`, which lies beside it",
        );
    }
    Odd::useless("it is a database of SQLite without a refresh token", "log in with `vault add-profile NAME`")
}

#[cfg(test)]
mod tests;
