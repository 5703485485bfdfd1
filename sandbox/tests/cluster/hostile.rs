//! Bytes no client sends: a broker closes that connection and serves the others.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::{Encodable, Request};
use kmirror_sandbox::{Sandbox, SandboxOptions};

use crate::link::Link;
use crate::{batch, metadata, produce, start, told};

async fn still_serves(sandbox: &Sandbox) {
    let mut link = Link::open(sandbox.address(1).unwrap()).await;
    assert_eq!(told(&link.ask(12, &metadata()).await.unwrap()).0, 1);
}

#[tokio::test]
async fn frames_have_a_limit() {
    let options = SandboxOptions { max_frame_bytes: 1000, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    for announced in [1001u32, 0x4745_5420, u32::MAX] {
        let mut link = Link::open(sandbox.address(1).unwrap()).await;
        link.send_raw(&announced.to_be_bytes()).await;
        assert!(link.rest().await.is_empty(), "{announced}");
    }
}

#[tokio::test]
async fn what_is_not_offered_is_not_answered() {
    let sandbox = start(1).await;
    for (api, version) in [(999, 0), (-1, 0), (0, 2), (1, 99), (3, -1), (4, 0)] {
        let mut frame = BytesMut::new();
        frame.put_i16(api);
        frame.put_i16(version);
        frame.put_i32(1);
        frame.put_i16(-1);
        let mut link = Link::open(sandbox.address(1).unwrap()).await;
        link.send_frame(&frame).await;
        assert!(link.rest().await.is_empty(), "{api} {version}");
    }
    for len in 0..8 {
        let mut link = Link::open(sandbox.address(1).unwrap()).await;
        link.send_frame(&[0; 8][..len]).await;
        assert!(link.rest().await.is_empty());
    }
    still_serves(&sandbox).await;
}

fn frame<R: Request>(version: i16, request: &R) -> Vec<u8> {
    let api = ApiKey::try_from(R::KEY).unwrap();
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    let mut frame = BytesMut::new();
    header.encode(&mut frame, api.request_header_version(version)).unwrap();
    request.encode(&mut frame, version).unwrap();
    frame.to_vec()
}

/// Every byte of two requests replaced, and every length of them cut short. Array lengths are left alone: kafka-protocol
/// reserves as many places as they say.
#[tokio::test]
async fn damaged_requests_do_no_harm() {
    let sandbox = start(1).await;
    let frames = [frame(9, &produce(batch(&["a", "b", "c"]))), frame(12, &metadata())];
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    for frame in frames {
        for position in 0..frame.len() {
            for damage in 0..3u64 {
                let noise = hasher.hash_one((position, damage)).to_le_bytes()[0];
                let mut damaged = frame.clone();
                match damage {
                    0 => damaged.truncate(position),
                    // Small numbers only, so that no length becomes a large one.
                    _ => damaged[position] = noise % 5,
                }
                let mut link = Link::open(sandbox.address(1).unwrap()).await;
                link.send_frame(&damaged).await;
                link.close_sending().await;
                link.rest().await;
            }
        }
    }
    still_serves(&sandbox).await;
}
