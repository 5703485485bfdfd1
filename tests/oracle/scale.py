"""Many topics and groups, for measuring.

scale.py BOOTSTRAP load TOPICS PARTITIONS GROUPS   creates topics scale-N with two records a partition, and groups scale-N
                                                   that stand at the second record of all partitions of a topic
scale.py BOOTSTRAP held PREFIX                     topics whose name begins so, and the offsets they hold together
scale.py BOOTSTRAP checkpoints TOPIC               distinct keys in a topic of checkpoints
"""

import json
import sys

from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

import common

AT_ONCE = 250
#: Attempts to set a group.
ROUNDS = 10


def load(bootstrap, topics, partitions, groups):
    topics, partitions, groups = int(topics), int(partitions), int(groups)
    admin = AdminClient(common.client(bootstrap))
    names = [f"scale-{number}" for number in range(topics)]
    for begin in range(0, topics, AT_ONCE):
        new = [NewTopic(name, num_partitions=partitions, replication_factor=1) for name in names[begin:begin + AT_ONCE]]
        for future in admin.create_topics(new, request_timeout=60).values():
            future.result()

    def client():
        return Producer(common.client(bootstrap, **{"linger.ms": 50, "queue.buffering.max.messages": 1000000}))

    producer = client()
    left, rounds = [(name, partition) for name in names for partition in range(partitions) for _ in range(2)], 0
    while left and rounds < ROUNDS:
        # Of topics that were just made not every broker knows for a while.
        failed = []
        for name, partition in left:
            place = (name, partition)
            try:
                producer.produce(name, b"record", partition=partition, on_delivery=lambda error, _, place=place: (
                    failed.append(place) if error else None))
            except KafkaException:
                failed.append(place)
            producer.poll(0)
        if producer.flush(120):
            sys.exit("not all records were taken")
        # What it believes of topics it does not ask about again for a while.
        producer = client() if failed else producer
        left, rounds = failed, rounds + 1
    if left:
        sys.exit(f"{len(left)} records were not taken")
    left, rounds = list(range(groups)), 0
    while left and rounds < ROUNDS:
        # A broker that has just made its topic of positions takes none for a while.
        failed = []
        for begin in range(0, len(left), AT_ONCE):
            futures = {}
            for number in left[begin:begin + AT_ONCE]:
                places = [TopicPartition(names[number % topics], partition, 1) for partition in range(partitions)]
                request = [ConsumerGroupTopicPartitions(f"scale-{number}", places)]
                (futures[number],) = admin.alter_consumer_group_offsets(request, request_timeout=60).values()
            failed += [number for number, future in futures.items() if future.exception(60)]
        left, rounds = failed, rounds + 1
    if left:
        sys.exit(f"{len(left)} groups could not be set")
    return {"topics": topics}


def held(bootstrap, prefix):
    admin = AdminClient(common.client(bootstrap))
    topics = {name: topic for name, topic in admin.list_topics(timeout=60).topics.items() if name.startswith(prefix)}
    wanted = {TopicPartition(name, partition): OffsetSpec.latest() for name, topic in topics.items()
              for partition in topic.partitions}
    offsets = 0
    for future in admin.list_offsets(wanted, request_timeout=60).values() if wanted else ():
        try:
            offsets += future.result().offset
        except KafkaException:
            # Just created: whoever asks comes back.
            pass
    return {"topics": len(topics), "offsets": offsets}


def checkpoints(bootstrap, topic):
    consumer = Consumer(common.client(bootstrap, **{"group.id": "scale-checkpoints", "enable.partition.eof": True}))
    if topic not in consumer.list_topics(timeout=60).topics:
        return 0
    consumer.assign([TopicPartition(topic, 0, 0)])
    keys = set()
    while True:
        message = consumer.poll(10)
        if message is None or message.error():
            break
        keys.add(message.key())
    consumer.close()
    return len(keys)


if __name__ == "__main__":
    bootstrap, command, *arguments = sys.argv[1:]
    print(json.dumps({"load": load, "held": held, "checkpoints": checkpoints}[command](bootstrap, *arguments)))
