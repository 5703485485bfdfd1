//! Connects to each broker of a cluster as configured, and tells how far each attempt came. Asks nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use kmirror_protocol::client::{Cluster, NodeId, Topics};
use kmirror_protocol::net::tls::CertificateInfo;
use kmirror_protocol::net::{Address, Connection, ConnectionFacts, ConnectionOptions, NetError, Stage};
use tokio::task::JoinSet;

use crate::clients::cluster;
use crate::plan::{ClientPlan, ClusterAlias, Plan};

/// Brokers connected to at once.
const AT_ONCE: usize = 16;

/// One way to a cluster: clients of a plan that connect alike.
#[derive(Debug)]
pub struct Way {
    /// The cluster.
    pub alias: ClusterAlias,
    /// Which clients take it, such as `A->B source consumer`.
    pub clients: Vec<String>,
    plan: ClientPlan,
}

/// How a cluster was reached.
#[derive(Debug)]
pub struct WayReport {
    /// The cluster's own id, if it could be asked.
    pub cluster_id: Option<Arc<str>>,
    /// Bootstrap servers in the order of the file, then brokers that are not among them.
    pub brokers: Vec<BrokerReport>,
    /// Certificates that were used or seen.
    pub certificates: Vec<CertificateInfo>,
}

/// How one broker was reached.
#[derive(Debug)]
pub struct BrokerReport {
    /// Its number; none for a bootstrap server.
    pub node: Option<NodeId>,
    /// Where it is.
    pub address: Address,
    /// What it said, or how far it came.
    pub outcome: Result<ConnectionFacts, NetError>,
}

impl WayReport {
    /// Whether anybody answered.
    pub fn is_reachable(&self) -> bool {
        self.brokers.iter().any(|broker| broker.outcome.is_ok())
    }

    /// Whether every broker was reached.
    pub fn is_sound(&self) -> bool {
        !self.brokers.is_empty() && self.brokers.iter().all(|broker| broker.outcome.is_ok())
    }
}

/// The ways to the clusters of a plan's enabled flows and heartbeats.
pub fn ways(plan: &Plan) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    let mut add = |alias: &ClusterAlias, client: String, plan: &ClientPlan| {
        let alike = |way: &&mut Way| way.alias == *alias && connects_alike(&way.plan, plan);
        match ways.iter_mut().find(alike) {
            Some(way) => way.clients.push(client),
            None => ways.push(Way { alias: alias.clone(), clients: vec![client], plan: plan.clone() }),
        }
    };
    for flow in plan.enabled_flows() {
        let name = flow.name();
        add(&flow.source, format!("{name} source consumer"), &flow.source_client);
        add(&flow.source, format!("{name} source admin"), &flow.source_admin);
        add(&flow.target, format!("{name} target producer"), &flow.target_client);
        add(&flow.target, format!("{name} target admin"), &flow.target_admin);
    }
    for beat in &plan.heartbeats {
        add(&beat.target, format!("{} heartbeats", beat.name()), &beat.target_client);
        add(&beat.target, format!("{} heartbeats admin", beat.name()), &beat.target_admin);
    }
    ways
}

fn connects_alike(one: &ClientPlan, other: &ClientPlan) -> bool {
    one.bootstrap == other.bootstrap
        && one.security.settings() == other.security.settings()
        && one.route == other.route
}

impl Way {
    /// How it is secured, such as `SASL_SSL with SCRAM-SHA-512 as mirror`.
    pub fn described(&self) -> String {
        self.plan.security.settings().to_string()
    }

    /// The steps of connecting, in their order.
    pub fn stages(&self) -> Vec<Stage> {
        let (security, route) = (self.plan.security.settings(), &self.plan.route);
        let taken = |stage: &Stage| match stage {
            Stage::Proxy => route.proxy.is_some(),
            Stage::Tls => security.tls.is_some(),
            Stage::Sasl => security.sasl.is_some(),
            Stage::Name | Stage::Connect | Stage::Kafka => true,
        };
        Stage::ALL.into_iter().filter(taken).collect()
    }

    /// Goes it: to each bootstrap server, then to each broker that the cluster names.
    pub async fn go(&self) -> WayReport {
        let client = cluster(&self.alias, &self.plan, 1, None);
        let options = &client.options().connection;
        let mut brokers = connect_all(self.plan.bootstrap.iter().map(|at| (None, at.clone())), options).await;
        let mut cluster_id = None;
        if brokers.iter().any(|broker| broker.outcome.is_ok()) {
            let (id, others) = self.others(&client).await;
            cluster_id = id;
            brokers.extend(connect_all(others.into_iter(), options).await);
        }
        let certificates = options.security.tls().map(|tls| tls.certificates()).unwrap_or_default();
        WayReport { cluster_id, brokers, certificates }
    }

    /// The cluster's id, and the brokers that are not bootstrap servers.
    async fn others(&self, client: &Cluster) -> (Option<Arc<str>>, Vec<(Option<NodeId>, Address)>) {
        let Ok(metadata) = client.refresh(Topics::None).await else { return (None, Vec::new()) };
        let known: BTreeSet<&Address> = self.plan.bootstrap.iter().collect();
        let brokers = metadata.brokers.iter().filter(|(_, broker)| !known.contains(&broker.address));
        let others = brokers.map(|(node, broker)| (Some(*node), broker.address.clone())).collect();
        (metadata.cluster_id.clone(), others)
    }
}

/// Connects to all, and tells of each in the order given.
async fn connect_all(
    brokers: impl Iterator<Item = (Option<NodeId>, Address)>,
    options: &ConnectionOptions,
) -> Vec<BrokerReport> {
    let mut reports = Vec::new();
    let mut connecting = JoinSet::new();
    for (index, (node, address)) in brokers.enumerate() {
        if connecting.len() >= AT_ONCE {
            reports.extend(connecting.join_next().await.and_then(Result::ok));
        }
        let options = options.clone();
        connecting.spawn(async move {
            let opened = Connection::open(&address, &options, None).await;
            let outcome = opened.map(|connection| connection.facts().clone());
            (index, BrokerReport { node, address, outcome })
        });
    }
    while let Some(report) = connecting.join_next().await {
        reports.extend(report.ok());
    }
    reports.sort_by_key(|(index, _)| *index);
    reports.into_iter().map(|(_, report)| report).collect()
}
