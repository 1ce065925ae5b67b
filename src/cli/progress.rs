//! A progress line on standard error, for what takes longer than a second.

use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done faster needs no line.
const SILENT: Duration = Duration::from_secs(1);

/// A progress line. It vanishes when it is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

impl Progress {
    /// A line that begins with `what`; none at all if nobody wants to see it.
    pub(super) fn new(what: &'static str, is_wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if is_wanted {
            let style = ProgressStyle::with_template("{msg} {pos} of {len} {wide_bar}");
            bar.set_style(style.expect("the template is well-formed"));
            bar.set_message(what);
        } else {
            bar.finish_and_clear();
        }
        Self { bar, begun: Instant::now() }
    }

    /// Says that so many bytes have come, of how many if that is known.
    pub(super) fn at_byte(&self, done: u64, total: Option<u64>) {
        if self.is_silent() {
            return;
        }
        let total = total.map_or_else(String::new, |total| format!(" of {}", HumanBytes(total)));
        self.bar
            .set_style(ProgressStyle::with_template("{msg} {prefix}").expect("the template is well-formed"));
        self.bar.set_prefix(format!("{}{total}", HumanBytes(done)));
    }

    /// Says that `done` of `total` steps are done.
    pub(super) fn at(&self, done: usize, total: usize) {
        if !self.is_silent() {
            self.bar.set_length(total as u64);
            self.bar.set_position(done as u64);
        }
    }

    /// Says that so many `things` are done, where nobody knows how many there are.
    pub(super) fn counted(&self, done: u64, things: &str) {
        if self.is_silent() {
            return;
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {prefix}");
        self.bar.set_style(style.expect("the template is well-formed"));
        self.bar.set_prefix(format!("{} {things}", HumanCount(done)));
        self.bar.tick();
    }

    /// Whether there is nothing to be shown yet, or at all.
    fn is_silent(&self) -> bool {
        if self.bar.is_finished() || self.begun.elapsed() < SILENT {
            return true;
        }
        if self.bar.is_hidden() {
            // Hidden by itself where standard error is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        false
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
