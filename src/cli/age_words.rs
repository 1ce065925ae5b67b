//! Moments and durations in words, and durations as people type them.

use jiff::fmt::friendly::{Designator, Direction, Spacing, SpanParser, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// `47 minutes`
const WORDS: SpanPrinter = SpanPrinter::new()
    .designator(Designator::Verbose)
    .spacing(Spacing::BetweenUnitsAndDesignators)
    .direction(Direction::Sign);

/// `47m`
const SHORT: SpanPrinter =
    SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::None).direction(Direction::Sign);

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The mean month of the Gregorian calendar: 146 097 days in 4 800 months.
const MONTH: i64 = 146_097 * DAY / 4_800;
const YEAR: i64 = 12 * MONTH;

/// Longest duration that can be asked for, ten years in seconds: no token lives as long.
const LONGEST: i64 = 10 * 366 * DAY;

/// `3 days ago`, `just now`, or `in 47 minutes` for a moment that is still to come.
pub(super) fn age(then: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(then);
    match age.as_secs() {
        ..=-1 => format!("in {}", duration(age)),
        0 => "just now".to_owned(),
        _ => format!("{} ago", duration(age)),
    }
}

/// `in 47 minutes`, `expired 5 minutes ago`, or `never`.
pub(super) fn expiry(expires_at: Option<Timestamp>, now: Timestamp) -> String {
    match expires_at {
        None => "never".to_owned(),
        Some(end) if end <= now => format!("expired {}", age(end, now)),
        Some(end) if end.duration_since(now).as_secs() == 0 => "in a moment".to_owned(),
        Some(end) => format!("in {}", duration(end.duration_since(now))),
    }
}

/// `47 minutes`, however the sign is. Cut off, not rounded: nothing seems to last longer than it does.
///
/// A unit is used from two of it upwards, so that at most a third is cut off.
pub(super) fn duration(duration: SignedDuration) -> String {
    WORDS.span_to_string(&coarse(duration))
}

/// The age of `then` for a column of a table: `47m ago`, `3d ago`, or `in 10m` if it is still to come.
pub(super) fn short_age(then: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(then);
    let length = SHORT.span_to_string(&coarse(age));
    if age.as_secs() < 0 { format!("in {length}") } else { format!("{length} ago") }
}

/// The time left for a column of a table: `47m left`, `expired`, `never`.
pub(super) fn short_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> String {
    match expires_at {
        None => "never".to_owned(),
        Some(end) if end <= now => "expired".to_owned(),
        Some(end) => format!("{} left", SHORT.span_to_string(&coarse(end.duration_since(now)))),
    }
}

/// The duration in its one largest unit of which there are two.
fn coarse(duration: SignedDuration) -> Span {
    let seconds = duration.abs().as_secs();
    let count = |unit| seconds / unit;
    let span = Span::new();
    match seconds {
        _ if count(YEAR) >= 2 => span.try_years(count(YEAR)),
        _ if count(MONTH) >= 2 => span.try_months(count(MONTH)),
        _ if count(DAY) >= 2 => span.try_days(count(DAY)),
        _ if count(HOUR) >= 2 => span.try_hours(count(HOUR)),
        _ if count(MINUTE) >= 2 => span.try_minutes(count(MINUTE)),
        _ => span.try_seconds(seconds),
    }
    // Two timestamps are at most 20 000 years apart.
    .unwrap_or_default()
}

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub(super) enum InvalidDuration {
    /// It is not written as one.
    #[error("{0:?} is no duration: write for example 90s, 10m, 1h30m or 2d")]
    Malformed(String),
    /// It is below zero.
    #[error("a duration cannot be negative")]
    Negative,
    /// It has units whose length depends on the calendar.
    #[error("months and years differ in length: use days")]
    Calendar,
    /// It has a part of a second.
    #[error("a duration has whole seconds: write for example 90s or 1h30m, without a fraction")]
    Fraction,
    /// It is longer than ten years.
    #[error("a duration of more than ten years is surely a mistake")]
    TooLong,
}

