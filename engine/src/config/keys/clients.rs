//! The rows of Kafka's consumer, producer and admin client.

use super::Kind::{Choice, Int, Text};
use super::Scope::Client;
use super::{Kind, Opt, Role, Scope, ignored};

const ANY: Scope = Client(&Role::ALL);
const CONSUMER: Scope = Client(&[Role::Consumer]);
const PRODUCER: Scope = Client(&[Role::Producer]);
const MILLIS: Kind = Int { min: 0, max: i32::MAX as i64 };
const SOME_MILLIS: Kind = Int { min: 1, max: i32::MAX as i64 };
const BUFFER: Kind = Int { min: -1, max: 1 << 30 };

/// The client's name.
pub static CLIENT_ID: Opt = Opt::used(
    "client.id",
    ANY,
    Text,
    "",
    "A name for the client; flow and role are put behind it, as MirrorMaker 2 does.",
);
/// One request.
pub static REQUEST_TIMEOUT: Opt =
    Opt::used("request.timeout.ms", ANY, SOME_MILLIS, "30000", "How long an answer may take.");
/// First connection attempt.
pub static CONNECT_TIMEOUT: Opt = Opt::used(
    "socket.connection.setup.timeout.ms",
    ANY,
    SOME_MILLIS,
    "10000",
    "How long connecting may take.",
)
.since("2.7");
/// First pause before connecting again.
pub static RECONNECT_BACKOFF: Opt =
    Opt::used("reconnect.backoff.ms", ANY, MILLIS, "50", "The first pause before connecting again.");
/// Longest.
pub static RECONNECT_BACKOFF_MAX: Opt =
    Opt::used("reconnect.backoff.max.ms", ANY, MILLIS, "1000", "The longest pause before connecting again.");
/// First pause before asking again.
pub static RETRY_BACKOFF: Opt =
    Opt::used("retry.backoff.ms", ANY, MILLIS, "100", "The first pause before asking again.");
/// Longest.
pub static RETRY_BACKOFF_MAX: Opt =
    Opt::used("retry.backoff.max.ms", ANY, MILLIS, "1000", "The longest pause before asking again.")
        .since("3.7");
/// Refresh of metadata.
pub static METADATA_MAX_AGE: Opt = Opt::used(
    "metadata.max.age.ms",
    ANY,
    MILLIS,
    "300000",
    "After how long brokers and leaders are asked for, even if nothing failed.",
);
/// Idle connections.
pub static CONNECTIONS_MAX_IDLE: Opt = Opt::used(
    "connections.max.idle.ms",
    ANY,
    Int { min: -1, max: i64::MAX },
    "540000",
    "After how long an idle connection is closed; -1 never.",
);
/// Socket buffer.
pub static SEND_BUFFER: Opt = Opt::used(
    "send.buffer.bytes",
    ANY,
    BUFFER,
    "-1",
    "The socket's send buffer; -1 leaves it to the operating system, which is kmirror's default because it adapts.",
);
/// Socket buffer.
pub static RECEIVE_BUFFER: Opt = Opt::used(
    "receive.buffer.bytes",
    ANY,
    BUFFER,
    "-1",
    "The socket's receive buffer; -1 leaves it to the operating system, which is kmirror's default because it adapts.",
);

