//! How the clients of a plan are secured: what another plan changes about it, and which files hold secrets. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use kmirror_protocol::net::Security;
use kmirror_protocol::net::kerberos::KerberosCredentials;
use kmirror_protocol::net::sasl::{SaslSettings, TokenSource};
use kmirror_protocol::net::tls::{Store, StorePlace};

use super::{ClientPlan, ClusterAlias, Plan};

/// What a plan that was read again changes about how the clients of a running one are secured.
#[derive(Debug, Default)]
pub struct SecurityChange {
    /// What runs, and what it is to be replaced by.
    pub changed: Vec<(ClusterAlias, Security, Security)>,
    /// The clusters of which some clients would have to be secured otherwise than others, or by another protocol. That
    /// needs a restart.
    pub needs_restart: BTreeSet<ClusterAlias>,
}

impl Plan {
    /// All clients, by names that mean the same client in another plan.
    fn clients(&self) -> BTreeMap<String, (&ClusterAlias, &ClientPlan)> {
        let mut clients = BTreeMap::new();
        for cluster in self.clusters.values() {
            clients.insert(format!("{}|admin", cluster.alias), (&cluster.alias, &cluster.admin));
        }
        for flow in self.enabled_flows() {
            for (role, alias, client) in [
                ("source", &flow.source, &flow.source_client),
                ("source-admin", &flow.source, &flow.source_admin),
                ("target", &flow.target, &flow.target_client),
                ("target-admin", &flow.target, &flow.target_admin),
            ] {
                clients.insert(format!("{}|{role}", flow.name()), (alias, client));
            }
        }
        for heartbeat in &self.heartbeats {
            let name = |role: &str| format!("{}|heartbeats-{role}", heartbeat.name());
            clients.insert(name("target"), (&heartbeat.target, &heartbeat.target_client));
            clients.insert(name("target-admin"), (&heartbeat.target, &heartbeat.target_admin));
        }
        clients
    }

    /// What a plan that was read again changes about how this one's clients are secured.
    pub fn security_change(&self, again: &Self) -> SecurityChange {
        let mut change = SecurityChange::default();
        let mut pairs: Vec<(&ClusterAlias, &Security, &Security)> = Vec::new();
        let read = again.clients();
        for (name, (alias, client)) in self.clients() {
            let Some((_, other)) = read.get(&name) else { continue };
            if client.route != other.route {
                change.needs_restart.insert(alias.clone());
                continue;
            }
            let (running, present) = (&client.security, &other.security);
            match pairs.iter().find(|(_, known, _)| known.is_shared_with(running)) {
                // Clients that share it cannot take up different settings.
                Some((_, _, known)) if known.settings() != present.settings() => {
                    change.needs_restart.insert(alias.clone());
                }
                Some(_) => {}
                None => pairs.push((alias, running, present)),
            }
        }
        for (alias, running, present) in pairs {
            let (before, after) = (running.settings(), present.settings());
            if before.protocol() != after.protocol() {
                change.needs_restart.insert(alias.clone());
            } else if before != after && !change.needs_restart.contains(alias) {
                change.changed.push((alias.clone(), running.clone(), present.clone()));
            }
        }
        change
    }

    /// The files with keys, key tabs and tokens that the clients read.
    pub fn secret_files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for (_, client) in self.clients().into_values() {
            let settings = client.security.settings();
            files.extend(settings.tls.as_ref().and_then(|tls| file_of(tls.identity.as_ref())));
            match settings.sasl {
                Some(SaslSettings::Gssapi(kerberos)) => match kerberos.credentials {
                    KerberosCredentials::KeyTab(path) | KerberosCredentials::Cache(Some(path)) => {
                        files.insert(path);
                    }
                    _ => {}
                },
                Some(SaslSettings::OAuthBearer(oauth)) => match oauth.source {
                    TokenSource::File(path) => {
                        files.insert(path);
                    }
                    TokenSource::Endpoint { tls, .. } => files.extend(file_of(tls.identity.as_ref())),
                    TokenSource::Unsecured { .. } => {}
                },
                _ => {}
            }
        }
        files
    }
}

fn file_of(store: Option<&Store>) -> Option<PathBuf> {
    match &store?.place {
        StorePlace::File(path) => Some(path.clone()),
        StorePlace::Inline { .. } => None,
    }
}

#[cfg(test)]
mod tests;
