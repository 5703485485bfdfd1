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
