"""Whether a reader of committed records ever sees a part of a transaction: follows a topic of one partition until load.py's
`end` comes, and looks each time it has read all there is whether a transaction has begun and not ended there. Tells of each look how many there were, and of how many transactions.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

import common

IDLE_SECONDS = 60


def main():
    bootstrap, topic = sys.argv[1:]
    settings = {
        "group.id": "pieces", "enable.auto.commit": False, "enable.partition.eof": True,
        "isolation.level": "read_committed", "fetch.wait.max.ms": 10,
    }
    consumer = Consumer(common.client(bootstrap, **settings))
    consumer.assign([TopicPartition(topic, 0, 0)])
    records, looks, first, last = 0, set(), {}, {}
    while True:
        message = consumer.poll(IDLE_SECONDS)
        if message is None:
            sys.exit(f"{topic}: nothing for {IDLE_SECONDS} s")
        if message.error() is None:
            name, _, _ = message.value().split(b" ", 1)[0].decode().partition("/")
            if name == "end":
                break
            first.setdefault(name, records)
            last[name] = records
            records += 1
        elif message.error().code() == KafkaError._PARTITION_EOF:
            looks.add(records)
            print(len(looks), len(first), file=sys.stderr, flush=True)
        else:
            raise KafkaException(message.error())
    consumer.close()
    torn = [name for name in first if any(first[name] < look <= last[name] for look in looks)]
    print(json.dumps({"looks": len(looks), "transactions": len(first), "torn": torn}))


if __name__ == "__main__":
    main()
