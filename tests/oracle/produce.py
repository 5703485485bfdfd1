"""Produces a case to a topic and prints the digest a reader must find in each partition.

What record i of partition p holds follows from the seed alone, so a run can be repeated. With --rate it goes on
until SIGTERM, at that many records a second.
"""

import argparse
import json
import random
import signal
import sys
import time

from confluent_kafka import Producer, TIMESTAMP_CREATE_TIME

import common

#: 1 January 2026, in milliseconds: no retention rule in the tests is that short, and no run depends on the clock.
EPOCH_MS = 1_767_225_600_000
#: Lets the partitioner choose.
PARTITION_UA = -1
CASES = ("mixed", "plain", "sizes", "tombstones", "compact")


def record(case, seed, partition, index):
    """Key, value, headers and timestamp of one record."""
    dice = random.Random(f"{seed}/{case}/{partition}/{index}")
    # Timestamps go backwards now and then, as they do when several producers write.
    timestamp = EPOCH_MS + index * 7 + dice.choice((0, 0, 0, -5000, 3))
    if case == "plain":
        return None, dice.randbytes(50) + b"same" * 12, [], timestamp
    if case == "sizes":
        size = 900_000 if index % 10 == 9 else 1
        return None, dice.randbytes(size), [], timestamp
    if case == "compact":
        # Stretches of which compaction leaves nothing, and others of which it leaves some, tombstones too.
        key = b"hot%d" % (index % 10) if index % 500 < 150 else b"k%d" % dice.randrange(3000)
        return key, dice.choice((None, dice.randbytes(40), b"v" * dice.randrange(200))), [], timestamp
    key = dice.choice((None, b"", b"k%d" % dice.randrange(50), dice.randbytes(dice.randrange(40))))
    if case == "tombstones":
        return b"k%d" % dice.randrange(20), dice.choice((None, b"", b"v%d" % index)), [], timestamp
    value = dice.choice((None, b"", dice.randbytes(dice.randrange(400)), b"text " * dice.randrange(100)))
    return key, value, headers(dice), timestamp


def headers(dice):
    """None, some, the same name twice, null and empty values, an empty name; now and then many, or a long one."""
    if dice.randrange(40) == 0:
        return [("many", b"%d" % number) for number in range(150)] + [("long", dice.randbytes(9000))]
    return dice.choice((
        [],
        [("trace", dice.randbytes(16))],
        [("same", b"1"), ("same", b"2"), ("other", b""), ("same", None)],
        [("", b"no name"), ("null", None), ("\u00fcml\u00e4ut", "\u20ac".encode())],
    ))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("--case", choices=CASES, default="mixed")
    parser.add_argument("--codec", default="none", help="none, gzip, snappy, lz4, zstd; several: one after the other")
    parser.add_argument("--records", type=int, default=1000, help="a partition")
    parser.add_argument("--first", type=int, default=0, help="index of the first record")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--seed", default="kmirror")
    parser.add_argument("--batch-records", type=int, default=10_000, help="records a batch holds at most")
    parser.add_argument("--rate", type=float, help="records a second, until SIGTERM")
    parser.add_argument("--partitioner", help="of librdkafka; places records of one partition by their keys")
    parser.add_argument("--now", action="store_true", help="timestamps of now; the digest is then of no use")
    parser.add_argument("--idempotent", action="store_true", help="with a producer id of its own for each codec")
    parser.add_argument("--transactional", help="commit or abort: all records in one transaction")
    options = parser.parse_args()

    digests = {partition: common.Digest() for partition in range(options.partitions)}
    if options.rate:
        at_rate(options, digests)
    else:
        codecs = options.codec.split(",")
        share = -(-options.records // len(codecs))
        for number, codec in enumerate(codecs):
            first = options.first + number * share
            last = min(first + share, options.first + options.records)
            burst(options, codec, range(first, last), digests)
    print(json.dumps({"partitions": {p: digest.json() for p, digest in digests.items()}}))


def producer(options, codec, linger):
    settings = {
        "compression.type": codec, "linger.ms": linger, "batch.num.messages": options.batch_records,
        "message.max.bytes": 1_000_000, "queue.buffering.max.kbytes": 65536,
        # Keeps the order without an idempotent producer, which takes half a second to get its id.
        "max.in.flight": 1,
        # Brokers may come and go under a long run, which must not make records twice; transactions want it anyway.
        "enable.idempotence": bool(options.rate or options.transactional or options.idempotent),
    }
    if options.partitioner:
        settings["partitioner"] = options.partitioner
    if options.transactional:
        settings["transactional.id"] = f"oracle-{options.topic}-{options.seed}"
    return Producer(common.client(options.bootstrap, **settings))


def send(options, client, digest, partition, index):
    key, value, head, timestamp = record(options.case, options.seed, partition, index)
    timestamp = int(time.time() * 1000) if options.now else timestamp
    place = PARTITION_UA if options.partitioner else partition
    while True:
        try:
            client.produce(
                options.topic, value, key, place, on_delivery=on_delivery, timestamp=timestamp, headers=head
            )
            break
        except BufferError:
            client.poll(0.1)
    client.poll(0)
    digest.add(key, value, head, TIMESTAMP_CREATE_TIME, timestamp)


def burst(options, codec, indexes, digests):
    # Long, so that the batches of a busy machine are as large as those of an idle one; flush() does not wait for it.
    client = producer(options, codec, 500)
    if options.transactional:
        client.init_transactions(30)
        client.begin_transaction()
    for index in indexes:
        for partition, digest in digests.items():
            send(options, client, digest, partition, index)
    if options.transactional == "abort":
        client.flush(60)
        client.abort_transaction(30)
    elif options.transactional:
        client.commit_transaction(60)
    elif client.flush(120) > 0:
        sys.exit("some records were not delivered in time")


def at_rate(options, digests):
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    client = producer(options, options.codec.split(",")[0], 5)
    started, index = time.monotonic(), 0
    while not stopped:
        for partition, digest in digests.items():
            send(options, client, digest, partition, options.first + index)
        index += 1
        due = started + index * len(digests) / options.rate
        client.poll(max(0.0, due - time.monotonic()))
    if client.flush(120) > 0:
        sys.exit("some records were not delivered in time")


def on_delivery(error, _message):
    if error is not None:
        # Raised out of poll() or flush(): the digest would tell of a record that is not there.
        raise RuntimeError(f"not delivered: {error}")


if __name__ == "__main__":
    main()
