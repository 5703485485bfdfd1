//! Places in a log as people write them: an offset, a time, or milliseconds. Knows no time zones but offsets from UTC.

use kmirror_engine::verify::Place;

const HOW: &str = "an offset (1234), a time (2026-01-31T12:00:00Z, 2026-01-31), or milliseconds since 1970 (@1769860800000)";

/// Reads a place.
///
/// # Errors
/// What would have been right.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let place = match text.strip_prefix('@') {
        Some(millis) => millis.parse().ok().filter(|millis| *millis >= 0).map(Place::Timestamp),
        None => match text.parse::<i64>() {
            Ok(offset) => Some(Place::Offset(offset)).filter(|_| offset >= 0),
            Err(_) => time(text).map(Place::Timestamp),
        },
    };
    place.ok_or_else(|| format!("write {HOW}"))
}

/// Milliseconds since 1970 of a time as RFC 3339 writes it; a date alone is its midnight, no zone is UTC.
fn time(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut parts = date.splitn(3, '-').map(digits);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=days_of(year, month)).contains(&day)
    {
        return None;
    }
    let (clock, zone_minutes) = zone(clock)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.splitn(3, ':').map(digits);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let millis = digits(&format!("{fraction:0<3}").chars().take(3).collect::<String>())?;
    let minutes = (days_before(year, month) + day - 1) * 1440 + hour * 60 + minute - zone_minutes;
    Some((minutes * 60 + second) * 1000 + millis)
}

/// A clock without its zone, and the zone's minutes ahead of UTC.
fn zone(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = clock.rfind(['+', '-']) else { return Some((clock, 0)) };
    let (clock, zone) = clock.split_at(at);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let ahead = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
    Some((clock, if zone.starts_with('-') { -ahead } else { ahead }))
}

fn digits(text: &str) -> Option<i64> {
    let sound = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| sound)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    years + (1..month).map(|month| days_of(year, month)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_milliseconds() {
        assert_eq!(place("0"), Ok(Place::Offset(0)));
        assert_eq!(place("123456789012345"), Ok(Place::Offset(123_456_789_012_345)));
        assert_eq!(place("@1767225600000"), Ok(Place::Timestamp(1_767_225_600_000)));
        for wrong in ["", "-1", "@", "@-5", "x", "1.5", "yesterday"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        // GNU date -d TIME +%s%3N
        for (text, millis) in [
            ("1970-01-01", 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600_000),
            ("2024-02-29T12:34:56.789Z", 1_709_210_096_789),
            ("2026-01-01T01:30:00+01:30", 1_767_225_600_000),
            ("2025-12-31T23:00-01:00", 1_767_225_600_000),
            ("2000-03-01 00:00:00", 951_868_800_000),
        ] {
            assert_eq!(place(text), Ok(Place::Timestamp(millis)), "{text}");
        }
        for wrong in ["2026-02-29", "2026-13-01", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+1", "26-1-1"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
