//! Logins in JAAS, as an option and as a file, variables of configuration providers, options of Java.
#![no_main]

use kmirror_engine::config::{jaas, java_options::JavaOptions, providers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = jaas::parse_option(&text);
    let _ = jaas::parse_file(&text, &|name: &str| (name == "a").then(|| kmirror_protocol::Secret::new("b")));
    providers::wanted(&text);
    JavaOptions::default().read(&text);
});
