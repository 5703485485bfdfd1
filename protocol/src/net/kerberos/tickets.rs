//! The tickets of one identity, got when they are needed, kept while they are good, renewed before they end.
//!
//! All connections share one [`Kerberos`]: whoever needs a ticket while another gets one waits for it. A task beside it
//! renews, so that a login that stops working is told before it is needed.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::conf::Conf;
use super::credential::Credential;
use super::crypto::Key;
use super::error::KerberosError;
use super::exchange::{Exchange, Fresh};
use super::login::{self, Login};
use super::principal::Principal;
use super::refusal;
use super::state::{Basis, LoggedIn, State, in_full};
use super::time::KerberosTime;
use super::{KerberosCredentials, KerberosSettings};

/// Realms on the way from ours to a broker's.
const MAX_HOPS: usize = 10;
/// Services whose tickets are kept.
const MAX_SERVICES: usize = 10_000;
/// Share of a service ticket's life after which another is asked for.
const SERVICE_PERCENT: u32 = 80;
/// For how long KDCs that were silent are not asked for tickets that can wait.
const SILENCE_HOLDS: Duration = Duration::from_secs(60);
/// For how long a failure that may pass answers for the next tries, so that those who waited do not wait in turn.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// The renewing task looks again at least so often, since clocks are set and hosts are suspended, and at most so often.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
const LOOK_AGAIN_AT_LEAST: Duration = Duration::from_secs(1);

/// Kerberos at work: the settings and the tickets they brought.
#[derive(Debug)]
pub struct Kerberos {
    shared: Arc<Shared>,
    renewal: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    settings: KerberosSettings,
    state: Mutex<State>,
}

impl Drop for Kerberos {
    fn drop(&mut self) {
        if let Some(renewal) = self.renewal.get() {
            renewal.abort();
        }
    }
}

impl Kerberos {
    /// Asks nobody yet.
    pub fn new(settings: KerberosSettings) -> Self {
        let state = Mutex::new(State::default());
        Self { shared: Arc::new(Shared { settings, state }), renewal: OnceLock::new() }
    }

    /// What is configured.
    pub fn settings(&self) -> &KerberosSettings {
        &self.shared.settings
    }

    /// A conversation with the broker on `host`, with a ticket for it: logs in and gets the ticket where there is none
    /// that is good. `host` is what the broker is advertised as.
    ///
    /// # Errors
    /// Why there is no ticket.
    pub async fn exchange(&self, host: &str) -> Result<Exchange, KerberosError> {
        let exchange = self.shared.exchange(host).await?;
        self.renewal.get_or_init(|| tokio::spawn(keep_renewed(Arc::downgrade(&self.shared))).abort_handle());
        Ok(exchange)
    }

    /// Forgets the ticket for the broker on `host`, which refused it.
    pub async fn forget(&self, host: &str) {
        let mut state = self.shared.state.lock().await;
        if let (Ok(conf), Some(login)) = (state.conf(&self.shared.settings), &state.login) {
            let service = self.shared.service(&conf, &login.tgt, host);
            state.services.remove(&service.to_string());
        }
    }
}

/// Renews while anybody uses the tickets.
async fn keep_renewed(shared: Weak<Shared>) {
    loop {
        let pause = match shared.upgrade() {
            Some(shared) => shared.renew().await,
            None => return,
        };
        tokio::time::sleep(pause.clamp(LOOK_AGAIN_AT_LEAST, LOOK_AGAIN)).await;
    }
}

impl Shared {
    async fn exchange(&self, host: &str) -> Result<Exchange, KerberosError> {
        let mut state = self.state.lock().await;
        let conf = state.conf(&self.settings)?;
        // Renewing is the task's work: nobody waits for KDCs while the tickets hold.
        let now = login::now()?.0;
        if !state.holds(now) || state.clock_was_set(now) {
            self.keep_logged_in(&mut state, &conf).await?;
        }
        let credential = match self.ticket(&mut state, &conf, host).await {
            Err(error) if says_that_the_login_is_stale(&error) => {
                tracing::info!(error = %error, "the KDC does not take the ticket any more; logging in anew");
                state.login = None;
                self.keep_logged_in(&mut state, &conf).await?;
                self.ticket(&mut state, &conf, host).await?
            }
            other => other?,
        };
        let (time, microseconds) = state.stamp()?;
        let subkey = Key::random(credential.key.etype())?;
        Exchange::new(
            credential,
            Fresh { time, microseconds, subkey, sequence: login::random()?, ahead: state.ahead },
        )
    }

