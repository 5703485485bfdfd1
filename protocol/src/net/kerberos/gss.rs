//! The tokens of GSSAPI with Kerberos 5: how they are framed, and how text is wrapped (RFC 2743, 3.1; RFC 4121). Pure.

use super::crypto::{Key, Usage};
use super::der::{self, Reader};
use super::error::KerberosError;

/// 1.2.840.113554.1.2.2, as an object identifier in DER.
const MECHANISM: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
const FRAME: u8 = 0x60;
/// What a framed token holds (RFC 4121, 4.1).
pub(super) const AP_REQUEST: [u8; 2] = [1, 0];
pub(super) const AP_REPLY: [u8; 2] = [2, 0];
pub(super) const ERROR: [u8; 2] = [3, 0];

/// The type of checksum that carries what the context is to be like, and its content: 16 bytes of channel bindings,
/// none, and the flags (RFC 4121, 4.1.1).
pub(super) const CHECKSUM_TYPE: i32 = 0x8003;
/// Mutual authentication, replay and sequence detection, confidentiality and integrity, as Java's client asks for.
const FLAGS: u32 = 0x02 | 0x04 | 0x08 | 0x10 | 0x20;

/// Wrap tokens (RFC 4121, 4.2.6.2).
const WRAP: [u8; 2] = [5, 4];
const HEADER: usize = 16;
const BY_ACCEPTOR: u8 = 1;
const SEALED: u8 = 2;
const BY_SUBKEY_OF_ACCEPTOR: u8 = 4;
const FILLER: u8 = 0xff;

/// What goes into the authenticator's checksum.
pub(super) fn checksum() -> Vec<u8> {
    [16u32.to_le_bytes().as_slice(), &[0; 16], &FLAGS.to_le_bytes()].concat()
}

/// A token of that kind.
pub(super) fn framed(kind: [u8; 2], message: &[u8]) -> Vec<u8> {
    der::tagged(FRAME, &[MECHANISM.as_slice(), &kind, message].concat())
}

/// A token's kind and message.
pub(super) fn unframed(token: &[u8]) -> Result<([u8; 2], &[u8]), KerberosError> {
    const WHAT: &str = "a token of GSSAPI";
    let content = Reader::new(token).value(FRAME, WHAT)?;
    let rest = content
        .strip_prefix(&MECHANISM)
        .ok_or(KerberosError::Broker("its token is not one of Kerberos 5"))?;
    let (kind, message) = rest.split_first_chunk::<2>().ok_or(der::DerError(WHAT))?;
    Ok((*kind, message))
}

/// Wraps what we say, authenticated and readable. `by_subkey`: the key came from the acceptor.
pub(super) fn wrap(key: &Key, sequence: u64, by_subkey: bool, text: &[u8]) -> Result<Vec<u8>, KerberosError> {
    let flags = if by_subkey { BY_SUBKEY_OF_ACCEPTOR } else { 0 };
    let mac = key.checksum(Usage::InitiatorSeal, &[text, &header(flags, 0, 0, sequence)].concat())?;
    let extra = u16::try_from(mac.len()).unwrap_or_default();
    Ok([header(flags, extra, 0, sequence).as_slice(), text, &mac].concat())
}

fn header(flags: u8, extra: u16, rotation: u16, sequence: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let fields = [
        WRAP.as_slice(),
        &[flags, FILLER],
        &extra.to_be_bytes(),
        &rotation.to_be_bytes(),
        &sequence.to_be_bytes(),
    ];
    for (to, from) in header.iter_mut().zip(fields.concat()) {
        *to = from;
    }
    header
}

