//! Records into batches of a shape.

use bytes::Bytes;

use super::{Encoded, Shape};
use crate::wire::batch::{BATCH_HEADER_LEN, BatchHeader, Codec, Stamp};
use crate::wire::compress::Compressor;
use crate::wire::record::RecordError;
use crate::wire::record::varint::{field_len, put_field, put_varint, varint_len};
use crate::wire::record::walk::{Body, RawRecord};

/// What `batch_length` counts of the header.
const COUNTED_HEADER_LEN: usize = 49;

/// Uncompressed bytes that one batch may collect, however well they compress: consumers hold a batch in memory.
const RAW_BYTES_MAX: usize = 16 << 20;

/// Least bytes worth bringing out of the compressor to learn their true size where the bound on it does not fit: smaller
/// pieces compress badly.
const FLUSH_LEN_MIN: usize = 8 * 1024;

/// The timestamp of a record that has none.
const NO_TIMESTAMP: i64 = -1;

/// Length, attributes, and the two deltas of a record.
const HEAD_LEN_MAX: usize = 5 + 1 + 10 + 5;

/// Where payloads get their memory. Many are alive at once, made on one thread and dropped on another: who knows
/// their sizes and lives can spare the allocator that.
pub trait Buffers: std::fmt::Debug + Send {
    /// An empty buffer with room for `len` bytes.
    fn empty(&mut self, len: usize) -> Vec<u8>;

    /// A buffer that is filled and will not change.
    fn filled(&mut self, bytes: Vec<u8>) -> Bytes;
}

/// Every payload its own allocation.
#[derive(Debug)]
pub(crate) struct Heap;

impl Buffers for Heap {
    fn empty(&mut self, len: usize) -> Vec<u8> {
        Vec::with_capacity(len)
    }

    fn filled(&mut self, bytes: Vec<u8>) -> Bytes {
        Bytes::from(bytes)
    }
}

/// Builds one batch after the other out of records in order.
#[derive(Debug)]
pub(crate) struct BatchWriter {
    shape: Shape,
    raw_bytes_max: usize,
    compressor: Compressor,
    buffers: Box<dyn Buffers>,
    /// Uncompressed records not yet with the compressor.
    raw: Vec<u8>,
    /// Finished payload of the batch in the making.
    payload: Vec<u8>,
    /// A guess at the bytes of this batch and those to come.
    size_ahead: usize,
    /// Uncompressed bytes of the batch in the making.
    raw_bytes: usize,
    records: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    first_offset: i64,
    first_record: i64,
    last_offset: i64,
    /// Records of the batch in the making that do not follow on the one before them.
    breaks: Vec<(i64, i32)>,
    /// The batch in the making holds one record that is to stay alone.
    untimely: bool,
    batches: Vec<Encoded>,
}

impl Default for BatchWriter {
    fn default() -> Self {
        Self {
            shape: Shape { codec: Codec::None, level: None, max_batch_bytes: 0, timestamps: None },
            raw_bytes_max: RAW_BYTES_MAX,
            compressor: Compressor::default(),
            buffers: Box::new(Heap),
            raw: Vec::new(),
            payload: Vec::new(),
            size_ahead: 0,
            raw_bytes: 0,
            records: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            first_offset: 0,
            first_record: 0,
            last_offset: 0,
            breaks: Vec::new(),
            untimely: false,
            batches: Vec::new(),
        }
    }
}

impl BatchWriter {
    pub(crate) fn with_buffers(buffers: Box<dyn Buffers>) -> Self {
        Self { buffers, ..Self::default() }
    }

    /// Begins the first batch, which covers offsets from `first_offset`. `size` is a guess at the bytes of all batches.
    pub(crate) fn start(&mut self, shape: &Shape, size: usize, first_offset: i64) -> Result<(), RecordError> {
        self.shape = *shape;
        self.raw_bytes_max = RAW_BYTES_MAX;
        self.size_ahead = size;
        self.first_offset = first_offset;
        self.batches.clear();
        self.begin()
    }

    /// Begins a batch that is never split, covering offsets from 0.
    pub(crate) fn start_unsplit(&mut self, shape: &Shape) -> Result<(), RecordError> {
        self.start(shape, 0, 0)?;
        self.raw_bytes_max = usize::MAX;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), RecordError> {
        self.raw.clear();
        self.payload.clear();
        if self.shape.codec == Codec::None {
            self.payload = self.buffers.empty(self.size_ahead.min(self.shape.max_batch_bytes));
        }
        (self.raw_bytes, self.records) = (0, 0);
        self.breaks.clear();
        self.compressor
            .start(self.shape.codec, self.shape.level, &mut self.payload)
            .map_err(RecordError::Compress)
    }

