//! The walk over the records of a Fetch response: any bytes, nothing repaired.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::batch::{Entries, Entry};
use kmirror_protocol::wire::record::{Limits, records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut entries = Entries::new(Bytes::copy_from_slice(data));
    let mut walked = 0;
    let mut damaged = false;
    for entry in entries.by_ref() {
        let Ok(entry) = entry else {
            damaged = true;
            continue;
        };
        assert!(!damaged, "damage ends the walk");
        walked += entry.size();
        assert!(entry.first_offset() <= entry.last_offset());
        if let Entry::Batch(batch) = &entry {
            assert_eq!(batch.bytes().len(), batch.header.total_len());
            assert!(batch.header.next_offset() > batch.header.last_offset());
        }
        let _ = records(&entry, &Limits { max_decompressed_bytes: 1 << 20 });
    }
    assert!(walked <= data.len());
    if let Some(whole) = entries.partial() {
        assert!(whole > data.len() - walked);
    }
});
