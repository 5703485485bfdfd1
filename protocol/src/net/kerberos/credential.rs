//! A ticket with the key that goes with it, and how long it is of use. Reads no clock.

use super::crypto::Key;
use super::messages::{RENEWABLE, ReplyPart, Ticket};
use super::principal::Principal;
use super::time::KerberosTime;

/// What a KDC gave, or a cache held. The key is wiped when it is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) client: Principal,
    pub(super) server: Principal,
    pub(super) key: Key,
    pub(super) ticket: Ticket,
    pub(super) flags: u32,
    pub(super) start: KerberosTime,
    pub(super) end: KerberosTime,
    pub(super) renew_till: Option<KerberosTime>,
}

impl Credential {
    pub(super) fn new(client: Principal, ticket: Ticket, part: ReplyPart) -> Self {
        let start = part.start.unwrap_or(part.auth_time);
        let ReplyPart { key, flags, end, renew_till, server, .. } = part;
        Self { client, server, key, ticket, flags, start, end, renew_till }
    }

    pub(super) fn is_valid(&self, now: KerberosTime) -> bool {
        now < self.end
    }

    /// Whether it can be exchanged for one that lives longer.
    pub(super) fn is_renewable(&self, now: KerberosTime) -> bool {
        self.flags & RENEWABLE != 0
            && self.is_valid(now)
            && self.renew_till.is_some_and(|till| till > self.end)
    }

    /// When `percent` of its life have passed.
    pub(super) fn after_percent(&self, percent: u32) -> KerberosTime {
        let life = self.end.since(self.start).max(0);
        self.start
            .plus(life / 100 * i64::from(percent.min(100)) + life % 100 * i64::from(percent.min(100)) / 100)
    }
}
