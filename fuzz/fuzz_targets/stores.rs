//! Key stores and trust stores of any kind, and certificates in them: any bytes.
#![no_main]

use kmirror_protocol::net::tls::read_as_store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read_as_store(data);
});
