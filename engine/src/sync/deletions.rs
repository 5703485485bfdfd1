//! Which topics of the target are to be deleted because their source topics were. Pure.
//!
//! When in doubt nothing is deleted: a topic counts as gone only when it was mirrored, the source says that it is not
//! there, and has said so at every look for the whole grace time. The moment it was first missed is not written down: a
//! restart begins the time anew.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::Metadata;
use uuid::Uuid;

use crate::plan::FlowPlan;

/// A topic whose source is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Its name at the source.
    pub(crate) source_topic: Arc<str>,
    /// Its copy.
    pub(crate) target_topic: Arc<str>,
}

/// What one look at both clusters showed.
pub(crate) struct Look<'a> {
    /// All topics of the source.
    pub(crate) source: &'a Metadata,
    /// All topics of the target.
    pub(crate) target: &'a Metadata,
    /// Source topics with progress, and their ids as far as they are known: this flow mirrored them, or MirrorMaker 2 did
    /// before it.
    pub(crate) mirrored: &'a BTreeMap<Arc<str>, Option<Uuid>>,
    /// Source topics that the flow still reads.
    pub(crate) running: &'a BTreeSet<Arc<str>>,
}

/// Whether the list of the source's topics can be believed: at least one of the topics that were mirrored is there.
/// Without any, it is more likely that this is another cluster or that rights were taken away. (Another cluster may well
/// have topics of these names, `heartbeats` for one, but not with these ids.)
pub(crate) fn is_credible(look: &Look<'_>) -> bool {
    look.mirrored.iter().any(|(name, id)| {
        let there = look.source.topics.get(name).filter(|topic| topic.error.is_none());
        there.is_some_and(|topic| topic.id.is_none() || id.is_none() || topic.id == *id)
    })
}

/// Topics that were mirrored, are not listed at the source, and whose copies are at the target.
pub(crate) fn candidates(plan: &FlowPlan, look: &Look<'_>) -> Vec<Gone> {
    if !is_credible(look) {
        return Vec::new();
    }
    // A copy that takes the records of another topic too stays.
    let needed: BTreeSet<String> =
        look.source.topics.keys().filter_map(|topic| Some(plan.decide(topic).ok()?.0)).collect();
    let unlisted =
        |topic: &&Arc<str>| !look.source.topics.contains_key(*topic) && !look.running.contains(*topic);
    look.mirrored
        .keys()
        .filter(unlisted)
        .filter_map(|topic| {
            let (target_topic, _) = plan.decide(topic).ok()?;
            let at_target = look.target.topics.get(target_topic.as_str())?;
            let deletable =
                !at_target.internal && at_target.error.is_none() && !needed.contains(&target_topic);
            deletable.then(|| Gone { source_topic: Arc::clone(topic), target_topic: target_topic.into() })
        })
        .collect()
}

/// Since when topics are missed.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    since: HashMap<Arc<str>, Instant>,
}

/// What has become of the topics that are missed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Missed for the first time.
    pub(crate) new: Vec<Gone>,
    /// Missed for the whole grace time.
    pub(crate) due: Vec<Gone>,
}

