"""Several transactional producers at once, their records interleaved in the partitions of one topic.

Who begins, produces, commits or aborts when follows from the seed, so a run can be repeated. Some producers are in no
transaction. With --hold a transaction is begun after half of the others and kept open for that many seconds, or until
SIGTERM, while the others go on; "holding" and "released" on standard error say when. Prints how many records of each partition were
committed and how many were written in all.
"""

import argparse
import json
import random
import signal
import sys
import time

from confluent_kafka import Producer

import common


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("--producers", type=int, default=5)
    parser.add_argument("--transactions", type=int, default=100, help="of all producers together")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--codec", default="none,lz4", help="one after the other over the producers")
    parser.add_argument("--records", type=int, default=40, help="most records one step writes")
    parser.add_argument("--keys", type=int, default=0, help="number of different keys, for topics to be compacted")
    parser.add_argument("--seed", default="kmirror")
    parser.add_argument("--hold", type=float, help="seconds")
    parser.add_argument("--hold-ends", choices=("commit", "abort"), default="commit")
    Run(parser.parse_args()).play()


class Run:
    def __init__(self, options):
        self.options = options
        self.dice = random.Random(options.seed)
        codecs = options.codec.split(",")
        # One producer more, which is in no transaction.
        self.writers = [
            Writer(options, number, codecs[number % len(codecs)], number < options.producers)
            for number in range(options.producers + 1)
        ]
        self.next = 0
        self.released = False
        signal.signal(signal.SIGTERM, self.release)

    def release(self, *_):
        self.released = True

    def play(self):
        options = self.options
        ended, holder, until = 0, None, 0.0
        while ended < options.transactions or holder:
            if options.hold and holder is None and until == 0.0 and ended >= options.transactions // 2:
                holder = Writer(options, "holder", "none", True)
                holder.begin()
                self.write(holder, 3)
                holder.client.flush(30)
                until = time.monotonic() + options.hold
                print("holding", file=sys.stderr, flush=True)
            if holder and (self.released or time.monotonic() > until):
                holder.end(options.hold_ends == "commit")
                self.writers.append(holder)
                holder = None
                print("released", file=sys.stderr, flush=True)
            if ended >= options.transactions:
                time.sleep(0.05)
                continue
            ended += self.step(self.dice.choice(self.writers))
        for writer in self.writers:
            writer.finish()
        committed = {str(p): sum(w.committed[p] for w in self.writers) for p in range(options.partitions)}
        written = {str(p): sum(w.written[p] for w in self.writers) for p in range(options.partitions)}
        print(json.dumps({"committed": committed, "written": written}))

    def step(self, writer):
        """One move of one producer; 1 when it ended a transaction."""
        if writer.transactional and not writer.open:
            writer.begin()
        # Now and then a transaction without records, or with many.
        self.write(writer, self.dice.choice((0, 1, 2, self.dice.randrange(self.options.records + 1))))
        if not writer.transactional or self.dice.random() < 0.4:
            return 0
        if self.dice.random() < 0.6:
            # Flushed, so that records of other transactions come between these and the end.
            writer.client.flush(30)
            return 0
        writer.end(commit=self.dice.random() < 0.5)
        return 1

    def write(self, writer, count):
        for _ in range(count):
            partition = self.dice.randrange(self.options.partitions)
            value = b"%d of %s " % (self.next, str(writer.name).encode()) + b"x" * self.dice.randrange(120)
            key = b"k%d" % self.dice.randrange(self.options.keys) if self.options.keys else None
            writer.write(partition, key, value)
            self.next += 1


class Writer:
    def __init__(self, options, name, codec, transactional):
        self.name, self.topic, self.transactional, self.open = name, options.topic, transactional, False
        settings = {"linger.ms": 0, "compression.type": codec, "enable.idempotence": True}
        if transactional:
            settings["transactional.id"] = f"{options.topic}-{options.seed}-{name}"
        self.client = Producer(common.client(options.bootstrap, **settings))
        self.committed = [0] * options.partitions
        self.written = [0] * options.partitions
        self.pending = [0] * options.partitions
        if transactional:
            self.client.init_transactions(30)

    def begin(self):
        self.client.begin_transaction()
        self.open = True

    def write(self, partition, key, value):
        self.client.produce(self.topic, value, key, partition, on_delivery=on_delivery)
        self.client.poll(0)
        self.pending[partition] += 1

    def end(self, commit):
        # Records still queued at an abort would never be written.
        self.client.flush(30)
        if commit:
            self.client.commit_transaction(30)
        else:
            self.client.abort_transaction(30)
        self.open = False
        self.count(commit)

    def count(self, committed):
        for partition, count in enumerate(self.pending):
            self.written[partition] += count
            self.committed[partition] += count if committed else 0
        self.pending = [0] * len(self.pending)

    def finish(self):
        if self.transactional and self.open:
            self.end(commit=True)
        self.client.flush(30)
        self.count(not self.transactional)


def on_delivery(error, _message):
    if error is not None:
        # Raised out of poll() or flush(): the counts would tell of a record that is not there.
        raise RuntimeError(f"not delivered: {error}")


if __name__ == "__main__":
    main()
