//! PKCS #12 (RFC 7292): what Java's `keytool` has made since Java 9, and `openssl pkcs12`. Pure.

use p12_keystore::error::Error;
use p12_keystore::{CertificateBag, Pkcs12Archive};
use zeroize::Zeroizing;

use super::{Identity, KeyFormat, KeystoreError, MAX_CHAIN, PrivateKey, Trusted};
use crate::secret::Secret;

/// scrypt, 1.3.6.1.4.1.11591.4.11, in DER. No tool makes such stores without being asked, and it takes memory as it likes.
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

/// The contents of a store.
pub(super) struct Pkcs12(Pkcs12Archive);

/// Opens a store; one without a password opens with none.
pub(super) fn read(bytes: &[u8], password: Option<&Secret>) -> Result<Pkcs12, KeystoreError> {
    if bytes.windows(SCRYPT.len()).any(|window| window == SCRYPT) {
        return Err(KeystoreError::Unsupported("scrypt"));
    }
    let text = password.map_or("", Secret::expose);
    Pkcs12Archive::from_pkcs12(bytes, text).map(Pkcs12).map_err(|error| explain(&error, password.is_some()))
}

fn explain(error: &Error, has_password: bool) -> KeystoreError {
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) if has_password => {
            KeystoreError::WrongPassword
        }
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => KeystoreError::NoPassword,
        Error::UnsupportedEncryptionScheme => {
            KeystoreError::Unsupported("neither PBES2 nor SHA-1 with 3DES or RC2-40")
        }
        Error::UnsupportedMacAlgorithm => KeystoreError::Unsupported("its digest is neither SHA-1 nor SHA-2"),
        Error::InvalidParameters => {
            KeystoreError::Unsupported("more than a million iterations, or none said")
        }
        Error::UnsupportedContentType | Error::UnsupportedCertificateType => {
            KeystoreError::Unsupported("its contents are not those of a key store")
        }
        Error::InvalidPrivateKey => KeystoreError::Damaged("its private key cannot be read"),
        Error::X509Error(_) => KeystoreError::Damaged("a certificate cannot be read"),
        _ => KeystoreError::Damaged("its structure is broken or cut off"),
    }
}

impl Pkcs12 {
    /// Java's mark says which certificates are trusted. openssl sets none: of a store without keys all are trusted then,
    /// for which Java finds nothing in it.
    pub(super) fn trusted(&self) -> Vec<Trusted> {
        let unmarked = self.0.keys.is_empty() && !self.0.certs.iter().any(|bag| bag.trusted);
        let own = |bag: &CertificateBag| self.0.keys.iter().any(|key| goes_with(key, bag));
        let counts = |bag: &&CertificateBag| unmarked || bag.trusted || own(bag);
        let trusted = |bag: &CertificateBag| Trusted {
            alias: bag.friendly_name.clone().unwrap_or_else(|| bag.cert.subject().to_owned()),
            der: bag.cert.as_der().to_vec(),
        };
        self.0.certs.iter().filter(counts).map(trusted).collect()
    }

    pub(super) fn identity(&self) -> Result<Identity, KeystoreError> {
        let key = self.0.keys.first().ok_or(KeystoreError::NoKey)?;
        let leaf = self.0.certs.iter().find(|bag| goes_with(key, bag));
        // Without marks that tell, a certificate that is nobody's is taken.
        let leaf =
            leaf.or_else(|| self.0.certs.iter().find(|bag| !bag.trusted && bag.local_key_id.is_none()));
        let leaf = leaf.ok_or(KeystoreError::NoCertificates)?;
        let alias = key.friendly_name.clone().unwrap_or_else(|| leaf.cert.subject().to_owned());
        let der = Zeroizing::new(key.key.as_der().to_vec());
        Ok(Identity { alias, chain: self.chain(leaf), key: PrivateKey { format: KeyFormat::Pkcs8, der } })
    }

    /// The certificate and those of its issuers, as far as they are here.
    fn chain<'a>(&'a self, leaf: &'a CertificateBag) -> Vec<Vec<u8>> {
        let mut chain = vec![leaf.cert.as_der().to_vec()];
        let mut last = leaf;
        while chain.len() < MAX_CHAIN && last.cert.issuer() != last.cert.subject() {
            let issuer = self.0.certs.iter().find(|bag| bag.cert.subject() == last.cert.issuer());
            let Some(issuer) = issuer.filter(|bag| !chain.iter().any(|der| der == bag.cert.as_der())) else {
                break;
            };
            chain.push(issuer.cert.as_der().to_vec());
            last = issuer;
        }
        chain
    }
}

fn goes_with(key: &p12_keystore::PrivateKeyBag, certificate: &CertificateBag) -> bool {
    match (&key.local_key_id, &certificate.local_key_id) {
        (Some(ours), Some(theirs)) => ours.as_ref() == theirs.as_slice(),
        _ => false,
    }
}
