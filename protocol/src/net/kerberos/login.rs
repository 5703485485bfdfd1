//! Where tickets come from: a key tab or password by a login at the KDC, or a credential cache that somebody else
//! fills. Reads files and talks to KDCs; the rules of the conversations are in `as_exchange` and `tgs`.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::as_exchange::{AsExchange, AsStep, Proof};
use super::conf::{Conf, EtypesFor};
use super::credential::Credential;
use super::crypto::{CryptoError, name_of};
use super::error::KerberosError;
use super::principal::Principal;
use super::tgs::TgsExchange;
use super::time::KerberosTime;
use super::{KerberosCredentials, KerberosSettings, ccache, kdc, keytab};

/// Answers of a KDC within one login: it asks for more, corrects our clock, and gives.
const MAX_STEPS: usize = 4;

/// What a login brought.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) tgt: Credential,
    /// Tickets for services that a cache held besides.
    pub(super) services: Vec<Credential>,
    /// Seconds by which the KDC's clock is ahead of ours, where we go by it.
    pub(super) ahead: i64,
}

/// Our clock: seconds, and microseconds within them.
pub(super) fn now() -> Result<(KerberosTime, u32), KerberosError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| KerberosError::Clock)?;
    let seconds = i64::try_from(since.as_secs()).map_err(|_| KerberosError::Clock)?;
    Ok((KerberosTime(seconds), since.subsec_micros()))
}

/// An unpredictable number of 31 bits: some KDCs take more for negative.
pub(super) fn random() -> Result<u32, KerberosError> {
    let number = getrandom::u32().map_err(|_| CryptoError::Random)?;
    Ok(number >> 1)
}

/// Gets a ticket-granting ticket. `ahead` is what is known of the KDC's clock.
pub(super) async fn log_in(
    settings: &KerberosSettings,
    conf: &Conf,
    ahead: i64,
) -> Result<Login, KerberosError> {
    let (client, proof) = match &settings.credentials {
        KerberosCredentials::Cache(path) => return from_cache(settings, conf, path.as_deref()),
        KerberosCredentials::KeyTab(path) => from_keytab(settings, conf, path)?,
        KerberosCredentials::Password(password) => {
            let client = principal(settings, conf)?.ok_or(KerberosError::NoPrincipal)?;
            (client, Proof::Password(password.clone()))
        }
    };
    let realm = client.realm.clone();
    let mut exchange = AsExchange::new(client, &proof, conf, random()?, ahead)?;
    let (time, microseconds) = now()?;
    let mut message = exchange.request(time, microseconds)?;
    for _ in 0..MAX_STEPS {
        let answer = kdc::ask(conf, &settings.config, &realm, &message).await?;
        let (time, microseconds) = now()?;
        match exchange.answer(&answer, time, microseconds)? {
            AsStep::Got(tgt) => {
                return Ok(Login { tgt: *tgt, services: Vec::new(), ahead: exchange.ahead() });
            }
            AsStep::Ask(next) => message = next,
        }
    }
    Err(KerberosError::NotOurs { realm, what: "it asks without end" })
}

/// The ticket for `server`, or one on the way to it, from the KDC of the realm that `tgt` is for.
pub(super) async fn trade(
    settings: &KerberosSettings,
    conf: &Conf,
    tgt: &Credential,
    server: &Principal,
    ahead: i64,
) -> Result<Credential, KerberosError> {
    let etypes = conf.etypes(EtypesFor::Services);
    if etypes.is_empty() {
        return Err(KerberosError::NoEtypes);
    }
    let renews = *server == tgt.server;
    let exchange = TgsExchange { tgt, server, renews, etypes, nonce: random()? };
    let realm = tgt.server.grants_for().unwrap_or(&tgt.server.realm);
    let (time, microseconds) = now()?;
    let message = exchange.request(time.plus(ahead), microseconds)?;
    let answer = kdc::ask(conf, &settings.config, realm, &message).await?;
    exchange.answer(&answer, now()?.0.plus(ahead))
}

fn principal(settings: &KerberosSettings, conf: &Conf) -> Result<Option<Principal>, KerberosError> {
    let Some(text) = &settings.principal else { return Ok(None) };
    match Principal::parse(text, conf.default_realm()) {
        Some(principal) => Ok(Some(principal)),
        None if Principal::parse(text, Some("R")).is_some() => {
            Err(KerberosError::NoRealm { principal: text.clone(), config: settings.config.clone() })
        }
        None => Err(KerberosError::BadPrincipal(text.clone())),
    }
}

fn read(path: &Path, limit: u64) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    let is_larger = u64::try_from(bytes.len()).is_ok_and(|length| length > limit);
    if is_larger { Err(io::Error::other(format!("larger than {limit} bytes"))) } else { Ok(bytes) }
}

