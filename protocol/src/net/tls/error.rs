//! Why there is no encrypted connection, and what to do about it. Pure: [`explain`] turns what rustls says into it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as Rustls};

use super::certificate::{Moment, Names};
use crate::net::keystore::KeystoreError;

/// Why there is no encrypted connection. Cheap to clone.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A store's file is missing, or not for us to read.
    #[error("{} ({}) cannot be read", file.display(), purpose.location())]
    Unreadable {
        /// Which store.
        purpose: Purpose,
        /// Its file.
        file: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A store holds nothing that can be used.
    #[error("{place}: {}", hint(*purpose, source))]
    Store {
        /// Which store.
        purpose: Purpose,
        /// Its file, or the option that holds it.
        place: String,
        /// What is wrong with it.
        #[source]
        source: KeystoreError,
    },
    /// A store took too long to open.
    #[error("{place} was not opened within {after:?}; what it is encrypted with takes too long to compute")]
    StoreTooSlow {
        /// Which stores.
        place: String,
        /// The time there was.
        after: Duration,
    },
    /// The system trusts nobody, and there is no trust store.
    #[error("ssl.truststore.location is not set, and the system's certificates cannot be used")]
    NoRoots,
    /// The key store's key cannot be used.
    #[error(
        "the private key of the key store (ssl.keystore.location) cannot be used: it must be RSA, ECDSA (P-256, P-384) \
         or Ed25519, and that of the first certificate of its chain"
    )]
    Identity(#[source] Rustls),
    /// `ssl.cipher.suites` names only what there is not.
    #[error("ssl.cipher.suites: there is none of {names} here; there are {known}")]
    NoSuchCipherSuite {
        /// The names.
        names: String,
        /// Those that there are.
        known: String,
    },
    /// `ssl.cipher.suites` and `ssl.enabled.protocols` have nothing in common.
    #[error("none of ssl.cipher.suites goes with ssl.enabled.protocols")]
    NoCipherSuites,
    /// The name of the broker cannot stand in a certificate.
    #[error(
        "'{host}' can be the name of no certificate; with ssl.endpoint.identification.algorithm= it is not compared"
    )]
    HostName {
        /// The name.
        host: String,
    },
    /// The broker's certificate is too old.
    #[error(
        "the certificate of {subject} expired on {}; the broker needs a new one, in its ssl.keystore (or this host's clock is \
         wrong)",
        Moment(*not_after)
    )]
    Expired {
        /// Whose.
        subject: String,
        /// Since when, in seconds since 1970.
        not_after: i64,
    },
    /// The broker's certificate is too new.
    #[error("the certificate of {subject} is valid only from {}; is this host's clock right?", Moment(*not_before))]
    NotYetValid {
        /// Whose.
        subject: String,
        /// From when, in seconds since 1970.
        not_before: i64,
    },
    /// Nobody that we trust has signed the broker's certificate.
    #[error(
        "the certificate of {subject} was issued by {issuer}, who is not trusted by {trusted}; import the issuer's \
         certificate there"
    )]
    UnknownIssuer {
        /// Whose.
        subject: String,
        /// By whom.
        issuer: String,
        /// Where those are whom we trust.
        trusted: String,
    },
    /// The broker's certificate is for another host.
    #[error(
        "the certificate is for {names}, not for {wanted}; connect by a name that it has, or switch the comparison off \
         with ssl.endpoint.identification.algorithm="
    )]
    NameMismatch {
        /// The host we connected to.
        wanted: String,
        /// Those it is for.
        names: Names,
    },
    /// The broker's certificate is not acceptable for another reason.
    #[error("the certificate of {subject} is not acceptable")]
    Certificate {
        /// Whose.
        subject: String,
        /// Why.
        #[source]
        source: Rustls,
    },
    /// The broker wants to know who we are.
    #[error("the broker asks for a client certificate; set ssl.keystore.location and ssl.keystore.password")]
    ClientCertificateRequired,
    /// The broker does not like our certificate.
    #[error(
        "the broker does not accept our certificate (ssl.keystore.location), alert {alert}: it may have expired, or the \
         broker's trust store lacks its issuer"
    )]
    ClientCertificateRejected {
        /// What it said, by its name in RFC 8446.
        alert: String,
    },
    /// No version or cipher in common.
    #[error(
        "the broker and we have no TLS version or cipher suite in common ({reason}); see ssl.enabled.protocols and \
         ssl.cipher.suites on both sides (there are TLSv1.2 and TLSv1.3 here)"
    )]
    NothingInCommon {
        /// What one of us said of it.
        reason: String,
    },
    /// The other side ended the handshake for another reason.
    #[error("the broker ended the encrypted connection with alert {alert}")]
    Alert {
        /// What it said, by its name in RFC 8446.
        alert: String,
    },
    /// What answers does not speak TLS.
    #[error(
        "what answers there does not speak TLS; a plain listener needs security.protocol=PLAINTEXT or SASL_PLAINTEXT"
    )]
    NotTls,
    /// The connection was closed within the handshake.
    #[error(
        "it was closed within the handshake; a plain listener does that to a client that speaks TLS (security.protocol), \
         and a broker that stops"
    )]
    ClosedInHandshake,
    /// The connection was closed right behind the handshake.
    #[error(
        "it was closed before the first answer; a listener that asks for a client certificate does that \
         (ssl.keystore.location), and a broker that stops"
    )]
    ClosedAtOnce,
    /// The handshake takes too long.
    #[error("no handshake within {after:?}")]
    Timeout {
        /// The time it had.
        after: Duration,
    },
    /// The socket failed within the handshake.
    #[error("the handshake failed")]
    Io(#[source] Arc<io::Error>),
    /// One of us broke the rules of TLS.
    #[error("TLS failed")]
    Protocol(#[source] Rustls),
}

/// What a store is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// It says whom we trust.
    Trust,
    /// It says who we are.
    Identity,
}

