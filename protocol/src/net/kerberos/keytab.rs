//! Key tabs: the file with a service's or user's keys, as `kadmin` and `ktutil` write it (MIT's format 0x0501 and
//! 0x0502). Bytes and values only.

use super::bytes::{Bytes, Truncated};
use super::crypto::Etype;
use super::crypto::Key;
use super::principal::Principal;

/// Bytes beyond which a file is no key tab.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// One key. Those of types we do not speak are there by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) principal: Principal,
    pub(super) kvno: u32,
    pub(super) etype: i32,
    pub(super) key: Option<Key>,
}

/// A file that is no key tab.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeytabError {
    /// It begins with something else.
    #[error("it does not begin as a key tab does (05 01 or 05 02)")]
    Foreign,
    /// It ends in the middle.
    #[error("it is cut off or damaged")]
    Damaged,
}

impl From<Truncated> for KeytabError {
    fn from(_: Truncated) -> Self {
        Self::Damaged
    }
}

/// Reads a key tab whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, KeytabError> {
    // Version 1 is in the byte order of the machine it was written on: of those that still run Kafka, little-endian.
    let (mut input, is_old) = match bytes {
        [5, 2, rest @ ..] => (Bytes::big_endian(rest), false),
        [5, 1, rest @ ..] => (Bytes::little_endian(rest), true),
        _ => return Err(KeytabError::Foreign),
    };
    let mut entries = Vec::new();
    while !input.is_empty() {
        let size = input.u32()?.cast_signed();
        // A negative size marks the hole that a removed entry left; none at all, the end.
        let bytes = input.take(usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX))?;
        match size {
            0 => break,
            1.. => entries.push(entry(bytes, is_old)?),
            _ => {}
        }
    }
    Ok(entries)
}

fn entry(mut input: Bytes<'_>, is_old: bool) -> Result<Entry, KeytabError> {
    let count = usize::from(input.u16()?);
    // Version 1 counts the realm as a component, and has no type of name.
    let count = if is_old { count.checked_sub(1).ok_or(KeytabError::Damaged)? } else { count };
    let realm = text(&mut input)?;
    let components = (0..count).map(|_| text(&mut input)).collect::<Result<Vec<_>, _>>()?;
    if !is_old {
        input.u32()?;
    }
    input.u32()?; // when it was written
    let short_kvno = u32::from(input.u8()?);
    let etype = i32::from(input.u16()?);
    let length = usize::from(input.u16()?);
    let key = input.take(length)?;
    // The version in full, where the entry has room for it; zeros may fill an old hole.
    let kvno = input.u32().ok().filter(|kvno| *kvno != 0).unwrap_or(short_kvno);
    let key = Etype::of(etype)
        .map(|etype| Key::new(etype, key.rest()).map_err(|_| KeytabError::Damaged))
        .transpose()?;
    Ok(Entry { principal: Principal::new(components, realm), kvno, etype, key })
}

fn text(input: &mut Bytes<'_>) -> Result<String, KeytabError> {
    let length = usize::from(input.u16()?);
    Ok(String::from_utf8_lossy(input.take(length)?.rest()).into_owned())
}

/// The newest key of each type that we speak, of that principal.
pub(super) fn newest<'a>(entries: &'a [Entry], principal: &Principal) -> Vec<(u32, &'a Key)> {
    let mut newest: Vec<(u32, &Key)> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.principal == *principal) {
        let Some(key) = &entry.key else { continue };
        match newest.iter_mut().find(|(_, other)| other.etype() == key.etype()) {
            Some(found) if found.0 < entry.kvno => *found = (entry.kvno, key),
            Some(_) => {}
            None => newest.push((entry.kvno, key)),
        }
    }
    newest
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key tab with one entry a tuple: components, kvno, etype, key.
    pub(in super::super) fn keytab(entries: &[(&[&str], u32, u16, Vec<u8>)]) -> Vec<u8> {
        let counted = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let mut out = vec![5, 2];
        for (components, kvno, etype, key) in entries {
            let mut entry = u16::try_from(components.len()).unwrap().to_be_bytes().to_vec();
            entry.extend(counted(b"R"));
            components.iter().for_each(|component| entry.extend(counted(component.as_bytes())));
            entry.extend([0, 0, 0, 1, 0, 0, 0, 0, kvno.to_be_bytes()[3]]);
            entry.extend(etype.to_be_bytes());
            entry.extend(counted(key));
            entry.extend(kvno.to_be_bytes());
            out.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
            out.extend(entry);
        }
        out
    }

    #[test]
    fn the_newest_key_of_each_type() {
        let mut file = keytab(&[
            (&["mm", "h"], 2, 18, vec![1; 32]),
            (&["mm", "h"], 300, 18, vec![2; 32]),
            (&["mm", "h"], 3, 17, vec![3; 16]),
            (&["mm", "h"], 4, 23, vec![4; 16]),
            (&["other"], 9, 20, vec![5; 32]),
        ]);
        // A hole, and what follows the end.
        file.extend([0xff, 0xff, 0xff, 0xfe, 9, 9, 0, 0, 0, 0, 1, 2, 3]);
        let entries = parse(&file).unwrap();
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[3].key, None);
        let principal = Principal::parse("mm/h@R", None).unwrap();
        let keys: Vec<_> =
            newest(&entries, &principal).into_iter().map(|(kvno, key)| (kvno, key.etype())).collect();
        assert_eq!(keys, [(300, Etype::Aes256Sha1), (3, Etype::Aes128Sha1)]);
    }

    #[test]
    fn damaged_files() {
        assert_eq!(parse(b"not a key tab"), Err(KeytabError::Foreign));
        assert_eq!(parse(&[]), Err(KeytabError::Foreign));
        let file = keytab(&[(&["mm"], 1, 18, vec![1; 32])]);
        assert_eq!(parse(&file[..file.len() - 20]), Err(KeytabError::Damaged));
        assert_eq!(parse(&keytab(&[(&["mm"], 1, 18, vec![1; 5])])), Err(KeytabError::Damaged));
        assert_eq!(parse(&[5, 2]), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), version in 1u8..3) {
            let _ = parse(&[&[5, version], bytes.as_slice()].concat());
            let sized = [&[5, version, 0, 0, 0, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat();
            let _ = parse(&sized);
        }
    }
}
