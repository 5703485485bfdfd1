"""Follows the source's records through the target, record by record, where some may be there more than once.

Every record must differ from all others of its partition (case "plain" sees to that). Prints how many are lost,
repeated, unknown, and whether each repetition begins a stretch that goes on in order, as a restart makes it. Out of order
are those that came for the first time when a later one was there already. Misplaced are those of the unknown that another
partition of the source has.
"""

import argparse
import array
import collections
import hashlib
import json
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import common

#: Places of repeated records that are told.
TOLD = 20
IDLE_SECONDS = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("source_topic")
    parser.add_argument("target")
    parser.add_argument("target_topic")
    parser.add_argument("--isolation", default="read_uncommitted", help="isolation.level on both sides")
    options = parser.parse_args()
    source, _ = read(options.source, options.source_topic, options.isolation)
    target, places = read(options.target, options.target_topic, options.isolation)
    keys = ("source", "target", "lost", "repeated", "unknown", "skipped_ahead", "out_of_order")
    result = dict.fromkeys(keys, 0)
    if set(source) != set(target):
        sys.exit(f"partitions differ: {sorted(source)} and {sorted(target)}")
    repeated_at, by_partition, unknown_in = [], {}, {}
    for partition, records in source.items():
        found, repeated, unknown = follow(records, target[partition])
        by_partition[partition] = found
        for key, value in found.items():
            result[key] += value
        repeated_at += [f"{partition}@{places[partition][number]}" for number in repeated]
        for record in unknown:
            unknown_in.setdefault(record, []).append(partition)
    moved = misplaced(source, unknown_in)
    result = {**result, "misplaced": sum(moved.values()), "repeated_at": repeated_at[:TOLD]}
    print(json.dumps({**result, "partitions": by_partition, "misplaced_by_partition": moved}))


def misplaced(source, unknown_in):
    """How many records of which source partition are in which target partition: "0->3" for each pair of them."""
    moved = collections.Counter()
    for partition, records in source.items():
        for record in unknown_in.keys() & set(records) if unknown_in else ():
            moved.update(f"{partition}->{place}" for place in unknown_in[record])
    return moved


def follow(source, target):
    index = {record: number for number, record in enumerate(source)}
    if len(index) != len(source):
        sys.exit("records of the source are not all different")
    seen, expected, furthest, repeated, unknown = set(), 0, -1, [], []
    result = {
        "source": len(source), "target": len(target),
        "repeated": 0, "unknown": 0, "skipped_ahead": 0, "out_of_order": 0,
    }
    for place, record in enumerate(target):
        number = index.get(record)
        if number is None:
            result["unknown"] += 1
            unknown.append(record)
            continue
        if number in seen:
            result["repeated"] += 1
            repeated.append(place)
        elif number > expected:
            result["skipped_ahead"] += 1
        if number not in seen and number < furthest:
            result["out_of_order"] += 1
        furthest = max(furthest, number)
        seen.add(number)
        expected = number + 1
    return {**result, "lost": len(source) - len(seen)}, repeated, unknown


def read(bootstrap, topic, isolation):
    """Of each record eight bytes of its digest (runs of an hour have many), and its offset. What the client gives twice, as
    it may when leaders move, is one record."""
    settings = {
        "group.id": "verify", "enable.auto.commit": False, "enable.partition.eof": True, "check.crcs": True,
        "isolation.level": isolation,
    }
    consumer = Consumer(common.client(bootstrap, **settings))
    metadata = consumer.list_topics(topic, timeout=30).topics[topic]
    if metadata.error is not None:
        sys.exit(f"{topic}: {metadata.error}")
    records = {partition: array.array("Q") for partition in metadata.partitions}
    places = {partition: array.array("q") for partition in metadata.partitions}
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
                behind = places[message.partition()]
                if behind and message.offset() <= behind[-1]:
                    print(f"{topic}-{message.partition()}: the client gave offset {message.offset()} behind {behind[-1]}", file=sys.stderr)
                    continue
                behind.append(message.offset())
                content = repr((message.key(), message.value(), message.headers(), message.timestamp()))
                digest = hashlib.sha1(content.encode()).digest()
                records[message.partition()].append(int.from_bytes(digest[:8]))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise KafkaException(message.error())
    consumer.close()
    return records, places


if __name__ == "__main__":
    main()
