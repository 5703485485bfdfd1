"""Measures the time from producing a record at the source to receiving it at the target, by one clock.

Prints median, 99th percentile and maximum in milliseconds. The same topic on both sides gives the share of the
clients and of one broker.
"""

import argparse
import json
import struct
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

import common

PATIENCE_SECONDS = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("source_topic")
    parser.add_argument("target_topic")
    parser.add_argument("--rate", type=float, default=200, help="records a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=5, help="seconds not counted")
    options = parser.parse_args()

    consumer = at_the_end(options)
    total = int(options.rate * (options.warm_up + options.seconds))
    sender = threading.Thread(target=produce, args=(options, total), daemon=True)
    sender.start()
    latencies = receive(consumer, total)
    skipped = int(options.rate * options.warm_up)
    counted = sorted(latency for number, latency in latencies.items() if number >= skipped)
    lost = total - len(latencies)
    print(json.dumps({
        "records": len(counted), "lost": lost, "median": counted[len(counted) // 2],
        "p99": counted[int(len(counted) * 0.99)], "max": counted[-1],
    }))


def at_the_end(options):
    settings = {"group.id": "latency", "enable.auto.commit": False, "fetch.min.bytes": 1}
    consumer = Consumer(common.client(options.target, **settings))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        topic = consumer.list_topics(options.target_topic, timeout=20).topics[options.target_topic]
        if topic.error is None and topic.partitions:
            break
        if time.monotonic() > deadline:
            sys.exit(f"{options.target_topic} does not appear")
        time.sleep(0.1)
    at = []
    for partition in topic.partitions:
        _low, high = consumer.get_watermark_offsets(TopicPartition(options.target_topic, partition), timeout=20)
        at.append(TopicPartition(options.target_topic, partition, high))
    consumer.assign(at)
    return consumer


def produce(options, total):
    producer = Producer(common.client(options.source, **{"linger.ms": 0}))
    partitions = len(producer.list_topics(options.source_topic, timeout=20).topics[options.source_topic].partitions)
    started = time.monotonic()
    for number in range(total):
        producer.poll(max(0.0, started + number / options.rate - time.monotonic()))
        stamp = struct.pack(">qq", number, time.monotonic_ns())
        producer.produce(options.source_topic, stamp + bytes(84), partition=number % partitions)
    producer.flush(30)


def receive(consumer, total):
    latencies, heard = {}, time.monotonic()
    while len(latencies) < total and time.monotonic() - heard < PATIENCE_SECONDS:
        message = consumer.poll(0.5)
        arrived = time.monotonic_ns()
        if message is None or message.error() is not None or len(message.value()) != 100:
            continue
        number, sent = struct.unpack(">qq", message.value()[:16])
        # What a run before left at the source may still arrive; its stamps are older than this process.
        if number < total and arrived - sent < PATIENCE_SECONDS * 1_000_000_000:
            latencies[number] = (arrived - sent) / 1e6
            heard = time.monotonic()
    return latencies


if __name__ == "__main__":
    main()
