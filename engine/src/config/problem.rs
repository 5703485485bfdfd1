//! What can be wrong with a configuration: errors that stop it, findings that do not.
//!
//! Every problem says what, where and what to do. None holds the value of an option that may be a secret.

use std::fmt;

use kmirror_protocol::net::AddressError;

use super::jaas::JaasError;
use super::origin::Origin;
use super::providers::ProviderError;
use super::security_problem::{LoginProblem, SecurityNotice};
use crate::filter::PatternError;
use crate::policy::RenameError;

/// Why a configuration cannot be used. Everything that is wrong, not the first thing only.
#[derive(Debug, Clone)]
pub struct ConfigErrors {
    /// The errors, in the order of the file where they have a line.
    pub errors: Vec<ConfigError>,
    /// What was found beside them.
    pub findings: Vec<Finding>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.as_slice() {
            [only] => write!(f, "the configuration has an error: {only}"),
            all => {
                write!(f, "the configuration has {} errors:", all.len())?;
                all.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// One error, with the place it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, unless it is about something that is missing.
    pub origin: Option<Origin>,
    /// What.
    pub problem: Problem,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_placed(f, self.origin.as_ref(), &self.problem, self.hint.as_deref())
    }
}

impl std::error::Error for ConfigError {}

fn write_placed(
    f: &mut fmt::Formatter<'_>,
    origin: Option<&Origin>,
    what: &dyn fmt::Display,
    hint: Option<&str>,
) -> fmt::Result {
    if let Some(origin) = origin {
        write!(f, "{origin}: ")?;
    }
    write!(f, "{what}")?;
    hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
}

/// What an error is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is larger than a configuration can be.
    #[error("the file has {bytes} bytes; a configuration may have {limit}")]
    FileTooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size taken.
        limit: usize,
    },
    /// `clusters` is missing or empty.
    #[error("`clusters` names no cluster")]
    NoClusters,
    /// More clusters than can be planned.
    #[error("`clusters` names {count} clusters; at most {limit} are supported")]
    TooManyClusters {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It is a Connect connector's configuration, not one of the dedicated mode.
    #[error("this is the configuration of a single connector, as Kafka Connect takes it")]
    ConnectorConfiguration,
    /// An alias that cannot be part of a topic name.
    #[error("the alias `{alias}` cannot be part of a topic name")]
    IllegalAlias {
        /// The alias.
        alias: String,
    },
    /// An alias is listed twice.
    #[error("the alias `{alias}` is listed twice")]
    RepeatedAlias {
        /// The alias.
        alias: String,
    },
    /// A key or an argument names a cluster that `clusters` does not.
    #[error("`{alias}` is no alias listed in `clusters`")]
    UnknownAlias {
        /// The alias.
        alias: String,
    },
    /// A flow from a cluster to itself.
    #[error("a flow from `{alias}` to itself")]
    FlowToItself {
        /// The alias.
        alias: String,
    },
    /// Something with an arrow that is no flow; it is not shown.
    #[error("the line has an arrow like a flow's, and is no flow between clusters listed in `clusters`")]
    NoFlow,
    /// A cluster that is needed has no `bootstrap.servers`.
    #[error("the cluster `{alias}` has no bootstrap servers")]
    NoBootstrapServers {
        /// The alias.
        alias: String,
    },
    /// A bootstrap server that is no address.
    #[error("{0}")]
    BadAddress(AddressError),
    /// No flow is enabled.
    #[error("no flow is enabled")]
    NothingEnabled,
    /// No enabled flow has one of the chosen targets.
    #[error("no enabled flow has one of the chosen clusters as its target")]
    NothingForTheseClusters,
    /// A value of the wrong type or out of range.
    #[error("{value} is not {expected}")]
    BadValue {
        /// The value, in quotes, or a word for it when it may be a secret.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// A pattern that cannot be used.
    #[error("the pattern `{pattern}`: {error}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        error: PatternError,
    },
    /// An include list that no topic name can match.
    #[error("`{value}` matches no possible topic name, so nothing would be mirrored")]
    MatchesNothing {
        /// The list.
        value: String,
    },
    /// A rename that cannot be used.
    #[error("the rename: {error}{}", pattern_of(.error))]
    BadRename {
        /// What is wrong with it.
        error: RenameError,
    },
    /// One half of a rename.
    #[error("`{present}` is set and `{missing}` is not")]
    HalfARename {
        /// The key that is set.
        present: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A Java class that kmirror has no counterpart for.
    #[error("`{class}` is a Java class; kmirror runs none")]
    ForeignClass {
        /// The class's name.
        class: String,
    },
    /// A setting that would break what kmirror promises.
    #[error("{reason}")]
    Refused {
        /// The promise.
        reason: &'static str,
    },
    /// A value that a configuration provider cannot supply.
    #[error("{0}")]
    Provider(#[from] ProviderError),
    /// A value from a configuration provider that cannot be used; it is not shown.
    #[error("what {variables} stands for cannot be used here")]
    BadSupply {
        /// The variables in the value.
        variables: String,
    },
    /// A login that is none.
    #[error("{0}")]
    Jaas(#[from] JaasError),
    /// A login that cannot be used.
    #[error("{0}")]
    Login(#[from] LoginProblem),
    /// Flows that would bring a topic back to where it came from under the same name.
    #[error("{}", loop_text(.path, .topic))]
    Loop {
        /// The aliases on the way, the first one again at the end.
        path: Vec<String>,
        /// A topic name that goes round.
        topic: String,
    },
    /// Two aliases with a bootstrap server in common, with a flow between them.
    #[error(
        "`{first}` and `{second}` have the bootstrap server {server} in common: they are the same cluster"
    )]
    SameCluster {
        /// One alias.
        first: String,
        /// The other.
        second: String,
        /// The address.
        server: String,
    },
    /// Two aliases whose clusters say that they are one, with a flow between them.
    #[error("`{first}` and `{second}` are the same cluster: both have the id {cluster_id}")]
    SameClusterId {
        /// One alias.
        first: String,
        /// The other.
        second: String,
        /// The id.
        cluster_id: String,
    },
}

impl Problem {
    /// Whether the configuration is sound and must not run all the same: one cluster under two names, or a loop.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Loop { .. } | Self::SameCluster { .. } | Self::SameClusterId { .. })
    }
}

/// `Display` shows one level only; here the level below has no place of its own to be shown.
fn pattern_of(error: &RenameError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}

fn loop_text(path: &[String], topic: &str) -> String {
    format!(
        "these flows form a loop: {}. A topic `{topic}` would be mirrored round and round",
        path.join(" -> ")
    )
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Probably not what was meant.
    Warning,
}

impl Severity {
    /// The word for it in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// Something the operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, unless it is about the whole file.
    pub origin: Option<Origin>,
    /// What.
    pub notice: Notice,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.notice.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_placed(f, self.origin.as_ref(), &self.notice, self.hint.as_deref())
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Notice {
    /// A key that nothing knows.
    #[error("unknown key")]
    UnknownKey,
    /// A line without the form of an option; it is not shown.
    #[error("a line that is no option")]
    NoOption,
    /// A key that is known, in a place where it does nothing.
    #[error("the key has no effect here")]
    WrongPlace,
    /// A key with an older name.
    #[error("an older name of `{name}`")]
    OlderName {
        /// Today's name.
        name: &'static str,
    },
    /// The same setting under an older and today's name.
    #[error("overridden by `{by}`, today's name of the same setting")]
    OlderNameOverridden {
        /// The key that wins.
        by: String,
    },
    /// A key that stands in the file more than once.
    #[error("overridden by line {by_line}: the same key again")]
    Repeated {
        /// The line that wins.
        by_line: usize,
    },
    /// Keys that mean nothing to kmirror.
    #[error("ignored: {reason}")]
    Ignored {
        /// Why.
        reason: &'static str,
    },
    /// A cluster without a flow cannot be given heartbeats.
    #[error("no heartbeats are written to {cluster}: {why}")]
    NoHeartbeats {
        /// The cluster's alias.
        cluster: String,
        /// Why.
        why: String,
    },
    /// The chosen clusters are no flow's target.
    #[error("no enabled flow writes to the clusters of `--clusters`: only heartbeats are written there")]
    HeartbeatsOnly,
    /// MirrorMaker 2 would not have read it.
    #[error("taken, though MirrorMaker 2 would ignore it here")]
    BeyondMirrorMaker,
    /// A value that was cut to what the memory budget allows.
    #[error("{key} is {asked} and is held to {used} by the memory budget")]
    HeldToBudget {
        /// The key.
        key: &'static str,
        /// What was asked for.
        asked: i32,
        /// What is used.
        used: i32,
    },
    /// Quotes belong to the value.
    #[error("the quotes are part of the value, and no topic name has any")]
    QuotedPattern,
    /// A pattern that no topic name can match.
    #[error("`{pattern}` matches no possible topic name")]
    MatchesNothing {
        /// The pattern.
        pattern: String,
    },
    /// Cycles cannot be told from names.
    #[error("the alias `{alias}` contains the separator `{separator}`")]
    SeparatorInAlias {
        /// The alias.
        alias: String,
        /// The separator.
        separator: String,
    },
    /// Flows that might form a loop, which only the topics can tell.
    #[error("{}", possible_loop_text(.path))]
    PossibleLoop {
        /// The aliases on the way, the first one again at the end.
        path: Vec<String>,
    },
    /// Two aliases with a bootstrap server in common and no flow between them.
    #[error("`{first}` and `{second}` have the bootstrap server {server} in common")]
    SharedServer {
        /// One alias.
        first: String,
        /// The other.
        second: String,
        /// The address.
        server: String,
    },
    /// What would be an error, had the operator not said that it is meant.
    #[error("allowed by the operator: {problem}")]
    Allowed {
        /// The error it would be.
        problem: Box<Problem>,
    },
    /// A value from a configuration provider that is odd; it is not shown.
    #[error("what {variables} stands for is odd here")]
    OddSupply {
        /// The variables in the value.
        variables: String,
    },
    /// How connections are secured, or are not.
    #[error("{0}")]
    Security(#[from] SecurityNotice),
    /// `A -> B.topics`: to Java the key ends at the first blank.
    #[error("taken for a flow's key; MirrorMaker 2 would take only what is before the blank for the key")]
    SpacedArrow,
}

fn possible_loop_text(path: &[String]) -> String {
    format!(
        "these flows may form a loop: {}. Whether a topic goes round depends on the topics",
        path.join(" -> ")
    )
}

impl Notice {
    fn severity(&self) -> Severity {
        match self {
            Self::OlderName { .. }
            | Self::Ignored { .. }
            | Self::BeyondMirrorMaker
            | Self::SpacedArrow
            | Self::Security(SecurityNotice::TrustStoreOfJava { .. })
            | Self::HeldToBudget { .. } => Severity::Info,
            Self::UnknownKey
            | Self::NoOption
            | Self::WrongPlace
            | Self::OlderNameOverridden { .. }
            | Self::Repeated { .. }
            | Self::QuotedPattern
            | Self::MatchesNothing { .. }
            | Self::SeparatorInAlias { .. }
            | Self::PossibleLoop { .. }
            | Self::SharedServer { .. }
            | Self::NoHeartbeats { .. }
            | Self::HeartbeatsOnly
            | Self::OddSupply { .. }
            | Self::Security(_)
            | Self::Allowed { .. } => Severity::Warning,
        }
    }
}
