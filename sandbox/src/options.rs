//! What a sandbox is made of. Knows nothing of how it is built from this.

use std::time::Duration;

use kafka_protocol::messages::ApiKey;

/// How a [`Sandbox`](crate::Sandbox) is set up. The defaults are those of a Kafka broker where Kafka has the setting.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Number of brokers. Their ids are 1, 2, and so on.
    pub brokers: u16,
    /// The cluster's id; `None` makes up one that no other sandbox has.
    pub cluster_id: Option<String>,
    /// Partitions of a topic that is created without a number (`num.partitions`).
    pub default_partitions: i32,
    /// Replicas of a partition when none are asked for (`default.replication.factor`); at most the number of brokers.
    pub default_replication_factor: i16,
    /// Whether asking for the metadata of an unknown topic creates it (`auto.create.topics.enable`).
    pub auto_create: bool,
    /// The racks of the brokers, in the order of their ids and from the start again when there are fewer racks.
    pub racks: Vec<String>,
    /// Whether consumers are sent to the replica in their rack (KIP-392, `RackAwareReplicaSelector`).
    pub closest_replica: bool,
    /// Bytes of record batches held by the whole cluster.
    pub memory_bytes: usize,
    /// What happens to an append that would go over [`memory_bytes`](Self::memory_bytes).
    pub when_full: WhenFull,
    /// Largest request frame that is read (`socket.request.max.bytes`); a larger one closes its connection.
    pub max_frame_bytes: usize,
    /// Look at every record of a produced batch, as a broker does: without it compressed batches are not opened, and a
    /// header that is wrong about its records, or a record without a key in a compacted topic, is not noticed.
    pub inspect_records: bool,
    /// Cut a Fetch answer where the bytes asked for end, in the middle of a batch, as a broker does when it sends a slice
    /// of a file. Otherwise answers end with a whole batch.
    pub torn_batches: bool,
    /// Close the connection when bytes are left behind a request, which a broker does not notice.
    pub strict_frames: bool,
    /// How long the first join of an empty group waits for others (`group.initial.rebalance.delay.ms`; a broker waits
    /// three seconds, here it is nothing).
    pub group_initial_delay: Duration,
    /// Least session timeout of a group member (`group.min.session.timeout.ms`).
    pub group_min_session_timeout: Duration,
    /// Other versions of an API than the sandbox advertises by itself, those of Kafka 3.9: (API, lowest, highest), cut to
    /// what is implemented. An API with a highest version below its lowest is not offered at all.
    pub versions: Vec<(ApiKey, i16, i16)>,
    /// What topic ids and the like follow from; `None`: others each time.
    pub seed: Option<u64>,
}

/// What to do when the memory of a sandbox is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest batches of the largest partition go, as by retention.
    DropOldest,
    /// The append is answered with `KAFKA_STORAGE_ERROR`, as by a broker whose disk is full.
    Refuse,
}

/// Memory a sandbox may take for batches unless told otherwise: 512 MiB.
const DEFAULT_MEMORY_BYTES: usize = 512 << 20;

/// `socket.request.max.bytes` of a broker.
const DEFAULT_MAX_FRAME_BYTES: usize = 100 << 20;

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            brokers: 1,
            cluster_id: None,
            default_partitions: 1,
            default_replication_factor: 1,
            auto_create: true,
            racks: Vec::new(),
            closest_replica: false,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            when_full: WhenFull::DropOldest,
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
            inspect_records: true,
            torn_batches: false,
            strict_frames: false,
            group_initial_delay: Duration::ZERO,
            group_min_session_timeout: Duration::from_secs(6),
            versions: Vec::new(),
            seed: None,
        }
    }
}
