//! Every codec's decoder on any bytes, whole and piece by piece, within a limit.
#![no_main]

use kmirror_protocol::wire::batch::Codec;
use kmirror_protocol::wire::compress::Decompressor;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&[codec, keep], payload)) = data.split_first_chunk::<2>() else { return };
    let codec = Codec::ALL[usize::from(codec) % Codec::ALL.len()];
    let mut decompressor = Decompressor::default();
    let whole = decompressor.whole(codec, payload, LIMIT).map(<[u8]>::to_vec);
    if let Ok(whole) = &whole {
        assert!(whole.len() <= LIMIT);
    }

    // The same again, reading some of it each time.
    let (mut input, mut read) = (payload, Vec::new());
    let pieces = decompressor.start(codec, LIMIT).and_then(|()| {
        while decompressor.fill(&mut input)? {
            let len = decompressor.unread().len().saturating_sub(keep.into());
            read.extend_from_slice(&decompressor.unread()[..len]);
            decompressor.consume(len);
        }
        read.extend_from_slice(decompressor.unread());
        Ok(read)
    });
    assert_eq!(whole, pieces);
});
