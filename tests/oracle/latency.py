"""Measures the time from producing a record at the source to receiving it at the target, by one clock.

Prints median, 99th percentile and maximum in milliseconds. The same topic on both sides gives the share of the
clients and of one broker.
"""

import argparse
import json
import os
import struct
import sys
import threading
import time

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

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
    parser.add_argument("--warm-up", type=float, default=5, help="seconds not counted, from the first arrival")
    options = parser.parse_args()

    consumer = at_the_end(options)
    run = Run(options)
    sender = threading.Thread(target=run.produce, daemon=True)
    sender.start()
    latencies = run.receive(consumer)
    counted = sorted(latencies.values())
    if not counted:
        sys.exit("no record arrived")
    print(json.dumps({
        "records": len(counted), "lost": run.total - len(counted), "median": counted[len(counted) // 2],
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
    consumer.assign([TopicPartition(options.target_topic, partition, OFFSET_END) for partition in topic.partitions])
    return consumer


class Run:
    """Records numbered below zero are sent until the mirror delivers and has warmed up; the others count."""

    def __init__(self, options):
        self.options = options
        self.total = int(options.rate * options.seconds)
        self.warm = threading.Event()
        # What runs before left at the source may arrive, too.
        self.mark = os.urandom(16)

    def produce(self):
        producer = Producer(common.client(self.options.source, **{"linger.ms": 0}))
        topic = self.options.source_topic
        partitions = len(producer.list_topics(topic, timeout=20).topics[topic].partitions)
        started, sent, number = time.monotonic(), 0, -1
        while number < self.total - 1:
            producer.poll(max(0.0, started + sent / self.options.rate - time.monotonic()))
            number = number + 1 if self.warm.is_set() else -1
            stamp = self.mark + struct.pack(">qq", number, time.monotonic_ns())
            producer.produce(topic, stamp + bytes(68), partition=sent % partitions)
            sent += 1
        producer.flush(30)

    def receive(self, consumer):
        latencies, heard, first = {}, time.monotonic(), None
        while len(latencies) < self.total and time.monotonic() - heard < PATIENCE_SECONDS:
            message = consumer.poll(0.5)
            arrived = time.monotonic_ns()
            if message is None or message.error() is not None or message.value()[:16] != self.mark:
                continue
            heard = time.monotonic()
            first = first or heard
            if heard - first > self.options.warm_up:
                self.warm.set()
            number, sent = struct.unpack(">qq", message.value()[16:32])
            if number >= 0:
                latencies[number] = (arrived - sent) / 1e6
        return latencies


if __name__ == "__main__":
    main()
