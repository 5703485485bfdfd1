//! Records of the progress topic, which other programs write, too.
#![no_main]

use kmirror_engine::progress;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (key, value) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let _ = progress::read("MirrorSourceConnector", "a", key, value.get(1..));
});
