"""How far the target is behind the source, again and again until SIGTERM: `<milliseconds since 1970> <records>`.

The records are those of the partition that is furthest behind, by the end offsets of both sides; `-` when a side cannot
tell them. For topics without transactions.
"""

import argparse
import signal
import threading
import time

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

import common

ANSWER_SECONDS = 2

stopped = threading.Event()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("topic")
    parser.add_argument("--every", type=float, default=0.25, help="seconds")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    source, target = (AdminClient(common.client(side)) for side in (options.source, options.target))
    while not stopped.wait(options.every):
        begun = time.time()
        lag = behind(source, target, options.topic)
        print(int(begun * 1000), "-" if lag is None else lag, flush=True)


def behind(source, target, topic):
    try:
        partitions = source.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions
        there = target.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic].partitions
        ends = end_offsets(source, topic, partitions)
        reached = end_offsets(target, topic, [partition for partition in partitions if partition in there])
    except KafkaException:
        return None
    return max((end - reached.get(partition, 0) for partition, end in ends.items()), default=0)


def end_offsets(admin, topic, partitions):
    latest = {TopicPartition(topic, partition): OffsetSpec.latest() for partition in partitions}
    if not latest:
        return {}
    asked = admin.list_offsets(latest, request_timeout=ANSWER_SECONDS)
    return {place.partition: answer.result(ANSWER_SECONDS + 1).offset for place, answer in asked.items()}


if __name__ == "__main__":
    main()
