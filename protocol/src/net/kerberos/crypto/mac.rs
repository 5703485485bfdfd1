//! Truncated HMACs, made and compared.

use hmac::Mac;
use hmac::digest::KeyInit;

use super::CryptoError;

fn keyed<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Result<M, CryptoError> {
    // HMAC takes a key of any length: this does not happen.
    let mut mac = <M as Mac>::new_from_slice(key).map_err(|_| CryptoError::Integrity)?;
    mac.update(data);
    Ok(mac)
}

/// The first `bytes` of the MAC.
pub(super) fn tag<M: Mac + KeyInit>(key: &[u8], data: &[u8], bytes: usize) -> Result<Vec<u8>, CryptoError> {
    let mut tag = keyed::<M>(key, data)?.finalize().into_bytes().to_vec();
    tag.truncate(bytes);
    Ok(tag)
}

/// Whether `tag` is the first `bytes` of the MAC; in the same time whatever differs.
pub(super) fn verify<M: Mac + KeyInit>(
    key: &[u8],
    data: &[u8],
    tag: &[u8],
    bytes: usize,
) -> Result<(), CryptoError> {
    if tag.len() != bytes {
        return Err(CryptoError::Integrity);
    }
    keyed::<M>(key, data)?.verify_truncated_left(tag).map_err(|_| CryptoError::Integrity)
}
