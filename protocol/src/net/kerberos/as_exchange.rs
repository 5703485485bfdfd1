//! The login: from a key or password to a ticket-granting ticket (RFC 4120, 3.1). Bytes in, bytes out; the caller
//! talks to the KDC and tells the time.

use super::conf::{Conf, EtypesFor};
use super::credential::Credential;
use super::crypto::{Etype, Key, Usage, name_of};
use super::error::{KerberosError, Refusal};
use super::messages::{
    self, Encrypted, EtypeInfo, FORWARDABLE, KdcAnswer, KdcReply, KrbError, PA_ENC_TIMESTAMP, PA_ETYPE_INFO2,
    PA_FX_COOKIE, PaData, RENEWABLE, RENEWABLE_OK, ReplyPart, RequestBody,
};
use super::principal::Principal;
use super::refusal;
use super::time::KerberosTime;
use crate::secret::Secret;

/// Seconds by which the KDC's clock must differ before we go by it.
const NOTICEABLE: i64 = 5;

/// What proves who we are.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// From a key tab: with versions, and where they are from.
    Keys {
        keys: Vec<(u32, Key)>,
        from: String,
    },
    Password(Secret),
}

impl Proof {
    /// The types that a key can be had of.
    fn etypes(&self) -> Vec<Etype> {
        match self {
            Self::Keys { keys, .. } => keys.iter().map(|(_, key)| key.etype()).collect(),
            Self::Password(_) => Etype::ALL.to_vec(),
        }
    }

    /// In words, for messages.
    fn name(&self) -> String {
        match self {
            Self::Password(_) => "password".to_owned(),
            Self::Keys { keys, from } => {
                let keys: Vec<String> =
                    keys.iter().map(|(kvno, key)| format!("{} version {kvno}", key.etype())).collect();
                format!("key in {from} ({})", keys.join(", "))
            }
        }
    }
}

/// What to do next in a login.
#[derive(Debug)]
pub(super) enum AsStep {
    /// Send this to a KDC, and give the answer to [`AsExchange::answer`].
    Ask(Vec<u8>),
    Got(Box<Credential>),
}

/// One login.
#[derive(Debug)]
pub(super) struct AsExchange<'a> {
    client: Principal,
    proof: &'a Proof,
    conf: &'a Conf,
    etypes: Vec<Etype>,
    nonce: u32,
    /// How the KDC makes keys from passwords, once it has said so.
    info: Vec<EtypeInfo>,
    cookie: Option<PaData>,
    /// The type of the key that encrypts our timestamp, once the KDC has asked for one.
    preauth: Option<Etype>,
    /// Seconds by which the KDC's clock is ahead.
    ahead: i64,
    has_corrected: bool,
}

impl<'a> AsExchange<'a> {
    /// A login of `client`. The nonce must be unpredictable.
    pub(super) fn new(
        client: Principal,
        proof: &'a Proof,
        conf: &'a Conf,
        nonce: u32,
        ahead: i64,
    ) -> Result<Self, KerberosError> {
        let had = proof.etypes();
        let etypes: Vec<Etype> =
            conf.etypes(EtypesFor::Login).into_iter().filter(|etype| had.contains(etype)).collect();
        if etypes.is_empty() {
            return Err(KerberosError::NoEtypes);
        }
        let (info, cookie, preauth) = (Vec::new(), None, None);
        Ok(Self { client, proof, conf, etypes, nonce, info, cookie, preauth, ahead, has_corrected: false })
    }

    /// Seconds by which the KDC's clock is ahead of ours, as far as we go by it.
    pub(super) fn ahead(&self) -> i64 {
        self.ahead
    }

    fn server(&self) -> Principal {
        Principal::ticket_granting(&self.client.realm, &self.client.realm)
    }

    /// The request as far as we know what the KDC wants. `microseconds` go with the time.
    pub(super) fn request(&self, now: KerberosTime, microseconds: u32) -> Result<Vec<u8>, KerberosError> {
        let now = now.plus(self.ahead);
        let renew_till = self.conf.renew_lifetime().map(|seconds| now.plus(seconds));
        let mut options = RENEWABLE_OK;
        if self.conf.forwardable() {
            options |= FORWARDABLE;
        }
        if renew_till.is_some() {
            options |= RENEWABLE;
        }
        let body = RequestBody {
            options,
            client: Some(self.client.clone()),
            server: self.server(),
            till: self.conf.ticket_lifetime().map_or(KerberosTime::UNLIMITED, |seconds| now.plus(seconds)),
            renew_till,
            nonce: self.nonce,
            etypes: self.etypes.clone(),
        };
        let mut padata: Vec<PaData> = self.cookie.iter().cloned().collect();
        if let Some(etype) = self.preauth {
            let key = self.key(etype, None)?;
            let cipher = key.encrypt(Usage::PreauthTimestamp, &messages::timestamp(now, microseconds))?;
            let value = Encrypted::by(&key, cipher).to_der();
            padata.push(PaData { kind: PA_ENC_TIMESTAMP, value });
        }
        Ok(body.request(&padata))
    }

