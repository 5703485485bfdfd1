//! The walk over the records of a batch, without building objects: what re-encoding and reading have in common.
//!
//! Compressed payloads are walked piece by piece as they are decompressed. Only what tells one record from the next is
//! looked at; key, value and headers stay in one piece.

use super::varint::{VARINT_LEN_MAX, take_varint, take_varlong};
use super::{Limits, RecordError};
use crate::wire::batch::{BATCH_HEADER_LEN, Batch, BatchHeader, Codec, Entry, TimestampType};
use crate::wire::compress::Decompressor;
use crate::wire::legacy;

/// A record as it was met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawRecord<'a> {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) timestamp_type: TimestampType,
    /// The attributes byte, of which no bit has a meaning yet.
    pub(crate) attributes: u8,
    pub(crate) body: Body<'a>,
}

/// Key, value and headers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// In the encoding of magic 2, from the key's length to the last header.
    Encoded(&'a [u8]),
    /// Of magic 0 and 1: no headers.
    Plain { key: Option<&'a [u8]>, value: Option<&'a [u8]> },
}

/// Hands every record of `entry` to `sink`, in order, once its checksums are verified.
pub(crate) fn walk(
    entry: &Entry,
    limits: &Limits,
    decompressor: &mut Decompressor,
    sink: &mut impl FnMut(RawRecord<'_>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    match entry {
        Entry::Batch(batch) => walk_batch(batch, limits, decompressor, sink),
        Entry::Legacy(set) => legacy::walk(set, limits, decompressor, sink),
    }
}

fn walk_batch(
    batch: &Batch,
    limits: &Limits,
    decompressor: &mut Decompressor,
    sink: &mut impl FnMut(RawRecord<'_>) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let header = &batch.header;
    let (first_offset, last_offset) = (header.base_offset, header.last_offset());
    if !batch.verify_crc() {
        return Err(RecordError::Checksum { first_offset, last_offset });
    }
    let codec = header.codec().map_err(RecordError::Header)?;
    let mut payload = &batch.bytes()[BATCH_HEADER_LEN..];
    let mut walk = Walk::new(header);
    if codec == Codec::None {
        let walked = walk.run(payload, sink)?;
        return walk.end(payload.len() - walked);
    }
    let failed = |source| RecordError::Decompress { first_offset, last_offset, source };
    decompressor.start(codec, limits.max_decompressed_bytes).map_err(failed)?;
    while decompressor.fill(&mut payload).map_err(failed)? {
        let walked = walk.run(decompressor.unread(), sink)?;
        decompressor.consume(walked);
    }
    walk.end(decompressor.unread().len())
}

/// Where the walk over one batch is.
struct Walk<'a> {
    header: &'a BatchHeader,
    timestamp_type: TimestampType,
    /// Records not met yet.
    remaining: i32,
    /// The least offset delta the next record can have.
    next_delta: i32,
}

/// Why the walk stopped in front of a record.
enum Stop {
    /// It goes on behind the bytes at hand.
    BreaksOff,
    Malformed(&'static str),
}

impl<'a> Walk<'a> {
    fn new(header: &'a BatchHeader) -> Self {
        Self {
            header,
            timestamp_type: header.timestamp_type(),
            remaining: header.record_count,
            next_delta: 0,
        }
    }

    /// Hands over the records that lie wholly in `chunk`; returns the bytes they take.
    fn run(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(RawRecord<'_>) -> Result<(), RecordError>,
    ) -> Result<usize, RecordError> {
        let mut rest = chunk;
        while self.remaining > 0 {
            let mut ahead = rest;
            match self.record(&mut ahead) {
                Ok(record) => sink(record)?,
                Err(Stop::BreaksOff) => break,
                Err(Stop::Malformed(what)) => return Err(self.malformed(what)),
            }
            self.remaining -= 1;
            rest = ahead;
        }
        Ok(chunk.len() - rest.len())
    }

    #[inline]
    fn record<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<RawRecord<'b>, Stop> {
        let at_hand = bytes.len();
        let Some(length) = take_varint(bytes) else {
            let breaks_off = at_hand < VARINT_LEN_MAX;
            return Err(if breaks_off {
                Stop::BreaksOff
            } else {
                Stop::Malformed("a record's length is no number")
            });
        };
        let length = usize::try_from(length).map_err(|_| Stop::Malformed("a record's length is negative"))?;
        let (mut fields, rest) = bytes.split_at_checked(length).ok_or(Stop::BreaksOff)?;
        *bytes = rest;
        self.fields(&mut fields).ok_or(Stop::Malformed("a record is shorter than its fields"))?
    }

    #[inline]
    fn fields<'b>(&mut self, fields: &mut &'b [u8]) -> Option<Result<RawRecord<'b>, Stop>> {
        let (&attributes, rest) = fields.split_first()?;
        *fields = rest;
        let timestamp_delta = take_varlong(fields)?;
        let offset_delta = take_varint(fields)?;
        if offset_delta < self.next_delta || offset_delta > self.header.last_offset_delta {
            return Some(Err(Stop::Malformed("a record's offset is out of order or outside its batch")));
        }
        self.next_delta = offset_delta.saturating_add(1);
        Some(Ok(RawRecord {
            offset: self.header.base_offset + i64::from(offset_delta),
            timestamp: match self.timestamp_type {
                // Java's sum wraps, too.
                TimestampType::Create => self.header.base_timestamp.wrapping_add(timestamp_delta),
                TimestampType::LogAppend => self.header.max_timestamp,
            },
            timestamp_type: self.timestamp_type,
            attributes,
            body: Body::Encoded(fields),
        }))
    }

    fn end(&self, left_over: usize) -> Result<(), RecordError> {
        match (self.remaining, left_over) {
            (0, 0) => Ok(()),
            (0, _) => Err(self.malformed("there are bytes behind its last record")),
            (_, 0) => Err(self.malformed("it has fewer records than its header says")),
            (_, _) => Err(self.malformed("a record breaks off")),
        }
    }

    fn malformed(&self, what: &'static str) -> RecordError {
        let (first_offset, last_offset) = (self.header.base_offset, self.header.last_offset());
        RecordError::Malformed { first_offset, last_offset, what }
    }
}
