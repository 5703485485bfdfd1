//! The integration tests, in one binary. Each file says what it proves; `TESTING.md` lists them all.
//!
//! Tests start in the order of their names, three at a time; those that hold `many_processes` are in files of their own, so
//! that they do not wait for one another side by side.
#![expect(clippy::unwrap_used, clippy::panic, reason = "this is all test code, helpers included")]

mod acls;
mod bad_input;
mod brokers;
mod by_key;
mod certificates;
mod check;
mod compaction;
mod content;
mod damage;
mod exactly_once;
mod failover;
mod faults;
mod fixture;
mod formats;
mod full_disk;
mod groups;
mod harness;
mod in_step;
mod in_sync;
mod interleaved;
mod kerberos;
mod links;
mod live;
mod made_before;
mod mm2_suite;
mod nearest;
mod plan;
mod program;
mod progress;
mod read_by_java;
mod refusals;
mod refused;
mod rights;
mod rotation;
mod sasl;
mod secrets;
mod share;
mod slow;
mod socks;
mod source_log;
mod takeover;
mod tidy;
mod tiered;
mod tls;
mod transactions;
mod verify;
