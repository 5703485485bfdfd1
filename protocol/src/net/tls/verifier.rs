//! Whether the broker is who it says: the rules of Java's clients on top of webpki's. Pure apart from the time it is given.
//!
//! Chains are verified by webpki. It lacks three things that Kafka clusters live with: a broker's own certificate in the
//! trust store, certificates of X.509 version 1 (`openssl x509 -req` makes them), and host names in the common name.
//! Those are looked after here.

use core::net::IpAddr;
use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use super::certificate::Certificate;
use super::error::TlsError;
use super::first_version;

/// Verifies brokers' certificates.
#[derive(Debug)]
pub(super) struct Verifier {
    roots: RootCertStore,
    /// The trust store's certificates as they are: a broker that shows one of them needs no issuer.
    trusted: BTreeSet<Vec<u8>>,
    /// What to call the trust store.
    trusted_by: String,
    checks_host_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(
        roots: RootCertStore,
        trusted: BTreeSet<Vec<u8>>,
        trusted_by: String,
        checks_host_name: bool,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { roots, trusted, trusted_by, checks_host_name, algorithms }
    }

    /// Whether somebody whom we trust has signed the certificate, and it is valid now.
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        leaf: &Certificate,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), TlsError> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if self.trusted.contains(end_entity.as_ref()) {
            return in_time(leaf, seconds);
        }
        if first_version::is(end_entity) {
            in_time(leaf, seconds)?;
            let signed = |issuer| first_version::is_signed_by(end_entity, issuer, self.algorithms.all);
            return if self.trusted.iter().any(|issuer| signed(issuer)) {
                Ok(())
            } else {
                Err(self.unknown_issuer(leaf))
            };
        }
        let verified = ParsedCertificate::try_from(end_entity).and_then(|parsed| {
            rustls::client::verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.roots,
                intermediates,
                now,
                self.algorithms.all,
            )
        });
        verified.map_err(|error| self.explain(error, leaf, intermediates, seconds))
    }

    /// Whether a common name may stand for a host name: webpki compares it with no constraints of those who signed.
    fn takes_common_name(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> bool {
        let is_free = |der| Certificate::read(der).is_some_and(|one| !one.is_constrained);
        self.trusted.contains(end_entity.as_ref())
            || first_version::is(end_entity)
            || (self.roots.roots.iter().all(|root| root.name_constraints.is_none())
                && intermediates.iter().all(|der| is_free(der)))
    }

    /// Whether the certificate is for the host.
    fn verify_name(
        &self,
        end_entity: &CertificateDer<'_>,
        leaf: &Certificate,
        intermediates: &[CertificateDer<'_>],
        wanted: &ServerName<'_>,
    ) -> Result<(), TlsError> {
        let parsed = ParsedCertificate::try_from(end_entity);
        if parsed.is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, wanted).is_ok()) {
            return Ok(());
        }
        let shown = match wanted {
            ServerName::DnsName(host)
                if leaf.names.common_name_is(host.as_ref())
                    && self.takes_common_name(end_entity, intermediates) =>
            {
                return Ok(());
            }
            ServerName::DnsName(host) => host.as_ref().to_owned(),
            ServerName::IpAddress(address) => IpAddr::from(*address).to_string(),
            other => format!("{other:?}"),
        };
        Err(TlsError::NameMismatch { wanted: shown, names: leaf.names.clone() })
    }

    fn explain(
        &self,
        error: Error,
        leaf: &Certificate,
        intermediates: &[CertificateDer<'_>],
        seconds: i64,
    ) -> TlsError {
        use CertificateError as E;
        match &error {
            Error::InvalidCertificate(
                E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. },
            ) => {
                let others = intermediates.iter().filter_map(|der| Certificate::read(der));
                let culprit =
                    std::iter::once(leaf.clone()).chain(others).find_map(|one| in_time(&one, seconds).err());
                culprit.unwrap_or(TlsError::Certificate { subject: leaf.subject.clone(), source: error })
            }
            Error::InvalidCertificate(E::UnknownIssuer) => self.unknown_issuer(leaf),
            _ => TlsError::Certificate { subject: leaf.subject.clone(), source: error },
        }
    }

    fn unknown_issuer(&self, leaf: &Certificate) -> TlsError {
        TlsError::UnknownIssuer {
            subject: leaf.subject.clone(),
            issuer: leaf.issuer.clone(),
            trusted: self.trusted_by.clone(),
        }
    }
}

fn in_time(certificate: &Certificate, seconds: i64) -> Result<(), TlsError> {
    let subject = || certificate.subject.clone();
    if seconds > certificate.not_after {
        Err(TlsError::Expired { subject: subject(), not_after: certificate.not_after })
    } else if seconds < certificate.not_before {
        Err(TlsError::NotYetValid { subject: subject(), not_before: certificate.not_before })
    } else {
        Ok(())
    }
}

fn refused(error: TlsError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = Certificate::read(end_entity);
        let leaf = leaf.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        self.verify_chain(end_entity, &leaf, intermediates, now).map_err(refused)?;
        if self.checks_host_name {
            self.verify_name(end_entity, &leaf, intermediates, server_name).map_err(refused)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if first_version::is(certificate) {
            return first_version::verify_handshake(message, certificate, signed, &self.algorithms);
        }
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if first_version::is(certificate) {
            let old = [
                SignatureScheme::RSA_PKCS1_SHA256,
                SignatureScheme::RSA_PKCS1_SHA384,
                SignatureScheme::RSA_PKCS1_SHA512,
            ];
            if old.contains(&signed.scheme) {
                return Err(rustls::PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
            }
            return first_version::verify_handshake(message, certificate, signed, &self.algorithms);
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
