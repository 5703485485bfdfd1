"""Copies partition 0 of a topic to another cluster as a mirror would, but for what it is told to do to single records.

Further arguments are NUMBER=WHAT, numbers counted from 0 along the source's records: drop, alter-key, alter-value,
alter-headers, alter-time, swap (with the next one), insert (a foreign record before it).
"""

import json
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

import common

IDLE_SECONDS = 30


def main():
    source, source_topic, target, target_topic, *pairs = sys.argv[1:]
    what = {int(number): name for number, name in (pair.split("=", 1) for pair in pairs)}
    records = tampered(read(source, source_topic), what)
    producer = Producer(common.client(target, **{"linger.ms": 20, "compression.type": "lz4", "max.in.flight": 1}))
    for key, value, headers, timestamp in records:
        producer.produce(
            target_topic, value, key, 0, on_delivery=on_delivery, timestamp=timestamp, headers=headers
        )
        producer.poll(0)
    if producer.flush(60) > 0:
        sys.exit("some records were not delivered in time")
    print(json.dumps({"records": len(records)}))


def tampered(records, what):
    out, skip = [], False
    for number, (key, value, headers, timestamp) in enumerate(records):
        if skip:
            skip = False
            continue
        change = what.get(number)
        if change == "drop":
            continue
        if change == "insert":
            out.append((b"foreign", b"inserted %d" % number, [], timestamp))
        elif change == "swap":
            out.append(records[number + 1])
            skip = True
        elif change == "alter-key":
            key = b"forged %d" % number
        elif change == "alter-value":
            value = b"forged %d" % number
        elif change == "alter-headers":
            headers = [("forged", b"%d" % number)]
        elif change == "alter-time":
            timestamp += 12345
        out.append((key, value, headers, timestamp))
    return out


def read(bootstrap, topic):
    settings = {"group.id": "tamper", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(common.client(bootstrap, **settings))
    consumer.assign([TopicPartition(topic, 0, 0)])
    records, heard = [], time.monotonic()
    while time.monotonic() - heard < IDLE_SECONDS:
        for message in consumer.consume(1000, timeout=0.1):
            heard = time.monotonic()
            if message.error() is None:
                timestamp = message.timestamp()[1]
                records.append((message.key(), message.value(), message.headers() or [], timestamp))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                consumer.close()
                return records
            else:
                raise KafkaException(message.error())
    sys.exit(f"{topic}: nothing for {IDLE_SECONDS} s")


def on_delivery(error, _message):
    if error is not None:
        raise RuntimeError(f"not delivered: {error}")


if __name__ == "__main__":
    main()
