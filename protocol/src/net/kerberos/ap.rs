//! The messages with which a ticket is shown, to a KDC or a service, and the service's answer (RFC 4120, 5.5). Bytes and
//! values only.

use zeroize::Zeroizing;

use super::crypto::Key;
use super::der::{self, DerError, Reader};
use super::messages::{Encrypted, Ticket, VERSION, read_key};
use super::principal::Principal;
use super::time::KerberosTime;

type Result<T> = std::result::Result<T, DerError>;

/// Application tags.
const AUTHENTICATOR: u8 = 2;
const AP_REQUEST: u8 = 14;
const AP_REPLY: u8 = 15;
const ENCRYPTED_AP_PART: u8 = 27;
/// The client wants an answer (RFC 4120, 5.5.1).
const MUTUAL_REQUIRED: u32 = 1 << 29;

/// What says who shows a ticket, and that it is now (`Authenticator`).
#[derive(Debug)]
pub(super) struct Authenticator<'a> {
    pub(super) client: &'a Principal,
    /// Type and bytes.
    pub(super) checksum: (i32, Vec<u8>),
    pub(super) time: KerberosTime,
    pub(super) microseconds: u32,
    pub(super) subkey: Option<&'a Key>,
    pub(super) sequence: Option<u32>,
}

impl Authenticator<'_> {
    pub(super) fn to_der(&self) -> Zeroizing<Vec<u8>> {
        let kind = der::integer(self.checksum.0.into());
        let checksum =
            der::sequence(&[der::context(0, &kind), der::context(1, &der::octets(&self.checksum.1))]);
        let mut parts = vec![
            der::context(0, &der::integer(VERSION)),
            der::context(1, &der::string(&self.client.realm)),
            der::context(2, &self.client.to_der()),
            der::context(3, &checksum),
            der::context(4, &der::integer(self.microseconds.into())),
            der::context(5, &der::time(self.time)),
        ];
        parts.extend(self.subkey.map(|key| der::context(6, &key_to_der(key))));
        parts.extend(self.sequence.map(|number| der::context(7, &der::integer(number.into()))));
        Zeroizing::new(der::application(AUTHENTICATOR, &der::sequence(&parts)))
    }
}

/// `AP-REQ`: a ticket with the encrypted authenticator; `mutual` asks the service to prove itself, too.
pub(super) fn request(ticket: &Ticket, authenticator: &Encrypted, mutual: bool) -> Vec<u8> {
    let options = if mutual { MUTUAL_REQUIRED } else { 0 };
    der::application(
        AP_REQUEST,
        &der::sequence(&[
            der::context(0, &der::integer(VERSION)),
            der::context(1, &der::integer(14)),
            der::context(2, &der::flags(options)),
            der::context(3, &ticket.bytes),
            der::context(4, &authenticator.to_der()),
        ]),
    )
}

/// The encrypted part of an `AP-REP`.
pub(super) fn reply(bytes: &[u8]) -> Result<Encrypted> {
    const WHAT: &str = "a service's answer";
    let mut reply = Reader::new(bytes).application(AP_REPLY, WHAT)?;
    reply.field(0, WHAT)?;
    reply.field(1, WHAT)?;
    Encrypted::read(&mut reply.field(2, WHAT)?)
}

/// `EncAPRepPart`: by which a service proves that it could read the authenticator.
#[derive(Debug)]
pub(super) struct ApReplyPart {
    pub(super) time: KerberosTime,
    pub(super) microseconds: u32,
    pub(super) subkey: Option<Key>,
}

impl ApReplyPart {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "the encrypted part of a service's answer";
        let mut part = Reader::new(bytes).application(ENCRYPTED_AP_PART, WHAT)?;
        let time = part.field(0, WHAT)?.time(WHAT)?;
        let microseconds = part.field(1, WHAT)?.uint32(WHAT)?;
        let subkey = part.optional(2, WHAT)?.map(|mut key| read_key(&mut key)).transpose()?;
        Ok(Self { time, microseconds, subkey })
    }
}

fn key_to_der(key: &Key) -> Zeroizing<Vec<u8>> {
    let etype = der::integer(key.etype().number().into());
    let bytes = Zeroizing::new(der::octets(key.bytes()));
    Zeroizing::new(der::sequence(&[der::context(0, &etype), der::context(1, &bytes)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 1u8..31) {
            let framed = der::application(tag, &der::tagged(der::SEQUENCE, &bytes));
            for bytes in [&bytes, &framed] {
                let _ = reply(bytes);
                let _ = ApReplyPart::parse(bytes);
            }
        }
    }
}
