//! What a cluster says about itself: brokers, topics, leaders. Values only; `cluster` fetches them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::cluster::Topics;
use crate::net::Address;
use crate::wire::error::ErrorCode;
use crate::wire::fetch::TopicKey;
use crate::wire::messages::MetadataResponse;
use crate::wire::messages::parts::BrokerId;
use crate::wire::messages::parts::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};

/// A broker's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state of a cluster at one moment. Never changes; a refresh makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// Grows with every refresh.
    pub generation: u64,
    /// The cluster's own id, the same whatever alias it goes by.
    pub cluster_id: Option<Arc<str>>,
    /// Where to send what changes topics. With KRaft any broker, which passes it on.
    pub controller: Option<NodeId>,
    /// The brokers that are up.
    pub brokers: BTreeMap<NodeId, Broker>,
    /// The topics that were asked for so far, or all that are visible.
    pub topics: HashMap<Arc<str>, Arc<Topic>>,
    /// The last generation for which all topics were asked for.
    pub all_asked: u64,
    /// The generations since for which some of them were.
    pub asked: HashMap<Arc<str>, u64>,
}

/// A broker as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Where it listens.
    pub address: Address,
    /// The rack it stands in.
    pub rack: Option<Arc<str>>,
}

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; none before Kafka 2.8.
    pub id: Option<Uuid>,
    /// Whether it is one of Kafka's own, such as `__consumer_offsets`.
    pub internal: bool,
    /// Why there is no more to say about it, or `None`.
    pub error: ErrorCode,
    /// Its partitions by number.
    pub partitions: Vec<Partition>,
}

/// A partition and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// Who leads it, if anyone does.
    pub leader: Option<NodeId>,
    /// How often the lead has changed; none before Kafka 2.1.
    pub leader_epoch: Option<i32>,
    /// Who should have it.
    pub replicas: Vec<NodeId>,
    /// Who has all of it.
    pub in_sync_replicas: Vec<NodeId>,
    /// What ails it, or `None`.
    pub error: ErrorCode,
}

impl Topic {
    /// The partition of this number.
    pub fn partition(&self, index: i32) -> Option<&Partition> {
        let at = self.partitions.binary_search_by_key(&index, |partition| partition.index).ok()?;
        self.partitions.get(at)
    }

    /// Name and id, as Fetch and Produce want them.
    pub fn key(&self) -> TopicKey {
        TopicKey { name: Arc::clone(&self.name), id: self.id.unwrap_or_default() }
    }
}

impl Metadata {
    /// The partition of a topic.
    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topics.get(topic)?.partition(index)
    }

    /// Who leads a partition, if that is known.
    pub fn leader(&self, topic: &str, index: i32) -> Option<NodeId> {
        self.partition(topic, index)?.leader
    }

    /// Whether all these topics have been asked for since that generation. Others may be asked for again and again
    /// meanwhile, which says nothing of these.
    pub(super) fn is_newer_than(&self, generation: u64, topics: &Topics) -> bool {
        match topics {
            Topics::All => self.all_asked > generation,
            Topics::None => self.generation > generation,
            Topics::Named(names) => names.iter().all(|name| {
                self.asked.get(name).copied().unwrap_or_default().max(self.all_asked) > generation
            }),
        }
    }

    /// What a response says, on top of what is known: `all` replaces the topics, otherwise those in the response
    /// are added.
    pub(super) fn updated(&self, response: &MetadataResponse, all: bool) -> Self {
        let node = |id: i32| (id >= 0).then_some(NodeId(id));
        let brokers = response.brokers.iter().filter_map(|broker| {
            let address = Address::new(broker.host.as_str(), u16::try_from(broker.port).ok()?);
            let rack = broker.rack.as_ref().map(|rack| Arc::from(rack.as_str()));
            Some((NodeId(broker.node_id.0), Broker { address, rack }))
        });
        let generation = self.generation + 1;
        let all_asked = if all { generation } else { self.all_asked };
        let (mut topics, mut asked) =
            if all { Default::default() } else { (self.topics.clone(), self.asked.clone()) };
        for topic in &response.topics {
            let Some(topic) = self.topic(topic) else { continue };
            if !all {
                asked.insert(Arc::clone(&topic.name), generation);
            }
            // What did not change is kept, so that it takes no more memory and is known by its address.
            let topic = match self.topics.get(&topic.name) {
                Some(known) if **known == topic => Arc::clone(known),
                _ => Arc::new(topic),
            };
            topics.insert(Arc::clone(&topic.name), topic);
        }
        Self {
            generation,
            cluster_id: response.cluster_id.as_ref().map(|id| Arc::from(id.as_str())),
            controller: node(response.controller_id.0),
            brokers: brokers.collect(),
            topics,
            all_asked,
            asked,
        }
    }

    fn topic(&self, topic: &MetadataResponseTopic) -> Option<Topic> {
        let name = topic.name.as_ref()?.as_str();
        let known = self.topics.get(name);
        let id = (!topic.topic_id.is_nil()).then_some(topic.topic_id);
        let mut partitions: Vec<Partition> = topic.partitions.iter().map(partition).collect();
        partitions.sort_by_key(|partition| partition.index);
        partitions.dedup_by_key(|partition| partition.index);
        if let Some(known) = known.filter(|known| known.id == id) {
            for partition in &mut partitions {
                keep_newer(partition, known);
            }
        }
        Some(Topic {
            name: known.map_or_else(|| Arc::from(name), |known| Arc::clone(&known.name)),
            id,
            internal: topic.is_internal,
            error: topic.error_code.into(),
            partitions,
        })
    }
}

