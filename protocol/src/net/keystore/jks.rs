//! Java's own key stores (`sun.security.provider.JavaKeyStore`, versions 1 and 2). Pure.
//!
//! ```text
//! magic, version, count: u32    entry: tag u32, alias, date i64, then
//!   1: key: u32 + bytes (EncryptedPrivateKeyInfo), certificates: u32 + certificate each
//!   2: certificate              certificate: type (version 2 only), u32 + DER
//! SHA-1 over password (UTF-16), "Mighty Aphrodite" and all of the above
//! ```

use sha1::{Digest, Sha1};
use x509_parser::asn1_rs::{Any, FromDer, OctetString, Oid, Sequence};
use zeroize::Zeroizing;

use super::{Identity, KeyFormat, KeystoreError, MAX_CHAIN, PrivateKey, Trusted};
use crate::secret::Secret;

/// What the digest of a store begins with, behind the password.
const WHITENER: &[u8] = b"Mighty Aphrodite";
const DIGEST_BYTES: usize = 20;
const SALT_BYTES: usize = 20;
/// Java's own encryption of keys (`sun.security.provider.KeyProtector`), 1.3.6.1.4.1.42.2.17.1.1, in DER.
const KEY_PROTECTOR: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];
/// How many entries a store has at most; those of authorities all over the world are below 200.
const MAX_ENTRIES: u32 = 100_000;

/// The entries of a store.
pub(super) struct Jks<'a> {
    entries: Vec<Entry<'a>>,
}

enum Entry<'a> {
    Key { alias: String, protected: &'a [u8], chain: Vec<&'a [u8]> },
    Trusted { alias: String, certificate: &'a [u8] },
}

/// Reads a store; with a password its digest is verified, too.
pub(super) fn read<'a>(bytes: &'a [u8], password: Option<&Secret>) -> Result<Jks<'a>, KeystoreError> {
    let mut rest = Rest(bytes);
    rest.u32()?;
    let version = rest.u32()?;
    if version != 1 && version != 2 {
        return Err(KeystoreError::Damaged("its version is unknown"));
    }
    let count = rest.u32()?;
    if count > MAX_ENTRIES {
        return Err(KeystoreError::Damaged("it says that it has far too many entries"));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(rest.entry(version)?);
    }
    let body = bytes.get(..bytes.len() - rest.0.len()).unwrap_or_default();
    let digest = rest.take(DIGEST_BYTES)?;
    if let Some(password) = password {
        let computed =
            Sha1::new_with_prefix(utf16(password)).chain_update(WHITENER).chain_update(body).finalize();
        if computed.as_slice() != digest {
            return Err(KeystoreError::WrongPassword);
        }
    }
    Ok(Jks { entries })
}

