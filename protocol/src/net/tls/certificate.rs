//! What a certificate says of itself, and whom it is for. Pure; proves nothing about who signed it.

use core::net::IpAddr;
use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Version};

use crate::net::sasl::quoted;

/// How many of a certificate's names an error shows.
const SHOWN_NAMES: usize = 10;

/// A certificate, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// From then, in seconds since 1970.
    pub(super) not_before: i64,
    /// Until then, in seconds since 1970.
    pub(super) not_after: i64,
    pub(super) names: Names,
    /// Whether it may sign others where it is in a trust store.
    pub(super) is_authority: bool,
    /// Whether it may sign for some names only (RFC 5280, 4.2.1.10).
    pub(super) is_constrained: bool,
    /// The key with its algorithm (DER of SubjectPublicKeyInfo).
    pub(super) public_key: Vec<u8>,
}

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    common: Option<String>,
}

impl Certificate {
    /// Reads DER; `None` where it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: quoted(&parsed.subject().to_string()),
            issuer: quoted(&parsed.issuer().to_string()),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            names: Names::of(&parsed),
            is_authority: is_authority(&parsed),
            is_constrained: is_constrained(&parsed),
            public_key: parsed.public_key().raw.to_vec(),
        })
    }
}

/// Whether what a trust store has may sign others, which webpki does not ask: a broker's own certificate may not, or its key
/// could make certificates of other brokers. One of version 1 cannot say so, and may (Java's
/// `jdk.security.allowNonCaAnchor`).
pub(super) fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    let is_ca = matches!(certificate.basic_constraints(), Ok(Some(basic)) if basic.value.ca);
    let signs =
        certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    certificate.version() == X509Version::V1 || (is_ca && signs)
}

/// Whether it may sign for some names only; where that cannot be read, too.
pub(super) fn is_constrained(certificate: &X509Certificate<'_>) -> bool {
    !matches!(certificate.name_constraints(), Ok(None))
}

impl Names {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        if let Ok(Some(extension)) = certificate.subject_alternative_name() {
            for name in &extension.value.general_names {
                match name {
                    GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                    GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                    _ => {}
                }
            }
        }
        // The most specific one is the last.
        let common = certificate.subject().iter_common_name().last();
        names.common = common.and_then(|name| name.as_str().ok()).map(str::to_owned);
        names
    }

    /// Whether the common name of a certificate without DNS names is the host's, as Java takes it (`HostnameChecker`;
    /// RFC 2818, 3.1). An address is never taken from there.
    pub(super) fn common_name_is(&self, host: &str) -> bool {
        self.dns.is_empty() && self.common.as_deref().is_some_and(|name| matches(name, host))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<String> = self.dns.iter().map(|name| quoted(name)).collect();
        all.extend(self.addresses.iter().map(IpAddr::to_string));
        if all.is_empty() {
            return match &self.common {
                Some(name) => f.write_str(&quoted(name)),
                None => f.write_str("nobody"),
            };
        }
        let more = all.len().saturating_sub(SHOWN_NAMES);
        all.truncate(SHOWN_NAMES);
        f.write_str(&all.join(", "))?;
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Whether a name in a certificate covers a host: the same but for case, or with `*` in place of the first label
/// (RFC 6125, 6.4.3), which needs two more behind it.
fn matches(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.trim_end_matches('.'), host.trim_end_matches('.'));
    if host.is_empty() {
        return false;
    }
    let Some(parent) = pattern.strip_prefix("*.") else { return pattern.eq_ignore_ascii_case(host) };
    let covered = host.split_once('.').filter(|(first, _)| !first.is_empty());
    parent.contains('.') && covered.is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
}

/// A moment as certificates and people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ASN1Time::from_timestamp(self.0) {
            Ok(time) => {
                let time = time.to_datetime();
                let (hour, minute, second) = time.to_hms();
                let date = time.date();
                let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
                write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
            }
            Err(_) => write!(f, "second {} of 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_one_label() {
        for (pattern, host) in [
            ("broker.example.com", "BROKER.example.com"),
            ("*.example.com", "broker.example.com"),
            ("broker.example.com.", "broker.example.com"),
            ("localhost", "localhost"),
        ] {
            assert!(matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "a.b.example.com"),
            ("*.example.com", ".example.com"),
            ("*.com", "example.com"),
            ("*", "localhost"),
            ("b*.example.com", "broker.example.com"),
            ("example.com", "broker.example.com"),
            ("", ""),
        ] {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn the_common_name_counts_only_without_dns_names() {
        let mut names = Names { common: Some("broker".into()), ..Names::default() };
        assert!(names.common_name_is("broker"));
        names.dns.push("other".into());
        assert!(!names.common_name_is("broker"));
        assert_eq!(names.to_string(), "other");
    }

    #[test]
    fn moments_are_readable() {
        assert_eq!(Moment(0).to_string(), "1970-01-01 00:00:00 UTC");
        assert_eq!(Moment(1_795_305_600).to_string(), "2026-11-22 00:00:00 UTC");
    }
}
