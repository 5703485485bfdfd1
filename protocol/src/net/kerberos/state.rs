//! What a Kerberos client holds, and when it has to ask for more. Asks no KDC itself.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::KerberosSettings;
use super::conf::{self, Conf};
use super::credential::Credential;
use super::error::KerberosError;
use super::login;
use super::time::KerberosTime;

/// A clock that differs by more seconds from what has passed was set.
const CLOCK_WAS_SET: i64 = 5;

#[derive(Debug, Default)]
pub(super) struct State {
    /// The configuration as it was last read: a file that is gone for a moment stops nobody.
    pub(super) conf: Option<Conf>,
    pub(super) login: Option<LoggedIn>,
    /// Why the last login failed, and until when that answers for the next.
    pub(super) failed: Option<(Instant, KerberosError)>,
    /// Until when held tickets are shown without asking for others.
    pub(super) silent_until: Option<Instant>,
    /// Tickets by the service's principal.
    pub(super) services: BTreeMap<String, Credential>,
    /// Ticket-granting tickets of other realms, by realm.
    pub(super) realms: BTreeMap<String, Credential>,
    /// Seconds by which the KDC's clock is ahead.
    pub(super) ahead: i64,
    /// The last stamp given to a conversation: services refuse the same twice.
    pub(super) last_stamp: (KerberosTime, u32),
}

#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) tgt: Credential,
    /// When to get another, by our clock.
    pub(super) refresh_at: KerberosTime,
    /// When a failed try, or a login too soon, may be followed by the next.
    pub(super) not_before: KerberosTime,
    /// When that was written down, by our clock and by one that nobody sets.
    pub(super) clock: (KerberosTime, Instant),
}

/// What a login goes on from.
pub(super) struct Basis {
    pub(super) now: KerberosTime,
    pub(super) ahead: i64,
    pub(super) held: Option<Credential>,
}

impl State {
    /// Whether there is a login that is valid.
    pub(super) fn holds(&self, now: KerberosTime) -> bool {
        self.login.as_ref().is_some_and(|login| login.tgt.is_valid(now.plus(self.ahead)))
    }

    /// How far the KDC's clock is ahead is found at a login, and wrong once ours was set.
    pub(super) fn clock_was_set(&self, now: KerberosTime) -> bool {
        self.login.as_ref().is_some_and(|login| {
            let (then, since) = login.clock;
            let passed = i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX);
            now.since(then).saturating_sub(passed).saturating_abs() > CLOCK_WAS_SET
        })
    }

    /// What to log in with, where it is time to.
    pub(super) fn due(&self) -> Result<Option<Basis>, KerberosError> {
        let now = login::now()?.0;
        let holds = self.holds(now);
        let nears_its_end = |login: &LoggedIn| now >= login.refresh_at && now >= login.not_before;
        if holds && !self.clock_was_set(now) && !self.login.as_ref().is_some_and(nears_its_end) {
            return Ok(None);
        }
        match &self.failed {
            Some((until, error)) if !holds && Instant::now() < *until => Err(error.clone()),
            _ => Ok(Some(Basis {
                now,
                ahead: self.ahead,
                held: self.login.as_ref().map(|one| one.tgt.clone()),
            })),
        }
    }

    /// The configuration as it is now, or else as it last was.
    pub(super) fn conf(&mut self, settings: &KerberosSettings) -> Result<Conf, KerberosError> {
        match (conf::load(&settings.config), &self.conf) {
            (Ok(conf), _) => {
                self.conf = Some(conf.clone());
                Ok(conf)
            }
            (Err(error), None) => Err(error),
            (Err(error), Some(last)) => {
                tracing::warn!(error = %in_full(&error), "the Kerberos configuration cannot be read; it counts as it was");
                Ok(last.clone())
            }
        }
    }

    /// The time by the KDC's clock, later than any given before.
    pub(super) fn stamp(&mut self) -> Result<(KerberosTime, u32), KerberosError> {
        let (time, microseconds) = login::now()?;
        let next = match self.last_stamp {
            (time, 999_999..) => (time.plus(1), 0),
            (time, microseconds) => (time, microseconds + 1),
        };
        let here = (time.plus(self.ahead), microseconds);
        // Behind a clock that was set back the last stamp lies in a future that comes too late.
        let was_set = self.last_stamp.0.since(here.0) > CLOCK_WAS_SET;
        self.last_stamp = if was_set { here } else { here.max(next) };
        Ok(self.last_stamp)
    }
}

/// An error with its causes, in one line.
pub(super) fn in_full(error: &KerberosError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::kerberos::crypto::{Etype, Key};
    use crate::net::kerberos::messages::Ticket;
    use crate::net::kerberos::principal::Principal;

    const LIFE: i64 = 36_000;

    /// Logged in just now, by a clock that shows `then`.
    fn logged_in(then: KerberosTime) -> State {
        let server = Principal::ticket_granting("R", "R");
        let tgt = Credential {
            client: Principal::parse("mm@R", None).unwrap(),
            server: server.clone(),
            key: Key::new(Etype::Aes256Sha1, &[3; 32]).unwrap(),
            ticket: Ticket { bytes: vec![0x61, 0], server },
            flags: 0,
            start: then,
            end: then.plus(LIFE),
            renew_till: None,
        };
        let clock = (then, Instant::now());
        let login = LoggedIn { tgt, refresh_at: then.plus(LIFE - 100), not_before: then, clock };
        State { login: Some(login), ..State::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_only_goes_was_not_set() {
        let then = KerberosTime(1_795_305_600);
        let state = logged_in(then);
        tokio::time::advance(Duration::from_secs(3600)).await;
        for off in [-CLOCK_WAS_SET, 0, CLOCK_WAS_SET] {
            assert!(!state.clock_was_set(then.plus(3600 + off)), "{off}");
        }
        for off in [-20 * 60, -CLOCK_WAS_SET - 1, CLOCK_WAS_SET + 1, 20 * 60] {
            assert!(state.clock_was_set(then.plus(3600 + off)), "{off}");
        }
    }

    #[tokio::test]
    async fn after_a_clock_was_set_a_login_that_holds_is_made_anew() {
        let now = login::now().unwrap().0;
        assert!(logged_in(now).due().unwrap().is_none());
        for off in [-600, 600] {
            let basis = logged_in(now.plus(off)).due().unwrap();
            assert!(basis.is_some_and(|basis| basis.held.is_some()), "{off}");
        }
    }

    #[test]
    fn stamps_grow_unless_the_clock_was_set_back() {
        let mut state = State::default();
        let first = state.stamp().unwrap();
        let second = state.stamp().unwrap();
        assert!(second > first);
        // A little ahead: one microsecond further, across the second.
        let soon = first.0.plus(CLOCK_WAS_SET - 1);
        state.last_stamp = (soon, 999_999);
        assert_eq!(state.stamp().unwrap(), (soon.plus(1), 0));
        state.last_stamp = (first.0.plus(3600), 0);
        assert!(state.stamp().unwrap().0 < first.0.plus(60));
    }
}
