//! What members of a flow's group tell its leader, and what the leader tells them. Pure.
//!
//! A report is the metadata of a JoinGroup request, a grant the assignment of a SyncGroup answer; both also come with
//! DescribeGroups, where `kmirror status` reads them. All numbers are big-endian. A report: version (1 byte, 1), flags
//! (1 byte: 1 leads, 2 comes back), the claimed shards (512 bytes), the home (2 bytes of length, text), then of each shard with
//! partitions its number (2 bytes), partitions (2 bytes), bytes per second (4 bytes, all ones where not measured). A grant: version (1 byte, 1), flags
//! as above, shards (512 bytes). What comes behind is for later versions.

use bytes::Bytes;

use super::shards::{SHARDS_LEN, Shards};

const VERSION: u8 = 1;
const LEADS: u8 = 1;
const COMES_BACK: u8 = 2;
/// Stands for a rate that is not known.
const UNMEASURED: u32 = u32::MAX;
/// The longest home that is told.
const HOME_MAX: usize = 300;

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it has, or was given and has not taken up, or has not let go yet.
    pub claims: Shards,
    /// It has nothing, and claims what the process had that was in the group under its name before
    /// (`kmirror.group.instance.id`), if nobody has that now.
    pub comes_back: bool,
    /// Whether it runs what exactly one process runs.
    pub leads: bool,
    /// Where it runs, see `home`.
    pub home: String,
    /// What its shards with partitions cost.
    pub loads: Vec<ShardLoad>,
}

/// What one shard costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardLoad {
    /// The shard.
    pub shard: u16,
    /// Its partitions.
    pub partitions: u16,
    /// Bytes mirrored of it in a second, lately; `None` where it has not been mirrored here for long enough.
    pub bytes_per_second: Option<u32>,
}

/// What a process may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its shards.
    pub shards: Shards,
    /// Whether it runs what exactly one process runs.
    pub leads: bool,
}

impl Report {
    /// As it is sent.
    pub fn encode(&self) -> Bytes {
        let comes_back = if self.comes_back { COMES_BACK } else { 0 };
        let mut out = head(flag_of(self.leads) | comes_back, &self.claims);
        let home: String = self.home.chars().take(HOME_MAX / 4).collect();
        out.extend_from_slice(&u16::try_from(home.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(home.as_bytes());
        for one in &self.loads {
            out.extend_from_slice(&one.shard.to_be_bytes());
            out.extend_from_slice(&one.partitions.to_be_bytes());
            out.extend_from_slice(&one.bytes_per_second.unwrap_or(UNMEASURED).to_be_bytes());
        }
        out.into()
    }

    /// Understands a report; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (flags, claims, rest) = read_head(bytes)?;
        let (leads, comes_back) = (flags & LEADS != 0, flags & COMES_BACK != 0);
        let (len, rest) = rest.split_first_chunk()?;
        let (home, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let (entries, _) = rest.as_chunks::<8>();
        let loads = entries.iter().map(|&[a, b, c, d, e, f, g, h]| ShardLoad {
            shard: u16::from_be_bytes([a, b]),
            partitions: u16::from_be_bytes([c, d]),
            bytes_per_second: Some(u32::from_be_bytes([e, f, g, h])).filter(|rate| *rate != UNMEASURED),
        });
        let (home, loads) = (str::from_utf8(home).ok()?.to_owned(), loads.collect());
        Some(Self { claims, comes_back, leads, home, loads })
    }
}

impl Grant {
    /// As it is sent.
    pub fn encode(&self) -> Bytes {
        head(flag_of(self.leads), &self.shards).into()
    }

    /// Understands a grant; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (flags, shards, _) = read_head(bytes)?;
        Some(Self { shards, leads: flags & LEADS != 0 })
    }
}

fn flag_of(leads: bool) -> u8 {
    if leads { LEADS } else { 0 }
}

fn head(flags: u8, shards: &Shards) -> Vec<u8> {
    let mut out = vec![VERSION, flags];
    shards.write(&mut out);
    out
}

fn read_head(bytes: &[u8]) -> Option<(u8, Shards, &[u8])> {
    let (&[version, flags], rest) = bytes.split_first_chunk()?;
    let (shards, rest) = rest.split_first_chunk::<SHARDS_LEN>()?;
    (version >= VERSION).then(|| (flags, Shards::read(shards), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_are_read_back(shards in prop::collection::vec(0u16..4096, 0..50), leads: bool, comes_back: bool, home in "[a-z0-9 ]{0,60}", loads in prop::collection::vec((0u16..4096, any::<u16>(), prop::option::of(0..u32::MAX)), 0..20)) {
            let claims: Shards = shards.into_iter().collect();
            let loads = loads.into_iter().map(|(shard, partitions, bytes_per_second)| ShardLoad { shard, partitions, bytes_per_second }).collect();
            let grant = Grant { shards: claims.clone(), leads };
            prop_assert_eq!(Grant::decode(&grant.encode()), Some(grant));
            let report = Report { claims, comes_back, leads, home, loads };
            prop_assert_eq!(Report::decode(&report.encode()), Some(report));
        }

        #[test]
        fn nothing_in_a_group_can_hurt(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let _ = (Report::decode(&bytes), Grant::decode(&bytes));
        }
    }
}
