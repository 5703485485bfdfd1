//! Tokens for OAUTHBEARER: where they come from, and that there is always a good one. One fetch at a time serves all
//! connections; a token is fetched anew in the background while the one there is still holds.

mod endpoint;
mod error;
mod http;
mod jwt;
mod refresh;
#[cfg(test)]
mod tests;
mod url;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::random;
use super::{OAuthSettings, TokenRefresh, TokenSource};
use endpoint::{ClientCredentials, Endpoint};
pub use error::TokenError;
pub(super) use jwt::Token;

/// The largest file with a token. A Kafka broker takes no larger tokens (`sasl.server.max.receive.size`).
const MAX_FILE_BYTES: u64 = 512 << 10;

/// The tokens of one configuration.
#[derive(Debug)]
pub(super) struct Tokens {
    source: TokenSource,
    kept: Arc<Kept>,
}

impl Tokens {
    pub(super) fn new(settings: &OAuthSettings) -> Self {
        let kept = Arc::new(Kept::new(settings.refresh.clone()));
        Self { source: settings.source.clone(), kept }
    }

    /// A token that is good now, as far as that can be told here.
    ///
    /// # Errors
    /// Any [`TokenError`].
    pub(super) async fn current(&self) -> Result<Arc<Token>, TokenError> {
        match &self.source {
            TokenSource::Endpoint { .. } => self.kept.current(&self.source).await,
            // Whoever writes the file knows when; it costs little to look.
            TokenSource::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || from_file(&path));
                read.await.map_err(|_| TokenError::Inner)?.map(Arc::new)
            }
            TokenSource::Unsecured { string_claims, lifetime } => {
                let lifetime_ms = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
                Ok(Arc::new(Token::unsecured(string_claims, now_ms(), lifetime_ms)))
            }
        }
    }
}

fn from_file(path: &Path) -> Result<Token, TokenError> {
    let read = || {
        let mut text = Zeroizing::new(String::new());
        let read = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        if u64::try_from(read).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any token"));
        }
        Ok(text)
    };
    let text =
        read().map_err(|source| TokenError::File { path: path.to_owned(), source: Arc::new(source) })?;
    Token::parse(&text)
}

/// The token of an endpoint, kept for all.
#[derive(Debug)]
struct Kept {
    refresh: TokenRefresh,
    token: Mutex<Option<Arc<Token>>>,
    /// Held by the one who asks, with how the last one fared who failed.
    turn: tokio::sync::Mutex<Option<(Instant, TokenError)>>,
    endpoint: tokio::sync::OnceCell<Endpoint>,
    refresher: Mutex<Option<AbortHandle>>,
}

impl Kept {
    fn new(refresh: TokenRefresh) -> Self {
        Self {
            refresh,
            token: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            endpoint: tokio::sync::OnceCell::new(),
            refresher: Mutex::default(),
        }
    }

    async fn current(self: &Arc<Self>, source: &TokenSource) -> Result<Arc<Token>, TokenError> {
        let asked = Instant::now();
        if let Some(token) = self.good() {
            return Ok(token);
        }
        let mut turn = self.turn.lock().await;
        if let Some(token) = self.good() {
            return Ok(token);
        }
        // Who waited for one that failed need not try, too.
        if let Some((_, error)) = turn.as_ref().filter(|(ended, _)| *ended >= asked) {
            return Err(error.clone());
        }
        let endpoint = self.endpoint.get_or_try_init(async || endpoint(source)).await?;
        match endpoint.fetch().await {
            Ok(token) => {
                *turn = None;
                let token = self.keep(token);
                self.refresh_in_time();
                Ok(token)
            }
            Err(error) => {
                *turn = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn good(&self) -> Option<Arc<Token>> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.as_ref().filter(|token| token.expires_ms > now_ms()).cloned()
    }

    fn keep(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        token
    }

    /// Starts the task that refreshes, unless it runs.
    fn refresh_in_time(self: &Arc<Self>) {
        let mut refresher = self.refresher.lock().unwrap_or_else(PoisonError::into_inner);
        if refresher.as_ref().is_none_or(AbortHandle::is_finished) {
            *refresher = Some(tokio::spawn(refresh_forever(Arc::downgrade(self))).abort_handle());
        }
    }

    fn until_refresh(&self) -> Duration {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        token.map_or(refresh::AFTER_FAILURE, |token| {
            let dice = random::share();
            refresh::next_refresh(now_ms(), token.issued_ms, token.expires_ms, &self.refresh, dice)
        })
    }

    /// Fetches another token, whether or not the one there is good.
    async fn renew(&self) -> Result<(), TokenError> {
        let Some(endpoint) = self.endpoint.get() else { return Ok(()) };
        let _turn = self.turn.lock().await;
        endpoint.fetch().await.map(|token| drop(self.keep(token)))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let refresher = self.refresher.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = refresher.take() {
            task.abort();
        }
    }
}

/// Refreshes until nobody holds the tokens any more.
async fn refresh_forever(kept: Weak<Kept>) {
    let mut failed = false;
    loop {
        let Some(wait) = kept.upgrade().map(|kept| kept.until_refresh()) else { return };
        sleep(if failed { refresh::AFTER_FAILURE } else { wait }).await;
        let Some(kept) = kept.upgrade() else { return };
        let renewed = kept.renew().await;
        failed = renewed.is_err();
        if let Err(error) = renewed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no new token for OAUTHBEARER; the one there is used as long as it holds"
            );
        }
    }
}

fn endpoint(source: &TokenSource) -> Result<Endpoint, TokenError> {
    let TokenSource::Endpoint {
        url,
        client_id,
        client_secret,
        scope,
        url_encodes_header,
        tls,
        connect_timeout,
        read_timeout,
        retry_backoff,
        retry_backoff_max,
    } = source
    else {
        return Err(TokenError::Inner);
    };
    let client = ClientCredentials {
        id: client_id,
        secret: client_secret,
        scope: scope.as_deref(),
        url_encodes_header: *url_encodes_header,
    };
    let timeouts = (*connect_timeout, *read_timeout);
    Endpoint::new(url, &client, tls, timeouts, (*retry_backoff, *retry_backoff_max))
}

/// The time of day, which tokens go by.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Reads the text as a token; whether it is one. For fuzzing.
pub(super) fn read_as_token(text: &str) -> bool {
    Token::parse(text).is_ok()
}
