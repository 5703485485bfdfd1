"""Follows the source's records through the target, record by record, where some may be there more than once.

Every record must differ from all others of its partition (case "plain" sees to that). Prints how many are lost,
repeated, unknown, and whether each repetition begins a stretch that goes on in order, as a restart makes it.
"""

import argparse
import hashlib
import json
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import common

IDLE_SECONDS = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("source_topic")
    parser.add_argument("target")
    parser.add_argument("target_topic")
    options = parser.parse_args()
    source = read(options.source, options.source_topic)
    target = read(options.target, options.target_topic)
    result = {"source": 0, "target": 0, "lost": 0, "repeated": 0, "unknown": 0, "skipped_ahead": 0}
    if set(source) != set(target):
        sys.exit(f"partitions differ: {sorted(source)} and {sorted(target)}")
    for partition, records in source.items():
        for key, value in follow(records, target[partition]).items():
            result[key] += value
    print(json.dumps(result))


def follow(source, target):
    index = {record: number for number, record in enumerate(source)}
    if len(index) != len(source):
        sys.exit("records of the source are not all different")
    seen, expected = set(), 0
    result = {"source": len(source), "target": len(target), "repeated": 0, "unknown": 0, "skipped_ahead": 0}
    for record in target:
        number = index.get(record)
        if number is None:
            result["unknown"] += 1
            continue
        if number in seen:
            result["repeated"] += 1
        elif number > expected:
            result["skipped_ahead"] += 1
        seen.add(number)
        expected = number + 1
    return {**result, "lost": len(source) - len(seen)}


def read(bootstrap, topic):
    settings = {"group.id": "verify", "enable.auto.commit": False, "enable.partition.eof": True, "check.crcs": True}
    consumer = Consumer(common.client(bootstrap, **settings))
    metadata = consumer.list_topics(topic, timeout=30).topics[topic]
    if metadata.error is not None:
        sys.exit(f"{topic}: {metadata.error}")
    records = {partition: [] for partition in metadata.partitions}
    consumer.assign([TopicPartition(topic, partition, 0) for partition in records])
    open_partitions, heard = set(records), time.monotonic()
    while open_partitions:
        messages = consumer.consume(1000, timeout=0.05)
        if messages:
            heard = time.monotonic()
        elif time.monotonic() - heard > IDLE_SECONDS:
            sys.exit(f"{topic}: nothing for {IDLE_SECONDS} s")
        for message in messages:
            if message.error() is None:
                content = repr((message.key(), message.value(), message.headers(), message.timestamp()))
                records[message.partition()].append(hashlib.sha1(content.encode()).digest())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    return records


if __name__ == "__main__":
    main()
