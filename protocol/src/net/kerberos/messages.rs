//! The messages of Kerberos that go to a KDC and come back (RFC 4120, 5.4). Bytes and values only.

use super::crypto::{Etype, Key};
use super::der::{self, DerError, Reader, SEQUENCE};
use super::principal::Principal;
use super::time::KerberosTime;

type Result<T> = std::result::Result<T, DerError>;

pub(super) const VERSION: i64 = 5;
/// Application tags.
const TICKET: u8 = 1;
const AS_REQUEST: u8 = 10;
const AS_REPLY: u8 = 11;
const TGS_REQUEST: u8 = 12;
const TGS_REPLY: u8 = 13;
const ENCRYPTED_AS_PART: u8 = 25;
const ENCRYPTED_TGS_PART: u8 = 26;
const ERROR: u8 = 30;

/// Kinds of pre-authentication data (RFC 4120, 7.5.2; RFC 6113).
pub(super) const PA_TGS_REQUEST: i32 = 1;
pub(super) const PA_ENC_TIMESTAMP: i32 = 2;
pub(super) const PA_ETYPE_INFO2: i32 = 19;
pub(super) const PA_FX_COOKIE: i32 = 133;

/// Options of requests (RFC 4120, 5.4.1), and what a ticket's flags say of it (5.3).
pub(super) const FORWARDABLE: u32 = 1 << 30;
pub(super) const RENEWABLE: u32 = 1 << 23;
pub(super) const CANONICALIZE: u32 = 1 << 16;
pub(super) const RENEWABLE_OK: u32 = 1 << 4;
pub(super) const RENEW: u32 = 1 << 1;
/// Elements of lists beyond which a message is not believed.
const MAX_LIST: usize = 64;

/// `PA-DATA`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PaData {
    pub(super) kind: i32,
    pub(super) value: Vec<u8>,
}

impl PaData {
    fn to_der(&self) -> Vec<u8> {
        let kind = der::integer(self.kind.into());
        der::sequence(&[der::context(1, &kind), der::context(2, &der::octets(&self.value))])
    }

    fn list_to_der(list: &[Self]) -> Vec<u8> {
        der::sequence(&list.iter().map(Self::to_der).collect::<Vec<_>>())
    }

    /// Reads a `SEQUENCE OF PA-DATA`.
    pub(super) fn list(bytes: &[u8]) -> Result<Vec<Self>> {
        Self::list_in(&mut Reader::new(bytes))
    }

    fn list_in(reader: &mut Reader<'_>) -> Result<Vec<Self>> {
        const WHAT: &str = "pre-authentication data";
        let mut items = reader.inside(SEQUENCE, WHAT)?;
        let mut list = Vec::new();
        while !items.is_empty() {
            let mut item = items.inside(SEQUENCE, WHAT)?;
            let kind = item.field(1, WHAT)?.int32(WHAT)?;
            let value = item.field(2, WHAT)?.octets(WHAT)?.to_vec();
            list.push(Self { kind, value });
            if list.len() > MAX_LIST {
                return Err(DerError(WHAT));
            }
        }
        Ok(list)
    }
}

/// `EncryptedData`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encrypted {
    pub(super) etype: i32,
    pub(super) kvno: Option<u32>,
    pub(super) cipher: Vec<u8>,
}

impl Encrypted {
    pub(super) fn by(key: &Key, cipher: Vec<u8>) -> Self {
        Self { etype: key.etype().number(), kvno: None, cipher }
    }

    pub(super) fn to_der(&self) -> Vec<u8> {
        let etype = der::integer(self.etype.into());
        der::sequence(&[der::context(0, &etype), der::context(2, &der::octets(&self.cipher))])
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        const WHAT: &str = "an encrypted part";
        let mut data = reader.inside(SEQUENCE, WHAT)?;
        let etype = data.field(0, WHAT)?.int32(WHAT)?;
        let kvno = data.optional(1, WHAT)?.map(|mut kvno| kvno.uint32(WHAT)).transpose()?;
        Ok(Self { etype, kvno, cipher: data.field(2, WHAT)?.octets(WHAT)?.to_vec() })
    }
}

/// What a client asks a KDC for (`KDC-REQ-BODY`).
#[derive(Debug, Clone)]
pub(super) struct RequestBody {
    pub(super) options: u32,
    /// Of an AS request.
    pub(super) client: Option<Principal>,
    pub(super) server: Principal,
    pub(super) till: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
    pub(super) nonce: u32,
    pub(super) etypes: Vec<Etype>,
}

impl RequestBody {
    pub(super) fn to_der(&self) -> Vec<u8> {
        let etypes: Vec<Vec<u8>> =
            self.etypes.iter().map(|etype| der::integer(etype.number().into())).collect();
        let mut parts = vec![der::context(0, &der::flags(self.options))];
        parts.extend(self.client.iter().map(|client| der::context(1, &client.to_der())));
        parts.push(der::context(2, &der::string(&self.server.realm)));
        parts.push(der::context(3, &self.server.to_der()));
        parts.push(der::context(5, &der::time(self.till)));
        parts.extend(self.renew_till.iter().map(|till| der::context(6, &der::time(*till))));
        parts.push(der::context(7, &der::integer(self.nonce.into())));
        parts.push(der::context(8, &der::sequence(&etypes)));
        der::sequence(&parts)
    }

