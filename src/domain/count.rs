//! Numbers of things, as people say them.

/// `1 document`, `2 documents`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
