"""Prints "done" when a topic's end offsets add up to a number. For mirrors that do not end by themselves."""

import sys
import time

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

import common

INTERVAL_SECONDS = 0.05


def main():
    bootstrap, topic, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
    admin = AdminClient(common.client(bootstrap))
    while True:
        found = admin.list_topics(topic, timeout=20).topics[topic]
        if found.error is None and held(admin, topic, found.partitions) >= wanted:
            print("done", flush=True)
            return
        time.sleep(INTERVAL_SECONDS)


def held(admin, topic, partitions):
    latest = {TopicPartition(topic, partition): OffsetSpec.latest() for partition in partitions}
    try:
        return sum(answer.result(20).offset for answer in admin.list_offsets(latest).values())
    except KafkaException:
        return 0  # just created, or its leader moves


if __name__ == "__main__":
    main()
