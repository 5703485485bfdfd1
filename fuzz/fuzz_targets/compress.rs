//! Every codec's encoder on any bytes, in pieces and with flushes: it comes back, and is never larger than promised.
#![no_main]

use kmirror_protocol::wire::batch::Codec;
use kmirror_protocol::wire::compress::{Compressor, Decompressor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[codec, level, piece, repeat], data)) = data.split_first_chunk::<4>() else { return };
    let codec = Codec::ALL[usize::from(codec) % Codec::ALL.len()];
    let level = (1..=9).contains(&level).then_some(i32::from(level));
    let data = data.repeat(usize::from(repeat) + 1);
    let (mut compressor, mut raw, mut out) = (Compressor::default(), Vec::new(), Vec::new());
    compressor.start(codec, level, &mut out).unwrap();
    for (chunk, number) in data.chunks((usize::from(piece) + 1) * 97).zip(0u32..) {
        raw.extend_from_slice(chunk);
        if number % 5 == 4 {
            let bound = out.len() + compressor.bound(raw.len());
            compressor.flush(&mut raw, &mut out).unwrap();
            assert!(out.len() <= bound);
        } else if raw.len() >= compressor.block_len() {
            compressor.take_blocks(&mut raw, &mut out).unwrap();
        }
    }
    let bound = out.len() + compressor.bound(raw.len());
    compressor.finish(&mut raw, &mut out).unwrap();
    assert!(out.len() <= bound);
    let mut decompressor = Decompressor::default();
    assert_eq!(decompressor.whole(codec, &out, data.len()).unwrap(), data);
});
