//! TLS: from stores and options to an encrypted stream. Knows stores and certificates, not Kafka.
//!
//! Stores are loaded at the first connection, and anew when their files have changed ([`Tls::current`]); what is broken
//! then does not replace what works. Keys of sessions are never written anywhere: `SSLKEYLOGFILE` is not looked at.

mod certificate;
mod error;
mod first_version;
mod load;
mod records;
mod settings;
mod stream;
mod suites;
#[cfg(test)]
pub(crate) mod tests;
mod verifier;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

pub use certificate::{Moment, Names};
pub(crate) use error::explain;
pub use error::{Purpose, TlsError};
pub use settings::{Store, StoreKind, StorePlace, TlsSettings, TlsVersion};
pub(crate) use stream::TlsStream;
pub use suites::cipher_suite_names;

use certificate::Certificate;
use load::{Loaded, Stamp};

use crate::net::keystore;
use crate::secret::Secret;

/// How often at most files are looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long opening the stores may take: what a store is encrypted with can be made to take for ever.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How many brokers' certificates are remembered.
const MAX_PEERS: usize = 1024;

/// A certificate in use, and until when it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Who has it.
    pub holder: Holder,
    /// Whose it is, as an RFC 4514 name.
    pub subject: String,
    /// The last second of its life, counted from 1970.
    pub not_after: i64,
}

/// Who has a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Our trust store.
    Trusted {
        /// Its name there, or its number.
        alias: String,
    },
    /// Our key store: a certificate of the chain that we show.
    Own {
        /// The name of the key there.
        alias: String,
    },
    /// A broker, when it was last connected to.
    Peer {
        /// As it was named to us.
        host: String,
    },
}

impl CertificateInfo {
    /// Whether it is in our own stores.
    pub fn is_ours(&self) -> bool {
        !matches!(self.holder, Holder::Peer { .. })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trusted { alias } => write!(f, "{alias} in ssl.truststore"),
            Self::Own { alias } => write!(f, "{alias} in ssl.keystore"),
            Self::Peer { host } => write!(f, "shown by {host}"),
        }
    }
}

/// Reads the bytes as a store of each kind, with the passwords of those in `fixtures/tls`; whether they are one. For fuzzing.
#[doc(hidden)]
pub fn read_as_store(bytes: &[u8]) -> bool {
    let (store, key) = (Secret::new("store-secret"), Secret::new("key-secret"));
    let is_trusted = [None, Some(&store)].map(|password| keystore::trusted(bytes, password).is_ok());
    let is_identity = keystore::identity(bytes, Some(&store), Some(&key)).is_ok();
    is_trusted.contains(&true) || is_identity
}

/// TLS at work: the settings and what was loaded for them.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    state: Mutex<State>,
    /// Whoever loads holds it, so that nobody else does it, too.
    loading: tokio::sync::Mutex<()>,
}

/// What came of reading the stores.
struct Attempt {
    stamps: Vec<Option<Stamp>>,
    result: Result<Loaded, TlsError>,
}

#[derive(Debug, Default)]
struct State {
    loaded: Option<Loaded>,
    /// How the files looked when they were last loaded, or found broken.
    stamps: Vec<Option<Stamp>>,
    looked: Option<Instant>,
    peers: BTreeMap<String, CertificateInfo>,
}

impl Tls {
    /// Loads nothing yet.
    pub fn new(settings: TlsSettings) -> Self {
        Self { settings, state: Mutex::default(), loading: tokio::sync::Mutex::default() }
    }

    /// What is configured.
    pub fn settings(&self) -> &TlsSettings {
        &self.settings
    }