    /// Renews when it is time to; how long to wait until then. Others use the tickets meanwhile.
    async fn renew(&self) -> Duration {
        let due = {
            let mut state = self.state.lock().await;
            state.conf(&self.settings).and_then(|conf| Ok(state.due()?.map(|basis| (conf, basis))))
        };
        let kept = match due {
            Ok(Some((conf, basis))) => {
                let login = self.log_in(&basis, &conf).await;
                let mut state = self.state.lock().await;
                self.settle(&mut state, login)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let state = self.state.lock().await;
        if let Err(error) = kept {
            tracing::warn!(error = %in_full(&error), "there is no valid Kerberos ticket");
            return self.settings.min_time_before_relogin;
        }
        let (Some(login), Ok((now, _))) = (&state.login, login::now()) else { return LOOK_AGAIN };
        let due = login.refresh_at.max(login.not_before).min(login.tgt.end.plus(-state.ahead));
        Duration::from_secs(u64::try_from(due.since(now)).unwrap_or(0))
    }

    /// Logs in where there is no login or it nears its end.
    async fn keep_logged_in(&self, state: &mut State, conf: &Conf) -> Result<(), KerberosError> {
        let Some(basis) = state.due()? else { return Ok(()) };
        let login = self.log_in(&basis, conf).await;
        self.settle(state, login)
    }

    /// A login that still holds survives a failure to renew it.
    fn settle(&self, state: &mut State, login: Result<Login, KerberosError>) -> Result<(), KerberosError> {
        let now = login::now()?.0;
        let holds = state.holds(now);
        let pause = i64::try_from(self.settings.min_time_before_relogin.as_secs()).unwrap_or(i64::MAX);
        match (login, &mut state.login) {
            (Ok(login), _) => self.logged_in(state, login, now, pause),
            (Err(error), Some(old)) if holds => {
                old.refresh_at = old.refresh_at.min(now);
                old.not_before = now.plus(pause.max(1));
                old.clock = (now, Instant::now());
                tracing::warn!(
                    principal = %old.tgt.client, until = %old.tgt.end, error = %in_full(&error),
                    "the Kerberos ticket cannot be renewed; it still holds"
                );
                Ok(())
            }
            (Err(error), _) => {
                state.failed = Some((Instant::now() + self.pause_after(&error), error.clone()));
                Err(error)
            }
        }
    }

    /// A KDC locks accounts of which it hears wrong passwords too often.
    fn pause_after(&self, error: &KerberosError) -> Duration {
        match error {
            KerberosError::Refused(refusal) if !refusal.is_transient() => {
                self.settings.min_time_before_relogin
            }
            _ => FAILURE_HOLDS,
        }
    }

    /// A new login; from a cache that nobody has renewed, the renewed ticket of it.
    async fn log_in(&self, basis: &Basis, conf: &Conf) -> Result<Login, KerberosError> {
        let Basis { now, ahead, held } = basis;
        let (now, ahead) = (*now, *ahead);
        let fresh = login::log_in(&self.settings, conf, ahead).await;
        if !matches!(self.settings.credentials, KerberosCredentials::Cache(_)) {
            return fresh;
        }
        let held = held.as_ref();
        let (cached, services) = match fresh {
            Ok(login) => (Some(login.tgt), login.services),
            // The file may be gone or out of date while what we made of it is not.
            Err(error) if held.is_none_or(|tgt| !tgt.is_valid(now)) => return Err(error),
            Err(_) => (None, Vec::new()),
        };
        let Some(newest) = cached.iter().chain(held).max_by_key(|tgt| tgt.end).cloned() else {
            return Err(KerberosError::NoPrincipal);
        };
        if now < self.refresh_at(&newest, ahead)? || !newest.is_renewable(now) {
            return Ok(Login { tgt: newest, services, ahead });
        }
        let server = newest.server.clone();
        let tgt = match login::trade(&self.settings, conf, &newest, &server, ahead).await {
            Ok(tgt) => tgt,
            Err(error) if newest.is_valid(now.plus(ahead)) => {
                tracing::warn!(error = %in_full(&error), "the cached ticket cannot be renewed; it still holds");
                newest
            }
            Err(error) => return Err(error),
        };
        Ok(Login { tgt, services, ahead })
    }

    fn logged_in(
        &self,
        state: &mut State,
        login: Login,
        now: KerberosTime,
        pause: i64,
    ) -> Result<(), KerberosError> {
        if login.ahead != state.ahead {
            tracing::warn!(
                seconds = login.ahead,
                "the KDC's clock differs from that of this machine; its time is used for Kerberos (kdc_timesync)"
            );
        }
        state.ahead = login.ahead;
        state.failed = None;
        let refresh_at = self.refresh_at(&login.tgt, state.ahead)?;
        tracing::info!(principal = %login.tgt.client, until = %login.tgt.end, "logged in to Kerberos");
        // What was got with another ticket stays good; only another identity has other tickets.
        if state.login.as_ref().is_some_and(|old| old.tgt.client != login.tgt.client) {
            state.services.clear();
        }
        state.realms.clear();
        let services = login.services.into_iter().map(|ticket| (ticket.server.to_string(), ticket));
        state.services.extend(services.take(MAX_SERVICES));
        let clock = (now, Instant::now());
        state.login = Some(LoggedIn { tgt: login.tgt, refresh_at, not_before: now.plus(pause), clock });
        Ok(())
    }

    /// When the window and the jitter of the settings say (`KerberosLogin.getRefreshTime`), by our clock.
    fn refresh_at(&self, tgt: &Credential, ahead: i64) -> Result<KerberosTime, KerberosError> {
        let jitter = login::random()? % (u32::from(self.settings.renew_jitter_percent) + 1);
        Ok(tgt.after_percent(u32::from(self.settings.renew_window_percent) + jitter).plus(-ahead))
    }

    /// The ticket for the service on `host`.
    async fn ticket(&self, state: &mut State, conf: &Conf, host: &str) -> Result<Credential, KerberosError> {
        let tgt = state.login.as_ref().ok_or(KerberosError::NoPrincipal)?.tgt.clone();
        let service = self.service(conf, &tgt, host);
        let name = service.to_string();
        let now = login::now()?.0.plus(state.ahead);
        let held = state.services.get(&name).filter(|ticket| ticket.is_valid(now)).cloned();
        let can_wait = state.silent_until.is_some_and(|until| Instant::now() < until);
        if let Some(held) = held.as_ref().filter(|one| can_wait || now < one.after_percent(SERVICE_PERCENT)) {
            return Ok(held.clone());
        }
        match (self.fetch(state, conf, tgt, service).await, held) {
            (Ok(ticket), _) => {
                tracing::debug!(service = name, until = %ticket.end, "got a Kerberos ticket");
                if state.services.len() >= MAX_SERVICES {
                    state.services.clear();
                }
                state.services.insert(name, ticket.clone());
                Ok(ticket)
            }
            (Err(error), Some(held)) if error.is_transient() => {
                tracing::warn!(service = name, error = %in_full(&error), "the ticket cannot be renewed; it still holds");
                state.silent_until = Some(Instant::now() + SILENCE_HOLDS);
                Ok(held)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The broker's principal. As in Java: the host in lower case, and in the realm that `krb5.conf` gives it, or else
    /// the default realm.
    fn service(&self, conf: &Conf, tgt: &Credential, host: &str) -> Principal {
        let host = self.settings.service_host.as_deref().unwrap_or(host);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let realm = conf.realm_of_host(&host).or_else(|| conf.default_realm()).unwrap_or(&tgt.client.realm);
        Principal::service(&self.settings.service_name, &host, realm)
    }

    /// Asks for the ticket, following where the KDCs refer us to.
    async fn fetch(
        &self,
        state: &mut State,
        conf: &Conf,
        tgt: Credential,
        mut service: Principal,
    ) -> Result<Credential, KerberosError> {
        let mut tgt = self.realm_ticket(state, conf, tgt, &service.realm).await?;
        for _ in 0..MAX_HOPS {
            let got = login::trade(&self.settings, conf, &tgt, &service, state.ahead).await?;
            match got.server.grants_for() {
                Some(realm) if service.grants_for().is_none() => {
                    service.realm = realm.to_owned();
                    tgt = got;
                }
                _ => return Ok(got),
            }
        }
        Err(KerberosError::Referrals { server: service.to_string() })
    }

    /// A ticket-granting ticket for `realm`, by way of `[capaths]` or of where the KDCs send us.
    async fn realm_ticket(
        &self,
        state: &mut State,
        conf: &Conf,
        tgt: Credential,
        realm: &str,
    ) -> Result<Credential, KerberosError> {
        let now = login::now()?.0.plus(state.ahead);
        if let Some(held) = state.realms.get(realm).filter(|held| held.is_valid(now)) {
            return Ok(held.clone());
        }
        let mut current = tgt;
        let mut hops = 0;
        let own = current.client.realm.clone();
        for station in conf.way(&own, realm).into_iter().chain([realm]) {
            while current.server.grants_for() != Some(station) {
                if hops == MAX_HOPS {
                    return Err(KerberosError::Referrals { server: realm.to_owned() });
                }
                hops += 1;
                let at = current.server.grants_for().unwrap_or(&own).to_owned();
                let next = Principal::ticket_granting(station, &at);
                current = login::trade(&self.settings, conf, &current, &next, state.ahead).await?;
            }
        }
        if hops > 0 && state.realms.len() < MAX_SERVICES {
            state.realms.insert(realm.to_owned(), current.clone());
        }
        Ok(current)
    }
}

/// The KDC has another key than when it gave the ticket, or thinks the ticket too old.
fn says_that_the_login_is_stale(error: &KerberosError) -> bool {
    const MODIFIED: i32 = 41;
    const BAD_KEY_VERSION: i32 = 44;
    const NO_KEY: i32 = 45;
    let KerberosError::Refused(refused) = error else { return false };
    let codes = [
        refusal::BAD_INTEGRITY,
        refusal::TICKET_EXPIRED,
        refusal::CLOCK_SKEW,
        MODIFIED,
        BAD_KEY_VERSION,
        NO_KEY,
    ];
    codes.contains(&refused.code)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::UdpSocket;

    use super::*;
    use crate::net::kerberos::as_exchange::tests::error;
    use crate::secret::Secret;

    /// A KDC that refuses everybody, and how often it was asked.
    async fn refusing(code: i32) -> (u16, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut bytes = [0; 2000];
            while let Ok((_, from)) = socket.recv_from(&mut bytes).await {
                counter.fetch_add(1, Ordering::SeqCst);
                socket.send_to(&error(code, KerberosTime(1_795_305_600), b""), from).await.unwrap();
            }
        });
        (port, asked)
    }

    #[tokio::test]
    async fn a_wrong_password_is_not_tried_again_and_again() {
        let (port, asked) = refusing(refusal::PREAUTH_FAILED).await;
        let config = std::env::temp_dir().join(format!("kmirror-tickets-{}.conf", std::process::id()));
        std::fs::write(&config, format!("[realms]\nR = {{\nkdc = 127.0.0.1:{port}\n}}\n")).unwrap();
        let kerberos = Kerberos::new(KerberosSettings {
            principal: Some("mm@R".to_owned()),
            credentials: KerberosCredentials::Password(Secret::new("swordfish")),
            service_name: "kafka".to_owned(),
            service_host: None,
            config: config.clone(),
            renew_window_percent: 80,
            renew_jitter_percent: 5,
            min_time_before_relogin: Duration::from_secs(60),
        });
        for _ in 0..3 {
            let error = kerberos.exchange("b1").await.unwrap_err().to_string();
            assert!(error.contains("refuses the password of mm@R"), "{error}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(!format!("{kerberos:?}").contains("swordfish"));
        std::fs::remove_file(&config).unwrap();
    }
}
