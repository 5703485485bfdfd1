//! The sockets of the brokers. Knows frames, not what is in them.

mod connection;
mod listener;

pub(crate) use listener::{RunningBroker, listen};
