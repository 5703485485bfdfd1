//! What the error codes of a KDC mean, for those who have to mend it (RFC 4120, 7.5.9). Pure.

use core::net::IpAddr;
use std::fmt;

use super::error::Refusal;

pub(super) const CLIENT_EXPIRED: i32 = 1;
pub(super) const CLIENT_UNKNOWN: i32 = 6;
pub(super) const SERVER_UNKNOWN: i32 = 7;
pub(super) const NULL_KEY: i32 = 9;
pub(super) const NEVER_VALID: i32 = 11;
pub(super) const POLICY: i32 = 12;
pub(super) const ETYPE_UNSUPPORTED: i32 = 14;
pub(super) const PADATA_UNSUPPORTED: i32 = 16;
pub(super) const CLIENT_REVOKED: i32 = 18;
pub(super) const CLIENT_NOT_YET: i32 = 21;
pub(super) const KEY_EXPIRED: i32 = 23;
pub(super) const PREAUTH_FAILED: i32 = 24;
pub(super) const PREAUTH_REQUIRED: i32 = 25;
pub(super) const MUST_USE_USER2USER: i32 = 27;
pub(super) const SERVICE_UNAVAILABLE: i32 = 29;
pub(super) const BAD_INTEGRITY: i32 = 31;
pub(super) const TICKET_EXPIRED: i32 = 32;
pub(super) const TICKET_NOT_YET: i32 = 33;
pub(super) const CLOCK_SKEW: i32 = 37;
pub(super) const RESPONSE_TOO_BIG: i32 = 52;
pub(super) const GENERIC: i32 = 60;
pub(super) const WRONG_REALM: i32 = 68;

