//! Creating, growing and deleting topics, with the refusals of a broker's controller (`ReplicationControlManager`). Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use uuid::Uuid;

use super::Cluster;
use super::config::TopicConfigs;
use super::topic::{Partition, Topic, name_fault, names_collide};
use super::validate::Refusal;

/// Most partitions a topic can have here, and most in a cluster: the sandbox keeps its word about memory.
const PARTITIONS_MAX: i32 = 10_000;
const ALL_PARTITIONS_MAX: usize = 50_000;

/// A topic somebody wants.
#[derive(Debug, Default, Clone)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    /// -1 for the cluster's default.
    pub(crate) partitions: i32,
    /// -1 for the cluster's default.
    pub(crate) replication_factor: i16,
    /// Replicas by partition, empty for the broker's choice.
    pub(crate) assignments: Vec<Vec<i32>>,
    pub(crate) configs: Vec<(String, Option<String>)>,
}

impl Cluster {
    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<&Topic> {
        self.topics.get(self.topic_names.get(&id)?)
    }

    /// The name a topic id stands for.
    pub(crate) fn topic_name(&self, id: Uuid) -> Option<Arc<str>> {
        self.topic_names.get(&id).cloned()
    }

    /// What creating the topic would make; nothing is changed.
    pub(crate) fn plan_topic(&mut self, new: &NewTopic) -> Result<Topic, Refusal> {
        self.check_name(&new.name)?;
        let mut configs = TopicConfigs::default();
        for (name, value) in &new.configs {
            let value = value.as_deref().ok_or_else(|| {
                let message = format!("Null value not supported for topic configs: {name}");
                Refusal::new(ResponseError::InvalidConfig, message)
            })?;
            configs.set(name, value).map_err(|reason| Refusal::new(ResponseError::InvalidConfig, reason))?;
        }
        let replicas = self.plan_replicas(new)?;
        self.check_room(replicas.len())?;
        let partitions =
            replicas.into_iter().map(|replicas| Partition::new(replicas, |id| self.is_up(id))).collect();
        Ok(Topic { name: new.name.as_str().into(), id: self.random_uuid(), configs, partitions })
    }

    /// Creates the topic; answers it.
    pub(crate) fn create_topic(&mut self, new: &NewTopic) -> Result<&Topic, Refusal> {
        let topic = self.plan_topic(new)?;
        let name = Arc::clone(&topic.name);
        self.topic_names.insert(topic.id, Arc::clone(&name));
        Ok(self.topics.entry(name).or_insert(topic))
    }

    /// Deletes the topic; answers the id it had.
    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<Uuid, ResponseError> {
        let mut topic = self.topics.remove(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        self.topic_names.remove(&topic.id);
        self.groups.forget_topic(name);
        for partition in &mut topic.partitions {
            self.footprint -= partition.log.footprint();
            partition.wake();
        }
        Ok(topic.id)
    }

    /// Grows the topic to `count` partitions (`assignments`: replicas of the new ones, empty for the broker's choice).
    pub(crate) fn grow_topic(
        &mut self,
        name: &str,
        count: i32,
        assignments: &[Vec<i32>],
        validate_only: bool,
    ) -> Result<(), Refusal> {
        let topic = self.topics.get(name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let present = topic.partitions.len();
        let wanted = usize::try_from(count).unwrap_or_default();
        if wanted <= present {
            let message = format!(
                "Topic currently has {present} partitions, which is higher than the requested {count}."
            );
            let same = format!("Topic already has {present} partition(s).");
            let message = if wanted == present { same } else { message };
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        if count > PARTITIONS_MAX {
            return Err(too_many());
        }
        self.check_room(wanted - present)?;
        let replication_factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        let replicas = match assignments {
            [] => self.assign(present, wanted - present, replication_factor),
            _ if assignments.len() != wanted - present => {
                let message = format!(
                    "Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                    wanted - present,
                    assignments.len()
                );
                return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
            }
            _ => self.check_assignments(assignments)?,
        };
        let partitions: Vec<_> =
            replicas.into_iter().map(|replicas| Partition::new(replicas, |id| self.is_up(id))).collect();
        if let Some(topic) = self.topics.get_mut(name)
            && !validate_only
        {
            topic.partitions.extend(partitions);
        }
        Ok(())
    }

    fn check_room(&self, more: usize) -> Result<(), Refusal> {
        let present: usize = self.topics.values().map(|topic| topic.partitions.len()).sum();
        if present + more > ALL_PARTITIONS_MAX { Err(too_many()) } else { Ok(()) }
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        if let Some(fault) = name_fault(name) {
            return Err(Refusal::new(ResponseError::InvalidTopicException, fault));
        }
        if self.topics.contains_key(name) {
            return Err(Refusal::new(
                ResponseError::TopicAlreadyExists,
                format!("Topic '{name}' already exists."),
            ));
        }
        match self.topics.keys().find(|other| names_collide(name, other)) {
            Some(other) => {
                let message = format!("Topic '{name}' collides with existing topic: {other}");
                Err(Refusal::new(ResponseError::InvalidTopicException, message))
            }
            None => Ok(()),
        }
    }

    fn plan_replicas(&self, new: &NewTopic) -> Result<Vec<Vec<i32>>, Refusal> {
        if !new.assignments.is_empty() {
            if new.partitions != -1 || new.replication_factor != -1 {
                let message = "A manual partition assignment was specified, but number of partitions or replication factor was not set to -1.";
                return Err(Refusal::new(ResponseError::InvalidRequest, message));
            }
            return self.check_assignments(&new.assignments);
        }
        let partitions = if new.partitions == -1 { self.options.default_partitions } else { new.partitions };
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(Refusal::new(ResponseError::InvalidPartitions, message));
        }
        let live = self.live_brokers().count();
        let wanted = match new.replication_factor {
            -1 => usize::try_from(self.options.default_replication_factor).unwrap_or(1).clamp(1, live.max(1)),
            wanted => usize::try_from(wanted).unwrap_or_default(),
        };
        if wanted == 0 {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(Refusal::new(ResponseError::InvalidReplicationFactor, message));
        }
        if wanted > live {
            let message = format!(
                "Unable to replicate the partition {wanted} time(s): The target replication factor of {wanted} cannot be reached because only {live} broker(s) are registered."
            );
            return Err(Refusal::new(ResponseError::InvalidReplicationFactor, message));
        }
        Ok(self.assign(self.topics.len(), usize::try_from(partitions).unwrap_or(1), wanted))
    }

    fn check_assignments(&self, assignments: &[Vec<i32>]) -> Result<Vec<Vec<i32>>, Refusal> {
        for replicas in assignments {
            let distinct: BTreeSet<_> = replicas.iter().collect();
            if replicas.is_empty() || distinct.len() != replicas.len() {
                let message = "The manual partition assignment includes an empty or a repeated replica list.";
                return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
            }
            if let Some(unknown) = replicas.iter().find(|id| !self.brokers.contains_key(id)) {
                let message = format!(
                    "The manual partition assignment includes broker {unknown}, but no such broker is registered."
                );
                return Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message));
            }
        }
        Ok(assignments.to_vec())
    }
}

