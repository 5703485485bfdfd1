//! Numbers and pieces off the front of bytes, in either byte order, as the files of MIT's library have them.

/// The bytes end too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Truncated;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    is_little_endian: bool,
}

impl<'a> Bytes<'a> {
    pub(super) fn big_endian(rest: &'a [u8]) -> Self {
        Self { rest, is_little_endian: false }
    }

    pub(super) fn little_endian(rest: &'a [u8]) -> Self {
        Self { rest, is_little_endian: true }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes, in the same order.
    pub(super) fn take(&mut self, count: usize) -> Result<Self, Truncated> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Truncated)?;
        self.rest = rest;
        Ok(Self { rest: head, ..*self })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        let mut bytes = *head;
        if self.is_little_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }
}
