//! Random numbers for identifiers, states and verifiers.

use crate::domain::DocumentId;

/// Fresh bytes from the operating system's generator.
///
/// # Panics
///
/// If the operating system has no random numbers, because nothing safe can be done then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

/// A new identifier.
pub fn random_id() -> DocumentId {
    DocumentId::from_bytes(random_bytes())
}
