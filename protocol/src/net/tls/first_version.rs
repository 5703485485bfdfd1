//! Certificates of X.509 version 1, which webpki does not take for a server. `openssl x509 -req` without extensions makes
//! them, and so do many instructions for Kafka. Pure.
//!
//! They have no extensions, so there is nothing to obey in them; one counts only where a certificate of the trust store
//! has signed it itself.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SignatureVerificationAlgorithm;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use x509_parser::asn1_rs::ToDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer, X509Version};
use x509_parser::x509::AlgorithmIdentifier;

use super::certificate::{is_authority, is_constrained};

/// Whether the certificate is one.
pub(super) fn is(der: &[u8]) -> bool {
    read(der).is_some_and(|certificate| certificate.version() == X509Version::V1)
}

/// Whether the issuer's key has signed the certificate.
pub(super) fn is_signed_by(
    certificate: &[u8],
    issuer: &[u8],
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let (Some(certificate), Some(issuer)) = (read(certificate), read(issuer)) else { return false };
    let names_it = certificate.issuer().as_raw() == issuer.subject().as_raw();
    if !names_it || !is_authority(&issuer) || is_constrained(&issuer) {
        return false;
    }
    let Some(key_id) = identifier(&issuer.public_key().algorithm) else { return false };
    let Some(signed_with) = identifier(&certificate.signature_algorithm) else { return false };
    let fits = |one: &&&dyn SignatureVerificationAlgorithm| {
        one.public_key_alg_id().as_ref() == key_id && one.signature_alg_id().as_ref() == signed_with
    };
    let key = issuer.public_key().subject_public_key.data.as_ref();
    let signature = certificate.signature_value.data.as_ref();
    algorithms
        .iter()
        .filter(fits)
        .any(|one| one.verify_signature(key, certificate.tbs_certificate.as_ref(), signature).is_ok())
}

/// Whether the certificate's key has signed the handshake.
pub(super) fn verify_handshake(
    message: &[u8],
    certificate: &[u8],
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let certificate = read(certificate).ok_or_else(bad)?;
    let key_id = identifier(&certificate.public_key().algorithm).ok_or_else(bad)?;
    let (_, candidates) = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let key = certificate.public_key().subject_public_key.data.as_ref();
    let valid = candidates
        .iter()
        .filter(|one| one.public_key_alg_id().as_ref() == key_id)
        .any(|one| one.verify_signature(key, message, signed.signature()).is_ok());
    if valid {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }
}

fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// The contents of an algorithm identifier, as rustls compares them.
fn identifier(algorithm: &AlgorithmIdentifier<'_>) -> Option<Vec<u8>> {
    let mut der = algorithm.algorithm.to_der_vec().ok()?;
    if let Some(parameters) = &algorithm.parameters {
        der.extend(parameters.to_der_vec().ok()?);
    }
    Some(der)
}
