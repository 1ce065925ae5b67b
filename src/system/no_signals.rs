//! Signals on a platform that has none of those that matter here.

/// Nothing has to wait: the platform ends a console program only together with its console.
#[must_use = "signals wait only while it lives"]
pub struct Deferral;

/// No signal tells of a limit on file sizes.
pub fn survive_size_limit() {}

/// No signal asks.
pub fn is_asked_to_end() -> bool {
    false
}

impl Deferral {
    /// Begins to wait for nothing.
    pub fn begin() -> Self {
        Self
    }

    /// The same.
    pub fn between_steps() -> Self {
        Self
    }

    /// No signal tells of a wish to end.
    pub fn is_interrupted(&self) -> bool {
        false
    }
}
