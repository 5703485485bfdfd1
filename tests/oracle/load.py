"""Load with known content for hours of faults: numbered records with every codec, transactions that commit and abort.

Runs until SIGTERM, then writes one last record, `end`, into every partition and prints what became of everything. A
record of NUMBERED holds `<partition>/<number>`, of TRANSACTIONS `<producer>.<transaction>/<record>`; numbers are used
once. Brokers may come and go meanwhile, and partitions may be added: they get records, too.
"""

import argparse
import json
import random
import signal
import sys
import threading
import time

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

import common

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
#: Longer than any fault lasts: a record given up would leave open whether the source has it.
DELIVERY_MS = 600_000
#: Records of one partition that are made in a row.
BURST = 40
#: A coordinator may be away for as long as a broker takes to come back.
COORDINATOR_SECONDS = 120
LOOK_SECONDS = 1
#: What is in a transaction at most.
TRANSACTION_RECORDS = 40
#: How often one producer begins a transaction.
TRANSACTION_SECONDS = 0.25
#: At most so long: a transaction of a producer that was fenced holds up nobody for longer.
TRANSACTION_TIMEOUT_MS = 30_000
END = b"end"

stopped = threading.Event()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("numbered")
    parser.add_argument("transactions")
    parser.add_argument("--rate", type=float, default=1000, help="numbered records a second")
    parser.add_argument("--producers", type=int, default=3, help="that write transactions")
    parser.add_argument("--pace", type=float, default=0, help="seconds between the records of a transaction")
    parser.add_argument("--seed", default="kmirror")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    topics = Topics(options)
    numbered = Numbered(options, topics)
    writers = [Transactions(options, topics, number) for number in range(options.producers)]
    threads = [threading.Thread(target=work.run) for work in (topics, numbered, *writers)]
    for thread in threads:
        thread.start()
    # A main thread that waits in join() would not see the signal.
    while not stopped.wait(0.2):
        pass
    for thread in threads:
        thread.join()
    topics.look(COORDINATOR_SECONDS)
    numbered.end()
    writers[0].end()
    problems = [problem for work in (numbered, *writers) for problem in work.problems]
    if any(work.failed for work in (numbered, *writers)):
        sys.exit("\n".join(problems))
    print(json.dumps({
        "produced": sum(numbered.next.values()), "acknowledged": numbered.acknowledged,
        "bytes": numbered.bytes + sum(writer.bytes for writer in writers),
        "committed": {name: count for writer in writers for name, count in writer.committed.items()},
        "aborted": {name: count for writer in writers for name, count in writer.aborted.items()},
        "unknown": {name: count for writer in writers for name, count in writer.unknown.items()},
        "problems": problems,
    }))


class Topics:
    """How many partitions the topics have, as they grow."""

    def __init__(self, options):
        self.admin = AdminClient(common.client(options.bootstrap))
        self.counts = dict.fromkeys((options.numbered, options.transactions), 0)
        self.look(COORDINATOR_SECONDS)

    def look(self, seconds=5):
        deadline = time.monotonic() + seconds
        for name in self.counts:
            while True:
                try:
                    topic = self.admin.list_topics(name, timeout=5).topics[name]
                    if topic.error is None:
                        self.counts[name] = max(self.counts[name], len(topic.partitions))
                        break
                except KafkaException:
                    pass
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)

    def run(self):
        while not stopped.wait(LOOK_SECONDS):
            self.look()


class Work:
    """A thread whose failure fails the whole."""

    def __init__(self):
        self.problems = []
        self.failed = False
        self.bytes = 0

    def run(self):
        try:
            self.work()
        except Exception as error:  # of any kind: told at the end
            self.problems.append(f"{type(self).__name__}: {error!r}")
            self.failed = True
            stopped.set()


def padding(dice, pool):
    """Little or much, some of it random."""
    first, length = dice.randrange(len(pool) - 1000), dice.choice((0, 20, dice.randrange(400), dice.randrange(1000)))
    return pool[first:first + length] + b"same " * dice.randrange(60)


