//! AES with HMAC-SHA1: encryption types 17 and 18 (RFC 3961, 5.3; RFC 3962).

use hmac::Hmac;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::cts::Aes;
use super::nfold::nfold;
use super::{BLOCK, CryptoError, Etype, Key, Purpose, Usage, constant, mac};

/// Rounds of PBKDF2 where the KDC names none (RFC 3962, 4).
const ROUNDS: u32 = 4096;

type Result<T> = std::result::Result<T, CryptoError>;

/// Encrypts `plain`, which begins with the random block, and authenticates the plain text.
pub(super) fn encrypt(key: &Key, usage: Usage, plain: &[u8]) -> Result<Vec<u8>> {
    let mut out = Aes::new(&derive(key, usage, Purpose::Encryption)?)?.encrypt(plain);
    let integrity = derive(key, usage, Purpose::Integrity)?;
    out.extend(mac::tag::<Hmac<Sha1>>(&integrity, plain, key.etype().mac_bytes())?);
    Ok(out)
}

pub(super) fn decrypt(key: &Key, usage: Usage, cipher: &[u8], tag: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let plain = Zeroizing::new(Aes::new(&derive(key, usage, Purpose::Encryption)?)?.decrypt(cipher)?);
    let integrity = derive(key, usage, Purpose::Integrity)?;
    mac::verify::<Hmac<Sha1>>(&integrity, &plain, tag, key.etype().mac_bytes())?;
    Ok(plain)
}

pub(super) fn checksum(key: &Key, usage: Usage, data: &[u8]) -> Result<Vec<u8>> {
    mac::tag::<Hmac<Sha1>>(&derive(key, usage, Purpose::Checksum)?, data, key.etype().mac_bytes())
}

pub(super) fn from_password(
    etype: Etype,
    password: &str,
    salt: &[u8],
    rounds: Option<u32>,
) -> Result<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; etype.key_bytes()]);
    pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, rounds.unwrap_or(ROUNDS), &mut key);
    derived(&key, b"kerberos")
}

fn derive(key: &Key, usage: Usage, purpose: Purpose) -> Result<Zeroizing<Vec<u8>>> {
    derived(key.bytes(), &constant(usage, purpose))
}

/// `DK` of RFC 3961: the folded constant, encrypted again and again until there are enough bytes.
fn derived(key: &[u8], constant: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let aes = Aes::new(key)?;
    let mut block = [0; BLOCK];
    block.copy_from_slice(&nfold(constant, BLOCK));
    let mut out = Zeroizing::new(Vec::with_capacity(key.len()));
    while out.len() < key.len() {
        block = aes.encrypt_block(block);
        out.extend_from_slice(&block);
    }
    Ok(out)
}

pub(super) fn verify(key: &Key, usage: Usage, data: &[u8], tag: &[u8]) -> Result<()> {
    mac::verify::<Hmac<Sha1>>(&derive(key, usage, Purpose::Checksum)?, data, tag, key.etype().mac_bytes())
}