impl Missed {
    /// Takes what is missing at this look. What is not among it any more begins anew when it is missed again.
    pub(crate) fn look(&mut self, now: Instant, grace: Duration, gone: Vec<Gone>) -> Verdict {
        let mut verdict = Verdict::default();
        let known: BTreeMap<&Arc<str>, &Gone> = gone.iter().map(|one| (&one.source_topic, one)).collect();
        self.since.retain(|topic, _| known.contains_key(topic));
        for one in &gone {
            let since = *self.since.entry(Arc::clone(&one.source_topic)).or_insert_with(|| {
                verdict.new.push(one.clone());
                now
            });
            if now.saturating_duration_since(since) >= grace {
                verdict.due.push(one.clone());
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use kmirror_protocol::client::Topic;
    use kmirror_protocol::wire::error::ErrorCode;

    use super::*;
    use crate::plan::{Plan, PlanArgs};

    fn plan(more: &str) -> FlowPlan {
        let text = format!(
            "clusters = a, b\na.bootstrap.servers = h:1\nb.bootstrap.servers = h:2\na->b.enabled = true\n{more}"
        );
        Plan::from_properties(&text, "f", &PlanArgs::default()).unwrap().flows.remove(0)
    }

    fn names(names: &[&str]) -> BTreeSet<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn cluster(topics: &[&str]) -> Metadata {
        let topic = |name: &&str| {
            let name: Arc<str> = (*name).into();
            let topic = Topic {
                name: Arc::clone(&name),
                id: Some(Uuid::from_u128(if *name == *"heartbeats" { 2 } else { 1 })),
                internal: name.starts_with("__"),
                error: ErrorCode::None,
                partitions: Vec::new(),
            };
            (name, Arc::new(topic))
        };
        Metadata { topics: topics.iter().map(topic).collect(), ..Metadata::default() }
    }

    /// The target topics that are candidates.
    fn found(
        more: &str,
        source: &[&str],
        target: &[&str],
        mirrored: &[&str],
        running: &[&str],
    ) -> Vec<String> {
        let (source, target) = (cluster(source), cluster(target));
        let id = |name: &&str| (Arc::from(*name), Some(Uuid::from_u128(1)));
        let (mirrored, running) = (mirrored.iter().map(id).collect(), names(running));
        let look = Look { source: &source, target: &target, mirrored: &mirrored, running: &running };
        let found = candidates(&plan(more), &look);
        found.iter().map(|gone| gone.target_topic.to_string()).collect()
    }

    #[test]
    fn only_what_was_mirrored_and_is_gone() {
        let target = ["a.kept", "a.gone", "a.never", "gone", "own"];
        assert_eq!(found("", &["kept"], &target, &["kept", "gone", "absent"], &[]), ["a.gone"]);
        assert!(found("", &["kept"], &target, &["kept", "gone"], &["gone"]).is_empty(), "still read");
        let excluded = "topics.exclude = gone\n";
        assert!(
            found(excluded, &["kept"], &target, &["kept", "gone"], &[]).is_empty(),
            "not the flow's any more"
        );
    }

    #[test]
    fn a_list_that_cannot_be_believed_deletes_nothing() {
        let target = ["a.kept", "a.gone"];
        assert!(found("", &[], &target, &["kept", "gone"], &[]).is_empty());
        assert!(found("", &["other", "__consumer_offsets"], &target, &["kept", "gone"], &[]).is_empty());
        let by_name = found("", &["heartbeats"], &target, &["heartbeats", "gone"], &[]);
        assert!(by_name.is_empty(), "a topic of the same name with another id");
    }

    #[test]
    fn internal_topics_and_shared_copies_stay() {
        let identity = "replication.policy.class = org.apache.kafka.connect.mirror.IdentityReplicationPolicy\ntopics.exclude = x\n";
        let mirrored = ["kept", "__consumer_offsets", "mm2-configs.b.internal"];
        assert!(found(identity, &["kept"], &mirrored, &mirrored, &[]).is_empty());
        let merged = "kmirror.rename.regex = (.*)-[0-9]\nkmirror.rename.replacement = $1\nkmirror.rename.allow.collisions = true\n";
        assert!(found(merged, &["t-1"], &["t"], &["t-1", "t-2"], &[]).is_empty(), "t-1 goes there too");
        assert_eq!(found(merged, &["u-1"], &["t", "u"], &["u-1", "t-2"], &[]), ["t"]);
    }

    #[test]
    fn the_grace_time_is_one_of_uninterrupted_absence() {
        let gone = || vec![Gone { source_topic: "t".into(), target_topic: "a.t".into() }];
        let (start, grace) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut missed = Missed::default();
        let first = missed.look(at(0), grace, gone());
        assert_eq!(first, Verdict { new: gone(), due: Vec::new() });
        assert_eq!(missed.look(at(9), grace, gone()), Verdict::default());
        assert_eq!(missed.look(at(10), grace, gone()).due, gone());
        missed.look(at(11), grace, Vec::new());
        assert_eq!(missed.look(at(12), grace, gone()).due, Vec::new(), "it was back in between");
        assert_eq!(missed.look(at(22), grace, gone()).due, gone());
        assert_eq!(Missed::default().look(at(0), Duration::ZERO, gone()).due, gone());
    }
}
