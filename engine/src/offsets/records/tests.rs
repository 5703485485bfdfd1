use bytes::Bytes;
use proptest::prelude::*;

use super::*;

// The bytes below were taken from the classes of Kafka 3.9.1 and 4.3.0 (`recordKey()`, `recordValue()`, `toString()`).

fn hex(text: &str) -> Bytes {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn is(record: &NewRecord, timestamp: i64, key: &str, value: &str) {
    let expected = NewRecord { timestamp, key: Some(hex(key)), value: Some(hex(value)), headers: Vec::new() };
    assert_eq!(record, &expected);
}

fn orders() -> SourcePartition {
    SourcePartition { topic: "orders".into(), partition: 7 }
}

#[test]
fn an_offset_sync_has_the_bytes_and_the_text_of_java() {
    let sync = OffsetSync {
        partition: orders(),
        upstream: SourceOffset(123_456_789_012),
        downstream: TargetOffset(42),
    };
    is(&sync.to_record(5), 5, "00066f726465727300000007", "0000001cbe991a14000000000000002a");
    assert_eq!(
        sync.to_string(),
        "OffsetSync{topicPartition=orders-7, upstreamOffset=123456789012, downstreamOffset=42}"
    );
}

#[test]
fn a_checkpoint_has_the_bytes_and_the_text_of_java() {
    let checkpoint = Checkpoint {
        group: "billing-ü".into(),
        topic: "us-west.orders".into(),
        partition: 7,
        upstream: SourceOffset(123_456_789_012),
        downstream: TargetOffset(42),
        metadata: "moved".into(),
    };
    is(
        &checkpoint.to_record(5),
        5,
        "000a62696c6c696e672dc3bc000e75732d776573742e6f726465727300000007",
        "00000000001cbe991a14000000000000002a00056d6f766564",
    );
    assert_eq!(
        checkpoint.to_string(),
        "Checkpoint{consumerGroupId=billing-ü, topicPartition=us-west.orders-7, \
         upstreamOffset=123456789012, downstreamOffset=42, metadata=moved}"
    );
    let bare = Checkpoint {
        group: "g".into(),
        topic: "A.t".into(),
        partition: 0,
        upstream: SourceOffset(0),
        downstream: TargetOffset(0),
        metadata: "".into(),
    };
    is(&bare.to_record(5), 5, "0001670003412e7400000000", "0000000000000000000000000000000000000000");
}

#[test]
fn a_heartbeat_has_the_bytes_and_the_text_of_java() {
    let heartbeat =
        Heartbeat { source: "us-west".into(), target: "us-east".into(), timestamp: 1_700_000_000_123 };
    is(
        &heartbeat.to_record(),
        1_700_000_000_123,
        "000775732d77657374000775732d65617374",
        "00000000018bcfe5687b",
    );
    assert_eq!(
        heartbeat.to_string(),
        "Heartbeat{sourceClusterAlias=us-west, targetClusterAlias=us-east, timestamp=1700000000123}"
    );
}

#[test]
fn what_is_not_understood_is_left_out() {
    let heartbeat = Heartbeat { source: "A".into(), target: "B".into(), timestamp: 1 }.to_record();
    let (key, value) = (heartbeat.key.as_deref(), heartbeat.value.as_deref());
    assert!(Heartbeat::read(key, value).is_some());
    assert_eq!(Heartbeat::read(key, None), None);
    assert_eq!(Heartbeat::read(None, value), None);
    // Of a version that nobody knows yet.
    assert_eq!(Heartbeat::read(key, Some(&hex("00010000000000000001"))), None);
    // A place that no log has.
    let key = hex("00017400000000");
    let before_zero = hex("ffffffffffffffff000000000000002a");
    assert_eq!(OffsetSync::read(Some(&key), Some(&before_zero)), None);
}

#[test]
fn an_endless_name_is_cut_off_between_two_letters() {
    let heartbeat =
        Heartbeat { source: "ü".repeat(20_000).into(), target: "B".into(), timestamp: 1 }.to_record();
    let read = Heartbeat::read(heartbeat.key.as_deref(), heartbeat.value.as_deref()).unwrap();
    assert_eq!(read.source.len(), 32_766);
    assert_eq!(&*read.target, "B");
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        names in prop::array::uniform3("\\PC{0,40}"),
        partition in 0i32..,
        upstream in 0i64..,
        downstream in 0i64..,
        timestamp: i64,
    ) {
        let [first, second, third] = names.map(Arc::<str>::from);
        let (upstream, downstream) = (SourceOffset(upstream), TargetOffset(downstream));
        let sync = OffsetSync {
            partition: SourcePartition { topic: Arc::clone(&first), partition },
            upstream,
            downstream,
        };
        let record = sync.to_record(timestamp);
        prop_assert_eq!(OffsetSync::read(record.key.as_deref(), record.value.as_deref()), Some(sync));

        let (source, target) = (Arc::clone(&first), Arc::clone(&second));
        let checkpoint =
            Checkpoint { group: first, topic: second, partition, upstream, downstream, metadata: third };
        let record = checkpoint.to_record(timestamp);
        prop_assert_eq!(Checkpoint::read(record.key.as_deref(), record.value.as_deref()), Some(checkpoint));

        let heartbeat = Heartbeat { source, target, timestamp };
        let record = heartbeat.to_record();
        prop_assert_eq!(Heartbeat::read(record.key.as_deref(), record.value.as_deref()), Some(heartbeat));
    }

    #[test]
    fn garbage_does_no_harm(
        key in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        // Texts are met often only when their lengths are small.
        let small = |bytes: &[u8]| [&[0, 3][..], bytes].concat();
        for (key, value) in [(key.clone(), value.clone()), (small(&key), [&[0, 0][..], &value].concat())] {
            let _ = OffsetSync::read(Some(&key), Some(&value));
            let _ = Checkpoint::read(Some(&key), Some(&value));
            let _ = Heartbeat::read(Some(&key), Some(&value));
        }
    }

    #[test]
    fn a_record_that_breaks_off_is_none(cut in 0usize..60) {
        let checkpoint = Checkpoint {
            group: "g".into(),
            topic: "A.t".into(),
            partition: 1,
            upstream: SourceOffset(5),
            downstream: TargetOffset(4),
            metadata: "m".into(),
        }.to_record(0);
        let (key, value) = (checkpoint.key.unwrap(), checkpoint.value.unwrap());
        prop_assume!(cut < key.len() + value.len());
        let (key, value) = match key.get(..cut) {
            Some(short) if cut < key.len() => (short, &value[..]),
            _ => (&key[..], &value[..cut - key.len()]),
        };
        prop_assert_eq!(Checkpoint::read(Some(key), Some(value)), None);
    }
}
