//! Random numbers of the operating system, for nonces and for dice.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::SaslError;

/// As many as the hash of the strongest mechanism in use can tell apart, and more than Kafka's own 130 bits.
const NONCE_BYTES: usize = 24;

/// Text that was never used before: printable, without commas.
///
/// # Errors
/// [`SaslError::NoRandom`].
pub(super) fn nonce() -> Result<String, SaslError> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| SaslError::NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A number from 0 to 1 to spread things in time; always the same where there are no random numbers.
pub(crate) fn share() -> f64 {
    let dice = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(dice) / f64::from(u32::MAX)
}
