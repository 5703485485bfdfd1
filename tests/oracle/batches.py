"""Lists the record batches in a partition's log files, as the broker stored them.

Prints one JSON list, of formats 0 and 1 with less in it: for each batch its first and last offset, record count, codec, attributes, and a digest of the bytes behind its header.
"""

import hashlib
import json
import pathlib
import struct
import sys

HEADER = struct.Struct(">qiibIhiqqqhii")  # to records count: 61 bytes
OLD_HEADER = struct.Struct(">qiIbb")  # formats 0 and 1: offset, size, checksum, magic, attributes
MAGIC_AT = 16  # in all formats
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def batches(directory):
    for segment in sorted(pathlib.Path(directory).glob("*.log")):
        data = segment.read_bytes()
        at = 0
        while at + OLD_HEADER.size <= len(data):
            if data[at + MAGIC_AT] < 2:
                batch = old(data, at)
                yield batch
                at += batch["bytes"]
                continue
            fields = HEADER.unpack_from(data, at)
            length, magic, attributes, last, count = fields[1], fields[3], fields[5], fields[6], fields[12]
            if length <= 0:
                break  # preallocated, not written yet
            payload = data[at + HEADER.size:at + 12 + length]
            yield {
                "offset": fields[0], "last": fields[0] + last, "magic": magic,
                "codec": CODECS[attributes & 7], "attributes": attributes, "records": count,
                "epoch": fields[10], "bytes": 12 + length, "payload": hashlib.sha256(payload).hexdigest(),
            }
            at += 12 + length


def old(data, at):
    offset, size, _, magic, attributes = OLD_HEADER.unpack_from(data, at)
    return {"last": offset, "magic": magic, "codec": CODECS[attributes & 7], "attributes": attributes, "bytes": 12 + size}


if __name__ == "__main__":
    print(json.dumps(list(batches(sys.argv[1]))))
