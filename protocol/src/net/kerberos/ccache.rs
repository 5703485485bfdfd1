//! Credential caches in files, as `kinit` writes them (MIT's formats 3 and 4). Bytes and values only.

use super::bytes::{Bytes, Truncated};
use super::credential::Credential;
use super::crypto::{Etype, Key};
use super::messages::Ticket;
use super::principal::Principal;
use super::time::KerberosTime;

/// Bytes beyond which a file is no credential cache.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// Components beyond which a name is none.
const MAX_COMPONENTS: u32 = 16;
/// The realm of entries that are no tickets but notes of MIT's library.
const NOTES: &str = "X-CACHECONF:";

/// A cache: whose it is, and the tickets that we can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cache {
    pub(super) principal: Principal,
    pub(super) credentials: Vec<Credential>,
}

/// A file that is no credential cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// It begins with something else.
    #[error("it does not begin as a credential cache in a file does (05 03 or 05 04)")]
    Foreign,
    /// It ends in the middle.
    #[error("it is cut off or damaged")]
    Damaged,
}

impl From<Truncated> for CacheError {
    fn from(_: Truncated) -> Self {
        Self::Damaged
    }
}

/// Reads a cache whole. Tickets of encryption types that we do not speak are left out.
pub(super) fn parse(bytes: &[u8]) -> Result<Cache, CacheError> {
    let (mut input, version) = match bytes {
        [5, version @ (3 | 4), rest @ ..] => (Bytes::big_endian(rest), *version),
        _ => return Err(CacheError::Foreign),
    };
    if version == 4 {
        // Tagged fields, such as how far the KDC's clock was off.
        let length = usize::from(input.u16()?);
        input.take(length)?;
    }
    let principal = principal(&mut input)?;
    let mut credentials = Vec::new();
    while !input.is_empty() {
        credentials.extend(credential(&mut input, version)?);
    }
    Ok(Cache { principal, credentials })
}

fn credential(input: &mut Bytes<'_>, version: u8) -> Result<Option<Credential>, CacheError> {
    let client = principal(input)?;
    let server = principal(input)?;
    let etype = i32::from(input.u16()?);
    if version == 3 {
        input.u16()?; // the type once more
    }
    let key = counted(input)?;
    let [auth_time, start, end, renew_till] = [input.u32()?, input.u32()?, input.u32()?, input.u32()?];
    let to_time = |seconds: u32| KerberosTime(seconds.into());
    input.u8()?; // whether it is encrypted for another session
    let flags = input.u32()?;
    for _ in 0..2 {
        // Addresses, then authorization data.
        for _ in 0..input.u32()? {
            input.u16()?;
            counted(input)?;
        }
    }
    let ticket = counted(input)?;
    counted(input)?; // a second ticket
    if server.realm == NOTES {
        return Ok(None);
    }
    let key = Etype::of(etype).and_then(|etype| Key::new(etype, key).ok());
    let Some((key, ticket)) = key.zip(Ticket::parse(ticket).ok()) else { return Ok(None) };
    let start = to_time(if start == 0 { auth_time } else { start });
    let renew_till = (renew_till != 0).then(|| to_time(renew_till));
    Ok(Some(Credential { client, server, key, ticket, flags, start, end: to_time(end), renew_till }))
}

fn principal(input: &mut Bytes<'_>) -> Result<Principal, CacheError> {
    let name_type = input.u32()?.cast_signed();
    let count = input.u32()?;
    if count > MAX_COMPONENTS {
        return Err(CacheError::Damaged);
    }
    let mut text = || Ok::<_, CacheError>(String::from_utf8_lossy(counted(input)?).into_owned());
    let realm = text()?;
    let components = (0..count).map(|_| text()).collect::<Result<Vec<_>, _>>()?;
    Ok(Principal { name_type, components, realm })
}

fn counted<'a>(input: &mut Bytes<'a>) -> Result<&'a [u8], CacheError> {
    let length = usize::try_from(input.u32()?).map_err(|_| CacheError::Damaged)?;
    Ok(input.take(length)?.rest())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(bytes: &[u8]) -> Vec<u8> {
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
    }

    fn name(components: &[&str], realm: &str) -> Vec<u8> {
        let mut out = [1u32.to_be_bytes(), u32::try_from(components.len()).unwrap().to_be_bytes()].concat();
        out.extend(counted(realm.as_bytes()));
        components.iter().for_each(|component| out.extend(counted(component.as_bytes())));
        out
    }

    fn cache(version: u8) -> Vec<u8> {
        use super::super::der;
        let server = Principal::ticket_granting("R", "R");
        let ticket = der::application(
            1,
            &der::sequence(&[
                der::context(0, &der::integer(5)),
                der::context(1, &der::string("R")),
                der::context(2, &server.to_der()),
            ]),
        );
        let mut out = vec![5, version];
        if version == 4 {
            out.extend([0, 12, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        out.extend(name(&["mm"], "R"));
        for (realm, etype) in [(NOTES, 0u16), ("R", 18), ("R", 23)] {
            out.extend([name(&["mm"], "R"), name(&["krbtgt", "R"], realm)].concat());
            out.extend(etype.to_be_bytes());
            if version == 3 {
                out.extend(etype.to_be_bytes());
            }
            out.extend(counted(&[7; 32]));
            [1000u32, 0, 5000, 9000].iter().for_each(|time| out.extend(time.to_be_bytes()));
            out.push(0);
            out.extend((1u32 << 23).to_be_bytes());
            out.extend([0; 8]);
            out.extend([counted(&ticket), counted(&[])].concat());
        }
        out
    }

    #[test]
    fn tickets_of_both_formats() {
        for version in [3, 4] {
            let cache = parse(&cache(version)).unwrap();
            assert_eq!(cache.principal.to_string(), "mm@R");
            let [tgt] = cache.credentials.as_slice() else { panic!("{cache:?}") };
            assert_eq!((tgt.server.grants_for(), tgt.start.0, tgt.end.0), (Some("R"), 1000, 5000));
            assert_eq!(tgt.renew_till.map(|time| time.0), Some(9000));
        }
    }

    #[test]
    fn damaged_files() {
        assert_eq!(parse(b"SQLite"), Err(CacheError::Foreign));
        let file = cache(4);
        assert_eq!(parse(&file[..file.len() - 1]), Err(CacheError::Damaged));
        assert_eq!(parse(&[5, 4, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0]), Err(CacheError::Damaged));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 3u8..5, cut: prop::sample::Index) {
            let _ = parse(&[&[5, version], bytes.as_slice()].concat());
            let mut file = cache(version);
            let at = cut.index(file.len());
            file[at] ^= 0x55;
            let _ = parse(&file);
        }
    }
}
