//! The bytes of a Fetch answer. Written by hand, because kafka-protocol's encoder copies the records: here they are only
//! pointed to. The tests hold it against kafka-protocol's decoder.

use bytes::{BufMut, Bytes, BytesMut};

use super::read::PartitionRead;
use super::{SESSION_FROM_VERSION, TOPIC_ID_FROM_VERSION};
use crate::chunks::ChunkWriter;
use crate::state::Cluster;
use crate::state::sessions::TopicRef;

/// First version with compact lengths and tagged fields.
const FLEXIBLE_FROM_VERSION: i16 = 12;
const LOG_START_FROM_VERSION: i16 = 5;
const PREFERRED_REPLICA_FROM_VERSION: i16 = 11;
const ENDPOINTS_FROM_VERSION: i16 = 16;

/// Tags of a partition's optional fields.
const DIVERGING_EPOCH_TAG: u32 = 0;
const CURRENT_LEADER_TAG: u32 = 1;
const LEADER_TAG_LEN: u32 = 9;
const DIVERGING_TAG_LEN: u32 = 13;

/// An answer that failed as a whole.
pub(super) fn failed(version: i16, code: i16) -> Vec<Bytes> {
    let mut out = Writer::new(version);
    out.opening(code, 0);
    out.length(Some(0));
    out.no_tags();
    out.chunks.finish()
}

/// The answer about these partitions.
pub(super) fn body(
    cluster: &Cluster,
    version: i16,
    session: i32,
    partitions: &[PartitionRead<'_>],
) -> Vec<Bytes> {
    let mut out = Writer::new(version);
    out.opening(0, session);
    // Partitions of a topic in a row share its entry; a topic may come more than once.
    let topics: Vec<_> = partitions.chunk_by(|a, b| a.key.topic == b.key.topic).collect();
    out.length(Some(topics.len()));
    for topic in topics {
        out.topic(&topic[0].key.topic);
        out.length(Some(topic.len()));
        for partition in topic {
            out.partition(partition, cluster.options.torn_batches);
        }
        out.no_tags();
    }
    out.endpoints(cluster, partitions);
    out.chunks.finish()
}

struct Writer {
    version: i16,
    chunks: ChunkWriter,
}

impl Writer {
    fn new(version: i16) -> Self {
        Self { version, chunks: ChunkWriter::default() }
    }

    fn out(&mut self) -> &mut BytesMut {
        self.chunks.tail()
    }

    fn is_flexible(&self) -> bool {
        self.version >= FLEXIBLE_FROM_VERSION
    }

    fn opening(&mut self, code: i16, session: i32) {
        self.out().put_i32(0);
        if self.version >= SESSION_FROM_VERSION {
            self.out().put_i16(code);
            self.out().put_i32(session);
        }
    }

    fn topic(&mut self, topic: &TopicRef) {
        match topic {
            TopicRef::Id(id) if self.version >= TOPIC_ID_FROM_VERSION => self.out().put_slice(id.as_bytes()),
            TopicRef::Id(_) => self.string(""),
            TopicRef::Name(name) => self.string(name),
        }
    }

    fn partition(&mut self, partition: &PartitionRead<'_>, torn: bool) {
        let version = self.version;
        let out = self.out();
        out.put_i32(partition.key.partition);
        out.put_i16(partition.error);
        out.put_i64(partition.high_watermark);
        out.put_i64(partition.last_stable_offset);
        if version >= LOG_START_FROM_VERSION {
            out.put_i64(partition.log_start_offset);
        }
        self.length(partition.aborted.as_ref().map(Vec::len));
        for aborted in partition.aborted.iter().flatten() {
            self.out().put_i64(aborted.producer_id);
            self.out().put_i64(aborted.first_offset);
            self.no_tags();
        }
        if version >= PREFERRED_REPLICA_FROM_VERSION {
            self.out().put_i32(partition.preferred_replica);
        }
        self.records(partition, torn);
        self.partition_tags(partition);
    }

    fn records(&mut self, partition: &PartitionRead<'_>, torn: bool) {
        self.length(Some(partition.records_len));
        if torn {
            let whole: Vec<_> = partition.entries.iter().map(|entry| entry.to_bytes()).collect();
            self.chunks.push(&Bytes::from(whole.concat()).slice(..partition.records_len));
            return;
        }
        for entry in &partition.entries {
            entry.write(&mut self.chunks);
        }
    }

    fn partition_tags(&mut self, partition: &PartitionRead<'_>) {
        if !self.is_flexible() {
            return;
        }
        let tags = usize::from(partition.diverging.is_some()) + usize::from(partition.leader.is_some());
        self.varint(u32::try_from(tags).unwrap_or_default());
        if let Some(end) = partition.diverging {
            self.varint(DIVERGING_EPOCH_TAG);
            self.varint(DIVERGING_TAG_LEN);
            self.out().put_i32(end.epoch);
            self.out().put_i64(end.end_offset);
            self.no_tags();
        }
        if let Some((leader, epoch)) = partition.leader {
            self.varint(CURRENT_LEADER_TAG);
            self.varint(LEADER_TAG_LEN);
            self.out().put_i32(leader);
            self.out().put_i32(epoch);
            self.no_tags();
        }
    }

    /// The addresses of the leaders that partitions tell of, as the only tagged field of the whole answer.
    fn endpoints(&mut self, cluster: &Cluster, partitions: &[PartitionRead<'_>]) {
        let told: Vec<_> =
            partitions.iter().filter_map(|partition| partition.leader).map(|(id, _)| id).collect();
        if self.version < ENDPOINTS_FROM_VERSION || told.is_empty() {
            return self.no_tags();
        }
        let mut field = Self::new(self.version);
        let brokers: Vec<_> = cluster.live_brokers().filter(|(id, _)| told.contains(id)).collect();
        field.length(Some(brokers.len()));
        for (id, broker) in brokers {
            field.out().put_i32(id);
            field.string(&broker.address.ip().to_string());
            field.out().put_i32(broker.address.port().into());
            match &broker.rack {
                Some(rack) => field.string(rack),
                None => field.length(None),
            }
            field.no_tags();
        }
        let field = field.chunks.finish().concat();
        self.varint(1);
        self.varint(0);
        self.varint(u32::try_from(field.len()).unwrap_or(u32::MAX));
        self.out().put_slice(&field);
    }

    /// The length of an array or of bytes, `None` for null.
    fn length(&mut self, len: Option<usize>) {
        let len = len.map(|len| u32::try_from(len).unwrap_or(u32::MAX));
        if self.is_flexible() {
            self.varint(len.map_or(0, |len| len.saturating_add(1)));
        } else {
            self.out().put_i32(len.map_or(-1, |len| i32::try_from(len).unwrap_or(i32::MAX)));
        }
    }

    fn string(&mut self, value: &str) {
        if self.is_flexible() {
            self.length(Some(value.len()));
        } else {
            self.out().put_i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        }
        self.out().put_slice(value.as_bytes());
    }

    fn no_tags(&mut self) {
        if self.is_flexible() {
            self.varint(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out().put_u8(u8::try_from(value & 0x7F).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.out().put_u8(u8::try_from(value).unwrap_or_default());
    }
}
