//! The layout of a message as data, and the walk that compares bytes with it.

use bytes::Bytes;

use crate::wire::cursor::Reader;
use crate::wire::error::WireError;

/// A field of a message: its kind, the versions that have it, and its tag if it is a tagged field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    kind: Kind,
    since: i16,
    until: i16,
    tag: Option<u32>,
}

/// What a field takes on the wire.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// So many bytes, whatever they mean.
    Fixed(usize),
    /// Text, possibly null.
    Text,
    /// Bytes, possibly null.
    Bytes,
    /// A list of texts.
    Texts,
    /// A structure in its place, not in a list.
    Struct(&'static [Field]),
    /// A list of plain values of so many bytes each.
    List(usize),
    /// A list of structures.
    Structs(&'static [Field]),
}

impl Field {
    const fn new(kind: Kind) -> Self {
        Self { kind, since: 0, until: i16::MAX, tag: None }
    }

    /// There from this version on.
    pub(super) const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    /// There up to this version.
    pub(super) const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }

    /// Not in its place but among the tagged fields.
    pub(super) const fn tagged(self, tag: u32) -> Self {
        Self { tag: Some(tag), ..self }
    }

    fn is_in(&self, version: i16) -> bool {
        (self.since..=self.until).contains(&version)
    }
}

pub(super) const INT8: Field = Field::new(Kind::Fixed(1));
pub(super) const BOOL: Field = Field::new(Kind::Fixed(1));
pub(super) const INT16: Field = Field::new(Kind::Fixed(2));
pub(super) const INT32: Field = Field::new(Kind::Fixed(4));
pub(super) const INT64: Field = Field::new(Kind::Fixed(8));
pub(super) const UUID: Field = Field::new(Kind::Fixed(16));
pub(super) const TEXT: Field = Field::new(Kind::Text);
pub(super) const BYTES: Field = Field::new(Kind::Bytes);
pub(super) const TEXTS: Field = Field::new(Kind::Texts);
pub(super) const INT32_LIST: Field = Field::new(Kind::List(4));

/// A list of structures with these fields.
pub(super) const fn structs(fields: &'static [Field]) -> Field {
    Field::new(Kind::Structs(fields))
}

/// One structure with these fields.
pub(super) const fn one(fields: &'static [Field]) -> Field {
    Field::new(Kind::Struct(fields))
}

/// Whether `message` is laid out as `fields` say, to its last byte.
pub(super) fn check(fields: &[Field], version: i16, flexible: bool, message: Bytes) -> Result<(), WireError> {
    let mut reader = Reader::new(message);
    walk_struct(fields, version, flexible, &mut reader)?;
    reader.finish()
}

fn walk_struct(fields: &[Field], version: i16, flexible: bool, reader: &mut Reader) -> Result<(), WireError> {
    for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
        walk(field.kind, version, flexible, reader)?;
    }
    if !flexible {
        return Ok(());
    }
    reader.tags(|tag, bytes| {
        let known = fields.iter().find(|field| field.tag == Some(tag) && field.is_in(version));
        let Some(field) = known else { return Ok(()) };
        let mut value = Reader::new(bytes);
        walk(field.kind, version, flexible, &mut value)?;
        value.finish()
    })
}

fn walk(kind: Kind, version: i16, flexible: bool, reader: &mut Reader) -> Result<(), WireError> {
    match kind {
        Kind::Fixed(bytes) => reader.skip("a number", bytes),
        Kind::Text => reader.skip_text("text", flexible),
        Kind::Bytes => reader.nullable_bytes("bytes", flexible).map(drop),
        Kind::Texts => {
            for _ in 0..reader.array("a list", 1, flexible)? {
                reader.skip_text("text", flexible)?;
            }
            Ok(())
        }
        Kind::Struct(fields) => walk_struct(fields, version, flexible, reader),
        Kind::List(bytes) => {
            let count = reader.array("a list", bytes, flexible)?;
            reader.skip("a list", count.saturating_mul(bytes))
        }
        Kind::Structs(fields) => {
            for _ in 0..reader.array("a list", 1, flexible)? {
                walk_struct(fields, version, flexible, reader)?;
            }
            Ok(())
        }
    }
}
