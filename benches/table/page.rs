//! The page that is printed: Markdown tables, and what was left out.

use std::time::Duration;

use crate::measure::Times;

/// What a row is held to.
pub struct Bar {
    /// The row.
    pub row: String,
    /// How many times as long as the reference it may take.
    pub at_most: f64,
}

/// A page in the making: it is printed as it grows.
pub struct Page {
    prints: bool,
    left_out: Vec<String>,
}

impl Page {
    /// An empty one, that is printed or not.
    pub fn new(prints: bool) -> Self {
        Self { prints, left_out: Vec::new() }
    }

    /// Adds a paragraph.
    pub fn say(&self, paragraph: &str) {
        if self.prints {
            println!("{}\n", paragraph.trim_end());
        }
    }

    /// Whether anybody reads it.
    pub fn prints(&self) -> bool {
        self.prints
    }

    /// Notes what this machine could not measure.
    pub fn left_out(&mut self, what: &str) {
        self.left_out.push(what.to_owned());
    }

    /// A table of what `cells` gives.
    pub fn table(&self, title: &str, heads: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
        let rules: Vec<String> =
            (0..heads.len()).map(|column| if column == 0 { "---" } else { "---:" }.to_owned()).collect();
        let rows: String = rows.iter().map(|row| line(row)).collect();
        self.say(&format!("### {title}\n\n{}{}{rows}", line(&heads), line(&rules)));
    }

    /// Says what was left out.
    pub fn finish(self) {
        for what in &self.left_out {
            self.say(&format!("Left out: {what}."));
        }
    }

    /// Times, and their ratio to the contestant number `reference`.
    pub fn ratios(&self, title: &str, times: &[Times], reference: usize, bars: &[Bar]) {
        let reference = &times[reference];
        let unit = reference.median().as_secs_f64();
        let processor = reference.processor().as_secs_f64();
        let rows: Vec<Vec<String>> = times
            .iter()
            .map(|times| {
                let ratio = times.median().as_secs_f64() / unit;
                let bar = bars.iter().find(|bar| bar.row == times.name);
                let mut row = timed(times);
                row.push(format!("{ratio:.2}"));
                row.push(format!("{:.2}", times.processor().as_secs_f64() / processor));
                row.push(bar.map_or_else(String::new, |bar| {
                    format!("at most {}: {}", bar.at_most, verdict(ratio <= bar.at_most))
                }));
                row
            })
            .collect();
        self.table(title, &["", "median, ms", "p5", "p95", "CPU, ms", "ratio", "ratio of CPU", "bar"], &rows);
    }

    /// Times that must stay below so many seconds.
    pub fn limits(&self, title: &str, times: &[Times], seconds: f64) {
        let rows: Vec<Vec<String>> = times
            .iter()
            .map(|times| {
                let mut row = timed(times);
                row.push(format!("below {seconds} s: {}", verdict(times.median().as_secs_f64() < seconds)));
                row
            })
            .collect();
        self.table(title, &["", "median, ms", "p5", "p95", "CPU, ms", "bar"], &rows);
    }
}

/// Name, median and the percentiles, as cells.
fn timed(times: &Times) -> Vec<String> {
    let cells = [times.median(), times.percentile(5), times.percentile(95), times.processor()];
    let mut row = vec![times.name.clone()];
    row.extend(cells.map(milliseconds));
    row
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> String {
    let time = time.as_secs_f64() * 1000.0;
    if time < 20.0 { format!("{time:.2}") } else { format!("{time:.0}") }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}
