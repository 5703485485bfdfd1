//! Which APIs and which versions of them we speak, and how each version frames its header.
//!
//! The floor is Kafka 0.11 (the first with record batches), the ceiling Kafka 4.3.

use std::ops::RangeInclusive;

macro_rules! apis {
    ($($(#[$doc:meta])* $name:ident = $key:literal, $min:literal..=$max:literal, flexible $flexible:literal;)*) => {
        /// An API of the Kafka protocol that we speak.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ApiKey {
            $($(#[$doc])* $name,)*
        }

        impl ApiKey {
            /// Every API we speak.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            pub const fn key(self) -> i16 {
                match self { $(Self::$name => $key,)* }
            }

            /// Kafka's name of the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The versions we speak.
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self { $(Self::$name => $min..=$max,)* }
            }

            /// The first version with compact lengths and tagged fields (KIP-482).
            pub const fn first_flexible(self) -> i16 {
                match self { $(Self::$name => $flexible,)* }
            }
        }
    };
}

apis! {
    /// Appends record batches. Version 13 names topics by id (KIP-516).
    Produce = 0, 3..=13, flexible 9;
    /// Reads record batches. Version 7 has sessions (KIP-227), 13 names topics by id, 18 adds nothing for consumers.
    Fetch = 1, 4..=17, flexible 12;
    /// Looks offsets up by timestamp.
    ListOffsets = 2, 1..=10, flexible 6;
    /// Brokers, topics, leaders. Version 4 (Kafka 0.11) can ask without creating what it asks for.
    Metadata = 3, 4..=13, flexible 9;
    /// Positions of a group, as one who is no member of it.
    OffsetCommit = 8, 2..=9, flexible 8;
    /// Positions of groups; of many in one request since version 8 (KIP-709). Version 10 names topics by id.
    OffsetFetch = 9, 2..=9, flexible 6;
    /// Which broker looks after a group; after many since version 4 (KIP-699).
    FindCoordinator = 10, 1..=4, flexible 3;
    /// Joins a classic group; waits until all its members have. Version 2 is Kafka 0.11's, 4 gives out the member's id
    /// first (KIP-394), 5 has instance ids (KIP-345).
    JoinGroup = 11, 2..=9, flexible 6;
    /// A member's sign of life.
    Heartbeat = 12, 1..=4, flexible 4;
    /// Leaves a classic group; several members at once since version 3.
    LeaveGroup = 13, 1..=5, flexible 4;
    /// Gives the leader's assignment to the members of a classic group.
    SyncGroup = 14, 1..=5, flexible 4;
    /// Classic groups and who is in them. Version 6 tells groups that are not there from dead ones.
    DescribeGroups = 15, 0..=6, flexible 5;
    /// The groups a broker looks after; with states since version 4, with types since 5.
    ListGroups = 16, 0..=5, flexible 3;
    /// Which mechanism a client authenticates with. Version 1 has the tokens in messages of their own (KIP-152).
    SaslHandshake = 17, 1..=1, flexible 2;
    /// What the broker speaks. Version 4 differs only in features that start at level 0, which we do not use;
    /// asking for 3 spares brokers before 4.0 a second round.
    ApiVersions = 18, 0..=3, flexible 3;
    /// Creates topics.
    CreateTopics = 19, 2..=7, flexible 5;
    /// Deletes topics. Version 6 only adds deletion by id.
    DeleteTopics = 20, 1..=5, flexible 4;
    /// Gives out producer ids. Version 6 is about two-phase commit only (KIP-939).
    InitProducerId = 22, 0..=5, flexible 2;
    /// The end offset of a leader epoch, to find where a log was truncated (KIP-320).
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4;
    /// Makes partitions part of a transaction (KIP-98). Versions from 4 on are for brokers.
    AddPartitionsToTxn = 24, 0..=3, flexible 3;
    /// Makes a group's positions part of a transaction.
    AddOffsetsToTxn = 25, 0..=3, flexible 3;
    /// Ends a transaction. Version 5 is for producers whose epoch grows with each (KIP-890).
    EndTxn = 26, 0..=3, flexible 3;
    /// Positions of a group that count when the transaction does. Version 3 (Kafka 2.5) says which member of which
    /// generation speaks (KIP-447), without which it would fence nobody.
    TxnOffsetCommit = 28, 3..=3, flexible 3;
    /// Who may do what. Version 1 (Kafka 2.0) has resource patterns (KIP-290), 3 user resources.
    DescribeAcls = 29, 1..=3, flexible 2;
    /// Allows or denies.
    CreateAcls = 30, 1..=3, flexible 2;
    /// Takes back what was allowed or denied.
    DeleteAcls = 31, 1..=3, flexible 2;
    /// Settings of topics and brokers. Version 0 (Kafka 0.11 and 1.0) is coded by hand.
    DescribeConfigs = 32, 0..=4, flexible 4;
    /// A token of a mechanism (Kafka 1.0). Version 1 tells how long the session lives (KIP-368).
    SaslAuthenticate = 36, 0..=2, flexible 2;
    /// Adds partitions.
    CreatePartitions = 37, 0..=3, flexible 2;
    /// Changes single settings (KIP-339, Kafka 2.3).
    IncrementalAlterConfigs = 44, 0..=1, flexible 1;
    /// Limits of users, client ids and addresses (KIP-546, Kafka 2.6).
    DescribeClientQuotas = 48, 0..=1, flexible 1;
    /// Changes such limits.
    AlterClientQuotas = 49, 0..=1, flexible 1;
    /// Which users have SCRAM credentials, not what these are (KIP-554, Kafka 2.7).
    DescribeUserScramCredentials = 50, 0..=0, flexible 0;
    /// Cluster id and brokers (Kafka 2.8).
    DescribeCluster = 60, 0..=2, flexible 0;
    /// Who writes to a partition and how far (KIP-664, Kafka 2.8).
    DescribeProducers = 61, 0..=0, flexible 0;
    /// Groups of the protocol of KIP-848 (Kafka 3.7).
    ConsumerGroupDescribe = 69, 0..=1, flexible 0;
    /// Share groups (KIP-932, Kafka 4.1).
    ShareGroupDescribe = 77, 1..=1, flexible 0;
    /// Where share groups begin to read (Kafka 4.1).
    DescribeShareGroupOffsets = 90, 0..=0, flexible 0;
    /// Sets where share groups begin to read (Kafka 4.1).
    AlterShareGroupOffsets = 91, 0..=0, flexible 0;
}

impl ApiKey {
    /// Whether this version has compact lengths and tagged fields.
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.first_flexible()
    }

    /// The highest version that we and a peer with the versions `min..=max` both speak.
    pub fn common_version(self, min: i16, max: i16) -> Option<i16> {
        let ours = self.versions();
        let version = max.min(*ours.end());
        (version >= min && version >= *ours.start()).then_some(version)
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys, names, ranges and header kinds are those of the message crate, made from Kafka's own schemas.
    #[test]
    fn the_table_agrees_with_the_message_crate() {
        for &api in ApiKey::ALL {
            let theirs = kafka_protocol::messages::ApiKey::try_from(api.key()).unwrap();
            assert_eq!(format!("{theirs:?}"), api.name());
            let range = theirs.valid_versions();
            let by_hand = i16::from(api == ApiKey::DescribeConfigs);
            let coded = range.min <= *api.versions().start() + by_hand && range.max >= *api.versions().end();
            assert!(coded, "{api}");
            for version in api.versions() {
                let flexible = theirs.request_header_version(version) == 2;
                assert_eq!(flexible, api.is_flexible(version), "{api} {version}");
            }
        }
    }

    #[test]
    fn the_highest_common_version_is_taken() {
        assert_eq!(ApiKey::Fetch.common_version(0, 11), Some(11));
        assert_eq!(ApiKey::Fetch.common_version(4, 99), Some(17));
        assert_eq!(ApiKey::Fetch.common_version(0, 3), None);
        assert_eq!(ApiKey::Fetch.common_version(18, 20), None);
    }
}