    /// What follows from the KDC's answer.
    pub(super) fn answer(
        &mut self,
        answer: &[u8],
        now: KerberosTime,
        microseconds: u32,
    ) -> Result<AsStep, KerberosError> {
        match KdcAnswer::parse(answer)? {
            KdcAnswer::Reply(reply) => self.read(*reply, now).map(|got| AsStep::Got(Box::new(got))),
            KdcAnswer::Error(error) => {
                match error.code {
                    refusal::PREAUTH_REQUIRED if self.preauth.is_none() => self.prepare(&error)?,
                    refusal::CLOCK_SKEW if self.conf.takes_time_of_kdc() && !self.has_corrected => {
                        self.has_corrected = true;
                        self.ahead = error.server_time.since(now);
                    }
                    _ => return Err(self.refused(*error, now)),
                }
                self.request(now, microseconds).map(AsStep::Ask)
            }
        }
    }

    /// Gets ready for what the KDC asks for before it gives a ticket.
    fn prepare(&mut self, error: &KrbError) -> Result<(), KerberosError> {
        let offers = PaData::list(&error.data)?;
        self.learn(&offers)?;
        self.cookie = offers.iter().find(|offer| offer.kind == PA_FX_COOKIE).cloned();
        if !offers.iter().any(|offer| offer.kind == PA_ENC_TIMESTAMP) {
            let offered: Vec<String> = offers.iter().map(|offer| offer.kind.to_string()).collect();
            return Err(KerberosError::Preauth {
                principal: self.client.to_string(),
                offered: offered.join(", "),
            });
        }
        let known = |info: &EtypeInfo| Etype::of(info.etype).filter(|etype| self.etypes.contains(etype));
        // The KDC names the types in its order; without a list any will do.
        self.preauth = self.info.iter().find_map(known);
        if self.preauth.is_none() && self.info.is_empty() {
            self.preauth = self.etypes.first().copied();
        }
        match self.preauth {
            Some(_) => Ok(()),
            None => Err(self.refused(
                KrbError { code: refusal::ETYPE_UNSUPPORTED, text: Some(self.offered()), ..error.clone() },
                KerberosTime(0),
            )),
        }
    }

    /// The types for which the KDC has a key.
    fn offered(&self) -> String {
        let names: Vec<String> = self.info.iter().map(|info| name_of(info.etype)).collect();
        format!("it has {}", names.join(", "))
    }

    fn learn(&mut self, padata: &[PaData]) -> Result<(), KerberosError> {
        if let Some(info) = padata.iter().find(|data| data.kind == PA_ETYPE_INFO2) {
            self.info = EtypeInfo::list(&info.value)?;
        }
        Ok(())
    }

    /// Our key of that type: from a key tab that of the version asked for, or else the newest.
    fn key(&self, etype: Etype, kvno: Option<u32>) -> Result<Key, KerberosError> {
        match self.proof {
            Proof::Keys { keys, .. } => {
                let of_type = || keys.iter().filter(|(_, key)| key.etype() == etype);
                let exact = of_type().find(|(version, _)| Some(*version) == kvno);
                let newest = of_type().max_by_key(|(version, _)| *version);
                exact.or(newest).map(|(_, key)| key.clone()).ok_or(KerberosError::NoEtypes)
            }
            Proof::Password(password) => {
                let info = self.info.iter().find(|info| info.etype == etype.number());
                let salt = info.and_then(|info| info.salt.clone()).unwrap_or_else(|| self.client.salt());
                let rounds = info.and_then(EtypeInfo::rounds);
                Ok(Key::from_password(etype, password.expose(), &salt, rounds)?)
            }
        }
    }

    fn read(&mut self, reply: KdcReply, now: KerberosTime) -> Result<Credential, KerberosError> {
        self.learn(&reply.padata)?;
        let etype = Etype::of(reply.encrypted.etype).ok_or(KerberosError::NoEtypes)?;
        let key = self.key(etype, reply.encrypted.kvno)?;
        let plain = key.decrypt(Usage::AsReply, &reply.encrypted.cipher).map_err(|source| {
            KerberosError::WrongKey { principal: self.client.to_string(), secret: self.proof.name(), source }
        })?;
        let part = ReplyPart::parse(&plain)?;
        let differs = if part.nonce != self.nonce {
            Some("another nonce")
        } else if reply.client != self.client {
            Some("another client")
        } else if part.server != self.server() || reply.ticket.server != self.server() {
            Some("another server")
        } else {
            None
        };
        if let Some(what) = differs {
            return Err(KerberosError::NotOurs { realm: self.client.realm.clone(), what });
        }
        let ahead = part.auth_time.since(now);
        if self.conf.takes_time_of_kdc() {
            self.ahead = if ahead.abs() > NOTICEABLE { ahead } else { 0 };
        }
        Ok(Credential::new(reply.client, reply.ticket, part))
    }

    fn refused(&self, error: KrbError, now: KerberosTime) -> KerberosError {
        let etypes: Vec<&str> = self.etypes.iter().map(|etype| etype.name()).collect();
        KerberosError::Refused(Box::new(Refusal {
            code: error.code,
            text: error.text,
            client: self.client.to_string(),
            server: self.server().to_string(),
            secret: self.proof.name(),
            ahead: error.server_time.since(now),
            etypes: etypes.join(", "),
        }))
    }
}

#[cfg(test)]
pub(super) mod tests;
