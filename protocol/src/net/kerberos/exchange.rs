//! The conversation with one broker: the ticket, its answer, and the layer (RFC 4752). Bytes in, bytes out.
//!
//! Kafka protects no data by GSSAPI: what follows the conversation goes over the connection as it is, whatever layer
//! was agreed on (`SaslClientAuthenticator` and `SaslServerAuthenticator` never call `wrap`). So we choose none; and if
//! a broker is set to offer others only (`javax.security.sasl.qop` in its JVM or its properties), we agree to one, as
//! a Java client with that setting does, since otherwise nobody could connect. TLS is what protects data.

use super::ap::{self, ApReplyPart, Authenticator};
use super::credential::Credential;
use super::crypto::{Key, Usage};
use super::error::KerberosError;
use super::gss;
use super::messages::{Encrypted, KrbError};
use super::refusal;
use super::time::KerberosTime;

/// Layers that a broker offers, one bit each, in the order we take them.
const LAYERS: [u8; 3] = [1, 2, 4];
/// The largest wrapped message we would take, where a layer is agreed on: as Java says.
const MAX_MESSAGE: [u8; 3] = [1, 0, 0];

/// What to do next in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this, and give the answer to [`Exchange::next`].
    Send(Vec<u8>),
    /// We are known to the broker, and the broker to us.
    Done,
}

/// What makes each conversation its own.
#[derive(Debug)]
pub(super) struct Fresh {
    /// By the KDC's clock.
    pub(super) time: KerberosTime,
    /// Never the same twice within a second.
    pub(super) microseconds: u32,
    pub(super) subkey: Key,
    pub(super) sequence: u32,
    /// Seconds by which the KDC's clock is ahead of ours.
    pub(super) ahead: i64,
}

/// One conversation, from the first token to the last. For one connection.
#[derive(Debug)]
pub struct Exchange {
    credential: Credential,
    fresh: Fresh,
    first: Vec<u8>,
    has_unused_layer: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Our ticket is out.
    Shown,
    /// The broker has proved itself; the key is its own or, else, ours.
    Established {
        key: Key,
        is_of_broker: bool,
    },
    /// Our choice of a layer is out.
    Chosen,
    Over,
}

impl Exchange {
    /// A conversation that shows the credential's ticket. The subkey is of the type of the credential's key.
    pub(super) fn new(credential: Credential, fresh: Fresh) -> Result<Self, KerberosError> {
        let authenticator = Authenticator {
            client: &credential.client,
            checksum: (gss::CHECKSUM_TYPE, gss::checksum()),
            time: fresh.time,
            microseconds: fresh.microseconds,
            subkey: Some(&fresh.subkey),
            sequence: Some(fresh.sequence),
        };
        let key = &credential.key;
        let cipher = key.encrypt(Usage::ApAuthenticator, &authenticator.to_der())?;
        let request = ap::request(&credential.ticket, &Encrypted::by(key, cipher), true);
        let first = gss::framed(gss::AP_REQUEST, &request);
        Ok(Self { credential, fresh, first, has_unused_layer: false, state: State::Shown })
    }

    /// Whom the broker will know us as: `name@REALM`.
    pub fn principal(&self) -> String {
        self.credential.client.to_string()
    }

    /// The broker's principal.
    pub fn service(&self) -> String {
        self.credential.server.to_string()
    }

    /// Whether the broker insisted on a layer that, as Kafka is made, protects nothing: worth a warning.
    pub fn has_unused_layer(&self) -> bool {
        self.has_unused_layer
    }

    /// What to look at when a broker refuses the ticket, for which SASL has no words: brokers answer "invalid
    /// credentials" to clocks that differ, to keys out of date, and to names they do not map.
    pub fn hint(&self) -> String {
        let clock = match self.fresh.ahead {
            0 => "the clocks of the broker and of this machine must agree".to_owned(),
            ahead => format!(
                "the KDC's clock, which was used, is {} s {} that of this machine, and the broker's may be too far from it",
                ahead.unsigned_abs(),
                if ahead > 0 { "ahead of" } else { "behind" }
            ),
        };
        let service = self.service();
        format!(
            "{service} (sasl.kerberos.service.name) must have its newest key in the broker's key tab; {clock}"
        )
    }

