//! What can be wrong with bytes that claim to be a Kafka message. Pure values; the error codes that brokers
//! send on purpose are `ErrorCode`.

use super::api::ApiKey;
pub use super::error_code::ErrorCode;

/// Bytes that are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ended inside a field.
    #[error("the message ends inside {what}: {needed} bytes needed, {remaining} left")]
    Truncated {
        /// The field or kind of field.
        what: &'static str,
        /// Bytes the field takes.
        needed: usize,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A length or count that cannot be true: negative, or more than the bytes that are left could hold.
    #[error("impossible length {length} for {what} with {remaining} bytes left")]
    Length {
        /// The field or kind of field.
        what: &'static str,
        /// The announced length or count.
        length: i64,
        /// Bytes that were left.
        remaining: usize,
    },
    /// A variable-length integer of more bytes than its type has.
    #[error("a variable-length integer does not end where it must")]
    Varint,
    /// Text that is not UTF-8.
    #[error("{what} is not UTF-8 text")]
    Text {
        /// The field or kind of field.
        what: &'static str,
    },
    /// A field that must not be null is null.
    #[error("{what} is null")]
    Null {
        /// The field or kind of field.
        what: &'static str,
    },
    /// Bytes remained when everything was read: the message is not of the version it was taken for.
    #[error("{bytes} bytes are left over behind the end of the message")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// A response for a topic that was never asked for.
    #[error("the response speaks of topic {topic}, which the request did not")]
    UnexpectedTopic {
        /// Its name, or its id where the version uses ids.
        topic: String,
    },
    /// A value that the chosen version of the message cannot carry.
    #[error("{what} cannot be sent in this version")]
    Unsendable {
        /// What could not be sent.
        what: String,
    },
    /// The message crate could not write or read a message.
    #[error("{reason}")]
    Codec {
        /// In its words.
        reason: String,
    },
    /// This version of the API is not one we speak.
    #[error("{api} version {version} is not spoken here")]
    Version {
        /// The API.
        api: ApiKey,
        /// The version asked for.
        version: i16,
    },
    /// Any of the above, with the message it was found in.
    #[error("bad {api} version {version} message")]
    In {
        /// The API.
        api: ApiKey,
        /// The version spoken.
        version: i16,
        /// What is wrong.
        #[source]
        source: Box<Self>,
    },
}

impl WireError {
    /// Adds the message an error was found in.
    pub(crate) fn of(self, api: ApiKey, version: i16) -> Self {
        Self::In { api, version, source: Box::new(self) }
    }
}
