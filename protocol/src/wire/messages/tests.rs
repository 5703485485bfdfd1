//! Layouts against the message crate, and what mutated responses can do.

use std::process::Command;

use bytes::Bytes;

use super::*;
use crate::wire::fetch::{FetchParams, FetchPosition, FetchSession, IsolationLevel, TopicKey};
use crate::wire::produce;

/// Decodes a response of any API, and says whether it was accepted.
fn decodes(api: ApiKey, version: i16, body: Bytes) -> bool {
    match api {
        ApiKey::Fetch => fetch_session(version).accept(version, body).is_ok(),
        ApiKey::Produce => produce::decode(version, body).is_ok(),
        ApiKey::ApiVersions => decode_response::<ApiVersionsRequest>(version, body).is_ok(),
        ApiKey::SaslHandshake => decode_response::<SaslHandshakeRequest>(version, body).is_ok(),
        ApiKey::SaslAuthenticate => decode_response::<SaslAuthenticateRequest>(version, body).is_ok(),
        ApiKey::Metadata => decode_response::<MetadataRequest>(version, body).is_ok(),
        ApiKey::ListOffsets => decode_response::<ListOffsetsRequest>(version, body).is_ok(),
        ApiKey::OffsetForLeaderEpoch => decode_response::<OffsetForLeaderEpochRequest>(version, body).is_ok(),
        ApiKey::InitProducerId => decode_response::<InitProducerIdRequest>(version, body).is_ok(),
        ApiKey::AddPartitionsToTxn => decode_response::<AddPartitionsToTxnRequest>(version, body).is_ok(),
        ApiKey::AddOffsetsToTxn => decode_response::<AddOffsetsToTxnRequest>(version, body).is_ok(),
        ApiKey::TxnOffsetCommit => decode_response::<TxnOffsetCommitRequest>(version, body).is_ok(),
        ApiKey::EndTxn => decode_response::<EndTxnRequest>(version, body).is_ok(),
        ApiKey::CreateTopics => decode_response::<CreateTopicsRequest>(version, body).is_ok(),
        ApiKey::CreatePartitions => decode_response::<CreatePartitionsRequest>(version, body).is_ok(),
        ApiKey::IncrementalAlterConfigs => {
            decode_response::<IncrementalAlterConfigsRequest>(version, body).is_ok()
        }
        ApiKey::DescribeConfigs => decode_response::<DescribeConfigsRequest>(version, body).is_ok(),
        ApiKey::DeleteTopics => decode_response::<DeleteTopicsRequest>(version, body).is_ok(),
        ApiKey::DescribeAcls => decode_response::<DescribeAclsRequest>(version, body).is_ok(),
        ApiKey::CreateAcls => decode_response::<CreateAclsRequest>(version, body).is_ok(),
        ApiKey::DeleteAcls => decode_response::<DeleteAclsRequest>(version, body).is_ok(),
        ApiKey::DescribeClientQuotas => decode_response::<DescribeClientQuotasRequest>(version, body).is_ok(),
        ApiKey::AlterClientQuotas => decode_response::<AlterClientQuotasRequest>(version, body).is_ok(),
        ApiKey::DescribeUserScramCredentials => {
            decode_response::<DescribeUserScramCredentialsRequest>(version, body).is_ok()
        }
        ApiKey::DescribeCluster => decode_response::<DescribeClusterRequest>(version, body).is_ok(),
        ApiKey::DescribeProducers => decode_response::<DescribeProducersRequest>(version, body).is_ok(),
        ApiKey::FindCoordinator => decode_response::<FindCoordinatorRequest>(version, body).is_ok(),
        ApiKey::JoinGroup => decode_response::<JoinGroupRequest>(version, body).is_ok(),
        ApiKey::SyncGroup => decode_response::<SyncGroupRequest>(version, body).is_ok(),
        ApiKey::Heartbeat => decode_response::<HeartbeatRequest>(version, body).is_ok(),
        ApiKey::LeaveGroup => decode_response::<LeaveGroupRequest>(version, body).is_ok(),
        ApiKey::ListGroups => decode_response::<ListGroupsRequest>(version, body).is_ok(),
        ApiKey::DescribeGroups => decode_response::<DescribeGroupsRequest>(version, body).is_ok(),
        ApiKey::ConsumerGroupDescribe => {
            decode_response::<ConsumerGroupDescribeRequest>(version, body).is_ok()
        }
        ApiKey::OffsetFetch => decode_response::<OffsetFetchRequest>(version, body).is_ok(),
        ApiKey::OffsetCommit => decode_response::<OffsetCommitRequest>(version, body).is_ok(),
        ApiKey::ShareGroupDescribe => decode_response::<ShareGroupDescribeRequest>(version, body).is_ok(),
        ApiKey::DescribeShareGroupOffsets => {
            decode_response::<DescribeShareGroupOffsetsRequest>(version, body).is_ok()
        }
        ApiKey::AlterShareGroupOffsets => {
            decode_response::<AlterShareGroupOffsetsRequest>(version, body).is_ok()
        }
    }
}