    /// The first token, which shows the ticket.
    pub fn first(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.first)
    }

    /// What to say to the broker's `challenge`.
    ///
    /// # Errors
    /// The broker refuses the ticket, cannot prove itself, or does not keep to RFC 4752.
    pub fn next(&mut self, challenge: &[u8]) -> Result<Step, KerberosError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Shown => {
                self.state = self.proved(challenge)?;
                // The broker offers its layers in answer to an empty message.
                Ok(Step::Send(Vec::new()))
            }
            State::Established { key, is_of_broker } => {
                let offer = gss::unwrap(&key, is_of_broker, challenge)?;
                let choice = choice(&offer, &self.principal())?;
                self.state = State::Chosen;
                self.has_unused_layer = choice.first() != Some(&1);
                Ok(Step::Send(gss::wrap(&key, self.fresh.sequence.into(), is_of_broker, &choice)?))
            }
            State::Chosen if challenge.is_empty() => Ok(Step::Done),
            State::Chosen | State::Over => Err(KerberosError::Broker("it goes on after the end")),
        }
    }

    /// Checks that the broker could read our authenticator, which takes its key.
    fn proved(&self, token: &[u8]) -> Result<State, KerberosError> {
        let (kind, message) = gss::unframed(token)?;
        if kind == gss::ERROR {
            return Err(self.refused(&KrbError::parse(message)?));
        }
        if kind != gss::AP_REPLY {
            return Err(KerberosError::Broker("its first token is not an answer to ours"));
        }
        let encrypted = ap::reply(message)?;
        let plain = self.credential.key.decrypt(Usage::ApReply, &encrypted.cipher)?;
        let part = ApReplyPart::parse(&plain)?;
        if (part.time, part.microseconds) != (self.fresh.time, self.fresh.microseconds) {
            return Err(KerberosError::Broker("its answer is to another ticket than the one we sent"));
        }
        Ok(match part.subkey {
            Some(key) => State::Established { key, is_of_broker: true },
            None => State::Established { key: self.fresh.subkey.clone(), is_of_broker: false },
        })
    }

    fn refused(&self, error: &KrbError) -> KerberosError {
        let what = match error.code {
            refusal::CLOCK_SKEW => format!(
                "its clock differs from that of this machine by {} s, more than it allows",
                error.server_time.since(self.fresh.time).unsigned_abs()
            ),
            refusal::BAD_INTEGRITY => {
                "its key is not the one that the KDC has (its key tab is out of date)".to_owned()
            }
            code => format!("error {code}"),
        };
        KerberosError::RefusedByBroker { service: self.service(), what }
    }
}

