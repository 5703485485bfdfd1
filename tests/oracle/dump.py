"""Reads a topic from its beginning to where it ends now and prints a digest of each partition.

Checksums are verified by the client. A record counts by key, value, headers, timestamp and timestamp type.
"""

import argparse
import json
import sys
import time

from confluent_kafka import (
    TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, KafkaException, TopicPartition,
)

import common

IDLE_SECONDS = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("--isolation", default="read_uncommitted", help="isolation.level")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the offset to begin with")
    parser.add_argument("--with-offsets", action="store_true", help="offsets count too")
    parser.add_argument("--ignore-timestamp-type", action="store_true", help="create and append time are the same")
    parser.add_argument("--ignore-timestamps", action="store_true", help="times do not count")
    parser.add_argument("--records", action="store_true", help="print keys and values, for small topics")
    options = parser.parse_args()

    settings = {
        "group.id": "dump", "enable.auto.commit": False, "auto.offset.reset": "earliest", "check.crcs": True,
        "enable.partition.eof": True, "isolation.level": options.isolation, "fetch.message.max.bytes": 8 << 20,
        "queued.max.messages.kbytes": 65536,
    }
    consumer = Consumer(common.client(options.bootstrap, **settings))
    metadata = consumer.list_topics(options.topic, timeout=30).topics[options.topic]
    if metadata.error is not None:
        sys.exit(f"{options.topic}: {metadata.error}")
    digests = {partition: common.Digest() for partition in metadata.partitions}
    shown = {partition: [] for partition in digests}
    consumer.assign([TopicPartition(options.topic, partition, options.first) for partition in digests])
    open_partitions = set(digests)
    heard = time.monotonic()
    while open_partitions:
        # consume() waits for that many messages or the whole timeout, so the timeout is short.
        messages = consumer.consume(1000, timeout=0.05)
        if messages:
            heard = time.monotonic()
        elif time.monotonic() - heard > IDLE_SECONDS:
            sys.exit(f"{options.topic}: nothing for {IDLE_SECONDS} s, partitions {open_partitions} have no end")
        for message in messages:
            if message.error() is None:
                take(options, digests[message.partition()], shown[message.partition()], message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    partitions = {partition: digest.json() for partition, digest in sorted(digests.items())}
    if options.records:
        for partition, records in shown.items():
            partitions[partition]["content"] = records
    print(json.dumps({"partitions": partitions}))


def take(options, digest, shown, message):
    kind, timestamp = message.timestamp()
    # Of a record without a time librdkafka says that there is none, or gives the number that stands for none.
    if kind == TIMESTAMP_NOT_AVAILABLE:
        kind, timestamp = TIMESTAMP_CREATE_TIME, -1
    kind = 0 if options.ignore_timestamp_type or options.ignore_timestamps else kind
    counted = -1 if options.ignore_timestamps else timestamp
    key, value, offset = message.key(), message.value(), message.offset()
    digest.add(key, value, message.headers(), kind, counted, offset, options.with_offsets)
    if options.records:
        text = [None if field is None else field.decode("latin-1") for field in (key, value)]
        shown.append([offset, timestamp, *text])


if __name__ == "__main__":
    main()
