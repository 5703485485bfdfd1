//! The rewrite of a header: only the fields that are ours change, and the checksum goes with the payload exactly if it
//! did before.
#![no_main]

use kmirror_protocol::wire::batch::{BATCH_HEADER_LEN, BatchHeader, Stamp};
use kmirror_protocol::wire::crc;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((stamp, batch)) = data.split_first_chunk::<14>() else { return };
    let stamp = Stamp {
        producer_id: i64::from_be_bytes(stamp[..8].try_into().unwrap()),
        producer_epoch: i16::from_be_bytes(stamp[8..10].try_into().unwrap()),
        base_sequence: i32::from_be_bytes(stamp[10..].try_into().unwrap()),
        transactional: stamp[0] & 1 == 1,
    };
    let Ok(header) = BatchHeader::parse(batch) else { return };
    let payload = &batch[BATCH_HEADER_LEN..];
    assert_eq!(header.to_bytes(), batch[..BATCH_HEADER_LEN]);
    for header in [header, header.with_crc_over(payload)] {
        let bytes = header.stamped(payload.len(), stamp);
        let stamped = BatchHeader::parse(&bytes).unwrap();
        let expected = BatchHeader {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: header.attributes & !0x50,
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            crc: stamped.crc,
            ..header
        };
        assert_eq!(stamped, expected);
        let was_right = header.with_crc_over(payload).crc == header.crc;
        let is_right = crc::crc32c(&[&bytes[21..], payload].concat()) == stamped.crc;
        assert_eq!(was_right, is_right);
    }
});