/// A broker that lags behind must not make us forget who leads now (KIP-320): a partition of the same topic with
/// a lower leader epoch is older news.
fn keep_newer(partition: &mut Partition, known: &Topic) {
    let Some(before) = known.partition(partition.index) else { return };
    if before.leader_epoch > partition.leader_epoch && partition.leader_epoch.is_some() {
        *partition = before.clone();
    }
}

fn partition(partition: &MetadataResponsePartition) -> Partition {
    let nodes = |ids: &[BrokerId]| ids.iter().map(|id| NodeId(id.0)).collect();
    Partition {
        index: partition.partition_index,
        leader: (partition.leader_id.0 >= 0).then_some(NodeId(partition.leader_id.0)),
        leader_epoch: (partition.leader_epoch >= 0).then_some(partition.leader_epoch),
        replicas: nodes(&partition.replica_nodes),
        in_sync_replicas: nodes(&partition.isr_nodes),
        error: partition.error_code.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::samples;

    #[test]
    fn everything_a_response_says_is_kept() {
        let metadata = Metadata::default().updated(&samples::metadata(12), true);
        assert_eq!(metadata.generation, 1);
        assert_eq!(metadata.cluster_id.as_deref(), Some("the-cluster"));
        assert_eq!(metadata.controller, Some(NodeId(2)));
        let broker = &metadata.brokers[&NodeId(1)];
        assert_eq!(broker.address, Address::new("broker.example", 9092));
        assert_eq!(broker.rack.as_deref(), Some("r"));
        let topic = &metadata.topics["orders"];
        assert_eq!(topic.id, Some(Uuid::from_u128(99)));
        assert!(topic.internal);
        assert_eq!(topic.partitions[0].index, 0, "partitions are sorted");
        assert_eq!(metadata.leader("orders", 0), Some(NodeId(1)));
        assert_eq!(topic.partition(0).unwrap().leader_epoch, Some(6));
        let leaderless = topic.partition(1).unwrap();
        assert_eq!((leaderless.leader, leaderless.error), (None, ErrorCode::LeaderNotAvailable));
        assert_eq!(leaderless.replicas, [NodeId(1), NodeId(2)]);
        assert_eq!(topic.partition(2), None);
    }

    #[test]
    fn old_brokers_give_neither_ids_nor_epochs() {
        let metadata = Metadata::default().updated(&samples::metadata(5), true);
        let topic = &metadata.topics["orders"];
        assert_eq!((topic.id, topic.partition(0).unwrap().leader_epoch), (None, None));
        assert!(topic.key().id.is_nil());
    }

    #[test]
    fn named_topics_are_added_and_all_topics_replace() {
        let first = Metadata::default().updated(&samples::metadata(12), true);
        let mut other = samples::metadata(12);
        other.topics[0].name = Some(crate::wire::messages::parts::TopicName("other".to_owned().into()));
        assert_eq!(first.updated(&other, false).topics.len(), 2);
        assert_eq!(first.updated(&other, true).topics.len(), 1);
        assert_eq!(first.updated(&other, true).generation, 2);
    }

    #[test]
    fn news_of_other_topics_are_no_news() {
        let named = |name: &str| Topics::Named(vec![Arc::from(name)]);
        let first = Metadata::default().updated(&samples::metadata(12), true);
        let mut other = samples::metadata(12);
        other.topics[0].name = Some(crate::wire::messages::parts::TopicName("other".to_owned().into()));
        let second = first.updated(&other, false);
        assert!(second.is_newer_than(1, &named("other")) && second.is_newer_than(1, &Topics::None));
        assert!(!second.is_newer_than(1, &named("orders")) && !second.is_newer_than(1, &Topics::All));
        let third = second.updated(&other, true);
        assert!(
            [named("orders"), named("other"), Topics::All]
                .iter()
                .all(|topics| third.is_newer_than(2, topics))
        );
    }

    #[test]
    fn topics_that_did_not_change_are_the_same() {
        let first = Metadata::default().updated(&samples::metadata(12), true);
        let second = first.updated(&samples::metadata(12), true);
        assert!(Arc::ptr_eq(&first.topics["orders"], &second.topics["orders"]));
        let mut other = samples::metadata(12);
        other.topics[0].partitions[0].isr_nodes.clear();
        let third = second.updated(&other, true);
        assert!(!Arc::ptr_eq(&second.topics["orders"], &third.topics["orders"]));
    }

    #[test]
    fn older_news_about_a_leader_is_ignored() {
        let known = Metadata::default().updated(&samples::metadata(12), true);
        let leads = |epoch, id| {
            let mut news = samples::metadata(12);
            news.topics[0].topic_id = Uuid::from_u128(id);
            news.topics[0].partitions[1].leader_epoch = epoch;
            news.topics[0].partitions[1].leader_id = BrokerId(2);
            known.updated(&news, true).leader("orders", 0)
        };
        assert_eq!(leads(5, 99), Some(NodeId(1)));
        assert_eq!(leads(6, 99), Some(NodeId(2)));
        assert_eq!(leads(5, 100), Some(NodeId(2)), "a recreated topic begins anew");
    }
}
