//! Points in time as Kerberos has them: whole seconds, and the text of `KerberosTime` (RFC 4120, 5.2.3). Reads no clock.

use std::fmt;

const DAY: i64 = 86_400;

/// Seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KerberosTime(pub(super) i64);

impl KerberosTime {
    /// `19700101000000Z`, with which a client asks for as long a life as the KDC gives.
    pub(super) const UNLIMITED: Self = Self(0);

    pub(super) fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this.
    pub(super) fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `YYYYMMDDHHMMSSZ`
    pub(super) fn to_text(self) -> String {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }

    /// The time that `YYYYMMDDHHMMSSZ` stands for.
    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let (digits, zone) = text.split_at_checked(14)?;
        if zone != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |from: usize, to: usize| {
            let part = digits.get(from..to)?;
            Some(part.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0')))
        };
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
        let valid =
            (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
        valid.then(|| Self(days(year, month, day) * DAY + hour * 3600 + minute * 60 + second))
    }
}

impl fmt::Display for KerberosTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let second = self.0.rem_euclid(DAY);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// Days from 1970-01-01 to that day. The year is taken to begin in March, so that the leap day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "19700101000000Z"),
            (951_782_400, "20000229000000Z"),
            (1_795_305_600, "20261122000000Z"),
            (-1, "19691231235959Z"),
        ] {
            assert_eq!(KerberosTime(seconds).to_text(), text);
            assert_eq!(KerberosTime::from_text(text.as_bytes()), Some(KerberosTime(seconds)));
        }
    }

    #[test]
    fn text_that_is_no_time() {
        for text in ["", "20261122000000", "20261322000000Z", "2026112200000xZ", "20261122000000+0100"] {
            assert_eq!(KerberosTime::from_text(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0i64..253_402_300_799) {
            let time = KerberosTime(seconds);
            prop_assert_eq!(KerberosTime::from_text(time.to_text().as_bytes()), Some(time));
        }
    }
}