impl Purpose {
    /// The option that names its file.
    pub fn location(self) -> &'static str {
        match self {
            Self::Trust => "ssl.truststore.location",
            Self::Identity => "ssl.keystore.location",
        }
    }

    /// The option with its password.
    pub fn password(self) -> &'static str {
        match self {
            Self::Trust => "ssl.truststore.password",
            Self::Identity => "ssl.keystore.password",
        }
    }
}

/// Which option to look at.
fn hint(purpose: Purpose, error: &KeystoreError) -> String {
    match error {
        KeystoreError::WrongPassword | KeystoreError::NoPassword => {
            format!("the store does not open with {}", purpose.password())
        }
        KeystoreError::WrongKeyPassword | KeystoreError::NoKeyPassword => {
            format!("the private key does not open with ssl.key.password (or, where that is not set, {})", {
                purpose.password()
            })
        }
        _ => format!("the store cannot be used (see {})", purpose.location()),
    }
}

impl TlsError {
    /// Whether the other side closed before anything was said. At a start that is a listener of another kind.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::ClosedInHandshake | Self::ClosedAtOnce)
    }

    /// Whether configuration or certificates have to change before it can work; else the network or a broker that
    /// stops can have been the cause.
    pub fn is_security(&self) -> bool {
        !matches!(
            self,
            Self::ClosedInHandshake
                | Self::ClosedAtOnce
                | Self::Timeout { .. }
                | Self::Io(_)
                | Self::Protocol(_)
        )
    }
}

/// What an error of a TLS stream means; `None` where it is none of TLS's own.
pub(crate) fn explain(error: &io::Error, has_identity: bool) -> Option<TlsError> {
    let inner = error.get_ref()?.downcast_ref::<Rustls>()?;
    Some(explain_rustls(inner, has_identity))
}

fn explain_rustls(error: &Rustls, has_identity: bool) -> TlsError {
    match error {
        // The verifier has said it better already.
        Rustls::InvalidCertificate(CertificateError::Other(other)) => {
            match other.0.downcast_ref::<TlsError>() {
                Some(known) => known.clone(),
                None => TlsError::Protocol(error.clone()),
            }
        }
        Rustls::AlertReceived(alert) => explain_alert(*alert, has_identity),
        Rustls::InvalidMessage(_) => TlsError::NotTls,
        Rustls::PeerIncompatible(reason) => TlsError::NothingInCommon { reason: format!("{reason:?}") },
        other => TlsError::Protocol(other.clone()),
    }
}

fn explain_alert(alert: AlertDescription, has_identity: bool) -> TlsError {
    use AlertDescription as A;
    let name = format!("{alert:?}");
    match alert {
        A::CertificateRequired => TlsError::ClientCertificateRequired,
        A::BadCertificate | A::NoCertificate if !has_identity => TlsError::ClientCertificateRequired,
        A::BadCertificate
        | A::CertificateExpired
        | A::CertificateRevoked
        | A::CertificateUnknown
        | A::UnsupportedCertificate
        | A::UnknownCA
        | A::AccessDenied
        | A::DecryptError => TlsError::ClientCertificateRejected { alert: name },
        A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => {
            TlsError::NothingInCommon { reason: format!("alert {name}") }
        }
        _ => TlsError::Alert { alert: name },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(alert: AlertDescription, has_identity: bool) -> TlsError {
        let error = io::Error::new(io::ErrorKind::InvalidData, Rustls::AlertReceived(alert));
        explain(&error, has_identity).unwrap()
    }

    #[test]
    fn a_missing_certificate_is_not_a_rejected_one() {
        use AlertDescription as A;
        assert!(matches!(said(A::BadCertificate, false), TlsError::ClientCertificateRequired));
        assert!(matches!(said(A::BadCertificate, true), TlsError::ClientCertificateRejected { .. }));
        assert!(matches!(said(A::CertificateRequired, false), TlsError::ClientCertificateRequired));
        assert!(matches!(said(A::ProtocolVersion, false), TlsError::NothingInCommon { .. }));
        assert!(explain(&io::ErrorKind::BrokenPipe.into(), false).is_none());
    }

    #[test]
    fn trouble_of_the_network_is_no_fault_of_configuration() {
        assert!(!TlsError::ClosedInHandshake.is_security());
        assert!(!TlsError::Timeout { after: Duration::from_secs(1) }.is_security());
        assert!(TlsError::ClientCertificateRequired.is_security());
        assert!(TlsError::NotTls.is_security());
    }
}
