"""Consumer groups by librdkafka: sets and tells positions, joins groups, and compares what both sides hold there.

positions.py BOOTSTRAP commit GROUP TOPIC PARTITION:OFFSET[:METADATA]...   sets positions, as no member
positions.py BOOTSTRAP committed GROUP TOPIC PARTITIONS                    tells them: {partition: [offset, metadata]}
positions.py BOOTSTRAP follow TARGET GROUP TOPIC MIRRORED OFFSET           commits at one side, tells after how many seconds
                                                                        the other has it
positions.py BOOTSTRAP follow-transaction (the same)                       commits in a transaction that stays open for a while
positions.py BOOTSTRAP same TARGET GROUP TOPIC MIRRORED PARTITIONS         whether the group's next record is the same on both
                                                                        sides
positions.py BOOTSTRAP next GROUP TOPIC PROTOCOL RECORDS                   joins, reads so many, commits, leaves; tells offsets
positions.py BOOTSTRAP stay GROUP TOPIC PROTOCOL                           joins and stays until SIGTERM, commits nothing
"""

import json
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

import common

#: A bound for everything.
SECONDS = 60
#: How long a transaction stays open.
OPEN_SECONDS = 2
#: What a coordinator says that is still to be elected, or to read what it looks after.
NOT_YET = (
    KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._WAIT_COORD,
)


def patiently(ask):
    """Asks a coordinator again until it is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def consumer(bootstrap, group, protocol="classic"):
    settings = {
        "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "error",
        "isolation.level": "read_uncommitted",
    }
    if protocol == "consumer":
        settings["group.protocol"] = "consumer"
    return Consumer(common.client(bootstrap, **settings))


def commit(bootstrap, group, topic, *positions):
    client = consumer(bootstrap, group)
    offsets = []
    for position in positions:
        partition, offset, *metadata = position.split(":")
        more = {"metadata": metadata[0]} if metadata else {}
        offsets.append(TopicPartition(topic, int(partition), int(offset), **more))
    for done in patiently(lambda: client.commit(offsets=offsets, asynchronous=False)):
        if done.error:
            sys.exit(f"{done.topic}-{done.partition}: {done.error}")
    client.close()


def committed(bootstrap, group, topic, partitions):
    client = consumer(bootstrap, group)
    wanted = [TopicPartition(topic, partition) for partition in range(int(partitions))]
    found = patiently(lambda: client.committed(wanted, timeout=20))
    client.close()
    return {one.partition: [one.offset, one.metadata or ""] for one in found if one.offset >= 0}


def commit_in_transaction(bootstrap, group, topic, position):
    partition, offset = position.split(":")
    client = consumer(bootstrap, group)
    producer = Producer(common.client(bootstrap, **{"transactional.id": f"of {group}"}))
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    position = TopicPartition(topic, int(partition), int(offset))
    producer.send_offsets_to_transaction([position], client.consumer_group_metadata(), SECONDS)
    time.sleep(OPEN_SECONDS)
    producer.commit_transaction(SECONDS)
    client.close()


def follow(bootstrap, target, group, topic, mirrored, offset, how=commit):
    client = consumer(target, group)
    how(bootstrap, group, topic, f"0:{offset}")
    begun = time.monotonic()
    found = None
    while time.monotonic() < begun + SECONDS:
        found = patiently(lambda: client.committed([TopicPartition(mirrored, 0)], timeout=20))[0].offset
        if found == int(offset):
            client.close()
            return time.monotonic() - begun
        time.sleep(0.05)
    sys.exit(f"{group} stands at {found}, not at {offset}, after {SECONDS} s")


def follow_transaction(*arguments):
    return follow(*arguments, how=commit_in_transaction)


def record_at(bootstrap, topic, partition, offset):
    """Key, value, headers and timestamp of the first record at or behind that offset; none at the end."""
    client = consumer(bootstrap, "reader")
    _, end = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
    client.assign([TopicPartition(topic, partition, offset)])
    found = None
    while offset < end:
        message = client.poll(10)
        if message is None or message.error():
            # Nothing but markers is left.
            break
        found = (message.key(), message.value(), message.headers(), message.timestamp())
        break
    client.close()
    return found


def same(bootstrap, target, group, topic, mirrored, partitions):
    sources = committed(bootstrap, group, topic, partitions)
    targets = committed(target, group, mirrored, partitions)
    answer = {}
    for partition, (offset, metadata) in sources.items():
        there, note = targets.get(partition, (None, None))
        equal = there is not None and metadata == note
        equal = equal and record_at(bootstrap, topic, partition, offset) == record_at(target, mirrored, partition, there)
        answer[partition] = {"source": offset, "target": there, "same": equal}
    return answer


def next_records(bootstrap, group, topic, protocol, records):
    client = consumer(bootstrap, group, protocol)
    client.subscribe([topic])
    offsets = []
    deadline = time.monotonic() + SECONDS
    while len(offsets) < int(records) and time.monotonic() < deadline:
        message = client.poll(1)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        offsets.append([message.partition(), message.offset(), (message.value() or b"").hex()[:40]])
        client.commit(message=message, asynchronous=False)
    client.close()
    return offsets


def stay(bootstrap, group, topic, protocol):
    client = consumer(bootstrap, group, protocol)
    client.subscribe([topic], on_assign=lambda _, partitions: print("joined", len(partitions), flush=True))
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped:
        client.poll(0.2)
    client.close()


def main():
    bootstrap, what, *arguments = sys.argv[1:]
    actions = {
        "commit": commit, "committed": committed, "follow": follow, "follow-transaction": follow_transaction,
        "same": same, "next": next_records, "stay": stay,
    }
    answer = actions[what](bootstrap, *arguments)
    if what != "stay":
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
