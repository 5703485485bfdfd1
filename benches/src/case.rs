//! What is compared: the data sets, how they are loaded, and the cases that use them.

/// Partitions of every data set.
pub const PARTITIONS: i32 = 8;

/// Records on the source, loaded once and used by several cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataSet {
    /// Name of the topic.
    pub topic: &'static str,
    /// Number of records.
    pub records: u64,
    /// Size of each value in bytes; there are no keys.
    pub value_bytes: u32,
    /// Share of each value that is random, in percent; the rest compresses well.
    pub random_percent: u32,
    /// Codec of the producer that loads it, and of the peers that copy it.
    pub codec: &'static str,
    /// Records have keys, and almost a tenth of them is replaced by later ones and compacted away.
    pub compacted: bool,
    /// Further settings of the producer that loads it.
    pub producer: &'static [&'static str],
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Copying everything there is, as fast as it goes.
    Bulk,
    /// The same with the target behind a link that delays 25 ms each way.
    FarTarget,
    /// 100 ms each way to the target.
    VeryFarTarget,
    /// 100 ms each way to the source.
    VeryFarSource,
    /// Copying everything, both clusters through TLS.
    Tls,
    /// How long a record takes from producer to consumer at 200 records a second.
    Latency,
}

/// One line of measurements.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Name on the command line.
    pub name: &'static str,
    /// One line for the report.
    pub about: &'static str,
    /// What is measured.
    pub kind: Kind,
    /// What is copied.
    pub data: DataSet,
    /// `compression.type` of the target topic, made beforehand; peers then compress so, too.
    pub target_codec: Option<&'static str>,
}

// Producers that fill their batches: a second of linger, so that the size alone ends a batch and a data set is the
// same on every machine.
const BIG_LZ4: DataSet = DataSet {
    topic: "big-lz4",
    records: 2_000_000,
    value_bytes: 1000,
    random_percent: 42,
    codec: "lz4",
    compacted: false,
    producer: &["batch.size=262144", "linger.ms=1000"],
};
const BIG_RAW: DataSet = DataSet { topic: "big-raw", random_percent: 42, codec: "none", ..BIG_LZ4 };
const BATCHES_16K: DataSet = DataSet {
    topic: "batches-16k",
    records: 5_000_000,
    value_bytes: 100,
    random_percent: 100,
    codec: "none",
    compacted: false,
    producer: &["batch.size=16384", "linger.ms=1000"],
};
const SINGLE: DataSet = DataSet {
    topic: "single",
    records: 1_000_000,
    producer: &["batch.size=0", "linger.ms=0"],
    ..BATCHES_16K
};
const LZ4_BY_8: DataSet = DataSet {
    topic: "lz4-by-8",
    records: 1_000_000,
    codec: "lz4",
    producer: &["batch.size=1024", "linger.ms=1000"],
    ..BATCHES_16K
};
const GAPS: DataSet = DataSet { topic: "gaps", records: 500_000, compacted: true, ..BIG_LZ4 };
const GZIP: DataSet = DataSet { topic: "gzip", records: 500_000, codec: "gzip", ..BIG_LZ4 };
const FEW: DataSet = DataSet { topic: "few", records: 800, producer: &["linger.ms=5"], ..BATCHES_16K };

/// Every case there is.
pub const CASES: [Case; 15] = [
    Case {
        name: "lz4",
        about: "2,000,000 records of 1 KB in lz4 batches of up to 256 KB, 8 partitions",
        kind: Kind::Bulk,
        data: BIG_LZ4,
        target_codec: None,
    },
    Case {
        name: "raw",
        about: "the same records uncompressed, in batches of 256 KB",
        kind: Kind::Bulk,
        data: BIG_RAW,
        target_codec: None,
    },
    Case {
        name: "16k",
        about: "5,000,000 records of 100 bytes in batches of 16 KB",
        kind: Kind::Bulk,
        data: BATCHES_16K,
        target_codec: None,
    },
    Case {
        name: "single",
        about: "1,000,000 batches of one record of 100 bytes",
        kind: Kind::Bulk,
        data: SINGLE,
        target_codec: None,
    },
    Case {
        name: "lz4-by-8",
        about: "125,000 lz4 batches of 8 records of 100 bytes",
        kind: Kind::Bulk,
        data: LZ4_BY_8,
        target_codec: None,
    },
    Case {
        name: "gaps",
        about: "500,000 records of 1 KB in lz4 batches, a tenth of them compacted away",
        kind: Kind::Bulk,
        data: GAPS,
        target_codec: None,
    },
    Case {
        name: "gzip-zstd",
        about: "500,000 records of 1 KB in gzip batches, to a topic of zstd",
        kind: Kind::Bulk,
        data: GZIP,
        target_codec: Some("zstd"),
    },
    Case {
        name: "start",
        about: "from start to the first record: 800 records of 100 bytes",
        kind: Kind::Bulk,
        data: FEW,
        target_codec: None,
    },
    Case {
        name: "latency",
        about: "from producer to consumer at 200 records a second",
        kind: Kind::Latency,
        data: DataSet { topic: "live", records: 0, ..FEW },
        target_codec: None,
    },
    Case {
        name: "far-lz4",
        about: "as lz4, the target behind 25 ms each way",
        kind: Kind::FarTarget,
        data: BIG_LZ4,
        target_codec: None,
    },
    Case {
        name: "far-16k",
        about: "as 16k, the target behind 25 ms each way",
        kind: Kind::FarTarget,
        data: BATCHES_16K,
        target_codec: None,
    },
    Case {
        name: "tls-lz4",
        about: "as lz4, both clusters through TLS 1.3",
        kind: Kind::Tls,
        data: BIG_LZ4,
        target_codec: None,
    },
    Case {
        name: "tls-raw",
        about: "as raw, both clusters through TLS 1.3",
        kind: Kind::Tls,
        data: BIG_RAW,
        target_codec: None,
    },
    Case {
        name: "very-far-target",
        about: "as lz4, the target behind 100 ms each way",
        kind: Kind::VeryFarTarget,
        data: BIG_LZ4,
        target_codec: None,
    },
    Case {
        name: "very-far-source",
        about: "as lz4, the source behind 100 ms each way",
        kind: Kind::VeryFarSource,
        data: BIG_LZ4,
        target_codec: None,
    },
];
