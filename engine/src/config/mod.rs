//! From text to settings: the properties reader, the one table of options, and MirrorMaker 2's grammar.
//!
//! Only this module knows the names of keys. It opens no file and asks no cluster.

pub mod keys;
pub mod mm2;
pub mod origin;
pub mod problem;
pub mod properties;
pub mod reference;
pub mod reload;
mod suggestions;
