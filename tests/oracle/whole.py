"""Whether transactions are whole in a topic: all records of those that were committed, none of those that were aborted.

LEDGER is what load.py printed. Of a commit whose outcome its producer did not learn, all records or none count as
whole.
"""

import collections
import json
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import common

IDLE_SECONDS = 30


def main():
    bootstrap, topic, ledger = sys.argv[1:]
    with open(ledger) as file:
        ledger = json.load(file)
    records = found(bootstrap, topic)
    result = {outcome: len(ledger[outcome]) for outcome in ("committed", "aborted", "unknown")}
    torn, present = [], []
    for name, count in {**ledger["committed"], **ledger["unknown"]}.items():
        numbers = records.pop(name, set())
        none = name in ledger["unknown"] and not numbers
        if not none and len(numbers) != count:
            torn.append(name)
    for name in ledger["aborted"]:
        if records.pop(name, None):
            present.append(name)
    print(json.dumps({**result, "torn": torn, "aborted_present": present, "foreign": sorted(records)}))


def found(bootstrap, topic):
    """The different records of each transaction."""
    settings = {
        "group.id": "whole", "enable.auto.commit": False, "enable.partition.eof": True,
        "isolation.level": "read_committed",
    }
    consumer = Consumer(common.client(bootstrap, **settings))
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    records, open_partitions = collections.defaultdict(set), set(partitions)
    while open_partitions:
        message = consumer.poll(IDLE_SECONDS)
        if message is None:
            sys.exit(f"{topic}: nothing for {IDLE_SECONDS} s")
        if message.error() is None:
            name, _, number = message.value().split(b" ", 1)[0].decode().partition("/")
            if name != "end":
                records[name].add(number)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            open_partitions.discard(message.partition())
        else:
            raise KafkaException(message.error())
    consumer.close()
    return records


if __name__ == "__main__":
    main()
