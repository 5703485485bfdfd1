//! Messages of magic 0 and 1 whose checksums are put right, plain and wrapped.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::batch::{Codec, Entries};
use kmirror_protocol::wire::compress::Compressor;
use kmirror_protocol::wire::crc;
use kmirror_protocol::wire::record::{Limits, records};
use kmirror_protocol::wire::reencode::{Reencoder, Shape};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { max_decompressed_bytes: 1 << 20 };

fuzz_target!(|data: &[u8]| {
    let Some((&[codec, wrap, magic], set)) = data.split_first_chunk::<3>() else { return };
    let mut set = set.to_vec();
    seal(&mut set);
    if wrap % 2 == 1 {
        set = wrapper(Codec::ALL[usize::from(codec) % 5], magic % 2, &set);
        seal(&mut set);
    }
    for entry in Entries::new(Bytes::from(set)).map_while(Result::ok) {
        let shape = Shape { codec: Codec::Lz4, level: None, max_batch_bytes: 1 << 16, timestamps: None };
        let read = records(&entry, &LIMITS);
        let written = Reencoder::new(LIMITS).reencode(&[entry], 0, &shape);
        if let (Ok(read), Ok(written)) = (read, written) {
            let count: i32 = written.iter().map(|batch| batch.header.record_count).sum();
            assert_eq!(
                usize::try_from(count).unwrap(),
                read.iter().filter(|record| record.offset >= 0).count()
            );
        }
    }
});

/// Puts the checksum of every message right whose length fits.
fn seal(set: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = set.get(at + 8..at + 12) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(checked) = set.get(at + 16..at + 12 + length) else { return };
        let crc = crc::crc32(checked);
        set[at + 12..at + 16].copy_from_slice(&crc.to_be_bytes());
        at += 12 + length;
    }
}

fn wrapper(codec: Codec, magic: u8, set: &[u8]) -> Vec<u8> {
    let (mut compressor, mut raw, mut value) = (Compressor::default(), set.to_vec(), Vec::new());
    compressor.start(codec, None, &mut value).unwrap();
    compressor.finish(&mut raw, &mut value).unwrap();
    let mut fields = vec![0, 0, 0, 0, magic, u8::try_from(codec.bits()).unwrap()];
    if magic == 1 {
        fields.extend(77i64.to_be_bytes());
    }
    fields.extend((-1i32).to_be_bytes());
    fields.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    fields.extend(value);
    let length = u32::try_from(fields.len()).unwrap();
    [&500i64.to_be_bytes()[..], &length.to_be_bytes(), &fields].concat()
}
