//! A relay built on librdkafka: the C peer of benches/compare.
//!
//! `relay-librdkafka SOURCE TARGET SOURCE-TOPIC TARGET-TOPIC CODEC RECORDS` copies records as they are, partition to
//! partition, and ends when RECORDS were acknowledged (0: never). Tuned as the other peers: 4 MB partition fetches,
//! batches of up to 512 KB, 20 ms of linger, acks from all replicas, idempotent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const TIMEOUT: Duration = Duration::from_secs(30);

struct Count(Arc<AtomicU64>);

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.fetch_add(1, Ordering::Relaxed),
            Err((error, _)) => panic!("not delivered: {error}"),
        };
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target, from, to, codec, records] = arguments.as_slice() else {
        panic!("relay-librdkafka SOURCE TARGET SOURCE-TOPIC TARGET-TOPIC CODEC RECORDS");
    };
    let records: u64 = records.parse().expect("RECORDS is a number");
    let consumer = consumer(source, from);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let producer = producer(target, codec, Count(Arc::clone(&acknowledged)));
    let mut sent = 0;
    while records == 0 || sent < records {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            send(&producer, to, &message.expect("a message"));
            sent += 1;
        }
        if sent % 1000 == 0 || records == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(TIMEOUT).expect("all delivered");
    assert_eq!(acknowledged.load(Ordering::Relaxed), records);
    println!("{records}");
}

fn consumer(bootstrap: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "relay")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("max.partition.fetch.bytes", "4194304")
        // The default of a second leaves it idle whenever its queue has been full.
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("metadata");
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
    }
    consumer.assign(&partitions).expect("an assignment");
    consumer
}

fn producer(bootstrap: &str, codec: &str, count: Count) -> BaseProducer<Count> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("compression.type", codec)
        .set("batch.size", "524288")
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", "500000")
        .create_with_context(count)
        .expect("a producer")
}

fn send(producer: &BaseProducer<Count>, topic: &str, message: &BorrowedMessage<'_>) {
    let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(message.partition());
    record.key = message.key();
    record.payload = message.payload();
    record.timestamp = message.timestamp().to_millis();
    record.headers = message.headers().map(|headers| headers.detach());
    while let Err((error, back)) = producer.send(record) {
        assert!(
            matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
            "cannot send: {error}"
        );
        producer.poll(Duration::from_millis(10));
        record = back;
    }
}
