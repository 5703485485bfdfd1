//! Asks a target what it holds of a producer.
//!
//! The answer counts only what the in-sync replicas hold. A leader tells of records that its followers do not have yet;
//! should it fail then, they are gone. So the end of the leader's log is asked, too, and an answer waits until the high
//! watermark has reached it. All questions must meet the same leader: its epoch is compared. Knows nothing of what the
//! records are at the source.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::admin::{self, ActiveProducer};
use kmirror_protocol::client::offsets::{self, Listed, OffsetAt, OffsetSpec};
use kmirror_protocol::client::retry::{self, Action as Remedy};
use kmirror_protocol::client::{ClientError, Cluster, Topics};
use kmirror_protocol::wire::error::ErrorCode;

use super::event::{Cause, Described};
use crate::error::chain;
use crate::ids::{Identity, TargetOffset};

/// How long in-sync replicas may take to get what their leader has; then it is asked again later.
const REPLICATED_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two looks at the high watermark.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A target partition: topic and number.
pub(crate) type TargetPartition = (Arc<str>, i32);

/// Whose records are looked for where.
pub(crate) struct Asked {
    pub(crate) partition: TargetPartition,
    pub(crate) identity: Identity,
    /// How many replicas have to be in sync (`min.insync.replicas`): with fewer, what the high watermark has passed is not
    /// safe either.
    pub(crate) min_in_sync: usize,
}

/// Asks for the last sequence of a producer in each partition; the answers come in the order of the questions.
pub(crate) async fn ask(cluster: &Cluster, asked: &[Asked]) -> Vec<Described> {
    match answers(cluster, asked).await {
        Ok(described) => described,
        Err(error) => {
            let cause: Cause = chain(&error).into();
            asked.iter().map(|_| Described::Failed(Arc::clone(&cause))).collect()
        }
    }
}

/// What is told when no answer came.
pub(crate) fn no_answer() -> Described {
    failed("it gave no answer")
}

async fn answers(cluster: &Cluster, asked: &[Asked]) -> Result<Vec<Described>, ClientError> {
    let partitions: Vec<TargetPartition> = asked.iter().map(|one| one.partition.clone()).collect();
    let before = by_partition(offsets::list_log_ends(cluster, &partitions).await?);
    let producers: HashMap<_, _> =
        admin::describe_producers(cluster, &partitions).await?.into_iter().collect();
    let ends = by_partition(offsets::list_log_ends(cluster, &partitions).await?);
    let covered = replicated(cluster, &ends).await?;
    let topics: BTreeSet<Arc<str>> = asked.iter().map(|one| Arc::clone(&one.partition.0)).collect();
    let known = cluster.refresh(Topics::Named(topics.into_iter().collect())).await?;
    let judge = |Asked { partition, identity, min_in_sync }: &Asked| {
        let (before, end) = match (before.get(partition), ends.get(partition)) {
            (Some(Ok(before)), Some(Ok(end))) if before.leader_epoch == end.leader_epoch => (before, end),
            (Some(Err(code)), _) | (_, Some(Err(code))) => return failed(&code.to_string()),
            (Some(Ok(_)), Some(Ok(_))) => return failed("its leader changed meanwhile"),
            (None, _) | (_, None) => return no_answer(),
        };
        if !covered.get(partition).is_some_and(|high| is_covered(high, end)) {
            return failed("its in-sync replicas do not have all of it yet");
        }
        let in_sync = known.partition(&partition.0, partition.1).map_or(0, |one| one.in_sync_replicas.len());
        if in_sync < *min_in_sync {
            return failed(&format!("only {in_sync} of min.insync.replicas={min_in_sync} are in sync"));
        }
        // What a dead process left in a broker's socket may come between the questions.
        let at_rest = before.offset == end.offset;
        let end = TargetOffset(end.offset);
        match producers.get(partition) {
            Some(Ok(producers)) => {
                let ours = |one: &&ActiveProducer| one.producer_id == identity.producer_id;
                let state = producers.iter().find(ours).map(|one| (one.producer_epoch, one.last_sequence));
                Described::of(state, *identity, end, at_rest)
            }
            Some(Err(code)) => match retry::decide(*code) {
                Remedy::Fatal(_) => Described::CannotTell(code.to_string().into(), end),
                _ => failed(&code.to_string()),
            },
            None => no_answer(),
        }
    };
    Ok(asked.iter().map(judge).collect())
}

fn failed(why: &str) -> Described {
    Described::Failed(format!("asking the target what it holds failed: {why}").into())
}

type Offsets = HashMap<TargetPartition, Result<OffsetAt, ErrorCode>>;

fn by_partition(listed: Listed) -> Offsets {
    listed.into_iter().collect()
}

fn is_covered(high: &OffsetAt, end: &OffsetAt) -> bool {
    high.offset >= end.offset && high.leader_epoch == end.leader_epoch
}

/// Waits until high watermarks have reached the ends of the logs; returns what they are then.
async fn replicated(
    cluster: &Cluster,
    ends: &Offsets,
) -> Result<HashMap<TargetPartition, OffsetAt>, ClientError> {
    let deadline = Instant::now() + REPLICATED_WITHIN;
    let mut reached = HashMap::new();
    let mut missing: Vec<(&TargetPartition, &OffsetAt)> =
        ends.iter().filter_map(|(partition, end)| Some((partition, end.as_ref().ok()?))).collect();
    while !missing.is_empty() {
        let partitions = missing.iter().map(|(partition, _)| (*partition).clone());
        let highs = offsets::known_offsets(cluster, partitions, OffsetSpec::Latest).await?;
        missing.retain(|(partition, end)| !highs.get(*partition).is_some_and(|high| is_covered(high, end)));
        reached.extend(highs);
        if Instant::now() >= deadline {
            break;
        }
        if !missing.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(reached)
}