class Numbered(Work):
    def __init__(self, options, topics):
        super().__init__()
        self.topic, self.topics, self.rate, self.options = options.numbered, topics, options.rate, options
        self.dice = random.Random(options.seed)
        self.pool = self.dice.randbytes(1 << 16)
        self.clients = {codec: self.client(codec) for codec in CODECS}
        self.next = {}
        self.acknowledged = 0

    def client(self, codec):
        settings = {
            "compression.type": codec, "enable.idempotence": True, "linger.ms": 10, "batch.num.messages": 200,
            "message.timeout.ms": DELIVERY_MS, "queue.buffering.max.kbytes": 65536,
        }
        return Producer(common.client(self.options.bootstrap, **settings))

    def work(self):
        sent, started = 0, time.monotonic()
        while not stopped.is_set():
            burst = self.dice.randrange(1, BURST)
            partition = self.dice.randrange(self.topics.counts[self.topic])
            codec = self.dice.choice(CODECS)
            sent += burst
            for _ in range(burst):
                if not self.send(codec, partition):
                    break
            for client in self.clients.values():
                client.poll(0)
            ahead = started + sent / self.rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -5:
                # Held up by a fault: what was not sent then is not sent now.
                started -= ahead

    def send(self, codec, partition):
        """False when the producer has not heard of the partition yet."""
        number = self.next.get(partition, 0)
        key = self.dice.choice((None, b"k%d" % self.dice.randrange(500), b"%d" % number))
        value = b"%d/%d " % (partition, number) + padding(self.dice, self.pool)
        headers = [("n", b"%d" % number)] if number % 7 == 0 else None
        while True:
            try:
                self.clients[codec].produce(
                    self.topic, value, key, partition, on_delivery=self.delivered, headers=headers
                )
                self.next[partition] = number + 1
                self.bytes += len(value) + len(key or b"")
                return True
            except BufferError:
                self.clients[codec].poll(0.1)
            except KafkaException as error:
                if error.args[0].code() == KafkaError._UNKNOWN_PARTITION:
                    return False
                if not error.args[0].fatal():
                    raise
                # An idempotent producer that cannot prove any more what the broker has gives up for good.
                self.problems.append(f"{codec}: {error}")
                self.clients[codec] = self.client(codec)

    def delivered(self, error, _message):
        if error is None:
            self.acknowledged += 1
        else:
            self.problems.append(f"not delivered: {error}")

    def end(self):
        left = sum(client.flush(COORDINATOR_SECONDS) for client in self.clients.values())
        if left:
            self.problems.append(f"{left} records were not delivered in time")
            self.failed = True
        client = self.client("none")
        for partition in range(self.topics.counts[self.topic]):
            client.produce(self.topic, END, None, partition, on_delivery=self.delivered)
            self.next[partition] = self.next.get(partition, 0) + 1
        if client.flush(COORDINATOR_SECONDS):
            self.problems.append("the last records were not delivered in time")
            self.failed = True


class Transactions(Work):
    """One producer's transactions. What became of a commit that failed for good only the source knows."""

    def __init__(self, options, topics, number):
        super().__init__()
        self.topic, self.topics, self.options, self.name = options.transactions, topics, options, number
        self.dice = random.Random(f"{options.seed}/{number}")
        self.pool = self.dice.randbytes(1 << 14)
        self.committed, self.aborted, self.unknown = {}, {}, {}
        self.next = 0
        self.client = None

    def work(self):
        while not stopped.is_set():
            self.transaction(self.records, self.dice.random() < 0.6)
            stopped.wait(self.dice.random() * 2 * TRANSACTION_SECONDS)

    def end(self):
        # Tried until one is known to be committed.
        for _ in range(20):
            known = self.transaction(self.ends, True)
            # Last records have no number.
            for outcome in (self.committed, self.unknown, self.aborted):
                outcome.pop(f"{self.name}.{self.next - 1}", None)
            if known:
                return
        self.problems.append("the last transaction could not be committed")
        self.failed = True

    def transaction(self, write, commit):
        """Whether it is known to be committed."""
        name, count, step = f"{self.name}.{self.next}", 0, "begin"
        self.next += 1
        try:
            self.client = self.client or self.connect()
            self.client.begin_transaction()
            count = write(name)
            step = "commit" if commit else "abort"
            if commit:
                self.patiently(self.client.commit_transaction)
            else:
                # What is still queued at an abort would never be written.
                self.client.flush(COORDINATOR_SECONDS)
                self.patiently(self.client.abort_transaction)
        except KafkaException as error:
            self.problems.append(f"{name}: {step}: {error}")
            count = count or TRANSACTION_RECORDS
            # A new producer of this name ends what the old one left open: an abort, unless a commit was on its way.
            self.client = None
            (self.unknown if step == "commit" else self.aborted)[name] = count
            time.sleep(0.5)
            return False
        (self.committed if commit else self.aborted)[name] = count
        return commit

    def connect(self):
        settings = {
            "transactional.id": f"{self.topic}-{self.name}", "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
            "compression.type": self.dice.choice(CODECS), "linger.ms": 5,
        }
        client = Producer(common.client(self.options.bootstrap, **settings))
        self.patiently(client.init_transactions)
        return client

    def patiently(self, ask):
        deadline = time.monotonic() + COORDINATOR_SECONDS
        while True:
            try:
                return ask(30)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def records(self, name):
        count = self.dice.randrange(1, TRANSACTION_RECORDS)
        for number in range(count):
            partition = self.dice.randrange(self.topics.counts[self.topic])
            value = b"%s/%d " % (name.encode(), number) + padding(self.dice, self.pool)
            self.bytes += len(value)
            self.produce(value, partition)
            if self.dice.random() < 0.02 or self.options.pace:
                # Records of others come between these.
                self.client.flush(5)
                time.sleep(self.options.pace)
        return count

    def ends(self, _name):
        partitions = self.topics.counts[self.topic]
        for partition in range(partitions):
            self.produce(END, partition)
        return partitions

    def produce(self, value, partition):
        while True:
            try:
                self.client.produce(self.topic, value, None, partition)
                self.client.poll(0)
                return
            except BufferError:
                self.client.poll(0.1)


if __name__ == "__main__":
    main()
