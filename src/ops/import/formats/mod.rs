//! Forms in which tools leave their logins. Each is known by its shape, whatever the file is called.

mod id_token;
mod ini;
mod json;
mod oauth2l;
pub(super) mod pairs;
mod pickle;
mod sqlite;

use zeroize::Zeroizing;

use super::item::{Input, Item, MAX_ITEMS, MAX_SIZE, Odd};
pub use pairs::is_wanted;

/// Reads what a file holds. It looks at nothing but these bytes, and runs nothing of what they say.
///
/// # Errors
///
/// If nothing in it can be used, and why.
pub fn read(input: &Input<'_>) -> Result<Vec<Item>, Odd> {
    if input.bytes.len() > MAX_SIZE {
        return Err(Odd::TooLong);
    }
    let items = match binary(input) {
        Some(items) => items?,
        None => text(input)?,
    };
    match items.len() {
        0 => Err(Odd::Unknown),
        count if count > MAX_ITEMS => Err(Odd::TooMany),
        _ => Ok(items),
    }
}

/// Forms that are no text.
fn binary(input: &Input<'_>) -> Option<Result<Vec<Item>, Odd>> {
    if sqlite::is_one(input.bytes) {
        return Some(sqlite::read(input.bytes));
    }
    if pickle::is_one(input.bytes) {
        return Some(pickle::read(input.bytes));
    }
    // What R writes: a packed or a plain serialisation.
    let is_of_r =
        [&b"RDX3\n"[..], b"RDA3\n", b"X\n\0\0\0"].iter().any(|start| input.bytes.starts_with(start));
    let is_packed = input.bytes.starts_with(b"\x1f\x8b");
    (is_of_r || is_packed).then(|| {
        Err(Odd::useless(
            "it is a packed file, such as R's gargle keeps its tokens in, which is not read here",
            "log in with `vault add-profile NAME`",
        ))
    })
}

fn text(input: &Input<'_>) -> Result<Vec<Item>, Odd> {
    let text = decoded(input.bytes)?;
    let text = text.trim_start_matches('\u{feff}');
    if text.contains('\0') {
        return Err(Odd::Unknown);
    }
    match text.trim_start().as_bytes().first() {
        Some(b'{') => json::read(input, text.as_bytes()),
        Some(b'[') if json::is_list(text) => json::read_list(input, text),
        Some(_) => ini::read(input, text),
        None => Err(Odd::malformed("it is empty")),
    }
}

/// The text, also where Windows has written it as UTF-16.
fn decoded(bytes: &[u8]) -> Result<Zeroizing<String>, Odd> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| Odd::Unknown)
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes)?,
        _ => std::str::from_utf8(bytes).map_err(|_| Odd::Unknown)?.to_owned(),
    };
    Ok(Zeroizing::new(text))
}

/// What stands in variables of the environment.
///
/// # Errors
///
/// If nothing in them can be used.
pub fn of_variables<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Item>, Odd> {
    let items = pairs::items("environment", None, variables);
    if items.is_empty() { Err(Odd::Unknown) } else { Ok(items) }
}

#[cfg(test)]
mod tests;
