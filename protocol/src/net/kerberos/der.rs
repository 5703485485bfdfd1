//! DER as Kerberos uses it: tags below 31, definite lengths (X.690). Knows no message.
//!
//! Reading never trusts a length: what is announced beyond the bytes there are is an error.

use super::time::KerberosTime;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const GENERAL_STRING: u8 = 0x1b;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
/// Class and form of `[n]`.
const CONTEXT: u8 = 0xa0;
/// Class and form of `[APPLICATION n]`.
const APPLICATION: u8 = 0x60;
/// In the first byte of a length: how many bytes the length has itself.
const LONG_LENGTH: u8 = 0x80;
/// Bits of the first byte that are the tag's number; all set means that it goes on, which Kerberos never needs.
const NUMBER: u8 = 0x1f;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("damaged ASN.1 at {0}")]
pub struct DerError(pub(super) &'static str);

type Result<T> = std::result::Result<T, DerError>;

/// One value with its tag.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    if let Some(short) = u8::try_from(length).ok().filter(|short| *short < LONG_LENGTH) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
        out.push(LONG_LENGTH | u8::try_from(significant.len()).unwrap_or(0));
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}

/// `SEQUENCE` (also `SEQUENCE OF`) of whole values.
pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(SEQUENCE, &parts.concat())
}

/// `[n] value`
pub(super) fn context(number: u8, value: &[u8]) -> Vec<u8> {
    tagged(CONTEXT | number, value)
}

/// `[APPLICATION n] value`
pub(super) fn application(number: u8, value: &[u8]) -> Vec<u8> {
    tagged(APPLICATION | number, value)
}

/// `INTEGER` in as few bytes as it takes.
pub(super) fn integer(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let mut content = bytes.as_slice();
    while let [first, rest @ ..] = content {
        let sign = rest.first().map(|next| next & 0x80);
        match (first, sign) {
            (0x00, Some(0)) | (0xff, Some(0x80)) => content = rest,
            _ => break,
        }
    }
    tagged(INTEGER, content)
}

/// `OCTET STRING`
pub(super) fn octets(value: &[u8]) -> Vec<u8> {
    tagged(OCTET_STRING, value)
}

/// `KerberosString`
pub(super) fn string(value: &str) -> Vec<u8> {
    tagged(GENERAL_STRING, value.as_bytes())
}

/// `KerberosTime`
pub(super) fn time(value: KerberosTime) -> Vec<u8> {
    tagged(GENERALIZED_TIME, value.to_text().as_bytes())
}

/// `KerberosFlags`: 32 bits.
pub(super) fn flags(value: u32) -> Vec<u8> {
    tagged(BIT_STRING, &[[0].as_slice(), &value.to_be_bytes()].concat())
}

