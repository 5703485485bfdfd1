//! Reads and writes the primitive types of the protocol, for the messages that are coded by hand.
//!
//! Nothing here trusts a length: it is compared with the bytes that remain before anything is taken or reserved.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::error::WireError;

/// A place in a message. Byte fields come out as slices of the buffer it was made from.
pub(crate) struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    fn need(&self, what: &'static str, needed: usize) -> Result<(), WireError> {
        let remaining = self.bytes.len();
        if remaining < needed { Err(WireError::Truncated { what, needed, remaining }) } else { Ok(()) }
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        self.need(what, 1)?;
        Ok(self.bytes.get_u8())
    }

    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16, WireError> {
        self.need(what, 2)?;
        Ok(self.bytes.get_i16())
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, WireError> {
        self.need(what, 4)?;
        Ok(self.bytes.get_i32())
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, WireError> {
        self.need(what, 8)?;
        Ok(self.bytes.get_i64())
    }

    pub(crate) fn uuid(&mut self, what: &'static str) -> Result<Uuid, WireError> {
        self.need(what, 16)?;
        Ok(Uuid::from_u128(self.bytes.get_u128()))
    }

    /// An unsigned varint of at most 32 bits.
    pub(crate) fn uvarint(&mut self) -> Result<u32, WireError> {
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8("a variable-length integer")?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(WireError::Varint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    pub(crate) fn take(&mut self, what: &'static str, len: usize) -> Result<Bytes, WireError> {
        self.need(what, len)?;
        Ok(self.bytes.split_to(len))
    }

    pub(crate) fn skip(&mut self, what: &'static str, len: usize) -> Result<(), WireError> {
        self.need(what, len)?;
        self.bytes.advance(len);
        Ok(())
    }

    pub(crate) fn rest(self) -> Bytes {
        self.bytes
    }

    /// The length of a string, of bytes or of an array; `None` for null.
    fn length(
        &mut self,
        what: &'static str,
        plain: Plain,
        flexible: bool,
    ) -> Result<Option<usize>, WireError> {
        let length = match (flexible, plain) {
            (true, _) => i64::from(self.uvarint()?) - 1,
            (false, Plain::I16) => i64::from(self.i16(what)?),
            (false, Plain::I32) => i64::from(self.i32(what)?),
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| WireError::Length {
                what,
                length,
                remaining: self.bytes.len(),
            }),
        }
    }

    /// Text that may be null.
    pub(crate) fn nullable_text(
        &mut self,
        what: &'static str,
        flexible: bool,
    ) -> Result<Option<Arc<str>>, WireError> {
        let Some(len) = self.length(what, Plain::I16, flexible)? else { return Ok(None) };
        self.need(what, len)?;
        let text: Option<Arc<str>> =
            self.bytes.get(..len).and_then(|text| std::str::from_utf8(text).ok()).map(Arc::from);
        self.bytes.advance(len);
        text.map(Some).ok_or(WireError::Text { what })
    }

    /// Text that may not be null, as it stands in the message and not checked to be text.
    pub(crate) fn text_bytes(&mut self, what: &'static str, flexible: bool) -> Result<Bytes, WireError> {
        let len = self.length(what, Plain::I16, flexible)?.ok_or(WireError::Null { what })?;
        self.take(what, len)
    }

    /// Text that may not be null.
    pub(crate) fn text(&mut self, what: &'static str, flexible: bool) -> Result<Arc<str>, WireError> {
        self.nullable_text(what, flexible)?.ok_or(WireError::Null { what })
    }

    /// Passes over text that may be null.
    pub(crate) fn skip_text(&mut self, what: &'static str, flexible: bool) -> Result<(), WireError> {
        let len = self.length(what, Plain::I16, flexible)?.unwrap_or(0);
        self.skip(what, len)
    }

    /// Bytes that may be null, as a slice of the message.
    pub(crate) fn nullable_bytes(
        &mut self,
        what: &'static str,
        flexible: bool,
    ) -> Result<Option<Bytes>, WireError> {
        match self.length(what, Plain::I32, flexible)? {
            None => Ok(None),
            Some(len) => self.take(what, len).map(Some),
        }
    }

    /// The number of elements of an array (none for null), each of which takes at least `element_bytes`:
    /// a count that the remaining bytes could not hold is refused, so that it may be reserved for.
    pub(crate) fn array(
        &mut self,
        what: &'static str,
        element_bytes: usize,
        flexible: bool,
    ) -> Result<usize, WireError> {
        let count = self.length(what, Plain::I32, flexible)?.unwrap_or(0);
        let remaining = self.bytes.len();
        if count.saturating_mul(element_bytes.max(1)) > remaining {
            let length = i64::try_from(count).unwrap_or(i64::MAX);
            return Err(WireError::Length { what, length, remaining });
        }
        Ok(count)
    }

    /// Reads the tagged fields of a flexible version: `field` sees each tag with its bytes.
    pub(crate) fn tags(
        &mut self,
        mut field: impl FnMut(u32, Bytes) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let len = usize::try_from(self.uvarint()?).unwrap_or(usize::MAX);
            field(tag, self.take("a tagged field", len)?)?;
        }
        Ok(())
    }

    /// Passes over the tagged fields of a flexible version.
    pub(crate) fn skip_tags(&mut self) -> Result<(), WireError> {
        self.tags(|_, _| Ok(()))
    }

    /// Everything must have been read.
    pub(crate) fn finish(self) -> Result<(), WireError> {
        match self.bytes.len() {
            0 => Ok(()),
            bytes => Err(WireError::LeftOver { bytes }),
        }
    }
}

/// How wide a length is where it is not compact.
#[derive(Clone, Copy)]
enum Plain {
    I16,
    I32,
}

/// Writes the primitive types whose form depends on whether the version is flexible.
pub(crate) trait PutWire {
    fn put_uvarint(&mut self, value: u32);
    fn put_text(&mut self, text: &str, flexible: bool) -> Result<(), WireError>;
    fn put_count(&mut self, what: &'static str, count: usize, flexible: bool) -> Result<(), WireError>;
    fn put_no_tags(&mut self, flexible: bool);
}

impl PutWire for BytesMut {
    fn put_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put_u8(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.put_u8(u8::try_from(value).unwrap_or_default());
    }

    fn put_text(&mut self, text: &str, flexible: bool) -> Result<(), WireError> {
        if flexible {
            self.put_count("text", text.len(), true)?;
        } else {
            let len = i16::try_from(text.len())
                .map_err(|_| WireError::Unsendable { what: format!("text of {} bytes", text.len()) })?;
            self.put_i16(len);
        }
        self.put_slice(text.as_bytes());
        Ok(())
    }

    /// The length of an array or of bytes.
    fn put_count(&mut self, what: &'static str, count: usize, flexible: bool) -> Result<(), WireError> {
        let len = i32::try_from(count)
            .map_err(|_| WireError::Unsendable { what: format!("{what} of {count} elements or bytes") })?;
        if flexible {
            self.put_uvarint(len.unsigned_abs() + 1);
        } else {
            self.put_i32(len);
        }
        Ok(())
    }

    fn put_no_tags(&mut self, flexible: bool) {
        if flexible {
            self.put_u8(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_survive_the_round_trip(value: u32) {
            let mut out = BytesMut::new();
            out.put_uvarint(value);
            let mut reader = Reader::new(out.freeze());
            prop_assert_eq!(reader.uvarint(), Ok(value));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn text_survives_the_round_trip(text in ".{0,40}", flexible: bool) {
            let mut out = BytesMut::new();
            out.put_text(&text, flexible).unwrap();
            let mut reader = Reader::new(out.freeze());
            let read = reader.text("text", flexible).unwrap();
            prop_assert_eq!(&*read, text.as_str());
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    fn reader(bytes: &'static [u8]) -> Reader {
        Reader::new(Bytes::from_static(bytes))
    }

    #[test]
    fn varints_of_too_many_bits_are_refused() {
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).uvarint(), Ok(u32::MAX));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).uvarint(), Err(WireError::Varint));
        assert_eq!(reader(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]).uvarint(), Err(WireError::Varint));
    }

    #[test]
    fn counts_beyond_the_message_are_refused() {
        let lying = reader(&[0x7f, 0xff, 0xff, 0xff]).array("things", 1, false);
        assert_eq!(lying, Err(WireError::Length { what: "things", length: 0x7fff_ffff, remaining: 0 }));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff]).array("things", 1, false), Ok(0), "null is empty");
        assert!(reader(&[0xff, 0xff, 0xff, 0xfe]).array("things", 1, false).is_err());
        assert_eq!(reader(&[3, 1, 2]).array("things", 1, true), Ok(2));
        assert!(reader(&[3, 1, 2]).array("things", 2, true).is_err());
    }

    #[test]
    fn tags_beyond_the_message_are_refused() {
        assert!(reader(&[1, 0, 9, 1]).skip_tags().is_err());
        assert!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]).skip_tags().is_err());
        assert_eq!(reader(&[2, 0, 1, 7, 5, 0]).skip_tags(), Ok(()));
    }

    #[test]
    fn null_and_broken_text_are_told_apart() {
        assert_eq!(reader(&[0xff, 0xff]).text("name", false), Err(WireError::Null { what: "name" }));
        assert_eq!(reader(&[0, 1, 0xff]).text("name", false), Err(WireError::Text { what: "name" }));
    }
}
