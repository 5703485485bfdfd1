//! What `krb5.conf` says, in the terms of those who ask. The text is read in `parse`, files in `files`.
//!
//! Unknown sections and keys are ignored, as MIT's library and Java do; of a key given twice the first counts.

mod files;
mod parse;

use super::crypto::Etype;

pub(super) use files::load;
pub use parse::ConfError;

/// Requests of more bytes go over TCP at once (`udp_preference_limit`, as in MIT's library and Java).
const UDP_PREFERENCE_LIMIT: usize = 1465;

/// Keys of `[libdefaults]` that say which encryption types may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EtypesFor {
    /// `default_tkt_enctypes`
    Login,
    /// `default_tgs_enctypes`
    Services,
}

/// All that was read: paths of section, subsections and key, with their values, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conf {
    entries: Vec<(Vec<String>, String)>,
}

impl Conf {
    /// All values of one key, in order.
    fn values(&self, path: &[&str]) -> Vec<&str> {
        let fits =
            |entry: &&(Vec<String>, String)| entry.0.iter().map(String::as_str).eq(path.iter().copied());
        self.entries.iter().filter(fits).map(|(_, value)| value.as_str()).collect()
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.values(&["libdefaults", key]).first().copied()
    }

    fn switch(&self, key: &str) -> Option<bool> {
        match self.setting(key)?.to_ascii_lowercase().as_str() {
            "y" | "yes" | "true" | "t" | "1" | "on" => Some(true),
            "n" | "no" | "false" | "nil" | "0" | "off" => Some(false),
            _ => None,
        }
    }

    fn seconds(&self, key: &str) -> Option<i64> {
        duration(self.setting(key)?)
    }

    /// The realm of names without one.
    pub(super) fn default_realm(&self) -> Option<&str> {
        self.setting("default_realm")
    }

    /// The KDCs of a realm as they are written: `host`, `host:port`, `[ipv6]:port`. Java takes several in a line.
    pub(super) fn kdcs(&self, realm: &str) -> Vec<&str> {
        self.values(&["realms", realm, "kdc"]).into_iter().flat_map(str::split_whitespace).collect()
    }

    /// The realm of a host by `[domain_realm]`: its own entry, or that of the nearest domain above it.
    pub(super) fn realm_of_host(&self, host: &str) -> Option<&str> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let find = |name: &str| {
            let fits = |entry: &&(Vec<String>, String)| matches!(entry.0.as_slice(), [section, key] if section == "domain_realm" && key.eq_ignore_ascii_case(name));
            self.entries.iter().find(fits).map(|(_, realm)| realm.as_str())
        };
        let mut rest = host.as_str();
        let mut found = find(rest);
        while let (None, Some((_, domain))) = (found, rest.split_once('.')) {
            found = find(&format!(".{domain}")).or_else(|| find(domain));
            rest = domain;
        }
        found
    }

    /// Realms to pass on the way from one realm to another (`[capaths]`); empty for the direct way.
    pub(super) fn way(&self, from: &str, to: &str) -> Vec<&str> {
        let stations = self.values(&["capaths", from, to]).into_iter().flat_map(str::split_whitespace);
        stations.filter(|station| *station != ".").collect()
    }

    /// The encryption types to ask for, the wanted first.
    pub(super) fn etypes(&self, purpose: EtypesFor) -> Vec<Etype> {
        let permitted = self.setting("permitted_enctypes").map_or_else(|| Etype::ALL.to_vec(), parse::etypes);
        let key = match purpose {
            EtypesFor::Login => "default_tkt_enctypes",
            EtypesFor::Services => "default_tgs_enctypes",
        };
        match self.setting(key).map(parse::etypes) {
            Some(wanted) => wanted.into_iter().filter(|etype| permitted.contains(etype)).collect(),
            None => permitted,
        }
    }

    /// Whether to go by the KDC's clock (`kdc_timesync`), on as in MIT's library.
    pub(super) fn takes_time_of_kdc(&self) -> bool {
        self.switch("kdc_timesync").unwrap_or(true)
    }

    /// Requests of more bytes go over TCP at once.
    pub(super) fn udp_preference_limit(&self) -> usize {
        self.setting("udp_preference_limit")
            .and_then(|text| text.parse().ok())
            .unwrap_or(UDP_PREFERENCE_LIMIT)
    }

    /// How long tickets shall be good for, in seconds; none for as long as the KDC gives.
    pub(super) fn ticket_lifetime(&self) -> Option<i64> {
        self.seconds("ticket_lifetime").filter(|seconds| *seconds > 0)
    }

    /// How long tickets shall be renewable, in seconds.
    pub(super) fn renew_lifetime(&self) -> Option<i64> {
        self.seconds("renew_lifetime").filter(|seconds| *seconds > 0)
    }

    pub(super) fn forwardable(&self) -> bool {
        self.switch("forwardable").unwrap_or(false)
    }
}

