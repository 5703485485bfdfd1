//! What brokers say while we log in, and tokens: any bytes.
#![no_main]

use kmirror_protocol::net::sasl::hear_everything;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    hear_everything(data);
});