    /// The whole request: for a ticket-granting ticket with a client, for another ticket without.
    pub(super) fn request(&self, padata: &[PaData]) -> Vec<u8> {
        let (tag, kind) = if self.client.is_some() { (AS_REQUEST, 10) } else { (TGS_REQUEST, 12) };
        let mut parts = vec![der::context(1, &der::integer(VERSION)), der::context(2, &der::integer(kind))];
        if !padata.is_empty() {
            parts.push(der::context(3, &PaData::list_to_der(padata)));
        }
        parts.push(der::context(4, &self.to_der()));
        der::application(tag, &der::sequence(&parts))
    }
}

/// `PA-ENC-TS-ENC`: what proves that we have the key now.
pub(super) fn timestamp(at: KerberosTime, microseconds: u32) -> Vec<u8> {
    let microseconds = der::integer(microseconds.into());
    der::sequence(&[der::context(0, &der::time(at)), der::context(1, &microseconds)])
}

/// A ticket as it came, to be shown as it came, and who it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) bytes: Vec<u8>,
    pub(super) server: Principal,
}

impl Ticket {
    /// Reads a whole `Ticket`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        Self::read(&mut Reader::new(bytes))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        const WHAT: &str = "a ticket";
        let content = reader.value(0x60 | TICKET, WHAT)?;
        let mut ticket = Reader::new(content).inside(SEQUENCE, WHAT)?;
        ticket.field(0, WHAT)?;
        let realm = ticket.field(1, WHAT)?.string(WHAT)?;
        let server = Principal::from_der(&mut ticket.field(2, WHAT)?, realm)?;
        Ok(Self { bytes: der::application(TICKET, content), server })
    }
}

/// `AS-REP`, `TGS-REP`
#[derive(Debug)]
pub(super) struct KdcReply {
    pub(super) padata: Vec<PaData>,
    pub(super) client: Principal,
    pub(super) ticket: Ticket,
    pub(super) encrypted: Encrypted,
}

/// What a KDC answers.
#[derive(Debug)]
pub(super) enum KdcAnswer {
    Reply(Box<KdcReply>),
    Error(Box<KrbError>),
}

impl KdcAnswer {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a KDC's answer";
        match bytes.first() {
            Some(tag) if *tag == 0x60 | ERROR => Ok(Self::Error(Box::new(KrbError::parse(bytes)?))),
            Some(tag) if *tag == 0x60 | AS_REPLY || *tag == 0x60 | TGS_REPLY => {
                let mut reply = Reader::new(bytes).application(tag & 0x1f, WHAT)?;
                reply.field(0, WHAT)?;
                reply.field(1, WHAT)?;
                let padata =
                    reply.optional(2, WHAT)?.map(|mut list| PaData::list_in(&mut list)).transpose()?;
                let realm = reply.field(3, WHAT)?.string(WHAT)?;
                let client = Principal::from_der(&mut reply.field(4, WHAT)?, realm)?;
                let ticket = Ticket::read(&mut reply.field(5, WHAT)?)?;
                let encrypted = Encrypted::read(&mut reply.field(6, WHAT)?)?;
                let padata = padata.unwrap_or_default();
                Ok(Self::Reply(Box::new(KdcReply { padata, client, ticket, encrypted })))
            }
            _ => Err(DerError(WHAT)),
        }
    }
}

/// `EncKDCRepPart`: what only the one who asked can read.
#[derive(Debug)]
pub(super) struct ReplyPart {
    pub(super) key: Key,
    pub(super) nonce: u32,
    pub(super) flags: u32,
    pub(super) auth_time: KerberosTime,
    pub(super) start: Option<KerberosTime>,
    pub(super) end: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
    pub(super) server: Principal,
}

impl ReplyPart {
    /// Either application tag will do: some KDCs answer with that of the other exchange (RFC 4120, 5.4.2).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "the encrypted part of a KDC's answer";
        let reader = Reader::new(bytes);
        let of_as = { reader }.application(ENCRYPTED_AS_PART, WHAT);
        let mut part = of_as.or_else(|_| { reader }.application(ENCRYPTED_TGS_PART, WHAT))?;
        let key = read_key(&mut part.field(0, WHAT)?)?;
        part.field(1, WHAT)?;
        let nonce = part.field(2, WHAT)?.uint32(WHAT)?;
        part.optional(3, WHAT)?;
        let flags = part.field(4, WHAT)?.flags(WHAT)?;
        let auth_time = part.field(5, WHAT)?.time(WHAT)?;
        let start = part.optional(6, WHAT)?.map(|mut time| time.time(WHAT)).transpose()?;
        let end = part.field(7, WHAT)?.time(WHAT)?;
        let renew_till = part.optional(8, WHAT)?.map(|mut time| time.time(WHAT)).transpose()?;
        let realm = part.field(9, WHAT)?.string(WHAT)?;
        let server = Principal::from_der(&mut part.field(10, WHAT)?, realm)?;
        Ok(Self { key, nonce, flags, auth_time, start, end, renew_till, server })
    }
}

