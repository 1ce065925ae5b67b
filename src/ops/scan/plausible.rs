//! Whether a value is a secret, or a word that somebody has put in its place.

/// Words in placeholders, in lower case. None of them is likely in a random text of thirty characters.
const PLACEHOLDERS: [&str; 22] = [
    "your",
    "example",
    "xxxx",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "dummy",
    "redacted",
    "insert",
    "replace",
    "sample",
    "fake",
    "mock",
    "1234567",
    "abcdef",
    "000000",
    "****",
    "....",
    "____",
    "foobar",
    "lorem",
];

/// Values of the specifications and of much-copied documentation: RFC 6749, RFC 7591, OpenID Connect Core.
const EXAMPLES: [&[u8]; 8] = [
    b"tGzv3JOkF0XG5Qx2TlKWIA",
    b"7Fjfp0ZBr1KtDRbnfVdmIw",
    b"gX1fBat3bV",
    b"cf136dc3c1fc93f31185e5885805d",
    b"cf136dc3c1fd9153029bb9c6cc9ecead918bad9887fce6c93f31185e5885805d",
    b"ZJYCqe3GGRvdrudKyZS0XhGv_Z45DuKhCUk0gBR1vZk",
    b"2YotnFZFEjr1zCsicMWpAA",
    b"SlAV32hkKG",
];

/// Whether a value behind a name is a secret: digits and letters, well mixed, and no placeholder.
///
/// Of random texts of 24 characters of base64, one in fifty has no digit and is missed.
pub(super) fn is_random(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit)
        && value.iter().any(u8::is_ascii_alphabetic)
        && !is_dotted_code(value)
        && !is_address_or_sealed(value)
        && is_random_enough(value)
}

/// Whether what follows a prefix that only secrets have is a secret, and no placeholder.
pub(super) fn is_random_enough(value: &[u8]) -> bool {
    !EXAMPLES.contains(&value) && !is_placeholder(value) && is_mixed(value) && distinct(value) >= 8
}

fn is_placeholder(value: &[u8]) -> bool {
    // Behind the first hundred characters no placeholder begins.
    let start = value[..value.len().min(100)].to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|word| start.windows(word.len()).any(|window| window == word.as_bytes()))
}

/// Whether lower case, upper case and digits take turns often enough. In a random text every second
/// character is of another class than the one before it, in hexadecimal digits nearly so; in words, few are.
fn is_mixed(value: &[u8]) -> bool {
    let class = |byte: &u8| match byte {
        b'a'..=b'z' => Some(0),
        b'A'..=b'Z' => Some(1),
        b'0'..=b'9' => Some(2),
        _ => None,
    };
    let classes: Vec<u8> = value.iter().filter_map(class).collect();
    let turns = classes.windows(2).filter(|two| two[0] != two[1]).count();
    turns * 5 >= classes.len()
}

/// How many different characters there are.
fn distinct(value: &[u8]) -> usize {
    let mut is_there = [false; 256];
    value.iter().for_each(|byte| is_there[usize::from(*byte)] = true);
    is_there.iter().filter(|it| **it).count()
}

/// `settings.oauth2.client_secret`: each part begins as a name does, and hardly has digits.
fn is_dotted_code(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'.').peekable();
    let is_name = |part: &[u8]| {
        part.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
            && part.iter().filter(|byte| byte.is_ascii_digit()).count() <= 1
    };
    value.contains(&b'.') && parts.peek().is_some() && parts.all(is_name)
}

/// A path or an address is no secret, and neither is what Fernet has encrypted (its version, 0x80, and a time).
fn is_address_or_sealed(value: &[u8]) -> bool {
    // No path is longer, and in a longer text base64 has slashes too.
    let is_short = value.len() < 120;
    let slashes = value.iter().filter(|byte| **byte == b'/').count();
    let is_path = is_short && (slashes >= 5 || (slashes >= 2 && value.starts_with(b"/")));
    is_path || value.starts_with(b"gAAAAA") || value.windows(3).any(|window| window == b"://")
}
