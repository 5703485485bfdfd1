//! Bytes and values in, values out: no tokio, no clock, no logging.

pub mod batch;
pub mod crc;
