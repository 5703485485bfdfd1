//! Looks whether a plan can run: how each broker is reached, and which rights are missing. Changes nothing.

mod connections;
mod needs;
mod rights;

pub use connections::{BrokerReport, Way, WayReport, ways};
pub use needs::{By, End, Need, On};
pub use rights::{RightsReport, heartbeat_rights, rights};
