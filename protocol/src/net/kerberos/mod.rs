//! Kerberos 5 without a system library: tickets from a KDC, and the conversation with a broker (RFC 4120, RFC 4121).

use std::path::PathBuf;
use std::time::Duration;

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

/// Stands in for what is written elsewhere.
#[derive(Debug)]
pub struct Kerberos;

/// Stands in for what is written elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("Kerberos is not there yet")]
pub struct KerberosError;

impl KerberosError {
    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// Stands in for what is written elsewhere.
#[derive(Debug)]
pub struct Exchange;

/// Stands in for what is written elsewhere.
#[derive(Debug)]
pub enum Step {
    /// Answer so.
    Send(Vec<u8>),
    /// It is over.
    Done,
}

impl Kerberos {
    /// Stands in for what is written elsewhere.
    pub fn new(_: KerberosSettings) -> Self {
        Self
    }

    /// Stands in for what is written elsewhere.
    pub async fn exchange(&self, _: &str) -> Result<Exchange, KerberosError> {
        Err(KerberosError)
    }
}

impl Exchange {
    /// Stands in for what is written elsewhere.
    pub fn first(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Stands in for what is written elsewhere.
    pub fn next(&mut self, _: &[u8]) -> Result<Step, KerberosError> {
        Err(KerberosError)
    }
}
