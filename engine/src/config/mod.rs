//! From text to settings: the properties reader, the one table of options, and MirrorMaker 2's grammar.
//!
//! Only this module knows the names of keys. It opens no file and asks no cluster.

pub mod jaas;
pub mod java_options;
mod key_form;
pub mod keys;
pub mod mm2;
pub mod origin;
pub mod problem;
pub mod properties;
pub mod providers;
pub mod reference;
pub mod reload;
pub mod security_problem;
mod suggestions;
pub mod surroundings;

use kmirror_protocol::Secret;
use zeroize::Zeroizing;

/// The same text, not a copy of it.
fn secret_text(mut text: Zeroizing<String>) -> Secret {
    Secret::new(std::mem::take(&mut *text))
}