impl Refusal {
    /// Whether asking again later may help.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self.code,
            SERVICE_UNAVAILABLE | RESPONSE_TOO_BIG | GENERIC | TICKET_EXPIRED | TICKET_NOT_YET
        )
    }

    fn is_about_the_service(&self) -> bool {
        !self.server.starts_with("krbtgt/")
    }

    /// What to add where Java would have asked for another name: it looks host names up, we take them as they are.
    fn unlike_java(&self) -> String {
        let host = self.server.rsplit_once('@').and_then(|(name, _)| name.split_once('/'));
        match host {
            Some((_, host)) if !host.contains('.') || host.parse::<IpAddr>().is_ok() => format!(
                ". Java would have looked up the full host name of {host}, kmirror takes it as it is: name the brokers \
                 in bootstrap.servers and advertised.listeners by the full host names of their principals; where all \
                 principals have the same second part, kerberos.domain.name sets it"
            ),
            _ => String::new(),
        }
    }

    fn meaning(&self) -> String {
        let Self { client, server, secret, etypes, .. } = self;
        match self.code {
            CLIENT_UNKNOWN => {
                format!("the KDC does not know {client}: check principal in the JAAS configuration")
            }
            SERVER_UNKNOWN if self.is_about_the_service() => format!(
                "the KDC does not know the service {server}: check sasl.kerberos.service.name, and that the broker's \
                 principal has the host name by which the broker is advertised{}",
                self.unlike_java()
            ),
            SERVER_UNKNOWN => format!(
                "the KDC does not know {server}: the realms do not trust each other; check [domain_realm] and \
                 [capaths] in krb5.conf"
            ),
            PREAUTH_FAILED | BAD_INTEGRITY => {
                format!(
                    "the KDC refuses the {secret} of {client}: it is not the one that the KDC has (any more)"
                )
            }
            ETYPE_UNSUPPORTED | NULL_KEY => format!(
                "the KDC has no key for {client} and {server} of an encryption type we asked for ({etypes}): look at \
                 permitted_enctypes, default_tkt_enctypes and default_tgs_enctypes in krb5.conf, and at the keys of \
                 both principals; RC4 and DES are not supported"
            ),
            CLOCK_SKEW => format!(
                "the clock of this machine and that of the KDC differ by {} s, more than Kerberos allows ({}): set \
                 the clocks, for example by NTP, or let the KDC's time count (kdc_timesync in krb5.conf)",
                self.ahead.unsigned_abs(),
                if self.ahead >= 0 { "the KDC's is ahead" } else { "the KDC's is behind" }
            ),
            CLIENT_EXPIRED => format!("the account of {client} has expired at the KDC"),
            KEY_EXPIRED => format!("the password of {client} has expired: it must be changed at the KDC"),
            CLIENT_REVOKED => format!("the account of {client} is locked at the KDC"),
            CLIENT_NOT_YET => format!("the account of {client} is not valid yet at the KDC"),
            POLICY => format!("the KDC's policy forbids {client} a ticket for {server}"),
            NEVER_VALID => {
                format!(
                    "the KDC would give {client} a ticket that is never valid: check ticket_lifetime in krb5.conf"
                )
            }
            PADATA_UNSUPPORTED | PREAUTH_REQUIRED => {
                format!(
                    "the KDC asks {client} for a way to log in that is not supported; it takes an encrypted timestamp"
                )
            }
            MUST_USE_USER2USER => format!("{server} has no key: it is a user, not a service"),
            TICKET_EXPIRED => format!("the ticket of {client} has expired for the KDC"),
            TICKET_NOT_YET => {
                format!("the ticket of {client} is not valid yet for the KDC: do the clocks differ?")
            }
            SERVICE_UNAVAILABLE => "the KDC is not available".to_owned(),
            WRONG_REALM => format!("the KDC says that {client} belongs to another realm: check principal"),
            code => format!("the KDC refuses {client} a ticket for {server} (error {code})"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.meaning())?;
        match self.text.as_deref().filter(|text| !text.is_empty()) {
            // What comes from the wire must not reach a terminal as it is.
            Some(text) => {
                let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                write!(f, " (it says: {shown})")
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: i32, server: &str) -> String {
        let refusal = Refusal {
            code,
            text: Some("WORDS\u{1b}".to_owned()),
            client: "mm@R".to_owned(),
            server: server.to_owned(),
            secret: "key from /k (kvno 3, aes256-cts-hmac-sha1-96)".to_owned(),
            ahead: -4000,
            etypes: "aes".to_owned(),
        };
        refusal.to_string()
    }

    #[test]
    fn short_names_and_addresses_are_not_looked_up() {
        for (server, is_told) in [
            ("kafka/b1@R.EXAMPLE", true),
            ("kafka/10.0.0.7@R", true),
            ("kafka/2001:db8::7@R", true),
            ("kafka/b1.example.com@R", false),
            ("krbtgt/X@R", false),
        ] {
            let text = refusal(SERVER_UNKNOWN, server);
            let told = text.contains("Java would have looked up the full host name");
            assert_eq!(told && text.contains("kerberos.domain.name"), is_told, "{text}");
            assert!(text.ends_with("(it says: WORDS)"), "{text}");
        }
        assert!(!refusal(POLICY, "kafka/b1@R").contains("Java"));
    }

    #[test]
    fn each_says_what_to_do() {
        for (code, server, words) in [
            (CLIENT_UNKNOWN, "krbtgt/R@R", "does not know mm@R: check principal"),
            (SERVER_UNKNOWN, "kafka/b1@R", "the service kafka/b1@R: check sasl.kerberos.service.name"),
            (SERVER_UNKNOWN, "krbtgt/X@R", "the realms do not trust each other"),
            (
                PREAUTH_FAILED,
                "krbtgt/R@R",
                "refuses the key from /k (kvno 3, aes256-cts-hmac-sha1-96) of mm@R",
            ),
            (CLOCK_SKEW, "krbtgt/R@R", "differ by 4000 s, more than Kerberos allows (the KDC's is behind)"),
            (ETYPE_UNSUPPORTED, "krbtgt/R@R", "permitted_enctypes"),
            (KEY_EXPIRED, "krbtgt/R@R", "must be changed"),
            (99, "krbtgt/R@R", "error 99"),
        ] {
            let text = refusal(code, server);
            assert!(text.contains(words) && text.ends_with("(it says: WORDS)"), "{text}");
        }
    }
}