impl Jks<'_> {
    pub(super) fn trusted(&self) -> Vec<Trusted> {
        let one = |entry: &Entry<'_>| {
            let (alias, der) = match entry {
                Entry::Key { alias, chain, .. } => (alias, chain.first()?),
                Entry::Trusted { alias, certificate } => (alias, certificate),
            };
            Some(Trusted { alias: alias.clone(), der: der.to_vec() })
        };
        self.entries.iter().filter_map(one).collect()
    }

    pub(super) fn identity(&self, password: Option<&Secret>) -> Result<Identity, KeystoreError> {
        let first = self.entries.iter().find_map(|entry| match entry {
            Entry::Key { alias, protected, chain } => Some((alias, *protected, chain)),
            Entry::Trusted { .. } => None,
        });
        let (alias, protected, chain) = first.ok_or(KeystoreError::NoKey)?;
        let der = recover(protected, password.ok_or(KeystoreError::NoKeyPassword)?)?;
        let key = PrivateKey { format: KeyFormat::Pkcs8, der };
        let chain = chain.iter().map(|der| der.to_vec()).collect();
        Ok(Identity { alias: alias.clone(), chain, key })
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], KeystoreError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(KeystoreError::Damaged("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], KeystoreError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| KeystoreError::Damaged("it is cut off"))
    }

    fn u32(&mut self) -> Result<u32, KeystoreError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes behind their number.
    fn bytes(&mut self) -> Result<&'a [u8], KeystoreError> {
        let len =
            usize::try_from(self.u32()?).map_err(|_| KeystoreError::Damaged("a length is too large"))?;
        self.take(len)
    }

    /// Text as `DataOutput.writeUTF` writes it; what is not UTF-8 in it becomes question marks.
    fn text(&mut self) -> Result<String, KeystoreError> {
        let len = self.array().map(u16::from_be_bytes)?;
        Ok(String::from_utf8_lossy(self.take(len.into())?).into_owned())
    }

    fn certificate(&mut self, version: u32) -> Result<&'a [u8], KeystoreError> {
        if version == 2 {
            self.text()?;
        }
        self.bytes()
    }

    fn entry(&mut self, version: u32) -> Result<Entry<'a>, KeystoreError> {
        let tag = self.u32()?;
        let alias = self.text()?;
        let _created = self.take(8)?;
        match tag {
            1 => {
                let protected = self.bytes()?;
                let certificates = self.u32()?;
                if usize::try_from(certificates).map_or(true, |count| count > MAX_CHAIN) {
                    return Err(KeystoreError::Damaged("a chain of certificates is too long"));
                }
                let mut chain = Vec::new();
                for _ in 0..certificates {
                    chain.push(self.certificate(version)?);
                }
                Ok(Entry::Key { alias, protected, chain })
            }
            2 => Ok(Entry::Trusted { alias, certificate: self.certificate(version)? }),
            _ => Err(KeystoreError::Damaged("an entry is of an unknown kind")),
        }
    }
}

/// A password as Java digests it.
fn utf16(password: &Secret) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(password.expose().len().saturating_mul(2)));
    for unit in password.expose().encode_utf16() {
        bytes.extend(unit.to_be_bytes());
    }
    bytes
}

/// The key out of its encryption: salt, key xor digests that begin with the salt, digest of password and key.
fn recover(protected: &[u8], password: &Secret) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let encrypted = encrypted_data(protected)?;
    let damaged = || KeystoreError::Damaged("its private key is cut off");
    let (salt, rest) = encrypted.split_at_checked(SALT_BYTES).ok_or_else(damaged)?;
    let key_len = rest.len().checked_sub(DIGEST_BYTES).ok_or_else(damaged)?;
    let (hidden, check) = rest.split_at_checked(key_len).ok_or_else(damaged)?;
    let password = utf16(password);
    let mut digest = Zeroizing::new(salt.to_vec());
    let mut key = Zeroizing::new(Vec::with_capacity(key_len));
    for block in hidden.chunks(DIGEST_BYTES) {
        let next = Sha1::new_with_prefix(&*password).chain_update(&*digest).finalize();
        digest = Zeroizing::new(next.to_vec());
        key.extend(block.iter().zip(digest.iter()).map(|(hidden, mask)| hidden ^ mask));
    }
    let computed = Sha1::new_with_prefix(&*password).chain_update(&*key).finalize();
    if computed.as_slice() == check { Ok(key) } else { Err(KeystoreError::WrongKeyPassword) }
}

/// The encrypted bytes of an EncryptedPrivateKeyInfo (RFC 5208) with Java's own algorithm.
fn encrypted_data(info: &[u8]) -> Result<Vec<u8>, KeystoreError> {
    let damaged = |_| KeystoreError::Damaged("its private key cannot be read");
    let (_, info) = Sequence::from_der(info).map_err(damaged)?;
    let (rest, algorithm) = Sequence::from_der(&info.content).map_err(damaged)?;
    let (_, id) = Oid::from_der(&algorithm.content).map_err(damaged)?;
    if id.as_bytes() != KEY_PROTECTOR {
        return Err(KeystoreError::Unsupported("its private key is not protected by Java's own algorithm"));
    }
    let (_, data) = Any::from_der(rest).map_err(damaged)?;
    let data =
        OctetString::try_from(data).map_err(|_| KeystoreError::Damaged("its private key cannot be read"))?;
    Ok(data.as_ref().to_vec())
}