/// What the acceptor wrapped, sealed or only authenticated.
pub(super) fn unwrap(key: &Key, has_subkey: bool, token: &[u8]) -> Result<Vec<u8>, KerberosError> {
    const FOREIGN: KerberosError = KerberosError::Broker("its token is not a wrapped one (RFC 4121)");
    let (head, body) = token.split_first_chunk::<HEADER>().ok_or(FOREIGN)?;
    let [a, b, flags, filler, e1, e2, r1, r2, sequence @ ..] = *head;
    if [a, b] != WRAP || filler != FILLER || flags & BY_ACCEPTOR == 0 {
        return Err(FOREIGN);
    }
    if (flags & BY_SUBKEY_OF_ACCEPTOR != 0) != has_subkey {
        return Err(KerberosError::Broker("it uses another key than it announced"));
    }
    let extra = usize::from(u16::from_be_bytes([e1, e2]));
    let sequence = u64::from_be_bytes(sequence);
    let mut body = body.to_vec();
    if !body.is_empty() {
        let by = usize::from(u16::from_be_bytes([r1, r2])) % body.len();
        body.rotate_left(by);
    }
    if flags & SEALED == 0 {
        let split = body.len().checked_sub(extra).ok_or(FOREIGN)?;
        let (text, mac) = body.split_at_checked(split).ok_or(FOREIGN)?;
        key.verify(Usage::AcceptorSeal, &[text, &header(flags, 0, 0, sequence)].concat(), mac)?;
        return Ok(text.to_vec());
    }
    // Behind the text lie filling bytes and the header once more, whose rotation is not covered.
    let plain = key.decrypt(Usage::AcceptorSeal, &body)?;
    let split = plain.len().checked_sub(HEADER + extra).ok_or(FOREIGN)?;
    let (text, rest) = plain.split_at_checked(split).ok_or(FOREIGN)?;
    let inner = rest.get(extra..).unwrap_or_default();
    let expected = header(flags, u16::from_be_bytes([e1, e2]), 0, sequence);
    if inner != expected {
        return Err(KerberosError::Broker("a wrapped token was changed on its way"));
    }
    Ok(text.to_vec())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::kerberos::crypto::Etype;

    /// What an acceptor does with text.
    pub(in super::super) fn wrapped_by_acceptor(
        key: &Key,
        sealed: bool,
        by_subkey: bool,
        rotation: u16,
        text: &[u8],
    ) -> Vec<u8> {
        let flags =
            BY_ACCEPTOR | if sealed { SEALED } else { 0 } | if by_subkey { BY_SUBKEY_OF_ACCEPTOR } else { 0 };
        let (extra, mut body) = if sealed {
            (0, key.encrypt(Usage::AcceptorSeal, &[text, &header(flags, 0, 0, 9)].concat()).unwrap())
        } else {
            let mac = key.checksum(Usage::AcceptorSeal, &[text, &header(flags, 0, 0, 9)].concat()).unwrap();
            (u16::try_from(mac.len()).unwrap(), [text, &mac].concat())
        };
        let by = usize::from(rotation) % body.len();
        body.rotate_right(by);
        [header(flags, extra, rotation, 9).as_slice(), &body].concat()
    }

    #[test]
    fn what_an_acceptor_wraps_is_read() {
        for etype in Etype::ALL {
            let key = Key::random(etype).unwrap();
            for (sealed, rotation) in [(false, 0), (false, 12), (true, 0), (true, 28), (true, 999)] {
                let token = wrapped_by_acceptor(&key, sealed, true, rotation, b"text");
                assert_eq!(unwrap(&key, true, &token).unwrap(), b"text");
                assert!(unwrap(&key, false, &token).is_err());
                assert!(unwrap(&Key::random(etype).unwrap(), true, &token).is_err());
                let mut changed = token;
                changed[20] ^= 1;
                assert!(unwrap(&key, true, &changed).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), flags in 0u8..8) {
            let key = Key::new(Etype::Aes128Sha2, &[1; 16]).unwrap();
            let _ = unframed(&bytes);
            let _ = unwrap(&key, false, &bytes);
            let _ = unwrap(&key, false, &[&[5, 4, flags, 0xff], bytes.as_slice()].concat());
        }
    }
}
