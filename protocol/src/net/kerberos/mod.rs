//! Kerberos 5 without a system library: tickets from a KDC, and the conversation with a broker (RFC 4120, RFC 4121).
//!
//! [`Kerberos`] keeps the tickets of one identity; [`Exchange`] is the conversation on one connection. Messages, keys
//! and files are read and made in pure modules; `login` and `kdc` do the input and output.

mod ap;
mod as_exchange;
mod bytes;
mod ccache;
mod conf;
mod credential;
mod crypto;
mod der;
mod error;
mod exchange;
mod gss;
mod kdc;
mod keytab;
mod login;
mod messages;
mod principal;
mod refusal;
mod state;
mod tgs;
mod tickets;
mod time;
mod untrusted;

use std::path::PathBuf;
use std::time::Duration;

pub use ccache::CacheError;
pub use conf::ConfError;
pub use crypto::{CryptoError, Etype};
pub use der::DerError;
pub use error::{KerberosError, Refusal};
pub use exchange::{Exchange, Step};
pub use keytab::KeytabError;
pub use tickets::Kerberos;
pub use untrusted::read_as_everything;

use crate::secret::Secret;

/// Who we are in Kerberos, and how tickets are got. Names are those of `Krb5LoginModule` and `SaslConfigs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KerberosSettings {
    /// `principal`; with a credential cache or a key tab it may be left out.
    pub principal: Option<String>,
    /// How we prove it.
    pub credentials: KerberosCredentials,
    /// `serviceName`, `sasl.kerberos.service.name`
    pub service_name: String,
    /// The host part of all brokers' principals in place of their host names (`kerberos.domain.name`, as
    /// distributions of Kafka have it).
    pub service_host: Option<String>,
    /// `java.security.krb5.conf`, `KRB5_CONFIG`; `/etc/krb5.conf` where neither is given.
    pub config: PathBuf,
    /// `sasl.kerberos.ticket.renew.window.factor` in percent of a ticket's life.
    pub renew_window_percent: u8,
    /// `sasl.kerberos.ticket.renew.jitter` in percent.
    pub renew_jitter_percent: u8,
    /// `sasl.kerberos.min.time.before.relogin`
    pub min_time_before_relogin: Duration,
}

/// How we prove who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KerberosCredentials {
    /// `keyTab`
    KeyTab(PathBuf),
    /// `password`, an option of our own in JAAS.
    Password(Secret),
    /// `useTicketCache`: somebody else gets the tickets. Where it is: `ticketCache`, or else `KRB5CCNAME`, or else
    /// `/tmp/krb5cc_UID`.
    Cache(Option<PathBuf>),
}
