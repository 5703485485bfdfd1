//! AWS Signature Version 4, as far as a presigned request without a body takes it. Values in, text out.

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Where and when a signature counts.
pub(super) struct Scope<'a> {
    /// As [`Timestamp`] writes it.
    pub(super) timestamp: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Scope<'_> {
    fn day(&self) -> &str {
        self.timestamp.get(..8).unwrap_or_default()
    }

    /// As it stands in a credential and in what is signed.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day(), self.region, self.service)
    }
}

/// The signature of a canonical request, in hexadecimal digits.
pub(super) fn signature(secret: &str, scope: &Scope<'_>, canonical_request: &str) -> String {
    let hashed = hex(&Sha256::digest(canonical_request));
    let signed = format!("{ALGORITHM}\n{}\n{}\n{hashed}", scope.timestamp, scope.text());
    let mut key = Zeroizing::new(format!("AWS4{secret}").into_bytes());
    for part in [scope.day(), scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    hex(&mac(&key, &signed))
}

fn mac(key: &[u8], message: &str) -> Zeroizing<Vec<u8>> {
    // A key of any length will do; the error is that of other MACs.
    let mac =
        Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(message).finalize().into_bytes());
    Zeroizing::new(mac.map(|bytes| bytes.to_vec()).unwrap_or_default())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Text as signed requests have it (RFC 3986, section 2.3).
pub(super) fn uri_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Seconds since 1970 as `20150830T123600Z`.
pub(super) fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of the year 0, so that leap days come last (Howard Hinnant, "chrono-Compatible
    // Low-Level Date Algorithms").
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// `get-vanilla` of AWS's test suite for Signature Version 4.
    #[test]
    fn the_signature_of_the_test_suite() {
        let request = format!(
            "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n{EMPTY}"
        );
        let scope = Scope { timestamp: "20150830T123600Z", region: "us-east-1", service: "service" };
        let signature = signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope, &request);
        assert_eq!(signature, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    }

    /// The presigned request of AWS's guide to S3 ("Authenticating Requests: Using Query Parameters").
    #[test]
    fn the_signature_of_the_guide() {
        let request = "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\
                       AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&\
                       X-Amz-Expires=86400&X-Amz-SignedHeaders=host\nhost:examplebucket.s3.amazonaws.com\n\nhost\n\
                       UNSIGNED-PAYLOAD";
        let scope = Scope { timestamp: "20130524T000000Z", region: "us-east-1", service: "s3" };
        let signature = signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &scope, request);
        assert_eq!(signature, "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    }

    #[test]
    fn times_are_written_as_dates() {
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(951_782_399), "20000228T235959Z");
        assert_eq!(timestamp(951_782_400), "20000229T000000Z");
        assert_eq!(timestamp(1_440_938_160), "20150830T123600Z");
        assert_eq!(timestamp(1_735_689_599), "20241231T235959Z");
        assert_eq!(timestamp(4_107_542_400), "21000301T000000Z");
    }

    #[test]
    fn only_the_unreserved_stay() {
        assert_eq!(uri_encoded("aZ0-._~/+= *ü"), "aZ0-._~%2F%2B%3D%20%2A%C3%BC");
    }
}
