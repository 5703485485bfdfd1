//! One ticket in exchange for another: for a service, for another realm, or for more time (RFC 4120, 3.3). Bytes in,
//! bytes out.

use super::ap::{self, Authenticator};
use super::credential::Credential;
use super::crypto::{Etype, Usage};
use super::error::{KerberosError, Refusal};
use super::messages::{
    CANONICALIZE, Encrypted, FORWARDABLE, KdcAnswer, PA_TGS_REQUEST, PaData, RENEW, RENEWABLE, ReplyPart,
    RequestBody,
};
use super::principal::Principal;
use super::time::KerberosTime;

/// What is asked for with a ticket-granting ticket.
#[derive(Debug)]
pub(super) struct TgsExchange<'a> {
    pub(super) tgt: &'a Credential,
    pub(super) server: &'a Principal,
    /// The same ticket again, with more time.
    pub(super) renews: bool,
    pub(super) etypes: Vec<Etype>,
    /// Unpredictable.
    pub(super) nonce: u32,
}

impl TgsExchange<'_> {
    /// The request. The time is that of the KDC's clock.
    pub(super) fn request(&self, now: KerberosTime, microseconds: u32) -> Result<Vec<u8>, KerberosError> {
        let inherited = self.tgt.flags & (FORWARDABLE | RENEWABLE);
        let options =
            if self.renews { RENEW | inherited } else { CANONICALIZE | self.tgt.flags & FORWARDABLE };
        let body = RequestBody {
            options,
            client: None,
            server: self.server.clone(),
            till: if self.renews { KerberosTime::UNLIMITED } else { self.tgt.end },
            renew_till: None,
            nonce: self.nonce,
            etypes: self.etypes.clone(),
        };
        let key = &self.tgt.key;
        let checksum = key.checksum(Usage::TgsRequestChecksum, &body.to_der())?;
        let authenticator = Authenticator {
            client: &self.tgt.client,
            checksum: (key.etype().checksum_type(), checksum),
            time: now,
            microseconds,
            subkey: None,
            sequence: None,
        };
        let cipher = key.encrypt(Usage::TgsAuthenticator, &authenticator.to_der())?;
        let value = ap::request(&self.tgt.ticket, &Encrypted::by(key, cipher), false);
        Ok(body.request(&[PaData { kind: PA_TGS_REQUEST, value }]))
    }

    /// The ticket: the one asked for, or one for a realm on the way to it ([`Principal::grants_for`]).
    pub(super) fn answer(&self, answer: &[u8], now: KerberosTime) -> Result<Credential, KerberosError> {
        let reply = match KdcAnswer::parse(answer)? {
            KdcAnswer::Reply(reply) => *reply,
            KdcAnswer::Error(error) => {
                let etypes: Vec<&str> = self.etypes.iter().map(|etype| etype.name()).collect();
                return Err(KerberosError::Refused(Box::new(Refusal {
                    code: error.code,
                    text: error.text,
                    client: self.tgt.client.to_string(),
                    server: self.server.to_string(),
                    secret: "ticket".to_owned(),
                    ahead: error.server_time.since(now),
                    etypes: etypes.join(", "),
                })));
            }
        };
        let plain = self.tgt.key.decrypt(Usage::TgsReply, &reply.encrypted.cipher)?;
        let part = ReplyPart::parse(&plain)?;
        // Active Directory answers in the case that the name is registered in.
        let same = |(a, b): (&String, &String)| a.eq_ignore_ascii_case(b);
        let is_asked_for = part.server.components.len() == self.server.components.len()
            && part.server.components.iter().zip(&self.server.components).all(same);
        let differs = if part.nonce != self.nonce {
            Some("another nonce")
        } else if reply.client != self.tgt.client {
            Some("another client")
        } else if part.server != reply.ticket.server || !is_asked_for && part.server.grants_for().is_none() {
            Some("another server")
        } else {
            None
        };
        match differs {
            Some(what) => Err(KerberosError::NotOurs { realm: self.server.realm.clone(), what }),
            None => Ok(Credential::new(reply.client, reply.ticket, part)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::kerberos::as_exchange::tests::error;
    use crate::net::kerberos::crypto::Key;
    use crate::net::kerberos::der;
    use crate::net::kerberos::messages::Ticket;
    use crate::net::kerberos::refusal;

    const NOW: KerberosTime = KerberosTime(1_795_305_600);

    fn key() -> Key {
        Key::new(Etype::Aes128Sha2, &[6; 16]).unwrap()
    }

    fn tgt() -> Credential {
        let server = Principal::ticket_granting("R", "R");
        Credential {
            client: Principal::parse("mm@R", None).unwrap(),
            server: server.clone(),
            key: key(),
            ticket: Ticket { bytes: vec![0x61, 0], server },
            flags: 0,
            start: NOW,
            end: NOW.plus(3600),
            renew_till: None,
        }
    }

    /// What a KDC gives: to `client` for `server`.
    fn reply(client: &str, server: &Principal, nonce: i64) -> Vec<u8> {
        let session = [der::context(0, &der::integer(17)), der::context(1, &der::octets(&[5; 16]))];
        let part = der::application(
            26,
            &der::sequence(&[
                der::context(0, &der::sequence(&session)),
                der::context(1, &der::sequence(&[])),
                der::context(2, &der::integer(nonce)),
                der::context(4, &der::flags(0)),
                der::context(5, &der::time(NOW)),
                der::context(7, &der::time(NOW.plus(60))),
                der::context(9, &der::string(&server.realm)),
                der::context(10, &server.to_der()),
            ]),
        );
        let encrypted = Encrypted::by(&key(), key().encrypt(Usage::TgsReply, &part).unwrap()).to_der();
        let ticket = der::sequence(&[
            der::context(0, &der::integer(5)),
            der::context(1, &der::string(&server.realm)),
            der::context(2, &server.to_der()),
            der::context(3, &encrypted),
        ]);
        let client = Principal::parse(client, None).unwrap();
        let parts = [
            der::context(0, &der::integer(5)),
            der::context(1, &der::integer(13)),
            der::context(3, &der::string(&client.realm)),
            der::context(4, &client.to_der()),
            der::context(5, &der::application(1, &ticket)),
            der::context(6, &encrypted),
        ];
        der::application(13, &der::sequence(&parts))
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let (tgt, service) = (tgt(), Principal::service("kafka", "b1", "R"));
        let exchange =
            TgsExchange { tgt: &tgt, server: &service, renews: false, etypes: Etype::ALL.to_vec(), nonce: 9 };
        assert!(exchange.request(NOW, 1).is_ok());
        let answer =
            |client: &str, server: &Principal, nonce| exchange.answer(&reply(client, server, nonce), NOW);
        assert_eq!(answer("mm@R", &service, 9).unwrap().end, NOW.plus(60));
        let referral = Principal::ticket_granting("OTHER", "R");
        assert_eq!(answer("mm@R", &referral, 9).unwrap().server.grants_for(), Some("OTHER"));
        assert_eq!(
            answer("mm@R", &Principal::service("KAFKA", "B1", "R"), 9).unwrap().key.etype(),
            Etype::Aes128Sha1
        );
        for (client, server, nonce, words) in [
            ("mm@R", &service, 8, "another nonce"),
            ("other@R", &service, 9, "another client"),
            ("mm@R", &Principal::service("kafka", "b2", "R"), 9, "another server"),
        ] {
            let error = answer(client, server, nonce).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_refusal_names_the_service() {
        let (tgt, service) = (tgt(), Principal::service("kafka", "b1", "R"));
        let exchange =
            TgsExchange { tgt: &tgt, server: &service, renews: false, etypes: Etype::ALL.to_vec(), nonce: 9 };
        let error = exchange.answer(&error(refusal::SERVER_UNKNOWN, NOW, b""), NOW).unwrap_err().to_string();
        assert!(error.contains("the service kafka/b1@R"), "{error}");
    }
}
