//! Bytes and values in, values out: no tokio, no clock, no logging.

pub mod api;
pub mod batch;
pub mod compress;
pub mod crc;
mod cursor;
pub mod error;
mod error_code;
pub mod fetch;
pub mod frame;
pub mod legacy;
pub mod messages;
pub mod murmur2;
pub mod produce;
pub mod record;
pub mod reencode;
pub mod throttle;
