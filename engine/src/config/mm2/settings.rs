//! The entries of a file, each in its place, and how the places go before one another.

use std::collections::HashMap;
use std::sync::Arc;

use kmirror_protocol::Secret;

use super::slot::{At, Prefix, Side, Slot};
use crate::config::key_form::may_be_shown;
use crate::config::keys::{Opt, Role};
use crate::config::origin::Origin;
use crate::plan::ClusterAlias;

/// One setting of the file.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) slot: Slot,
    /// The value without blanks at its ends, as Kafka trims it. Of most keys it is no secret; the option table knows.
    pub(super) value: Secret,
    pub(super) origin: Origin,
    /// The variables of configuration providers that were in it.
    pub(super) variables: Vec<String>,
}

/// All settings, by their place.
#[derive(Debug)]
pub(super) struct Settings {
    /// In the order of the file; of a repeated key the last.
    pub(super) all: Vec<Setting>,
    index: HashMap<Slot, usize>,
}

/// A flow, by its two clusters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FlowName {
    pub(super) source: ClusterAlias,
    pub(super) target: ClusterAlias,
}

impl FlowName {
    fn at(&self) -> At {
        At::Flow(self.source.clone(), self.target.clone())
    }

    /// The cluster on one side.
    pub(super) fn cluster(&self, side: Side) -> &ClusterAlias {
        match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        }
    }
}

/// Where an option may be set, the place that wins first.
pub(super) type Places = Vec<(At, Prefix)>;

/// The place of a key that stands on its own.
pub(super) fn process_places() -> Places {
    vec![(At::Top, Prefix::None)]
}

/// A connector's key: the flow's own goes before the one for all flows.
pub(super) fn flow_places(flow: &FlowName) -> Places {
    vec![(flow.at(), Prefix::None), (At::Top, Prefix::None)]
}

/// A worker's key. MirrorMaker 2 reads it with the target cluster; of the keys of its stores it reads those on their
/// own too, and those win (`MirrorMakerConfig.workerConfig`).
pub(super) fn worker_places(flow: &FlowName, opt: &Opt) -> Places {
    let target = (At::Cluster(flow.target.clone()), Prefix::None);
    let top = (At::Top, Prefix::None);
    let [second, third] = if opt.name.starts_with("offset.storage") { [top, target] } else { [target, top] };
    vec![(flow.at(), Prefix::None), second, third]
}

/// A client's key (`MirrorConnectorConfig.sourceConsumerConfig` and its siblings, `Worker.baseProducerConfigs`).
///
/// MirrorMaker 2 does not read roles on their own (`consumer.`, `source.consumer.`); here they count, each behind the
/// same role with a flow or a cluster.
pub(super) fn client_places(flow: &FlowName, side: Side, role: Role) -> Places {
    vec![
        (flow.at(), Prefix::Override(role)),
        (flow.at(), Prefix::SideRole(side, role)),
        (At::Cluster(flow.cluster(side).clone()), Prefix::Role(role)),
        (At::Top, Prefix::SideRole(side, role)),
        (flow.at(), Prefix::Role(role)),
        (At::Top, Prefix::Role(role)),
    ]
}

/// A key of the connection, which counts without a role, too. MirrorMaker 2 copies those of a cluster, and those on
/// their own, to the cluster's clients (`MirrorMakerConfig.clusterProps`), and so they go before most of a flow's.
pub(super) fn connection_places(flow: &FlowName, side: Side, role: Role) -> Places {
    let cluster = At::Cluster(flow.cluster(side).clone());
    vec![
        (flow.at(), Prefix::Override(role)),
        (flow.at(), Prefix::SideRole(side, role)),
        (cluster.clone(), Prefix::Role(role)),
        (cluster, Prefix::None),
        (At::Top, Prefix::None),
        (flow.at(), Prefix::Role(role)),
        (flow.at(), Prefix::Side(side)),
        (At::Top, Prefix::SideRole(side, role)),
        (At::Top, Prefix::Role(role)),
    ]
}

/// A key for questions to a cluster that belong to no flow.
pub(super) fn cluster_places(alias: &ClusterAlias, is_connection_key: bool) -> Places {
    let cluster = At::Cluster(alias.clone());
    let mut places = vec![(cluster.clone(), Prefix::Role(Role::Admin))];
    if is_connection_key {
        places.extend([(cluster, Prefix::None), (At::Top, Prefix::None)]);
    }
    places.push((At::Top, Prefix::Role(Role::Admin)));
    places
}

impl Settings {
    /// Puts settings in their places. A later one in the same place wins.
    pub(super) fn new(settings: impl IntoIterator<Item = Setting>) -> Self {
        let mut this = Self { all: Vec::new(), index: HashMap::new() };
        for setting in settings {
            match this.index.get(&setting.slot).and_then(|&at| this.all.get_mut(at)) {
                Some(earlier) => *earlier = setting,
                None => {
                    this.index.insert(setting.slot.clone(), this.all.len());
                    this.all.push(setting);
                }
            }
        }
        this
    }

    /// The setting of an option that wins. As in Kafka an older name counts only where today's stands nowhere.
    pub(super) fn find(&self, places: &[(At, Prefix)], opt: &Opt) -> Option<&Setting> {
        std::iter::once(&opt.name)
            .chain(opt.older_names)
            .find_map(|name| places.iter().find_map(|(at, prefix)| self.at(at, *prefix, name)))
    }

    fn at(&self, at: &At, prefix: Prefix, name: &str) -> Option<&Setting> {
        let slot = Slot { at: at.clone(), prefix, name: name.to_owned() };
        self.index.get(&slot).and_then(|&index| self.all.get(index))
    }

    /// All settings in some places whose names begin alike; the place that wins comes first.
    pub(super) fn family<'a>(
        &'a self,
        places: &'a [(At, Prefix)],
        beginning: &'a str,
    ) -> impl Iterator<Item = &'a Setting> {
        places.iter().flat_map(move |(at, prefix)| {
            self.all.iter().filter(move |setting| {
                setting.slot.at == *at
                    && setting.slot.prefix == *prefix
                    && setting.slot.name.starts_with(beginning)
            })
        })
    }

    /// The flows that some key names, in the order of the file.
    pub(super) fn flows(&self) -> Vec<FlowName> {
        let mut flows: Vec<FlowName> = Vec::new();
        for setting in &self.all {
            if let At::Flow(source, target) = &setting.slot.at {
                let flow = FlowName { source: source.clone(), target: target.clone() };
                if !flows.contains(&flow) {
                    flows.push(flow);
                }
            }
        }
        flows
    }
}

/// The origin of a line, with its key if that may be shown.
pub(super) fn line_origin(file: &Arc<str>, line: usize, key: &str) -> Origin {
    let file = Arc::clone(file);
    if may_be_shown(key) {
        Origin::Line { file, line, key: Arc::from(key) }
    } else {
        Origin::Unnamed { file, line }
    }
}
