"""Writes a position into a mirror's progress topic as MirrorMaker 2 does: the offset of the last record mirrored."""

import json
import sys

from confluent_kafka import Producer

import common


def main():
    bootstrap, progress, alias, topic, partition, offset = sys.argv[1:]
    place = {"cluster": alias, "partition": int(partition), "topic": topic}
    key = json.dumps(["MirrorSourceConnector", place], separators=(",", ":"))
    value = json.dumps({"offset": int(offset)}, separators=(",", ":"))
    producer = Producer(common.client(bootstrap))
    producer.produce(progress, value, key)
    if producer.flush(30) > 0:
        sys.exit("the position was not written in time")
    print(json.dumps({"key": key, "value": value}))


if __name__ == "__main__":
    main()
