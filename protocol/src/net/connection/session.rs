//! Sessions that end (KIP-368): a connection authenticates anew in time, without being dropped. Requests that are in
//! flight are answered before, those that come meanwhile wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::authenticate::authenticate;
use super::shared::{Closer, Shared};
use crate::net::error::NetError;
use crate::net::options::ConnectionOptions;
use crate::net::sasl::{Sasl, SaslError, random};
use crate::wire::api::ApiKey;

/// At which share of a session's life it is renewed, at the earliest and at the latest (`SaslClientAuthenticator`).
const RENEWED_FROM: f64 = 0.85;
const RENEWED_UNTIL: f64 = 0.95;
/// A broker takes who authenticates again within a second for a confused one
/// (`SaslServerAuthenticator`, `KafkaChannel.MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`). Where a session ends sooner, with a
/// token that has not long to live, nothing is asked meanwhile: the broker would hang up.
const SHORTEST: Duration = Duration::from_millis(1100);
/// Longer than any connection lives; timers have an end.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Authenticates a new connection, and sees to it that it stays so. How long the session lasts, if it ends.
///
/// # Errors
/// [`NetError::Sasl`], and what breaks connections.
pub(super) async fn begin(
    closer: &Closer,
    sasl: Arc<Sasl>,
    versions: &BTreeMap<ApiKey, i16>,
    options: &ConnectionOptions,
) -> Result<Option<Duration>, NetError> {
    let shared = closer.shared();
    let too_old = || NetError::sasl(shared.address(), SaslError::TooOld);
    let version = *versions.get(&ApiKey::SaslAuthenticate).ok_or_else(too_old)?;
    let lifetime = authenticate(shared, &sasl, version, Instant::now()).await?;
    if let Some(lifetime) = lifetime {
        let session = Session { shared: Arc::clone(shared), sasl, version, options: options.clone() };
        closer.keep_session(tokio::spawn(session.run(lifetime)).abort_handle());
    }
    Ok(lifetime)
}

struct Session {
    shared: Arc<Shared>,
    /// What it was last authenticated with.
    sasl: Arc<Sasl>,
    version: i16,
    options: ConnectionOptions,
}

impl Session {
    async fn run(mut self, mut lifetime: Duration) {
        loop {
            let not_before = Instant::now() + SHORTEST;
            sleep(until_renewal(lifetime, random::share())).await;
            // Renewing would make it look busy for ever.
            if self.options.idle_close.is_some_and(|idle| self.shared.is_idle_for(idle))
                && self.shared.close_if_idle()
            {
                return;
            }
            match self.renew(not_before).await {
                Ok(Some(next)) => lifetime = next,
                Ok(None) => return,
                Err(error) => return self.shared.break_with(error),
            }
        }
    }

    /// Authenticates anew, with what is configured now. As somebody else that is not possible: then the connection ends,
    /// and the next one is theirs; what is in flight is answered before.
    async fn renew(&mut self, not_before: Instant) -> Result<Option<Duration>, NetError> {
        let sasl = self.options.security.sasl();
        let same = |new: &Arc<Sasl>| new.settings().is_same_user(self.sasl.settings());
        let closed = || NetError::ClosedHere { address: self.shared.address().clone() };
        let Some(sasl) = sasl.filter(same) else {
            let _alone = self.shared.alone().await?;
            self.shared.break_with(closed());
            return Ok(None);
        };
        self.sasl = sasl;
        authenticate(&self.shared, &self.sasl, self.version, not_before).await
    }
}

/// How long after it began a session is renewed. `dice` is from 0 to 1.
fn until_renewal(lifetime: Duration, dice: f64) -> Duration {
    let share = RENEWED_FROM + (RENEWED_UNTIL - RENEWED_FROM) * dice.clamp(0.0, 1.0);
    lifetime.min(LONGEST).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_renewed_before_they_end() {
        let hour = Duration::from_secs(3600);
        assert_eq!(until_renewal(hour, 0.0), Duration::from_secs(3060));
        assert_eq!(until_renewal(hour, 1.0), Duration::from_secs(3420));
        assert_eq!(until_renewal(Duration::from_secs(1), 0.5), Duration::from_millis(900));
        assert!(until_renewal(Duration::MAX, 1.0) < LONGEST);
    }
}