/// Where to begin.
pub static AUTO_OFFSET_RESET: Opt = Opt::used(
    "auto.offset.reset",
    CONSUMER,
    Choice(&["earliest", "latest"]),
    "earliest",
    "Where a partition without progress begins: with its oldest record, or the next to be written.",
);
/// Transactions.
pub static ISOLATION_LEVEL: Opt = Opt::used(
    "isolation.level",
    CONSUMER,
    Choice(&["read_uncommitted", "read_committed"]),
    "read_uncommitted",
    "Whether records of aborted transactions are mirrored.",
);
/// Longest wait of a fetch.
pub static FETCH_MAX_WAIT: Opt = Opt::used(
    "fetch.max.wait.ms",
    CONSUMER,
    MILLIS,
    "500",
    "How long a broker may hold a fetch for which it has no records.",
);
/// Least of a fetch.
pub static FETCH_MIN_BYTES: Opt = Opt::used(
    "fetch.min.bytes",
    CONSUMER,
    Int { min: 0, max: i32::MAX as i64 },
    "1",
    "How many bytes a broker should collect before it answers a fetch.",
);
/// Most of a fetch.
pub static FETCH_MAX_BYTES: Opt = Opt::used(
    "fetch.max.bytes",
    CONSUMER,
    Int { min: 1, max: i32::MAX as i64 },
    "4194304",
    "How many bytes one fetch may bring (Kafka's default is 50 MiB); no more than a quarter of \
     `kmirror.buffer.memory` is used. Where it is not set, and full answers take more than 100 ms, fetches grow as \
     long as that brings more in the same time, up to half of that memory.",
);
/// Most of a partition.
pub static MAX_PARTITION_FETCH_BYTES: Opt = Opt::used(
    "max.partition.fetch.bytes",
    CONSUMER,
    Int { min: 1, max: i32::MAX as i64 },
    "1048576",
    "How many bytes of one partition one fetch may bring; a larger batch comes all the same.",
);
/// Rack.
pub static CLIENT_RACK: Opt = Opt::used(
    "client.rack",
    CONSUMER,
    Text,
    "",
    "The rack kmirror runs in, to fetch from a replica nearby (KIP-392).",
);

/// Acknowledgements.
pub static ACKS: Opt = Opt::used(
    "acks",
    PRODUCER,
    Choice(&["all", "-1", "1", "0"]),
    "all",
    "Whose acknowledgement counts: all in-sync replicas' or the leader's; 0 is refused, since progress would be a guess.",
);
/// Pipelining.
pub static MAX_IN_FLIGHT: Opt = Opt::used(
    "max.in.flight.requests.per.connection",
    PRODUCER,
    Int { min: 1, max: 1000 },
    "20",
    "Requests under way at once on a connection. More than Kafka's five is safe here: order and exactness do not rest \
     on the broker's memory of the last five batches.",
);
/// Size of a request.
pub static MAX_REQUEST_SIZE: Opt = Opt::used(
    "max.request.size",
    PRODUCER,
    Int { min: 1, max: i32::MAX as i64 },
    "1048576",
    "Up to how many bytes batches are put together in one request; a larger batch goes alone.",
);

const COMMITS: &str = "progress is kept on the target, not in a consumer group";
const POLLS: &str = "kmirror does not poll records one by one; memory is bounded by kmirror.buffer.memory";
const CLASSES: &str = "kmirror copies bytes and runs no Java class";
const METRICS: &str = "kmirror has no Java metrics";
const CODEC: &str = "batches keep the codec they have at the source";
const RETRIES: &str = "what can be retried is retried until it succeeds";
const REBOOTSTRAP: &str = "when no known broker answers, the bootstrap servers are asked again in any case";
const PARTITIONS: &str = "records keep their partitions";
const TRANSACTIONS: &str =
    "with exactly.once.source.support=enabled each process has a transactional id of its own";