/// The keys of the principal in a key tab; without a principal, of the first that is in it, as `kinit -k` would do.
fn from_keytab(
    settings: &KerberosSettings,
    conf: &Conf,
    path: &Path,
) -> Result<(Principal, Proof), KerberosError> {
    let bytes = read(path, keytab::MAX_BYTES)
        .map_err(|source| KerberosError::KeytabFile { path: path.to_owned(), source: Arc::new(source) })?;
    let entries =
        keytab::parse(&bytes).map_err(|source| KerberosError::Keytab { path: path.to_owned(), source })?;
    let first = || entries.first().map(|entry| entry.principal.clone());
    let client = principal(settings, conf)?.or_else(first).ok_or(KerberosError::NoPrincipal)?;
    let of_client: Vec<&keytab::Entry> = entries.iter().filter(|entry| entry.principal == client).collect();
    if of_client.is_empty() {
        let held = unique(entries.iter().map(|entry| entry.principal.to_string()));
        return Err(KerberosError::NotInKeytab {
            path: path.to_owned(),
            principal: client.to_string(),
            held,
        });
    }
    let wanted = conf.etypes(EtypesFor::Login);
    if wanted.is_empty() {
        return Err(KerberosError::NoEtypes);
    }
    let keys: Vec<_> = keytab::newest(&entries, &client)
        .into_iter()
        .filter(|(_, key)| wanted.contains(&key.etype()))
        .map(|(kvno, key)| (kvno, key.clone()))
        .collect();
    if keys.is_empty() {
        return Err(KerberosError::KeytabTypes {
            path: path.to_owned(),
            principal: client.to_string(),
            held: unique(of_client.iter().map(|entry| name_of(entry.etype))),
            wanted: unique(wanted.iter().map(|etype| etype.name().to_owned())),
        });
    }
    Ok((client, Proof::Keys { keys, from: path.display().to_string() }))
}

/// Each once, in order.
fn unique(names: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    if seen.is_empty() { "nobody".to_owned() } else { seen.join(", ") }
}

/// The newest ticket-granting ticket in a cache, which must be valid, and its tickets for services.
fn from_cache(settings: &KerberosSettings, conf: &Conf, path: Option<&Path>) -> Result<Login, KerberosError> {
    let path = cache_path(path)?;
    let bytes = read(&path, ccache::MAX_BYTES)
        .map_err(|source| KerberosError::CacheFile { path: path.clone(), source: Arc::new(source) })?;
    let cache =
        ccache::parse(&bytes).map_err(|source| KerberosError::Cache { path: path.clone(), source })?;
    if let Some(principal) = principal(settings, conf)?.filter(|principal| *principal != cache.principal) {
        let (holder, principal) = (cache.principal.to_string(), principal.to_string());
        return Err(KerberosError::CacheOfOther { path, holder, principal });
    }
    let own = Principal::ticket_granting(&cache.principal.realm, &cache.principal.realm);
    let (granting, services): (Vec<_>, Vec<_>) = cache
        .credentials
        .into_iter()
        .filter(|one| one.client == cache.principal)
        .partition(|one| one.server == own);
    let newest = granting.into_iter().max_by_key(|tgt| tgt.end);
    let now = now()?.0;
    match newest {
        Some(tgt) if tgt.is_valid(now) => Ok(Login { tgt, services, ahead: 0 }),
        last => {
            let expired = last.map_or_else(String::new, |tgt| format!(", the last expired at {}", tgt.end));
            Err(KerberosError::CacheExpired { path, principal: cache.principal.to_string(), expired })
        }
    }
}

/// The file of the cache: as configured, or by `KRB5CCNAME`, or `/tmp/krb5cc_UID`.
fn cache_path(configured: Option<&Path>) -> Result<PathBuf, KerberosError> {
    if let Some(path) = configured {
        return cache_file(&path.to_string_lossy());
    }
    match std::env::var("KRB5CCNAME") {
        Ok(name) if !name.is_empty() => cache_file(&name),
        _ => {
            // The directory of this process belongs to the user it runs as.
            let user = fs::metadata("/proc/self").map(|data| data.uid()).unwrap_or_default();
            Ok(PathBuf::from(format!("/tmp/krb5cc_{user}")))
        }
    }
}

/// The path in `FILE:path` or `path`; other kinds of cache are not files.
fn cache_file(name: &str) -> Result<PathBuf, KerberosError> {
    match name.split_once(':') {
        Some(("FILE", path)) => Ok(PathBuf::from(path)),
        Some((kind, _)) if !kind.is_empty() && kind.chars().all(|c| c.is_ascii_uppercase()) => {
            Err(KerberosError::CacheKind(name.to_owned()))
        }
        _ => Ok(PathBuf::from(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_caches() {
        assert_eq!(cache_file("FILE:/tmp/c").unwrap(), PathBuf::from("/tmp/c"));
        assert_eq!(cache_file("/tmp/c:d").unwrap(), PathBuf::from("/tmp/c:d"));
        for name in ["DIR:/tmp/d", "KEYRING:persistent:0", "KCM:", "MEMORY:x"] {
            assert!(matches!(cache_file(name), Err(KerberosError::CacheKind(_))), "{name}");
        }
    }
}