/// The layer we take of those offered, and who we want to be: ourselves, as Kafka's clients say (`SaslClientAuthenticator`
/// gives the principal as the authorization id).
fn choice(offer: &[u8], principal: &str) -> Result<Vec<u8>, KerberosError> {
    let [offered, _, _, _] = *offer else {
        return Err(KerberosError::Broker("its offer of layers has not four bytes"));
    };
    let layer = LAYERS.into_iter().find(|layer| offered & layer != 0);
    let layer = layer.ok_or(KerberosError::Broker("it offers no layer of RFC 4752"))?;
    // Without a layer the size must be zero (RFC 4752, 3.1).
    let size = if layer == 1 { [0; 3] } else { MAX_MESSAGE };
    Ok([&[layer], size.as_slice(), principal.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::kerberos::crypto::Etype;
    use crate::net::kerberos::der;
    use crate::net::kerberos::messages::Ticket;
    use crate::net::kerberos::principal::Principal;

    fn exchange() -> Exchange {
        let key = Key::new(Etype::Aes256Sha1, &[3; 32]).unwrap();
        let server = Principal::service("kafka", "b1", "R");
        let credential = Credential {
            client: Principal::parse("mm/h@R", None).unwrap(),
            server: server.clone(),
            key,
            ticket: Ticket { bytes: vec![0x61, 0], server },
            flags: 0,
            start: KerberosTime(0),
            end: KerberosTime(1000),
            renew_till: None,
        };
        let subkey = Key::new(Etype::Aes256Sha1, &[4; 32]).unwrap();
        Exchange::new(
            credential,
            Fresh { time: KerberosTime(500), microseconds: 7, subkey, sequence: 11, ahead: 0 },
        )
        .unwrap()
    }

    /// The broker's answer: its proof, with or without a key of its own.
    fn reply(microseconds: i64, subkey: Option<&Key>) -> Vec<u8> {
        let mut parts = vec![
            der::context(0, &der::time(KerberosTime(500))),
            der::context(1, &der::integer(microseconds)),
        ];
        parts.extend(subkey.map(|key| {
            let key = [der::context(0, &der::integer(18)), der::context(1, &der::octets(key.bytes()))];
            der::context(2, &der::sequence(&key))
        }));
        let part = der::application(27, &der::sequence(&parts));
        let key = Key::new(Etype::Aes256Sha1, &[3; 32]).unwrap();
        let encrypted = Encrypted::by(&key, key.encrypt(Usage::ApReply, &part).unwrap()).to_der();
        let parts = [
            der::context(0, &der::integer(5)),
            der::context(1, &der::integer(15)),
            der::context(2, &encrypted),
        ];
        gss::framed(gss::AP_REPLY, &der::application(15, &der::sequence(&parts)))
    }

    fn sent(step: Step) -> Vec<u8> {
        match step {
            Step::Send(bytes) => bytes,
            Step::Done => panic!("done"),
        }
    }

    #[test]
    fn with_and_without_a_key_of_the_broker() {
        let own = Key::new(Etype::Aes256Sha1, &[9; 32]).unwrap();
        for subkey in [None, Some(&own)] {
            let mut exchange = exchange();
            let first = exchange.first();
            assert_eq!(gss::unframed(&first).unwrap().0, gss::AP_REQUEST);
            assert_eq!(sent(exchange.next(&reply(7, subkey)).unwrap()), b"");
            let key = subkey.cloned().unwrap_or_else(|| Key::new(Etype::Aes256Sha1, &[4; 32]).unwrap());
            let offer = gss::tests::wrapped_by_acceptor(&key, false, subkey.is_some(), 0, &[7, 1, 0, 0]);
            let answer = sent(exchange.next(&offer).unwrap());
            assert_eq!(answer[16..26], *b"\x01\0\0\0mm/h@R");
            assert_eq!(exchange.next(&[]).unwrap(), Step::Done);
            assert!(exchange.next(&[]).is_err());
        }
    }

    #[test]
    fn a_broker_that_does_not_prove_itself() {
        assert!(exchange().next(&reply(8, None)).is_err());
        assert!(exchange().next(b"").is_err());
        assert!(exchange().next(&gss::framed(gss::AP_REQUEST, b"")).is_err());
    }

    #[test]
    fn layers() {
        assert_eq!(choice(&[7, 0, 0, 0], "a@R").unwrap(), b"\x01\0\0\0a@R");
        assert_eq!(choice(&[4, 0, 0, 0], "a@R").unwrap(), b"\x04\x01\0\0a@R");
        assert!(choice(&[0, 0, 0, 0], "a@R").is_err());
        assert!(choice(&[1, 0, 0], "a@R").is_err());
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut exchange = exchange();
            let _ = exchange.next(&bytes);
            let mut exchange = self::exchange();
            let _ = exchange.next(&gss::framed(gss::AP_REPLY, &bytes));
            let mut exchange = self::exchange();
            let _ = exchange.next(&gss::framed(gss::ERROR, &bytes));
            let mut exchange = self::exchange();
            let _ = exchange.next(&reply(7, None)).unwrap();
            let _ = exchange.next(&bytes);
        }
    }
}
