//! The end-to-end comparison of kmirror with its peers. Measures processes; knows nothing of their insides.

pub mod case;
pub mod floor;
pub mod latency;
pub mod measure;
pub mod peer;
pub mod report;
pub mod session;