/// Reads a text whose inclusions lead nowhere.
pub(super) fn parse_alone(text: &str) -> Result<Conf, ConfError> {
    parse::parse(text, "krb5.conf".as_ref(), &mut |_| Ok(Vec::new()))
}

/// Seconds of `36000`, `10h`, `1d 12h`, `10:30`, `10:30:00`.
fn duration(text: &str) -> Option<i64> {
    if text.contains(':') {
        let parts = text.split(':').map(|part| part.trim().parse().ok()).collect::<Option<Vec<i64>>>()?;
        return match parts.as_slice() {
            [hours, minutes] => hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?),
            [hours, minutes, seconds] => {
                hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?.checked_add(*seconds)
            }
            _ => None,
        };
    }
    let (mut total, mut number) = (0i64, None::<i64>);
    for letter in text.chars().filter(|letter| !letter.is_whitespace()) {
        if let Some(digit) = letter.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit.into())?);
            continue;
        }
        let unit = match letter {
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    total.checked_add(number.unwrap_or(0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn conf(text: &str) -> Conf {
        parse_alone(text).unwrap()
    }

    #[test]
    fn what_a_usual_file_says() {
        let conf = conf(
            "# comment\n[libdefaults]\n default_realm = EXAMPLE.COM\n ticket_lifetime = 24h\n renew_lifetime = 7d\n\
             forwardable = true\n udp_preference_limit = 1\n kdc_timesync = 0\n\
             default_tkt_enctypes = aes256-sha2 rc4-hmac,aes128-cts\n\
             [realms]\n EXAMPLE.COM = {\n  kdc = kdc1.example.com\n  kdc = [::1]:1088\n  admin_server = x\n }\n\
             OTHER = {\n kdc = a b\n }\n\
             [domain_realm]\n .example.com = EXAMPLE.COM\n special.example.com = OTHER\n\
             [capaths]\n EXAMPLE.COM = {\n OTHER = HUB\n FAR = .\n }\n",
        );
        assert_eq!(conf.default_realm(), Some("EXAMPLE.COM"));
        assert_eq!(conf.kdcs("EXAMPLE.COM"), ["kdc1.example.com", "[::1]:1088"]);
        assert_eq!(conf.kdcs("OTHER"), ["a", "b"]);
        assert_eq!(conf.realm_of_host("B1.Sub.Example.com"), Some("EXAMPLE.COM"));
        assert_eq!(conf.realm_of_host("special.example.com."), Some("OTHER"));
        assert_eq!(conf.realm_of_host("example.org"), None);
        assert_eq!(conf.way("EXAMPLE.COM", "OTHER"), ["HUB"]);
        assert!(conf.way("EXAMPLE.COM", "FAR").is_empty());
        assert_eq!(conf.etypes(EtypesFor::Login), [Etype::Aes256Sha2, Etype::Aes128Sha1]);
        assert_eq!(conf.etypes(EtypesFor::Services), Etype::ALL);
        assert_eq!((conf.ticket_lifetime(), conf.renew_lifetime()), (Some(86_400), Some(604_800)));
        assert_eq!(conf.udp_preference_limit(), 1);
        assert!(conf.forwardable() && !conf.takes_time_of_kdc());
    }

    #[test]
    fn an_empty_file_has_the_defaults() {
        let conf = conf("");
        assert_eq!(conf.udp_preference_limit(), 1465);
        assert!(conf.takes_time_of_kdc() && !conf.forwardable());
        assert_eq!(conf.etypes(EtypesFor::Login), Etype::ALL);
    }

    #[test]
    fn permitted_types_bind_the_others() {
        let conf =
            conf("[libdefaults]\npermitted_enctypes = aes128-sha2 aes\ndefault_tgs_enctypes = aes256-cts\n");
        assert_eq!(conf.etypes(EtypesFor::Login).first(), Some(&Etype::Aes128Sha2));
        assert_eq!(conf.etypes(EtypesFor::Services), [Etype::Aes256Sha1]);
    }

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("36000", Some(36_000)),
            ("1d 12h", Some(129_600)),
            ("10:30", Some(37_800)),
            ("1:0:5", Some(3605)),
            ("x", None),
            ("h", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
    }
}
