"""Waits until every partition of the source's topics ends with its last record, `end`, at the target, too.

Prints which partitions do not when time is up.
"""

import argparse
import json
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

import common

#: Behind the last record there may be others: what a restart repeats, and markers.
TAIL = 2000
END = b"end"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("topics", nargs="+")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    open_partitions = partitions_of(options.source, options.topics)
    settings = {"group.id": "ends", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(common.client(options.target, **settings, **{"enable.partition.eof": True}))
    begun = time.monotonic()
    while open_partitions and time.monotonic() - begun < options.seconds:
        open_partitions = [place for place in open_partitions if not ended(consumer, *place)]
        time.sleep(0.2)
    consumer.close()
    print(json.dumps({"missing": [f"{topic}-{partition}" for topic, partition in open_partitions]}))


def partitions_of(bootstrap, topics):
    client = Consumer(common.client(bootstrap, **{"group.id": "ends"}))
    places = [(topic, p) for topic in topics for p in client.list_topics(topic, timeout=30).topics[topic].partitions]
    client.close()
    return places


def ended(consumer, topic, partition):
    place = TopicPartition(topic, partition)
    try:
        low, high = consumer.get_watermark_offsets(place, timeout=5)
    except KafkaException:
        return False  # not there yet, or its leader moves
    consumer.assign([TopicPartition(topic, partition, max(low, high - TAIL))])
    while True:
        message = consumer.poll(5)
        if message is None or message.error():
            return False
        if message.value() == END:
            return True


if __name__ == "__main__":
    main()