    /// The certificates that were loaded, and those that brokers showed since. Empty before the first connection.
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        let state = self.lock();
        let loaded = state.loaded.iter().flat_map(|loaded| &loaded.certificates);
        loaded.chain(state.peers.values()).cloned().collect()
    }

    /// Loads the stores if they are not, or have changed.
    ///
    /// # Errors
    /// What is wrong with them, if none were loaded before.
    pub async fn refresh(&self) -> Result<(), TlsError> {
        self.current().await.map(drop)
    }

    /// Encrypts a stream to `host`.
    ///
    /// # Errors
    /// What is wrong with the stores, or why the handshake failed or took longer than `patience`.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
        patience: Duration,
    ) -> Result<TlsStream, TlsError> {
        let loaded = self.current().await?;
        let handshake = stream::handshake(&loaded, &self.settings, host, stream);
        let stream =
            timeout(patience, handshake).await.map_err(|_| TlsError::Timeout { after: patience })??;
        if let Some(shown) = stream.certificate().and_then(Certificate::read) {
            self.note(host, shown);
        }
        Ok(stream)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, host: &str, shown: Certificate) {
        let holder = Holder::Peer { host: host.to_owned() };
        let info = CertificateInfo { holder, subject: shown.subject, not_after: shown.not_after };
        let mut state = self.lock();
        if state.peers.len() < MAX_PEERS || state.peers.contains_key(host) {
            state.peers.insert(host.to_owned(), info);
        }
    }

    /// What is loaded, if files need not be looked at.
    fn fresh(&self) -> Option<Loaded> {
        let state = self.lock();
        let fresh = state.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY);
        state.loaded.clone().filter(|_| fresh)
    }

    async fn current(&self) -> Result<Loaded, TlsError> {
        if let Some(loaded) = self.fresh() {
            return Ok(loaded);
        }
        let _alone = self.loading.lock().await;
        if let Some(loaded) = self.fresh() {
            return Ok(loaded);
        }
        let (known, before) = {
            let mut state = self.lock();
            state.looked = Some(Instant::now());
            (state.stamps.clone(), state.loaded.clone())
        };
        let settings = self.settings.clone();
        let is_first = before.is_none();
        let work = tokio::task::spawn_blocking(move || {
            // Looked at before they are read: what changes meanwhile is seen the next time.
            let stamps = load::stamps(&settings);
            let changed = is_first || stamps != known;
            changed.then(|| Attempt { stamps, result: load::load(&settings) })
        });
        let outcome = match timeout(LOAD_TIMEOUT, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Some(Attempt { stamps: Vec::new(), result: Err(self.too_slow()) }),
        };
        self.take_over(outcome, before)
    }

    /// Decides what counts from now on: what was read, or what was there before.
    fn take_over(&self, attempt: Option<Attempt>, before: Option<Loaded>) -> Result<Loaded, TlsError> {
        match (attempt, before) {
            (None, Some(before)) => Ok(before),
            (None, None) => Err(self.too_slow()),
            (Some(Attempt { result: Err(error), .. }), None) => Err(error),
            (Some(Attempt { stamps, result: Err(error) }), Some(before)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                warn!(%error, cause, "a store has changed and cannot be used; the one read before is used on");
                // A file that could not be read is tried again as it is.
                if !matches!(error, TlsError::Unreadable { .. }) {
                    self.lock().stamps = stamps;
                }
                Ok(before)
            }
            (Some(Attempt { stamps, result: Ok(loaded) }), before) => {
                tell(&loaded, before.as_ref());
                let mut state = self.lock();
                state.stamps = stamps;
                state.loaded = Some(loaded.clone());
                Ok(loaded)
            }
        }
    }

    fn too_slow(&self) -> TlsError {
        TlsError::StoreTooSlow {
            place: "ssl.truststore.location or ssl.keystore.location".to_owned(),
            after: LOAD_TIMEOUT,
        }
    }
}

/// Says what is new about what was loaded.
fn tell(loaded: &Loaded, before: Option<&Loaded>) {
    let known = |file| before.is_some_and(|before| before.exposed.contains(file));
    for file in loaded.exposed.iter().filter(|file| !known(file)) {
        let file = file.display();
        warn!(%file, "every user of this host can read the private key in ssl.keystore.location; chmod o-r");
    }
    if before.is_some() {
        info!("the stores of ssl.truststore.location and ssl.keystore.location were read anew");
    }
}
