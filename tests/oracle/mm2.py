"""MirrorMaker 2's records about groups, and members that go on where a group stands. Prints one JSON document."""

import json
import struct
import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition

import common


def consume(bootstrap, group, topic, records, reset="error"):
    """Consumes as a member of a group until there were so many records, and commits. Where each partition began."""
    reset = {"auto.offset.reset": reset, "enable.auto.commit": "false"}
    consumer = Consumer(common.client(bootstrap, **{"group.id": group}, **reset))
    consumer.subscribe([topic])
    first, left = {}, int(records)
    while left > 0:
        record = consumer.poll(30)
        if record is None or record.error():
            sys.exit(f"{left} of {records} records did not come: {record and record.error()}")
        first.setdefault(record.partition(), record.offset())
        left -= 1
    consumer.commit(asynchronous=False)
    consumer.close()
    return first


def checkpoints(bootstrap, topic):
    """All checkpoints in order: group, topic, partition, upstream offset, downstream offset, metadata."""
    found = []
    for key, value in records(bootstrap, topic):
        (group, topic_name), rest = texts(key, 2)
        version, upstream, downstream = struct.unpack(">hqq", value[:18])
        (metadata,), behind = texts(value[18:], 1)
        if version or behind or len(rest) != 4:
            sys.exit(f"no checkpoint: {key} {value}")
        found.append([group, topic_name, struct.unpack(">i", rest)[0], upstream, downstream, metadata])
    return found


def syncs(bootstrap, topic):
    """All offset syncs in order: topic, partition, upstream offset, downstream offset."""
    found = []
    for key, value in records(bootstrap, topic):
        (topic_name,), rest = texts(key, 1)
        found.append([topic_name, *struct.unpack(">i", rest), *struct.unpack(">qq", value)])
    return found


def texts(data, count):
    found = []
    for _ in range(count):
        length = struct.unpack(">h", data[:2])[0]
        found.append(data[2:2 + length].decode())
        data = data[2 + length:]
    return found, data


def records(bootstrap, topic):
    """Keys and values of a topic of one partition."""
    consumer = Consumer(common.client(bootstrap, **{"group.id": "oracle", "enable.partition.eof": "true"}))
    consumer.assign([TopicPartition(topic, 0, 0)])
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
    while low < high:
        record = consumer.poll(30)
        if record is None:
            sys.exit(f"{topic} cannot be read to its end")
        if record.error():
            break
        yield record.key(), record.value()
    consumer.close()


COMMANDS = {"consume": consume, "checkpoints": checkpoints, "syncs": syncs}

if __name__ == "__main__":
    bootstrap, command, *arguments = sys.argv[1:]
    try:
        print(json.dumps(COMMANDS[command](bootstrap, *arguments)))
    except KafkaException as error:
        sys.exit(f"{command} {arguments}: {error}")