/// Keys of Kafka's clients that mean nothing here.
static WITHOUT_MEANING: &[Opt] = &[
    ignored("group.id", CONSUMER, COMMITS),
    ignored("group.instance.id", CONSUMER, COMMITS),
    ignored("group.protocol", CONSUMER, COMMITS),
    ignored("group.remote.assignor", CONSUMER, COMMITS),
    ignored("enable.auto.commit", CONSUMER, COMMITS),
    ignored("auto.commit.interval.ms", CONSUMER, COMMITS),
    ignored("heartbeat.interval.ms", CONSUMER, COMMITS),
    ignored("session.timeout.ms", CONSUMER, COMMITS),
    ignored("partition.assignment.strategy", CONSUMER, COMMITS),
    ignored("max.poll.interval.ms", CONSUMER, POLLS),
    ignored("max.poll.records", CONSUMER, POLLS),
    ignored("exclude.internal.topics", CONSUMER, "internal topics are never mirrored"),
    ignored("allow.auto.create.topics", CONSUMER, "no topic is created at the source"),
    ignored("key.deserializer", CONSUMER, CLASSES),
    ignored("value.deserializer", CONSUMER, CLASSES),
    ignored("share.*", CONSUMER, "kmirror uses no share groups"),
    ignored("internal.leave.group.on.close", CONSUMER, COMMITS),
    ignored("internal.throw.on.fetch.stable.offset.unsupported", CONSUMER, COMMITS),
    ignored(
        "check.crcs",
        CONSUMER,
        "the target's broker verifies what is forwarded, kmirror what it re-encodes",
    ),
    ignored("compression.type", PRODUCER, CODEC),
    ignored("compression.gzip.level", PRODUCER, CODEC),
    ignored("compression.lz4.level", PRODUCER, CODEC),
    ignored("compression.zstd.level", PRODUCER, CODEC),
    ignored("batch.size", PRODUCER, "batches stay as they are; small ones that had to wait are merged"),
    ignored("delivery.timeout.ms", PRODUCER, RETRIES),
    ignored("enable.idempotence", PRODUCER, "kmirror always produces idempotently: its restarts rest on it"),
    ignored("linger.ms", PRODUCER, "a record that can go is never held back"),
    ignored("buffer.memory", PRODUCER, "memory is bounded by kmirror.buffer.memory, for the whole process"),
    ignored("max.block.ms", PRODUCER, "when memory is used up, fetching waits"),
    ignored("metadata.max.idle.ms", PRODUCER, "metadata is kept for the topics that are mirrored"),
    ignored("partitioner.*", PRODUCER, PARTITIONS),
    ignored("key.serializer", PRODUCER, CLASSES),
    ignored("value.serializer", PRODUCER, CLASSES),
    ignored("transactional.id", PRODUCER, TRANSACTIONS),
    ignored("transaction.two.phase.commit.enable", PRODUCER, TRANSACTIONS),
    ignored("internal.auto.downgrade.txn.commit", PRODUCER, TRANSACTIONS),
    ignored("client.dns.lookup", ANY, "every address of a name is tried"),
    ignored(
        "socket.connection.setup.timeout.max.ms",
        ANY,
        "every attempt to connect has the time of socket.connection.setup.timeout.ms",
    ),
    ignored("retries", ANY, RETRIES),
    ignored("default.api.timeout.ms", ANY, RETRIES),
    ignored("bootstrap.controllers", ANY, "kmirror asks brokers, not controllers"),
    ignored("metadata.recovery.*", ANY, REBOOTSTRAP),
    ignored("interceptor.classes", ANY, CLASSES),
    ignored("metric.reporters", ANY, METRICS),
    ignored("metrics.*", ANY, METRICS),
    ignored("auto.include.jmx.reporter", ANY, METRICS),
    ignored("enable.metrics.push", ANY, "no client telemetry is sent to brokers"),
    ignored("config.providers", ANY, "the providers that stand on their own count for all values"),
];

/// The rows of this file, those that have their effect first.
pub(super) fn clients_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 21] = [
        &AUTO_OFFSET_RESET,
        &ISOLATION_LEVEL,
        &FETCH_MAX_BYTES,
        &MAX_PARTITION_FETCH_BYTES,
        &FETCH_MIN_BYTES,
        &FETCH_MAX_WAIT,
        &CLIENT_RACK,
        &ACKS,
        &MAX_IN_FLIGHT,
        &MAX_REQUEST_SIZE,
        &CLIENT_ID,
        &REQUEST_TIMEOUT,
        &CONNECT_TIMEOUT,
        &RECONNECT_BACKOFF,
        &RECONNECT_BACKOFF_MAX,
        &RETRY_BACKOFF,
        &RETRY_BACKOFF_MAX,
        &METADATA_MAX_AGE,
        &CONNECTIONS_MAX_IDLE,
        &SEND_BUFFER,
        &RECEIVE_BUFFER,
    ];
    used.into_iter().chain(WITHOUT_MEANING)
}
