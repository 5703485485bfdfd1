//! How the connections of a client are secured: by which TLS, and as whom. Knows neither bytes nor sockets.
//!
//! The settings come from configuration and can be replaced while connections are in use: the next connection, and the
//! next re-authentication, take the new ones.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::sasl::{Sasl, SaslSettings};
use super::tls::{Tls, TlsSettings};

/// What is configured: `security.protocol` with all that goes with it. The default is PLAINTEXT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecuritySettings {
    /// Of SSL and SASL_SSL.
    pub tls: Option<TlsSettings>,
    /// Of SASL_PLAINTEXT and SASL_SSL.
    pub sasl: Option<SaslSettings>,
}

impl SecuritySettings {
    /// The value of `security.protocol` that these settings stand for.
    pub fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }
}

impl fmt::Display for SecuritySettings {
    /// `SASL_SSL with SCRAM-SHA-512 as mirror`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol())?;
        let Some(sasl) = &self.sasl else { return Ok(()) };
        write!(f, " with {}", sasl.mechanism())?;
        match sasl.user() {
            Some(user) => write!(f, " as {user}"),
            None => Ok(()),
        }
    }
}

/// The settings at work, with what they have brought: loaded stores, tokens, tickets. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Security {
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    settings: SecuritySettings,
    tls: Option<Arc<Tls>>,
    sasl: Option<Arc<Sasl>>,
}

impl State {
    fn new(settings: SecuritySettings) -> Self {
        let tls = settings.tls.clone().map(|tls| Arc::new(Tls::new(tls)));
        let sasl = settings.sasl.clone().map(|sasl| Arc::new(Sasl::new(sasl)));
        Self { settings, tls, sasl }
    }
}

impl Security {
    /// Nothing is loaded and nobody is asked before the first connection.
    pub fn new(settings: SecuritySettings) -> Self {
        Self { state: Arc::new(RwLock::new(State::new(settings))) }
    }

    /// Uses other settings from now on; whether they differ.
    pub fn replace(&self, settings: SecuritySettings) -> bool {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let differ = state.settings != settings;
        if differ {
            *state = State::new(settings);
        }
        differ
    }

    /// Whether it is the same, not only alike: what one of them takes up, the other does.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// What is configured now.
    pub fn settings(&self) -> SecuritySettings {
        self.state.read().unwrap_or_else(PoisonError::into_inner).settings.clone()
    }

    /// TLS, if connections are encrypted.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).tls.clone()
    }

    /// SASL, if connections authenticate.
    pub fn sasl(&self) -> Option<Arc<Sasl>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).sasl.clone()
    }
}