fn too_many() -> Refusal {
    Refusal::new(ResponseError::PolicyViolation, "The sandbox does not hold that many partitions")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::options::SandboxOptions;

    fn cluster() -> Cluster {
        let addresses = [1, 2, 3].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Cluster::new(SandboxOptions { default_partitions: 4, ..SandboxOptions::default() }, &addresses)
    }

    fn new(name: &str, partitions: i32, replication_factor: i16) -> NewTopic {
        NewTopic { name: name.to_owned(), partitions, replication_factor, ..NewTopic::default() }
    }

    fn fault(result: Result<&Topic, Refusal>) -> ResponseError {
        result.unwrap_err().error
    }

    #[test]
    fn defaults_fill_in_and_leaders_go_round() {
        let mut cluster = cluster();
        let topic = cluster.create_topic(&new("t", -1, -1)).unwrap();
        let leaders: Vec<_> = topic.partitions.iter().map(|partition| partition.leader).collect();
        assert_eq!(leaders, [Some(1), Some(2), Some(3), Some(1)]);
        let id = topic.id;
        assert_eq!(cluster.topic_name(id).as_deref(), Some("t"));
        cluster.delete_topic("t").unwrap();
        assert!(cluster.topic_name(id).is_none());
        assert_ne!(cluster.create_topic(&new("t", 1, 3)).unwrap().id, id);
    }

    #[test]
    fn refusals_have_the_codes_of_the_controller() {
        let mut cluster = cluster();
        cluster.create_topic(&new("a.b", 1, 1)).unwrap();
        assert_eq!(fault(cluster.create_topic(&new("a.b", 1, 1))), ResponseError::TopicAlreadyExists);
        assert_eq!(fault(cluster.create_topic(&new("a_b", 1, 1))), ResponseError::InvalidTopicException);
        assert_eq!(fault(cluster.create_topic(&new("a b", 1, 1))), ResponseError::InvalidTopicException);
        assert_eq!(fault(cluster.create_topic(&new("c", 0, 1))), ResponseError::InvalidPartitions);
        assert_eq!(fault(cluster.create_topic(&new("c", i32::MAX, 1))), ResponseError::InvalidPartitions);
        assert_eq!(fault(cluster.create_topic(&new("c", 1, 4))), ResponseError::InvalidReplicationFactor);
        assert_eq!(fault(cluster.create_topic(&new("c", 1, 0))), ResponseError::InvalidReplicationFactor);
        let config = NewTopic { configs: vec![("colour".into(), Some("red".into()))], ..new("c", 1, 1) };
        assert_eq!(fault(cluster.create_topic(&config)), ResponseError::InvalidConfig);
        let both = NewTopic { assignments: vec![vec![1]], ..new("c", 1, 1) };
        assert_eq!(fault(cluster.create_topic(&both)), ResponseError::InvalidRequest);
        let stranger = NewTopic { assignments: vec![vec![9]], ..new("c", -1, -1) };
        assert_eq!(fault(cluster.create_topic(&stranger)), ResponseError::InvalidReplicaAssignment);
    }

    #[test]
    fn a_cluster_holds_so_many_partitions() {
        let mut cluster = cluster();
        for n in 0..5 {
            cluster.create_topic(&new(&format!("t{n}"), 10_000, 1)).unwrap();
        }
        assert_eq!(fault(cluster.create_topic(&new("more", 1, 1))), ResponseError::PolicyViolation);
    }

    #[test]
    fn topics_only_grow() {
        let mut cluster = cluster();
        cluster.create_topic(&new("t", 2, 2)).unwrap();
        let grow =
            |cluster: &mut Cluster, count| cluster.grow_topic("t", count, &[], false).map_err(|r| r.error);
        assert_eq!(grow(&mut cluster, 2), Err(ResponseError::InvalidPartitions));
        assert_eq!(grow(&mut cluster, 10_001), Err(ResponseError::PolicyViolation));
        assert_eq!(grow(&mut cluster, 5), Ok(()));
        assert_eq!(cluster.topics["t"].partitions.len(), 5);
        assert_eq!(cluster.topics["t"].partitions[4].replicas.len(), 2);
    }
}
