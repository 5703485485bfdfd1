"""Reads the first partition of a small topic: sizes of keys and values, and headers as text. Prints a list."""

import json
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import common


def main():
    bootstrap, topic = sys.argv[1:]
    settings = {"group.id": "headers", "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer = Consumer(common.client(bootstrap, **settings))
    consumer.assign([TopicPartition(topic, 0, 0)])
    records = []
    while True:
        message = consumer.poll(30)
        if message is None:
            sys.exit(f"{topic}: nothing for 30 s")
        if message.error() is None:
            headers = {name: None if value is None else value.decode() for name, value in message.headers() or []}
            records.append({"value_bytes": len(message.value() or b""), "headers": headers})
        elif message.error().code() == KafkaError._PARTITION_EOF:
            break
        else:
            raise KafkaException(message.error())
    consumer.close()
    print(json.dumps(records))


if __name__ == "__main__":
    main()