/// Values one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(DerError(what))?;
        self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or(DerError(what))?;
        self.0 = rest;
        Ok(*first)
    }

    /// The next value, with its tag.
    pub(super) fn any(&mut self, what: &'static str) -> Result<(u8, &'a [u8])> {
        let tag = self.byte(what)?;
        if tag & NUMBER == NUMBER {
            return Err(DerError(what));
        }
        let first = self.byte(what)?;
        if first < LONG_LENGTH {
            return Ok((tag, self.take(usize::from(first), what)?));
        }
        let bytes = self.take(usize::from(first & !LONG_LENGTH), what)?;
        if bytes.is_empty() || bytes.len() > 4 {
            return Err(DerError(what));
        }
        let length = bytes.iter().fold(0usize, |length, byte| (length << 8) | usize::from(*byte));
        Ok((tag, self.take(length, what)?))
    }

    /// The next value's content; it must have that tag.
    pub(super) fn value(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8]> {
        match self.any(what)? {
            (found, content) if found == tag => Ok(content),
            _ => Err(DerError(what)),
        }
    }

    /// What is in the next value, which must have that tag.
    pub(super) fn inside(&mut self, tag: u8, what: &'static str) -> Result<Self> {
        self.value(tag, what).map(Self)
    }

    /// What is in `[APPLICATION n] SEQUENCE`.
    pub(super) fn application(&mut self, number: u8, what: &'static str) -> Result<Self> {
        self.inside(APPLICATION | number, what)?.inside(SEQUENCE, what)
    }

    /// What is in `[n]`, which must come next.
    pub(super) fn field(&mut self, number: u8, what: &'static str) -> Result<Self> {
        self.inside(CONTEXT | number, what)
    }

    /// What is in `[n]`, if that comes next.
    pub(super) fn optional(&mut self, number: u8, what: &'static str) -> Result<Option<Self>> {
        match self.0.first() {
            Some(tag) if *tag == CONTEXT | number => self.field(number, what).map(Some),
            _ => Ok(None),
        }
    }

    /// `INTEGER` within 64 bits.
    pub(super) fn integer(&mut self, what: &'static str) -> Result<i64> {
        let content = self.value(INTEGER, what)?;
        let first = content.first().filter(|_| content.len() <= 8).ok_or(DerError(what))?;
        let start = if first & 0x80 == 0 { 0 } else { -1 };
        Ok(content.iter().fold(start, |value: i64, byte| (value << 8) | i64::from(*byte)))
    }

    /// `Int32`
    pub(super) fn int32(&mut self, what: &'static str) -> Result<i32> {
        i32::try_from(self.integer(what)?).map_err(|_| DerError(what))
    }

    /// `UInt32`; as some implementations write it, a negative number stands for its bits.
    pub(super) fn uint32(&mut self, what: &'static str) -> Result<u32> {
        let value = self.integer(what)?;
        let bits = i32::try_from(value).map(i32::cast_unsigned);
        u32::try_from(value).or(bits).map_err(|_| DerError(what))
    }

    /// `OCTET STRING`
    pub(super) fn octets(&mut self, what: &'static str) -> Result<&'a [u8]> {
        self.value(OCTET_STRING, what)
    }

    /// `KerberosString`
    pub(super) fn string(&mut self, what: &'static str) -> Result<String> {
        Ok(String::from_utf8_lossy(self.value(GENERAL_STRING, what)?).into_owned())
    }

    /// `KerberosTime`
    pub(super) fn time(&mut self, what: &'static str) -> Result<KerberosTime> {
        KerberosTime::from_text(self.value(GENERALIZED_TIME, what)?).ok_or(DerError(what))
    }

    /// `KerberosFlags`: the first 32 bits.
    pub(super) fn flags(&mut self, what: &'static str) -> Result<u32> {
        let content = self.value(BIT_STRING, what)?;
        let bits = content.split_first().ok_or(DerError(what))?.1;
        Ok((0..4).fold(0, |flags, index| (flags << 8) | u32::from(bits.get(index).copied().unwrap_or(0))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_take_as_few_bytes_as_they_can() {
        for (value, bytes) in [
            (0, vec![2, 1, 0]),
            (127, vec![2, 1, 127]),
            (128, vec![2, 2, 0, 128]),
            (-128, vec![2, 1, 128]),
            (-129, vec![2, 2, 255, 127]),
            (0x8003, vec![2, 3, 0, 0x80, 0x03]),
        ] {
            assert_eq!(integer(value), bytes);
            assert_eq!(Reader::new(&bytes).integer("test"), Ok(value));
        }
    }

    #[test]
    fn long_values_have_long_lengths() {
        let long = octets(&[7; 300]);
        assert_eq!(long.get(..4), Some([4, 0x82, 1, 44].as_slice()));
        assert_eq!(Reader::new(&long).octets("test").unwrap().len(), 300);
    }

    #[test]
    fn a_length_beyond_the_bytes_is_an_error() {
        for bytes in [
            &[0x30, 5, 1][..],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x3f, 1, 0],
            &[0x30],
        ] {
            assert!(Reader::new(bytes).any("test").is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let reader = Reader::new(&bytes);
            let _ = ({ reader }.any("t"), { reader }.integer("t"), { reader }.time("t"), { reader }.flags("t"));
            let _ = ({ reader }.application(11, "t").is_ok(), { reader }.optional(0, "t").is_ok());
        }

        #[test]
        fn an_integer_is_read_as_it_was_written(value: i64) {
            prop_assert_eq!(Reader::new(&integer(value)).integer("test"), Ok(value));
        }
    }
}
