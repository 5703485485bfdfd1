//! Fetch responses of every version, answered to a session with partitions of topics with and without ids.
#![no_main]

use bytes::Bytes;
use kmirror_protocol::wire::api::ApiKey;
use kmirror_protocol::wire::batch::Entries;
use kmirror_protocol::wire::fetch::{FetchParams, FetchPosition, FetchSession, IsolationLevel, TopicKey};
use kmirror_protocol::wire::frame;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

fuzz_target!(|data: &[u8]| {
    let Some((&[version, with_ids], data)) = data.split_first_chunk::<2>() else { return };
    let version = 4 + i16::from(version % 14);
    let mut session = FetchSession::new();
    for (name, number) in [("a", 1u128), ("topic", 2)] {
        let id = if with_ids % 2 == 1 { Uuid::from_u128(number) } else { Uuid::nil() };
        let position = FetchPosition {
            fetch_offset: 5,
            current_leader_epoch: 1,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            max_bytes: 1 << 20,
        };
        session.set(&TopicKey { name: name.into(), id }, 0, position);
        session.set(&TopicKey { name: name.into(), id }, 1, position);
    }
    let params = FetchParams {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1 << 20,
        isolation_level: IsolationLevel::ReadUncommitted,
        rack: "".into(),
    };
    // Several responses to one session: each half of the data is one.
    for response in data.chunks(data.len().div_ceil(2).max(1)) {
        let version = session.version(version);
        session.build(version, &params).unwrap();
        let Ok(body) = frame::response_body(ApiKey::Fetch, version, Bytes::copy_from_slice(response)) else {
            return;
        };
        let Ok(response) = session.accept(version, body) else { return };
        for partition in response.partitions {
            assert!(partition.records.len() <= data.len());
            let _ = Entries::new(partition.records).count();
        }
    }
});
