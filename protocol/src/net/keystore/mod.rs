//! Certificates and keys out of Java's key stores, PKCS #12 and PEM. Pure: bytes and passwords in, DER out.
//!
//! What the bytes are decides, not what they are called. Nothing here says whether a certificate is good for anything.

mod base64;
mod jks;
mod pem;
mod pkcs12;
#[cfg(test)]
mod tests;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The largest store that is opened, in bytes.
pub(crate) const MAX_STORE_BYTES: usize = 16 << 20;
/// How many certificates a chain has at most.
const MAX_CHAIN: usize = 32;

const JKS_MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS_MAGIC: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
/// How DER begins: a sequence.
const DER_SEQUENCE: u8 = 0x30;

/// What is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// It is none of the formats that are read.
    #[error("it is no JKS, PKCS12 or PEM store")]
    Unrecognised,
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is too large.
    #[error("it is larger than {MAX_STORE_BYTES} bytes")]
    TooLarge,
    /// Java's format for secret keys.
    #[error(
        "it is a JCEKS store; convert it with: keytool -importkeystore -srckeystore OLD -srcstoretype JCEKS \
         -destkeystore NEW -deststoretype PKCS12"
    )]
    Jceks,
    /// It is cut off or was changed.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// The password does not go with it.
    #[error("its password is wrong, or it is damaged")]
    WrongPassword,
    /// It has a password, and none was given.
    #[error("it is protected with a password, and none is set")]
    NoPassword,
    /// The password of the key does not go with it.
    #[error("the password of its private key is wrong")]
    WrongKeyPassword,
    /// The key is encrypted, and no password was given.
    #[error("its private key is encrypted, and no password is set")]
    NoKeyPassword,
    /// It is encrypted in a way that is not supported.
    #[error(
        "it is encrypted in a way that is not supported ({0}); keytool -importkeystore or openssl makes a new one"
    )]
    Unsupported(&'static str),
    /// It lacks a key.
    #[error("there is no private key in it")]
    NoKey,
    /// It has several keys.
    #[error("there are {0} private keys in it, and it is not said which to use")]
    SeveralKeys(usize),
    /// It lacks certificates.
    #[error("there are no certificates in it")]
    NoCertificates,
}

/// A certificate that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// Its name in the store, or its number.
    pub(crate) alias: String,
    pub(crate) der: Vec<u8>,
}

/// A private key with the certificates that go with it.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Its name in the store.
    pub(crate) alias: String,
    /// Its own first.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: PrivateKey,
}

/// A private key.
pub(crate) struct PrivateKey {
    format: KeyFormat,
    der: Zeroizing<Vec<u8>>,
}

/// How a private key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyFormat {
    Pkcs8,
    /// RSA only (RFC 8017).
    Pkcs1,
    /// EC only (RFC 5915).
    Sec1,
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({:?}, [hidden])", self.format)
    }
}

impl From<PrivateKey> for PrivateKeyDer<'static> {
    /// rustls wipes it as soon as it has read it.
    fn from(mut key: PrivateKey) -> Self {
        let der = std::mem::take(&mut *key.der);
        match key.format {
            KeyFormat::Pkcs8 => Self::Pkcs8(PrivatePkcs8KeyDer::from(der)),
            KeyFormat::Pkcs1 => Self::Pkcs1(PrivatePkcs1KeyDer::from(der)),
            KeyFormat::Sec1 => Self::Sec1(PrivateSec1KeyDer::from(der)),
        }
    }
}

enum Format {
    Jks,
    Pkcs12,
    Pem,
}

/// What the bytes are.
fn recognise(bytes: &[u8]) -> Result<Format, KeystoreError> {
    if bytes.len() > MAX_STORE_BYTES {
        return Err(KeystoreError::TooLarge);
    }
    if bytes.starts_with(&JKS_MAGIC) {
        return Ok(Format::Jks);
    }
    if bytes.starts_with(&JCEKS_MAGIC) {
        return Err(KeystoreError::Jceks);
    }
    match bytes {
        [] => Err(KeystoreError::Empty),
        [DER_SEQUENCE, ..] if !pem::is(bytes) => Ok(Format::Pkcs12),
        _ if pem::is(bytes) => Ok(Format::Pem),
        _ => Err(KeystoreError::Unrecognised),
    }
}

/// Whom a trust store trusts: its trusted certificates, and the first of each key's chain, as Java does (`TrustStoreUtil`).
///
/// A JKS store without password is taken as it is, as in Java.
pub(crate) fn trusted(bytes: &[u8], password: Option<&Secret>) -> Result<Vec<Trusted>, KeystoreError> {
    let found = match recognise(bytes)? {
        Format::Jks => jks::read(bytes, password)?.trusted(),
        Format::Pkcs12 => pkcs12::read(bytes, password)?.trusted(),
        Format::Pem => pem::trusted(&pem::text(bytes))?,
    };
    if found.is_empty() { Err(KeystoreError::NoCertificates) } else { Ok(found) }
}

/// The first private key of a key store. It opens with `key_password`, or with the store's where there is none.
pub(crate) fn identity(
    bytes: &[u8],
    password: Option<&Secret>,
    key_password: Option<&Secret>,
) -> Result<Identity, KeystoreError> {
    let identity = match recognise(bytes)? {
        Format::Jks => jks::read(bytes, password)?.identity(key_password.or(password))?,
        Format::Pkcs12 => pkcs12::read(bytes, password)?.identity()?,
        Format::Pem => {
            let text = pem::text(bytes);
            pem::identity(&text, &text, key_password.or(password))?
        }
    };
    if identity.chain.is_empty() { Err(KeystoreError::NoCertificates) } else { Ok(identity) }
}

/// The same from PEM in two parts.
pub(crate) fn inline_identity(
    certificates: &Secret,
    key: &Secret,
    key_password: Option<&Secret>,
) -> Result<Identity, KeystoreError> {
    if certificates.expose().len().saturating_add(key.expose().len()) > MAX_STORE_BYTES {
        return Err(KeystoreError::TooLarge);
    }
    let (certificates, key) = (certificates.expose().as_bytes(), key.expose().as_bytes());
    pem::identity(&pem::text(certificates), &pem::text(key), key_password)
}
