"""What the oracle scripts share: client settings and the digest of a partition's records."""

import hashlib
import struct


def client(bootstrap, **more):
    """Settings every client starts from. `bootstrap` may carry further ones: `host:port;key=value;key=value`."""
    servers, *pairs = bootstrap.split(";")
    settings = {"bootstrap.servers": servers, "topic.metadata.refresh.interval.ms": 5000, "log_level": 3}
    settings.update(pair.split("=", 1) for pair in pairs)
    settings.update(more)
    return settings


class Digest:
    """SHA-256 over a partition's records, unambiguous: every field comes with its length, null with -1."""

    def __init__(self):
        self.sha = hashlib.sha256()
        self.records = 0
        self.first = None
        self.last = None

    def add(self, key, value, headers, timestamp_type, timestamp, offset=None, with_offset=False):
        fields = [struct.pack(">iq", timestamp_type, timestamp)]
        for field in (key, value):
            fields += length_and_bytes(field)
        headers = headers or []
        fields.append(struct.pack(">i", len(headers)))
        for name, content in headers:
            fields += length_and_bytes(name.encode() if isinstance(name, str) else name)
            fields += length_and_bytes(content)
        if with_offset:
            fields.append(struct.pack(">q", offset))
        self.sha.update(b"".join(fields))
        self.records += 1
        if offset is not None:
            self.first = offset if self.first is None else self.first
            self.last = offset

    def json(self):
        return {"records": self.records, "digest": self.sha.hexdigest(), "first": self.first, "last": self.last}


def length_and_bytes(field):
    if field is None:
        return [struct.pack(">i", -1)]
    return [struct.pack(">i", len(field)), field]
