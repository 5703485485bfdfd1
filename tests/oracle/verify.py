"""Follows the source's records through the target, record by record, where some may be there more than once.

Every record must differ from all others of its partition (case "plain" sees to that). Prints how many are lost,
repeated, unknown, and whether each repetition begins a stretch that goes on in order, as a restart makes it. Out of order
are those that came for the first time when a later one was there already.
"""

import argparse
import array
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
    parser.add_argument("--isolation", default="read_uncommitted", help="isolation.level on both sides")
    options = parser.parse_args()
    source = read(options.source, options.source_topic, options.isolation)
    target = read(options.target, options.target_topic, options.isolation)
    keys = ("source", "target", "lost", "repeated", "unknown", "skipped_ahead", "out_of_order")
    result = dict.fromkeys(keys, 0)
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
    seen, expected, furthest = set(), 0, -1
    result = {
        "source": len(source), "target": len(target),
        "repeated": 0, "unknown": 0, "skipped_ahead": 0, "out_of_order": 0,
    }
    for record in target:
        number = index.get(record)
        if number is None:
            result["unknown"] += 1
            continue
        if number in seen:
            result["repeated"] += 1
        elif number > expected:
            result["skipped_ahead"] += 1
        if number not in seen and number < furthest:
            result["out_of_order"] += 1
        furthest = max(furthest, number)
        seen.add(number)
        expected = number + 1
    return {**result, "lost": len(source) - len(seen)}


def read(bootstrap, topic, isolation):
    """Of each record eight bytes of its digest: runs of an hour have many."""
    settings = {
        "group.id": "verify", "enable.auto.commit": False, "enable.partition.eof": True, "check.crcs": True,
        "isolation.level": isolation,
    }
    consumer = Consumer(common.client(bootstrap, **settings))
    metadata = consumer.list_topics(topic, timeout=30).topics[topic]
    if metadata.error is not None:
        sys.exit(f"{topic}: {metadata.error}")
    records = {partition: array.array("Q") for partition in metadata.partitions}
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
                digest = hashlib.sha1(content.encode()).digest()
                records[message.partition()].append(int.from_bytes(digest[:8]))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    return records


if __name__ == "__main__":
    main()