/// The duration that a person has typed: `10m`, `1h30m`, `2 days`, or a bare number of seconds.
/// A day has 24 hours. Fits `clap`'s `value_parser`.
///
/// # Errors
///
/// If it is not written as a duration, is negative, has parts of a second, months or years, or is
/// longer than ten years.
pub(super) fn parse_duration(text: &str) -> Result<SignedDuration, InvalidDuration> {
    let malformed = || InvalidDuration::Malformed(text.chars().take(40).collect());
    if text.starts_with('-') || text.ends_with("ago") {
        return Err(InvalidDuration::Negative);
    }
    if text.contains(['.', ',']) {
        return Err(InvalidDuration::Fraction);
    }
    if text.contains([':', '+']) {
        return Err(malformed());
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return in_bounds(SignedDuration::from_secs(text.parse().unwrap_or(i64::MAX)));
    }
    let span = SpanParser::new().parse_span(text).map_err(|_| malformed())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(InvalidDuration::Calendar);
    }
    let relative = SpanRelativeTo::days_are_24_hours();
    in_bounds(span.to_duration(relative).map_err(|_| InvalidDuration::TooLong)?)
}

fn in_bounds(duration: SignedDuration) -> Result<SignedDuration, InvalidDuration> {
    match duration {
        it if it.is_negative() => Err(InvalidDuration::Negative),
        it if it.subsec_nanos() != 0 => Err(InvalidDuration::Fraction),
        it if it.as_secs() > LONGEST => Err(InvalidDuration::TooLong),
        fine => Ok(fine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let told = |seconds: i64| age(after(-seconds), NOW);

        assert_eq!(told(0), "just now");
        assert_eq!(told(1), "1 second ago");
        assert_eq!(told(119), "119 seconds ago");
        assert_eq!(told(120), "2 minutes ago");
        assert_eq!(told(2 * HOUR - 1), "119 minutes ago");
        assert_eq!(told(2 * HOUR), "2 hours ago");
        assert_eq!(told(3 * DAY + 5), "3 days ago");
        assert_eq!(told(180 * DAY), "5 months ago");
        assert_eq!(told(5 * YEAR), "5 years ago");
        assert_eq!(told(-HOUR), "in 60 minutes");
    }

    #[test]
    fn an_expiry_is_told_from_both_sides() {
        let told = |seconds: i64| expiry(Some(after(seconds)), NOW);

        assert_eq!(told(47 * MINUTE + 59), "in 47 minutes");
        assert_eq!(told(0), "expired just now");
        assert_eq!(told(-5 * MINUTE), "expired 5 minutes ago");
        assert_eq!(expiry(None, NOW), "never");
        let soon = NOW + SignedDuration::from_millis(300);
        assert_eq!(expiry(Some(soon), NOW), "in a moment");
    }

    #[test]
    fn tables_get_short_forms() {
        assert_eq!(short_age(after(-3 * DAY), NOW), "3d ago");
        assert_eq!(short_age(after(-70 * DAY), NOW), "2mo ago");
        assert_eq!(short_age(NOW, NOW), "0s ago");
        assert_eq!(short_age(after(10 * MINUTE), NOW), "in 10m");
        assert_eq!(short_expiry(Some(after(47 * MINUTE)), NOW), "47m left");
        assert_eq!(short_expiry(Some(NOW), NOW), "expired");
        assert_eq!(short_expiry(None, NOW), "never");
    }

    #[test]
    fn the_ends_of_time_have_words() {
        assert_eq!(age(Timestamp::MIN, Timestamp::MAX), "19998 years ago");
        assert_eq!(expiry(Some(Timestamp::MAX), Timestamp::MIN), "in 19998 years");
    }

    #[test]
    fn durations_are_typed_as_people_do() {
        let seconds = |text: &str| parse_duration(text).map(|it| it.as_secs());

        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert_eq!(seconds("1 hour 30 minutes"), Ok(5_400));
        assert_eq!(seconds("8h"), Ok(28_800));
        assert_eq!(seconds("2d"), Ok(172_800));
        assert_eq!(seconds("1w"), Ok(604_800));
        assert_eq!(seconds("3660d"), Ok(LONGEST));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        use InvalidDuration::{Calendar, Fraction, Negative, TooLong};

        assert_eq!(parse_duration("-5m"), Err(Negative));
        assert_eq!(parse_duration("5 minutes ago"), Err(Negative));
        assert_eq!(parse_duration("1.5h"), Err(Fraction));
        assert_eq!(parse_duration("1,5h"), Err(Fraction));
        assert_eq!(parse_duration("1500ms"), Err(Fraction));
        assert_eq!(parse_duration("1y"), Err(Calendar));
        assert_eq!(parse_duration("2mo"), Err(Calendar));
        assert_eq!(parse_duration("3661d"), Err(TooLong));
        assert_eq!(parse_duration("99999999999999999999"), Err(TooLong));
        for text in ["", " ", "m", "10x", "ten minutes", "10m 5", "PT5M", "01:30:00", "+5m"] {
            assert!(matches!(parse_duration(text), Err(InvalidDuration::Malformed(_))), "{text:?}");
        }
    }
}
