//! Names what answers in place of a Kafka broker, by its first bytes. Pure.

use std::fmt;

/// How many bytes of an unknown answer an error shows.
const SHOWN_BYTES: usize = 16;

/// What the other side spoke when it was not Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spoke {
    /// HTTP.
    Http,
    /// TLS: a record of it, most often the alert that says that we do not.
    Tls,
    /// Something else that began like this.
    Unknown {
        /// The first bytes, escaped.
        first_bytes: String,
    },
}

impl Spoke {
    /// Looks at the first bytes of an answer that cannot be a frame.
    pub(super) fn recognise(first: &[u8]) -> Self {
        match first {
            [b'H', b'T', b'T', b'P', ..] => Self::Http,
            [0x14..=0x17, 3, 0..=4, ..] => Self::Tls,
            _ => {
                let shown = first.get(..SHOWN_BYTES).unwrap_or(first);
                Self::Unknown { first_bytes: shown.escape_ascii().to_string() }
            }
        }
    }
}

impl fmt::Display for Spoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str("it answers in HTTP; is this the port of a web service?"),
            Self::Tls => {
                f.write_str("it answers in TLS; this listener wants security.protocol=SSL or SASL_SSL")
            }
            Self::Unknown { first_bytes } => write!(f, "its answer begins with \"{first_bytes}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_neighbours() {
        assert_eq!(Spoke::recognise(b"HTTP/1.1 400 Bad Request"), Spoke::Http);
        assert_eq!(Spoke::recognise(&[0x15, 3, 3, 0, 2, 2, 40]), Spoke::Tls);
        let unknown = Spoke::recognise(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n");
        assert_eq!(unknown, Spoke::Unknown { first_bytes: "SSH-2.0-OpenSSH_".into() });
        assert_eq!(Spoke::recognise(&[0xff]), Spoke::Unknown { first_bytes: "\\xff".into() });
    }
}