fn fetch_session(version: i16) -> FetchSession {
    let mut session = FetchSession::new();
    let topic = TopicKey { name: "a".into(), id: uuid::Uuid::from_u128(1) };
    let position = FetchPosition {
        fetch_offset: 0,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        max_bytes: 1,
    };
    session.set(&topic, 0, position);
    let params = FetchParams {
        max_wait_ms: 1,
        min_bytes: 1,
        max_bytes: 1,
        isolation_level: IsolationLevel::ReadUncommitted,
        rack: "".into(),
    };
    session.build(version, &params).unwrap();
    session
}

/// A sample response of every API and version we speak.
fn samples() -> Vec<(ApiKey, i16, Bytes)> {
    let mut samples = Vec::new();
    for &api in ApiKey::ALL {
        for version in api.versions() {
            let body = match api {
                ApiKey::Fetch => crate::wire::fetch::sample_response(version),
                ApiKey::Produce => produce::sample_response(version),
                other => samples::response(other, version).unwrap(),
            };
            samples.push((api, version, body));
        }
    }
    samples
}

#[test]
fn every_layout_is_the_message_crates_in_every_version() {
    for (api, version, body) in samples() {
        assert!(decodes(api, version, body), "{api} {version}");
    }
}

#[test]
fn cut_and_overlong_responses_are_refused() {
    for (api, version, body) in samples() {
        for len in 0..body.len() {
            assert!(!decodes(api, version, body.slice(..len)), "{api} {version} cut at {len}");
        }
        let longer = Bytes::from([&body[..], &[0]].concat());
        assert!(!decodes(api, version, longer), "{api} {version} with a byte more");
    }
}

#[test]
fn versions_we_do_not_speak_are_refused() {
    let refused = encode_request(&MetadataRequest::default(), 3);
    assert_eq!(refused, Err(WireError::Version { api: ApiKey::Metadata, version: 3 }));
    assert!(decode_response::<MetadataRequest>(14, Bytes::new()).is_err());
}

/// Memory the mutation test may have in all, in kilobytes: the test binary and its threads take most of it. One
/// believed count of four random bytes would take far more.
const ADDRESS_SPACE_KB: u32 = 1 << 20;

/// Runs [`mutations`] in a process that may not have more memory than it needs: an allocation by a count that was
/// believed would abort it. There is no allocator here that would forgive one.
#[test]
#[cfg(target_os = "linux")]
fn mutated_responses_cannot_panic_abort_or_exhaust_memory() {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {ADDRESS_SPACE_KB} && exec \"$0\" --exact \"$1\" --ignored --test-threads 1"))
        .arg(std::env::current_exe().unwrap())
        .arg("wire::messages::tests::mutations")
        .env("RUST_MIN_STACK", "1048576")
        .output()
        .unwrap();
    let output =
        String::from_utf8_lossy(&status.stdout).into_owned() + &String::from_utf8_lossy(&status.stderr);
    assert!(status.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by mutated_responses_cannot_panic_abort_or_exhaust_memory in a process of its own"]
fn mutations() {
    const ROUNDS: u32 = 4_000;
    let mut random = XorShift(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0u32;
    for (api, version, body) in samples() {
        for _ in 0..ROUNDS {
            let mutated = mutate(&body, &mut random);
            accepted += u32::from(decodes(api, version, mutated));
        }
    }
    assert!(accepted > 0, "some mutations only change values");
}

/// One to four changes: a byte set, a large or negative count of four bytes or as a varint, a cut.
fn mutate(body: &[u8], random: &mut XorShift) -> Bytes {
    let mut body = body.to_vec();
    for _ in 0..=random.below(3) {
        if body.is_empty() {
            break;
        }
        let at = random.below(body.len());
        match random.below(6) {
            0 => body.truncate(at),
            1 => overwrite(&mut body, at, &[0x7f, 0xff, 0xff, 0xff]),
            2 => overwrite(&mut body, at, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            3 => overwrite(&mut body, at, &[0x00, 0xff, 0xff, 0xff]),
            4 => body.insert(at, 0x80),
            _ => body[at] = u8::try_from(random.below(256)).unwrap(),
        }
    }
    Bytes::from(body)
}

fn overwrite(body: &mut [u8], at: usize, with: &[u8]) {
    for (byte, new) in body[at..].iter_mut().zip(with) {
        *byte = *new;
    }
}

struct XorShift(u64);

impl XorShift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}
