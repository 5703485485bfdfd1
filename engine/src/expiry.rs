//! Certificates that end soon: found among those that connections use and see, and told once a day. Must not know how
//! they are used.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::net::Security;
use kmirror_protocol::net::tls::{CertificateInfo, Moment};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock::now_ms;
use crate::plan::{ClientPlan, ClusterAlias, Plan};

/// A certificate that ends within this time is told.
const SOON_SECONDS: i64 = 30 * DAY_SECONDS;
const DAY_SECONDS: i64 = 86_400;
/// When certificates are looked at first: when brokers have shown theirs.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How often they are looked at then.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Certificates that have been told at most.
const TOLD_MAX: usize = 1024;

/// How the clients of a plan are secured: each security once, with its cluster.
pub(crate) fn securities(plan: &Plan) -> Vec<(Arc<str>, Security)> {
    let mut all: Vec<(Arc<str>, Security)> = Vec::new();
    let mut add = |alias: &ClusterAlias, client: &ClientPlan| {
        let known = |(known, security): &(Arc<str>, Security)| {
            **known == *alias.as_str() && security.is_shared_with(&client.security)
        };
        if !all.iter().any(known) {
            all.push((alias.shared(), client.security.clone()));
        }
    };
    for flow in plan.enabled_flows() {
        add(&flow.source, &flow.source_client);
        add(&flow.source, &flow.source_admin);
        add(&flow.target, &flow.target_client);
        add(&flow.target, &flow.target_admin);
    }
    for beat in &plan.heartbeats {
        add(&beat.target, &beat.target_client);
        add(&beat.target, &beat.target_admin);
    }
    all
}

/// Tells of certificates that end soon, or have ended, until `stop`.
pub(crate) async fn watch(securities: Vec<(Arc<str>, Security)>, stop: CancellationToken) {
    let (mut told, mut pause) = (Told::default(), FIRST_LOOK);
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = LOOK_EVERY;
        let now = now_ms() / 1000;
        for (cluster, security) in &securities {
            let Some(tls) = security.tls() else { continue };
            for certificate in tls.certificates() {
                if told.is_due(now, cluster, &certificate) {
                    tell(now, cluster, &certificate);
                }
            }
        }
    }
}

fn tell(now: i64, cluster: &str, certificate: &CertificateInfo) {
    let CertificateInfo { holder, subject, not_after } = certificate;
    let until = Moment(*not_after);
    if *not_after < now {
        warn!(cluster, "the certificate of {subject} ({holder}) ended at {until}");
    } else {
        let days = (not_after - now) / DAY_SECONDS;
        warn!(cluster, "the certificate of {subject} ({holder}) ends in {days} days, at {until}");
    }
}

/// When each certificate was told last.
#[derive(Debug, Default)]
struct Told(HashMap<(Arc<str>, String, i64), i64>);

impl Told {
    /// Whether a certificate is to be told now; it counts as told then.
    fn is_due(&mut self, now: i64, cluster: &Arc<str>, certificate: &CertificateInfo) -> bool {
        if certificate.not_after > now + SOON_SECONDS {
            return false;
        }
        let which = (Arc::clone(cluster), certificate.subject.clone(), certificate.not_after);
        if self.0.get(&which).is_some_and(|told| now < told + DAY_SECONDS) {
            return false;
        }
        if self.0.len() >= TOLD_MAX {
            self.0.clear();
        }
        self.0.insert(which, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use kmirror_protocol::net::tls::Holder;

    use super::*;

    #[test]
    fn what_ends_soon_is_told_once_a_day() {
        let (mut told, cluster) = (Told::default(), Arc::from("A"));
        let ends = |not_after| CertificateInfo {
            holder: Holder::Peer { host: "broker".into() },
            subject: "CN=broker".into(),
            not_after,
        };
        let now = 1_000_000_000;
        assert!(!told.is_due(now, &cluster, &ends(now + SOON_SECONDS + 1)));
        assert!(told.is_due(now, &cluster, &ends(now + SOON_SECONDS)));
        assert!(!told.is_due(now + DAY_SECONDS - 1, &cluster, &ends(now + SOON_SECONDS)));
        assert!(told.is_due(now + DAY_SECONDS, &cluster, &ends(now + SOON_SECONDS)));
        assert!(told.is_due(now, &cluster, &ends(now - 5)), "one that has ended");
        assert!(told.is_due(now, &Arc::from("B"), &ends(now - 5)), "of another cluster");
    }
}
