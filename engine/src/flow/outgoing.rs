//! What waits to be sent of a partition. Knows nothing of when it is.

use bytes::Bytes;
use kmirror_protocol::wire::batch::{BATCH_HEADER_LEN, Batch, BatchHeader};
use kmirror_protocol::wire::reencode::Encoded;

use super::rewrite::Refused;
use crate::ids::SourceOffset;
use crate::offsets::stretch::Runs;

/// Something to be sent, or passed over, in log order.
#[derive(Debug)]
pub(crate) enum Queued {
    Batch(Outgoing),
    /// A single record that the target does not take.
    SetAside(Outgoing, Refused),
    Skip(SourceOffset),
}

/// A batch ready for the target, up to its producer fields.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) header: BatchHeader,
    pub(crate) payload: Bytes,
    /// The source offsets of its records.
    pub(crate) runs: Runs,
    /// It covers source offsets from here...
    pub(crate) first: SourceOffset,
    /// ... to here.
    pub(crate) next: SourceOffset,
}

impl Outgoing {
    pub(crate) fn forward(batch: &Batch) -> Self {
        Self {
            runs: Runs::dense(SourceOffset(batch.header.base_offset)),
            first: SourceOffset(batch.header.base_offset),
            next: SourceOffset(batch.header.next_offset()),
            payload: batch.payload(),
            header: batch.header,
        }
    }

    pub(crate) fn encoded(encoded: Encoded) -> Self {
        Self {
            runs: Runs {
                first_record: SourceOffset(encoded.first_record),
                breaks: encoded
                    .breaks
                    .into_iter()
                    .map(|(offset, place)| (SourceOffset(offset), place))
                    .collect(),
            },
            first: SourceOffset(encoded.first_offset),
            next: SourceOffset(encoded.last_offset + 1),
            payload: encoded.payload,
            header: encoded.header,
        }
    }

    /// Bytes of the batch on the wire.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + BATCH_HEADER_LEN
    }
}
