//! The settings of one client, from every place that has a say.

use std::time::Duration;

use kmirror_protocol::net::Address;

use super::reader::{Reader, Sourced};
use super::settings::{FlowName, Places, client_places, cluster_places, connection_places};
use super::slot::Side;
use crate::config::keys::{self, Opt, Role, Scope};
use crate::config::problem::Problem;
use crate::plan::{ClientPlan, ClusterAlias, ClusterPlan};

/// Whose client it is: it decides which places of the file count.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner<'a> {
    /// A flow's, at one of its clusters, in a role.
    Flow(&'a FlowName, Side, Role),
    /// Nobody's: for questions to a cluster as a whole.
    Cluster(&'a ClusterAlias),
}

impl Owner<'_> {
    /// The places where an option may be set for this client.
    pub(super) fn places(self, opt: &Opt) -> Places {
        // `MirrorClientConfig.CLIENT_CONFIG_DEF`: where the cluster is, and how it is secured.
        let is_connection_key = opt.scope == Scope::Cluster;
        match self {
            Self::Flow(flow, side, role) if is_connection_key => connection_places(flow, side, role),
            Self::Flow(flow, side, role) => client_places(flow, side, role),
            Self::Cluster(alias) => cluster_places(alias, is_connection_key),
        }
    }

    /// The cluster it connects to.
    pub(super) fn alias(&self) -> &ClusterAlias {
        match self {
            Self::Flow(flow, side, _) => flow.cluster(*side),
            Self::Cluster(alias) => alias,
        }
    }
}

impl Reader<'_> {
    /// A number of a client in milliseconds.
    pub(super) fn millis(&mut self, owner: Owner<'_>, opt: &'static Opt) -> Duration {
        Duration::from_millis(self.int(&owner.places(opt), opt))
    }

    /// A client, named as MirrorMaker 2 names it: `[the user's name|]A->B|connector|role`.
    pub(super) fn client(&mut self, owner: Owner<'_>, label: &str) -> ClientPlan {
        let own_name = self.text(&owner.places(&keys::CLIENT_ID), &keys::CLIENT_ID).value;
        let client_id = if own_name.is_empty() { label.to_owned() } else { format!("{own_name}|{label}") };
        ClientPlan {
            bootstrap: self.bootstrap(owner),
            client_id,
            request_timeout: self.millis(owner, &keys::REQUEST_TIMEOUT),
            connect_timeout: self.millis(owner, &keys::CONNECT_TIMEOUT),
            reconnect_backoff: self.millis(owner, &keys::RECONNECT_BACKOFF),
            reconnect_backoff_max: self.millis(owner, &keys::RECONNECT_BACKOFF_MAX),
            retry_backoff: self.millis(owner, &keys::RETRY_BACKOFF),
            retry_backoff_max: self.millis(owner, &keys::RETRY_BACKOFF_MAX),
            metadata_max_age: self.millis(owner, &keys::METADATA_MAX_AGE),
            idle_close: self.idle_close(owner),
            send_buffer: self.socket_buffer(owner, &keys::SEND_BUFFER),
            receive_buffer: self.socket_buffer(owner, &keys::RECEIVE_BUFFER),
            security: self.security(owner),
            route: self.route(owner),
        }
    }

    /// A cluster, with the client for questions that belong to no flow.
    pub(super) fn cluster(&mut self, alias: &ClusterAlias) -> ClusterPlan {
        let admin = self.client(Owner::Cluster(alias), &format!("{alias}|admin"));
        ClusterPlan { alias: alias.clone(), bootstrap: admin.bootstrap.clone(), admin }
    }

    fn bootstrap(&mut self, owner: Owner<'_>) -> Vec<Address> {
        let servers = self.text_if_set(&owner.places(&keys::BOOTSTRAP_SERVERS), &keys::BOOTSTRAP_SERVERS);
        let Some(Sourced { value, origin }) = servers else {
            let alias = owner.alias().to_string();
            let hint = Some(format!("add `{alias}.bootstrap.servers = host:9092`"));
            self.error(None, Problem::NoBootstrapServers { alias }, hint);
            return Vec::new();
        };
        let mut addresses: Vec<Address> = Vec::new();
        for text in value.split([',', ';']).map(str::trim).filter(|text| !text.is_empty()) {
            match text.parse() {
                Ok(address) if addresses.contains(&address) => {}
                Ok(address) => addresses.push(address),
                Err(error) => {
                    let hint = super::reader::comment_hint(&value);
                    self.error(Some(origin.clone()), Problem::BadAddress(error), hint);
                }
            }
        }
        addresses
    }

    fn idle_close(&mut self, owner: Owner<'_>) -> Option<Duration> {
        let opt = &keys::CONNECTIONS_MAX_IDLE;
        u64::try_from(self.number(&owner.places(opt), opt).value).ok().map(Duration::from_millis)
    }

    /// -1 leaves it to the operating system.
    fn socket_buffer(&mut self, owner: Owner<'_>, opt: &'static Opt) -> Option<usize> {
        usize::try_from(self.number(&owner.places(opt), opt).value).ok()
    }
}
