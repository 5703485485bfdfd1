//! An in-process, in-memory Kafka cluster for the demo and for tests.
