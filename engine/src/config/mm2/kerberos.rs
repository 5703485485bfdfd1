//! A login with Kerberos: the options of `Krb5LoginModule`, Sun's and IBM's, and `sasl.kerberos.*`.

use std::path::PathBuf;
use std::time::Duration;

use kmirror_protocol::net::kerberos::{KerberosCredentials, KerberosSettings};

use super::client::Owner;
use super::login::Login;
use super::reader::Reader;
use crate::config::java_options::path;
use crate::config::keys;
use crate::config::problem::Notice;
use crate::config::security_problem::{LoginProblem, SecurityNotice};
use crate::config::surroundings::KRB5_CONF;

impl Reader<'_> {
    pub(super) fn kerberos(&mut self, owner: Owner<'_>, login: &Login<'_>) -> Option<KerberosSettings> {
        let service_name = self.service_name(owner, login);
        let service_host =
            self.text_if_set(&owner.places(&keys::KERBEROS_DOMAIN_NAME), &keys::KERBEROS_DOMAIN_NAME);
        let renew_window_percent =
            self.percent(&owner.places(&keys::KERBEROS_RENEW_WINDOW), &keys::KERBEROS_RENEW_WINDOW);
        let renew_jitter_percent =
            self.percent(&owner.places(&keys::KERBEROS_RENEW_JITTER), &keys::KERBEROS_RENEW_JITTER);
        let min_time_before_relogin = self.millis(owner, &keys::KERBEROS_MIN_TIME).min(LONGEST_WAIT);
        let is_ibms = login.module.class.starts_with("com.ibm.");
        let credentials = if is_ibms { self.ibms_credentials(login) } else { self.suns_credentials(login) };
        Some(KerberosSettings {
            principal: login.text("principal").map(ToOwned::to_owned),
            credentials: credentials?,
            service_name,
            service_host: service_host.map(|host| host.value),
            config: self.surroundings.krb5_conf.clone().unwrap_or_else(|| PathBuf::from(KRB5_CONF)),
            renew_window_percent,
            renew_jitter_percent,
            min_time_before_relogin,
        })
    }

    /// Two places for it, which must not differ (Kafka class `KerberosLogin`).
    fn service_name(&mut self, owner: Owner<'_>, login: &Login<'_>) -> String {
        let opt = &keys::KERBEROS_SERVICE_NAME;
        let configured = self.text_if_set(&owner.places(opt), opt);
        match (login.text("serviceName"), configured) {
            (Some(name), Some(other)) if name != other.value => {
                self.error(Some(other.origin), LoginProblem::ServiceNames.into(), None);
                name.to_owned()
            }
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => name.value,
            (None, None) => opt.default.to_owned(),
        }
    }

    /// What Java's module refuses (`validateConfiguration`) is refused. It would ask at the terminal for what is
    /// missing.
    fn suns_credentials(&mut self, login: &Login<'_>) -> Option<KerberosCredentials> {
        if login.text("isInitiator").is_some_and(|text| text.eq_ignore_ascii_case("false")) {
            self.bad_option(login, "isInitiator", "a client has to be an initiator");
            return None;
        }
        let key_tab = login.text("keyTab").map(|text| PathBuf::from(path(without_kind(text))));
        let cache = login.text("ticketCache").map(|text| PathBuf::from(path(text)));
        let (uses_key_tab, uses_cache) = (login.is_on("useKeyTab"), login.is_on("useTicketCache"));
        if key_tab.is_some() && !uses_key_tab {
            self.bad_option(login, "keyTab", "it counts only with `useKeyTab=true`");
            return None;
        }
        if cache.is_some() && !uses_cache {
            self.bad_option(login, "ticketCache", "it counts only with `useTicketCache=true`");
            return None;
        }
        if login.is_on("renewTGT") && !uses_cache {
            self.bad_option(login, "renewTGT", "it counts only with `useTicketCache=true`");
            return None;
        }
        if uses_key_tab && uses_cache {
            let notice = Notice::Security(SecurityNotice::TwoCredentials);
            self.notice(Some(login.origin.clone()), notice, None);
        }
        match (key_tab, login.module.option("password").filter(|password| !password.is_empty())) {
            (Some(key_tab), _) => Some(KerberosCredentials::KeyTab(key_tab)),
            (None, _) if uses_key_tab => {
                self.option_of(login, "keyTab");
                None
            }
            (None, Some(password)) => {
                self.option_of(login, "principal")?;
                Some(KerberosCredentials::Password(password.clone()))
            }
            (None, None) if uses_cache => Some(KerberosCredentials::Cache(cache)),
            (None, None) => {
                let what = "neither a key tab (`useKeyTab=true keyTab=\"..\"`) nor a ticket cache \
                            (`useTicketCache=true`) nor a `password` is given";
                self.error(Some(login.origin.clone()), LoginProblem::Contradiction(what).into(), None);
                None
            }
        }
    }

    /// `useKeytab` and `useCcache` are URLs.
    fn ibms_credentials(&mut self, login: &Login<'_>) -> Option<KerberosCredentials> {
        if login.text("credsType").is_some_and(|text| text.eq_ignore_ascii_case("acceptor")) {
            self.bad_option(login, "credsType", "a client has to be an initiator: `both` or `initiator`");
            return None;
        }
        if let Some(key_tab) = login.text("useKeytab") {
            return Some(KerberosCredentials::KeyTab(path(key_tab).into()));
        }
        match login.text("useCcache") {
            Some(cache) => Some(KerberosCredentials::Cache(Some(path(cache).into()))),
            None if login.is_on("useDefaultCcache") => Some(KerberosCredentials::Cache(None)),
            None => {
                self.option_of(login, "useKeytab");
                None
            }
        }
    }
}

/// Beyond that a wait is for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);
/// A key tab's name may tell that it is a file, in any case (`sun.security.krb5.internal.ktab.KeyTab.normalize`).
fn without_kind(name: &str) -> &str {
    let kinds = ["FILE:", "ANY:FILE:", "SRVTAB:"];
    let without = |kind: &&str| {
        name.split_at_checked(kind.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(kind))
            .map(|(_, rest)| rest)
    };
    kinds.iter().find_map(without).unwrap_or(name)
}
