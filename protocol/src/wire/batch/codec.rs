//! What the attribute bits of a batch or message say: compression codec and kind of timestamp.

use std::fmt;

/// How the records of a batch are compressed. The values are those of the attribute bits (`CompressionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// Not compressed.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the framing of the xerial Java library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard frames (KIP-110).
    Zstd,
}

impl Codec {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The bits of the attributes that hold the codec.
    pub const MASK: u8 = 0x07;

    /// The codec of some attributes; the bits themselves when they mean nothing.
    pub fn from_attributes(attributes: i16) -> Result<Self, u8> {
        let bits = attributes.to_be_bytes()[1] & Self::MASK;
        Self::ALL.get(usize::from(bits)).copied().ok_or(bits)
    }

    /// The attribute bits of this codec.
    #[must_use]
    pub fn bits(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's name of the codec, as in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec of that name, in Kafka's spelling (`uncompressed`, the broker's name for none, too).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "uncompressed" => Some(Self::None),
            name => Self::ALL.into_iter().find(|codec| codec.name() == name),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who put a record's timestamp there (KIP-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer; each record has its own.
    #[default]
    Create,
    /// The broker, when it appended the batch: all records of a batch have the batch's max timestamp.
    LogAppend,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_lead_back() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(codec.name()), Some(codec));
            assert_eq!(Codec::from_attributes(codec.bits() | 0x78), Ok(codec));
        }
        assert_eq!(Codec::from_attributes(5), Err(5));
        assert_eq!(Codec::from_attributes(-1), Err(7));
        assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
        assert_eq!(Codec::from_name("LZ4"), None);
    }
}
