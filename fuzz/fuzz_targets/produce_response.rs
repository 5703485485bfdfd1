//! Produce responses of every version.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::produce;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((version, body)) = data.split_first() else { return };
    let _ = produce::decode(3 + i16::from(version % 11), Bytes::copy_from_slice(body));
});
