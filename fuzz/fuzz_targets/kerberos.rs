//! `krb5.conf`, key tabs, credential caches, a KDC's answers and a broker's tokens: any bytes.
#![no_main]

use kmirror_protocol::net::kerberos::read_as_everything;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    read_as_everything(data);
});