    /// Adds a record, in a new batch when it does not fit into this one.
    #[inline]
    pub(crate) fn push(&mut self, record: RawRecord<'_>) -> Result<(), RecordError> {
        let body_len = body_len(record.body);
        // The longest head there is: a few bytes at the end of a batch are not worth encoding it twice.
        let untimely = self.is_untimely(record.timestamp);
        let alone = untimely || self.untimely;
        if self.records > 0 && (alone || !self.has_room(HEAD_LEN_MAX.saturating_add(body_len))?) {
            self.close()?;
            self.begin()?;
        }
        if self.records == 0 {
            self.base_timestamp = record.timestamp;
            self.max_timestamp = record.timestamp;
            self.first_record = record.offset;
            self.first_offset = self.first_offset.min(record.offset);
        } else if record.offset != self.last_offset.wrapping_add(1) {
            self.breaks.push((record.offset, self.records));
        }
        self.untimely = untimely;
        self.write(record, body_len)?;
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.last_offset = record.offset;
        self.records += 1;
        Ok(())
    }

    fn is_untimely(&self, timestamp: i64) -> bool {
        let (earliest, latest) = self.shape.timestamps.unwrap_or((i64::MIN, i64::MAX));
        timestamp != NO_TIMESTAMP && !(earliest..=latest).contains(&timestamp)
    }

    fn write(&mut self, record: RawRecord<'_>, body_len: usize) -> Result<(), RecordError> {
        let timestamp_delta = record.timestamp.wrapping_sub(self.base_timestamp);
        let offset_delta = self.records.into();
        let bytes = (1 + varint_len(timestamp_delta) + varint_len(offset_delta)).saturating_add(body_len);
        let length = i32::try_from(bytes).map_err(|_| RecordError::TooLarge { bytes })?;
        let uncompressed = self.shape.codec == Codec::None;
        let out = if uncompressed { &mut self.payload } else { &mut self.raw };
        put_varint(length.into(), out);
        out.push(record.attributes);
        put_varint(timestamp_delta, out);
        put_varint(offset_delta, out);
        match record.body {
            Body::Encoded(body) => out.extend_from_slice(body),
            Body::Plain { key, value } => {
                put_field(key, out);
                put_field(value, out);
                // No headers.
                out.push(0);
            }
        }
        self.raw_bytes += varint_len(length.into()) + bytes;
        if !uncompressed && self.raw.len() >= self.compressor.block_len() {
            self.compressor.take_blocks(&mut self.raw, &mut self.payload).map_err(RecordError::Compress)?;
        }
        Ok(())
    }

    /// Whether `len` more uncompressed bytes are sure to fit into the batch.
    #[inline]
    fn has_room(&mut self, len: usize) -> Result<bool, RecordError> {
        if self.raw_bytes.saturating_add(len) > self.raw_bytes_max {
            return Ok(false);
        }
        if self.bound(len) <= self.shape.max_batch_bytes {
            return Ok(true);
        }
        // What is still with the compressor counts as incompressible: bring it out and look again.
        if self.compressor.held() + self.raw.len() < FLUSH_LEN_MIN {
            return Ok(false);
        }
        self.compressor.flush(&mut self.raw, &mut self.payload).map_err(RecordError::Compress)?;
        Ok(self.bound(len) <= self.shape.max_batch_bytes)
    }

    /// The most bytes the batch can end with when `len` more uncompressed bytes join it.
    #[inline]
    fn bound(&self, len: usize) -> usize {
        let pending = self.compressor.bound(self.raw.len().saturating_add(len));
        BATCH_HEADER_LEN.saturating_add(self.payload.len()).saturating_add(pending)
    }

    /// Ends the last batch and hands all of them over.
    pub(crate) fn finish(&mut self) -> Result<Vec<Encoded>, RecordError> {
        if self.records > 0 {
            self.close()?;
        }
        Ok(std::mem::take(&mut self.batches))
    }

    fn close(&mut self) -> Result<(), RecordError> {
        self.compressor.finish(&mut self.raw, &mut self.payload).map_err(RecordError::Compress)?;
        // Compressed payloads are copied out: their size was not known before, and the buffer stays.
        let payload = match self.shape.codec {
            Codec::None => self.buffers.filled(std::mem::take(&mut self.payload)),
            _ => {
                let mut bytes = self.buffers.empty(self.payload.len());
                bytes.extend_from_slice(&self.payload);
                self.buffers.filled(bytes)
            }
        };
        self.size_ahead = self.size_ahead.saturating_sub(payload.len());
        let bytes = COUNTED_HEADER_LEN.saturating_add(payload.len());
        let header = BatchHeader {
            base_offset: 0,
            batch_length: i32::try_from(bytes).map_err(|_| RecordError::TooLarge { bytes })?,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: self.shape.codec.bits(),
            last_offset_delta: self.records - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: Stamp::NONE.producer_id,
            producer_epoch: Stamp::NONE.producer_epoch,
            base_sequence: Stamp::NONE.base_sequence,
            record_count: self.records,
        }
        .with_crc_over(&payload);
        let (first_offset, last_offset) = (self.first_offset, self.last_offset);
        let (first_record, untimely) = (self.first_record, std::mem::take(&mut self.untimely));
        let breaks = std::mem::take(&mut self.breaks);
        let encoded = Encoded { header, payload, first_record, first_offset, last_offset, breaks, untimely };
        self.batches.push(encoded);
        self.first_offset = last_offset.saturating_add(1);
        Ok(())
    }
}

fn body_len(body: Body<'_>) -> usize {
    match body {
        Body::Encoded(body) => body.len(),
        Body::Plain { key, value } => field_len(key).saturating_add(field_len(value)).saturating_add(1),
    }
}