/// `EncryptionKey`, of a type we speak.
pub(super) fn read_key(reader: &mut Reader<'_>) -> Result<Key> {
    const WHAT: &str = "a session key of an encryption type we speak";
    let mut key = reader.inside(SEQUENCE, WHAT)?;
    let etype = Etype::of(key.field(0, WHAT)?.int32(WHAT)?).ok_or(DerError(WHAT))?;
    Key::new(etype, key.field(1, WHAT)?.octets(WHAT)?).map_err(|_| DerError(WHAT))
}

/// `KRB-ERROR`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KrbError {
    pub(super) code: i32,
    /// The clock of who answers.
    pub(super) server_time: KerberosTime,
    pub(super) text: Option<String>,
    /// For "pre-authentication required", a list of [`PaData`].
    pub(super) data: Vec<u8>,
}

impl KrbError {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "an error of Kerberos";
        let mut error = Reader::new(bytes).application(ERROR, WHAT)?;
        error.field(0, WHAT)?;
        error.field(1, WHAT)?;
        error.optional(2, WHAT)?;
        error.optional(3, WHAT)?;
        let server_time = error.field(4, WHAT)?.time(WHAT)?;
        error.field(5, WHAT)?;
        let code = error.field(6, WHAT)?.int32(WHAT)?;
        error.optional(7, WHAT)?;
        error.optional(8, WHAT)?;
        error.field(9, WHAT)?;
        error.field(10, WHAT)?;
        let text = error.optional(11, WHAT)?.map(|mut text| text.string(WHAT)).transpose()?;
        let data = error.optional(12, WHAT)?.map(|mut data| data.octets(WHAT)).transpose()?;
        Ok(Self { code, server_time, text, data: data.unwrap_or_default().to_vec() })
    }
}

/// One entry of `ETYPE-INFO2`: how the KDC makes the client's key of that type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EtypeInfo {
    pub(super) etype: i32,
    pub(super) salt: Option<Vec<u8>>,
    /// For the types we speak: four bytes, the rounds.
    pub(super) parameters: Option<Vec<u8>>,
}

impl EtypeInfo {
    /// Reads `ETYPE-INFO2`.
    pub(super) fn list(bytes: &[u8]) -> Result<Vec<Self>> {
        const WHAT: &str = "a list of encryption types";
        let mut items = Reader::new(bytes).inside(SEQUENCE, WHAT)?;
        let mut list = Vec::new();
        while !items.is_empty() && list.len() < MAX_LIST {
            let mut item = items.inside(SEQUENCE, WHAT)?;
            let etype = item.field(0, WHAT)?.int32(WHAT)?;
            let salt =
                item.optional(1, WHAT)?.map(|mut salt| salt.value(der::GENERAL_STRING, WHAT)).transpose()?;
            let parameters = item.optional(2, WHAT)?.map(|mut bytes| bytes.octets(WHAT)).transpose()?;
            list.push(Self {
                etype,
                salt: salt.map(<[u8]>::to_vec),
                parameters: parameters.map(<[u8]>::to_vec),
            });
        }
        Ok(list)
    }

    /// The rounds that the KDC names.
    pub(super) fn rounds(&self) -> Option<u32> {
        let bytes = self.parameters.as_deref()?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_is_read() {
        let error = der::application(
            ERROR,
            &der::sequence(&[
                der::context(0, &der::integer(5)),
                der::context(1, &der::integer(30)),
                der::context(4, &der::time(KerberosTime(1_795_305_600))),
                der::context(5, &der::integer(7)),
                der::context(6, &der::integer(37)),
                der::context(9, &der::string("R")),
                der::context(10, &Principal::ticket_granting("R", "R").to_der()),
                der::context(11, &der::string("CLOCK_SKEW")),
            ]),
        );
        let read = KrbError::parse(&error).unwrap();
        assert_eq!((read.code, read.server_time.0), (37, 1_795_305_600));
        assert_eq!(read.text.as_deref(), Some("CLOCK_SKEW"));
        assert!(matches!(KdcAnswer::parse(&error), Ok(KdcAnswer::Error(_))));
    }

    #[test]
    fn rounds_of_etype_info() {
        let item = der::sequence(&[
            der::context(0, &der::integer(18)),
            der::context(1, &der::string("salt")),
            der::context(2, &der::octets(&[0, 0, 0x10, 0])),
        ]);
        let list = EtypeInfo::list(&der::sequence(&[item])).unwrap();
        assert_eq!(list[0].rounds(), Some(4096));
        assert_eq!(list[0].salt.as_deref(), Some(b"salt".as_slice()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 1u8..31) {
            let framed = der::application(tag, &der::tagged(SEQUENCE, &bytes));
            for bytes in [&bytes, &framed] {
                let _ = KdcAnswer::parse(bytes);
                let _ = ReplyPart::parse(bytes);
                let _ = EtypeInfo::list(bytes);
                let _ = PaData::list(bytes);
                let _ = Ticket::parse(bytes);
            }
        }
    }
}
