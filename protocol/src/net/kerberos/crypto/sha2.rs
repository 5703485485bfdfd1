//! AES with HMAC-SHA2: encryption types 19 and 20 (RFC 8009).

use hmac::Hmac;
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use super::cts::Aes;
use super::{BLOCK, CryptoError, Etype, Key, Purpose, Usage, constant, mac};

/// Rounds of PBKDF2 where the KDC names none (RFC 8009, 4).
const ROUNDS: u32 = 32_768;

type Result<T> = std::result::Result<T, CryptoError>;

/// Encrypts `plain`, which begins with the random block, and authenticates the cipher text and the IV of zeros.
pub(super) fn encrypt(key: &Key, usage: Usage, plain: &[u8]) -> Result<Vec<u8>> {
    let mut out = Aes::new(&derive(key, usage, Purpose::Encryption)?)?.encrypt(plain);
    let tag = tag(key.etype(), &derive(key, usage, Purpose::Integrity)?, &behind_iv(&out))?;
    out.extend(tag);
    Ok(out)
}

pub(super) fn decrypt(key: &Key, usage: Usage, cipher: &[u8], tag: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    check(key.etype(), &derive(key, usage, Purpose::Integrity)?, &behind_iv(cipher), tag)?;
    Ok(Zeroizing::new(Aes::new(&derive(key, usage, Purpose::Encryption)?)?.decrypt(cipher)?))
}

pub(super) fn checksum(key: &Key, usage: Usage, data: &[u8]) -> Result<Vec<u8>> {
    tag(key.etype(), &derive(key, usage, Purpose::Checksum)?, data)
}

pub(super) fn from_password(
    etype: Etype,
    password: &str,
    salt: &[u8],
    rounds: Option<u32>,
) -> Result<Zeroizing<Vec<u8>>> {
    let salt = [etype.name().as_bytes(), &[0], salt].concat();
    let mut key = Zeroizing::new(vec![0; etype.key_bytes()]);
    let rounds = rounds.unwrap_or(ROUNDS);
    match etype {
        Etype::Aes128Sha2 => pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, rounds, &mut key),
        _ => pbkdf2::pbkdf2_hmac::<Sha384>(password.as_bytes(), &salt, rounds, &mut key),
    }
    derived(etype, &key, b"kerberos", etype.key_bytes())
}

fn derive(key: &Key, usage: Usage, purpose: Purpose) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = match purpose {
        Purpose::Encryption => key.etype().key_bytes(),
        Purpose::Checksum | Purpose::Integrity => key.etype().mac_bytes(),
    };
    derived(key.etype(), key.bytes(), &constant(usage, purpose), bytes)
}

/// `KDF-HMAC-SHA2` (RFC 8009, 3) without a context: one round is enough for every key there is.
fn derived(etype: Etype, key: &[u8], label: &[u8], bytes: usize) -> Result<Zeroizing<Vec<u8>>> {
    let bits = u32::try_from(bytes * 8).unwrap_or_default();
    let input = [&[0, 0, 0, 1], label, &[0], &bits.to_be_bytes()].concat();
    Ok(Zeroizing::new(match etype {
        Etype::Aes128Sha2 => mac::tag::<Hmac<Sha256>>(key, &input, bytes),
        _ => mac::tag::<Hmac<Sha384>>(key, &input, bytes),
    }?))
}

fn behind_iv(cipher: &[u8]) -> Vec<u8> {
    [[0; BLOCK].as_slice(), cipher].concat()
}

fn tag(etype: Etype, key: &[u8], data: &[u8]) -> Result<Vec<u8>> {
    match etype {
        Etype::Aes128Sha2 => mac::tag::<Hmac<Sha256>>(key, data, etype.mac_bytes()),
        _ => mac::tag::<Hmac<Sha384>>(key, data, etype.mac_bytes()),
    }
}

fn check(etype: Etype, key: &[u8], data: &[u8], tag: &[u8]) -> Result<()> {
    match etype {
        Etype::Aes128Sha2 => mac::verify::<Hmac<Sha256>>(key, data, tag, etype.mac_bytes()),
        _ => mac::verify::<Hmac<Sha384>>(key, data, tag, etype.mac_bytes()),
    }
}

pub(super) fn verify(key: &Key, usage: Usage, data: &[u8], tag: &[u8]) -> Result<()> {
    check(key.etype(), &derive(key, usage, Purpose::Checksum)?, data, tag)
}
