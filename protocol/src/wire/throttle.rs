//! How long a broker asks a client to stay silent (KIP-124, KIP-219): where responses say it, and since when it counts.

use bytes::Bytes;

use super::api::ApiKey;
use super::produce;

/// The milliseconds of silence that a response asks for on its connection; none for no throttling, and for bytes that
/// are no such response (who decodes them will say so).
///
/// ApiVersions has it behind a list; it is asked once a connection, and is not read here.
pub fn throttle_time_ms(api: ApiKey, version: i16, body: &Bytes) -> Option<u32> {
    if version < first_obeyed(api)? {
        return None;
    }
    let asked = match api {
        ApiKey::Produce => produce::decode(version, body.clone()).ok()?.throttle_time_ms,
        _ => i32::from_be_bytes(*body.first_chunk()?),
    };
    u32::try_from(asked).ok().filter(|asked| *asked > 0)
}

/// The version of an API since which the client is to keep silent (`AbstractResponse.shouldClientThrottle`). With an
/// older one the broker has waited itself before it answered. APIs that came after KIP-219 have it from the beginning;
/// none where the response says nothing at its beginning.
///
/// By number, so that it holds for APIs that are not spoken here yet, too.
const fn first_obeyed(api: ApiKey) -> Option<i16> {
    Some(match api.key() {
        // Produce, Metadata
        0 | 3 => 6,
        // Fetch
        1 => 8,
        // ListOffsets, JoinGroup, CreateTopics
        2 | 11 | 19 => 3,
        // OffsetCommit, OffsetFetch
        8 | 9 => 4,
        // FindCoordinator, Heartbeat, LeaveGroup, SyncGroup, DescribeGroups, ListGroups, DeleteTopics,
        // OffsetForLeaderEpoch, DescribeConfigs
        10 | 12..=16 | 20 | 23 | 32 => 2,
        // SaslHandshake, ApiVersions, WriteTxnMarkers, SaslAuthenticate
        17 | 18 | 27 | 36 => return None,
        // DeleteRecords, InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit, ACLs,
        // AlterConfigs, CreatePartitions, DeleteGroups
        21 | 22 | 24..=26 | 28..=31 | 33 | 37 | 42 => 1,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages as theirs;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn encoded(message: &impl Encodable, version: i16) -> Bytes {
        let mut out = BytesMut::new();
        message.encode(&mut out, version).unwrap();
        out.freeze()
    }

    /// What the message crate, made from Kafka's schemas, writes as throttle time is read as such.
    #[test]
    fn it_is_found_where_the_message_crate_puts_it() {
        macro_rules! check {
            ($($api:ident $response:ident;)*) => {$({
                let message = theirs::$response::default().with_throttle_time_ms(777);
                for version in ApiKey::$api.versions() {
                    let expected = (version >= first_obeyed(ApiKey::$api).unwrap()).then_some(777);
                    // DescribeConfigs 0 is coded by hand and has no place in that crate.
                    if expected.is_some() {
                        let found = throttle_time_ms(ApiKey::$api, version, &encoded(&message, version));
                        assert_eq!(found, expected, "{} {version}", ApiKey::$api);
                    }
                }
            })*};
        }
        check! {
            Produce ProduceResponse;
            Fetch FetchResponse;
            ListOffsets ListOffsetsResponse;
            Metadata MetadataResponse;
            OffsetCommit OffsetCommitResponse;
            OffsetFetch OffsetFetchResponse;
            FindCoordinator FindCoordinatorResponse;
            DescribeGroups DescribeGroupsResponse;
            ListGroups ListGroupsResponse;
            CreateTopics CreateTopicsResponse;
            DeleteTopics DeleteTopicsResponse;
            InitProducerId InitProducerIdResponse;
            AddPartitionsToTxn AddPartitionsToTxnResponse;
            AddOffsetsToTxn AddOffsetsToTxnResponse;
            TxnOffsetCommit TxnOffsetCommitResponse;
            EndTxn EndTxnResponse;
            OffsetForLeaderEpoch OffsetForLeaderEpochResponse;
            DescribeAcls DescribeAclsResponse;
            CreateAcls CreateAclsResponse;
            DeleteAcls DeleteAclsResponse;
            DescribeConfigs DescribeConfigsResponse;
            CreatePartitions CreatePartitionsResponse;
            IncrementalAlterConfigs IncrementalAlterConfigsResponse;
            DescribeClientQuotas DescribeClientQuotasResponse;
            AlterClientQuotas AlterClientQuotasResponse;
            DescribeUserScramCredentials DescribeUserScramCredentialsResponse;
            DescribeCluster DescribeClusterResponse;
            DescribeProducers DescribeProducersResponse;
            ConsumerGroupDescribe ConsumerGroupDescribeResponse;
            ShareGroupDescribe ShareGroupDescribeResponse;
            DescribeShareGroupOffsets DescribeShareGroupOffsetsResponse;
            AlterShareGroupOffsets AlterShareGroupOffsetsResponse;
        }
    }

    #[test]
    fn what_asks_for_nothing_is_none() {
        for asked in [0, -1, i32::MIN] {
            let message = theirs::FetchResponse::default().with_throttle_time_ms(asked);
            assert_eq!(throttle_time_ms(ApiKey::Fetch, 12, &encoded(&message, 12)), None);
        }
        // Before KIP-219 the broker itself has waited.
        let message = theirs::FetchResponse::default().with_throttle_time_ms(9);
        assert_eq!(throttle_time_ms(ApiKey::Fetch, 7, &encoded(&message, 7)), None);
    }

    #[test]
    fn bytes_that_are_no_response_ask_for_nothing() {
        for len in 0..4 {
            let body = Bytes::from(vec![1; len]);
            assert_eq!(throttle_time_ms(ApiKey::Fetch, 12, &body), None);
            assert_eq!(throttle_time_ms(ApiKey::Produce, 12, &body), None);
        }
    }
}
