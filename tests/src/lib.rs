//! Harness for the tests and benchmarks: real Kafka, bad links, other clients.
