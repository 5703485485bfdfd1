//! Clusters: metadata, retries, and the calls that the engine makes.
