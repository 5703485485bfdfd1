"""What an ordinary client does with a cluster: librdkafka against a sandbox. Exits with an assertion when it is let down.

usage: librdkafka.py BOOTSTRAP groups|transactions|administration
"""

import sys
import threading
import time

from confluent_kafka import (
    Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
)

PATIENCE = 30


def produce(bootstrap, topic, count, **settings):
    failures = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, **settings})
    for index in range(count):
        producer.produce(topic, key=str(index), value=str(index), on_delivery=lambda error, _: error and failures.append(error))
    assert producer.flush(PATIENCE) == 0
    assert not failures, failures[:3]


def wait_until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def read(bootstrap, topic, isolation):
    """Values of partition 0 up to its end."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "read", "isolation.level": isolation, "enable.auto.commit": False,
        "enable.partition.eof": True, "check.crcs": True,
    })
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    while True:
        message = consumer.poll(PATIENCE)
        assert message is not None, "no end of the partition"
        if message.error() is None:
            values.append(message.value())
        elif message.error().code() == KafkaError._PARTITION_EOF:
            consumer.close()
            return values
        else:
            raise KafkaException(message.error())


class Member(threading.Thread):
    """A member of a group that reads until it is told to stop."""

    def __init__(self, bootstrap, group, topic, **settings):
        super().__init__()
        self.seen, self.assigned, self.stopping = [], [], False
        self.consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "auto.commit.interval.ms": 200, **settings,
        })
        self.consumer.subscribe([topic], on_assign=self.on_assign)
        self.start()

    def on_assign(self, _, partitions):
        self.assigned = sorted(partition.partition for partition in partitions)

    def run(self):
        while not self.stopping:
            message = self.consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.seen.append((message.partition(), message.offset()))
        self.consumer.close()

    def stop(self):
        self.stopping = True
        self.join()


def groups(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic("shared", 6, 1)]).values():
        future.result()
    produce(bootstrap, "shared", 3000)
    first = Member(bootstrap, "g", "shared")
    wait_until("the first member has all", lambda: first.assigned == [0, 1, 2, 3, 4, 5])
    second = Member(bootstrap, "g", "shared")
    wait_until("two members share", lambda: len(first.assigned) == 3 and len(second.assigned) == 3)
    described = admin.describe_consumer_groups(["g"])["g"].result()
    assert described.state.name == "STABLE", described.state
    assert sorted(len(member.assignment.topic_partitions) for member in described.members) == [3, 3]
    assert [group.group_id for group in admin.list_consumer_groups().result().valid] == ["g"]
    second.stop()
    wait_until("the first member has all again", lambda: first.assigned == [0, 1, 2, 3, 4, 5])
    produce(bootstrap, "shared", 3000)
    wait_until("all is read", lambda: len(set(first.seen + second.seen)) == 6000)
    first.stop()
    committed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("g")])["g"].result()
    assert sum(position.offset for position in committed.topic_partitions) == 6000
    assert len(first.seen + second.seen) == 6000, "read twice in spite of commits"
    static = Member(bootstrap, "s", "shared", **{"group.instance.id": "one"})
    wait_until("a static member has all", lambda: len(static.assigned) == 6)
    static.stop()
    cooperative = [Member(bootstrap, "c", "shared", **{"partition.assignment.strategy": "cooperative-sticky"}) for _ in range(2)]
    wait_until("cooperative members read", lambda: len(set(cooperative[0].seen + cooperative[1].seen)) == 6000)
    for member in cooperative:
        member.stop()
    admin.delete_consumer_groups(["g"])["g"].result()


def transactions(bootstrap):
    settings = {"bootstrap.servers": bootstrap, "transactional.id": "x", "transaction.timeout.ms": 20000}
    producer = Producer(settings)
    producer.init_transactions(PATIENCE)
    for commit in (True, False, True):
        producer.begin_transaction()
        for index in range(50):
            producer.produce("txn", value=f"{commit} {index}", partition=0)
        producer.flush(PATIENCE)
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE)
    assert len(read(bootstrap, "txn", "read_uncommitted")) == 150
    assert [value for value in read(bootstrap, "txn", "read_committed") if value.startswith(b"False")] == []
    assert len(read(bootstrap, "txn", "read_committed")) == 100
    successor = Producer(settings)
    successor.init_transactions(PATIENCE)
    try:
        producer.begin_transaction()
        producer.produce("txn", value="late", partition=0)
        producer.commit_transaction(PATIENCE)
    except KafkaException as error:
        assert error.args[0].code() == KafkaError._FENCED, error
    else:
        raise AssertionError("the former producer is not fenced")
    consume_and_produce(bootstrap, successor)


def consume_and_produce(bootstrap, producer):
    """Positions of a group that are part of a transaction."""
    produce(bootstrap, "input", 100)
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "eos", "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })
    consumer.subscribe(["input"])
    for commit, expected in ((False, -1001), (True, 100)):
        seen = 0
        while seen < 100:
            message = consumer.poll(PATIENCE)
            assert message is not None and message.error() is None, message
            seen += 1
        producer.begin_transaction()
        producer.produce("txn", value="copy", partition=0)
        positions = consumer.position(consumer.assignment())
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), PATIENCE)
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE)
        assert consumer.committed(consumer.assignment(), PATIENCE)[0].offset == expected
        consumer.seek(TopicPartition("input", 0, 0))
    consumer.close()


def administration(bootstrap):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [NewTopic("a", 2, 2, config={"cleanup.policy": "compact"}), NewTopic("b", 1, 9), NewTopic("a b", 1, 1)]
    created = admin.create_topics(wanted)
    assert created["a"].result() is None
    for name, code in (("b", KafkaError.INVALID_REPLICATION_FACTOR), ("a b", KafkaError.TOPIC_EXCEPTION)):
        assert created[name].exception().args[0].code() == code
    admin.create_partitions([NewPartitions("a", 5)])["a"].result()
    resource = ConfigResource(ConfigResource.Type.TOPIC, "a")
    change = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    admin.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, "a", incremental_configs=[change])])[resource].result()
    settings = admin.describe_configs([resource])[resource].result()
    assert (settings["cleanup.policy"].value, settings["retention.ms"].value) == ("compact", "1000")
    topic = admin.list_topics("a", timeout=PATIENCE).topics["a"]
    assert len(topic.partitions) == 5 and all(len(partition.replicas) == 2 for partition in topic.partitions.values())
    assert len(admin.describe_cluster().result().nodes) == 3
    produce(bootstrap, "log", 500)
    partition = TopicPartition("log", 0)
    assert admin.delete_records([TopicPartition("log", 0, 100)])[partition].result().low_watermark == 100
    def offset(spec):
        return admin.list_offsets({partition: spec})[partition].result().offset
    assert (offset(OffsetSpec.earliest()), offset(OffsetSpec.latest())) == (100, 500)
    assert offset(OffsetSpec.for_timestamp(1)) == 100
    # A broker does not look at the log start offset here.
    assert 0 <= offset(OffsetSpec.max_timestamp()) < 500
    admin.delete_topics(["a"])["a"].result()
    assert "a" not in admin.list_topics(timeout=PATIENCE).topics


if __name__ == "__main__":
    {"groups": groups, "transactions": transactions, "administration": administration}[sys.argv[2]](sys.argv[1])
