//! `host:port`, as bootstrap servers are written and brokers are found in metadata.

use std::fmt;
use std::str::FromStr;

/// Where a broker listens. The host is a name or an IP address, an IPv6 address without its brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `:port` at the end.
    #[error("'{text}' has no port: write host:port, an IPv6 address in brackets")]
    NoPort {
        /// What was written.
        text: String,
    },
    /// What stands for a port is none.
    #[error("'{port}' in '{text}' is not a port number from 1 to 65535")]
    BadPort {
        /// What was written.
        text: String,
        /// Its last part.
        port: String,
    },
    /// There is no host, or one with characters that no host has.
    #[error("'{text}' has no valid host name before its port")]
    BadHost {
        /// What was written.
        text: String,
    },
}

impl Address {
    /// An address from its parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `host:port`, `[ipv6]:port`, and either behind the name of a listener (`PLAINTEXT://host:port`), as
    /// Java clients do (Kafka class `Utils`, pattern `HOST_PORT_PATTERN`; it takes an IPv6 address without
    /// brackets, too).
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let no_port = || AddressError::NoPort { text: text.to_owned() };
        let bad_host = || AddressError::BadHost { text: text.to_owned() };
        let (host, port) = match bare.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(bad_host)?;
                (host, rest.strip_prefix(':').ok_or_else(no_port)?)
            }
            None => bare.rsplit_once(':').ok_or_else(no_port)?,
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(bad_host());
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(AddressError::BadPort { text: text.to_owned(), port: port.to_owned() }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_clients_read() {
        for (text, host, port) in [
            ("broker-1.example.com:9092", "broker-1.example.com", 9092),
            (" 10.0.0.1:1 ", "10.0.0.1", 1),
            ("[::1]:9092", "::1", 9092),
            ("2001:db8::1:9092", "2001:db8::1", 9092),
            ("PLAINTEXT://host_a:65535", "host_a", 65535),
            ("SASL_SSL://[fe80::1%eth0]:9093", "fe80::1%eth0", 9093),
        ] {
            assert_eq!(text.parse(), Ok(Address::new(host, port)), "{text}");
        }
    }

    #[test]
    fn refuses_what_has_no_host_or_port() {
        assert!(matches!("host".parse::<Address>(), Err(AddressError::NoPort { .. })));
        assert!(matches!("[::1]".parse::<Address>(), Err(AddressError::NoPort { .. })));
        assert!(matches!("[::1:9092".parse::<Address>(), Err(AddressError::BadHost { .. })));
        for text in ["host:", "host:0", "host:65536", "host:9092 # comment", "host:x"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::BadPort { .. })), "{text}");
        }
        for text in [":9092", "a b:9092", "a,b:1", "http://host/path:80"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::BadHost { .. })), "{text}");
        }
    }

    #[test]
    fn shows_what_it_can_read() {
        for text in ["host:9092", "[::1]:9092"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }
}
