//! What is fetched from outside: Apache Kafka from Maven Central, `confluent-kafka` and `pproxy` from the Python index.
//!
//! Each comes once into the cache (see `cache`); a missing tool is an error that names it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{self, repository};
use crate::process::run;

/// Goal of Maven's dependency plugin that copies the jars; the version is fixed so that a run is repeatable.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// The client library the oracle scripts use, wrapping librdkafka of the same version.
const PYTHON_CLIENT: &str = "confluent-kafka==2.16.1";
/// A SOCKS5 proxy.
const PYTHON_PROXY: &str = "pproxy==2.7.9";

/// The releases of Apache Kafka the tests run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Version {
    /// 2.8.2 with ZooKeeper, the last line that writes the message formats 0 and 1 when asked to.
    V2_8_2,
    /// 3.9.1, the last line with MirrorMaker 1.
    V3_9_1,
    /// 4.3.0.
    V4_3_0,
}

impl Version {
    /// As Maven Central writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V2_8_2 => "2.8.2",
            Self::V3_9_1 => "3.9.1",
            Self::V4_3_0 => "4.3.0",
        }
    }

    /// The version of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V2_8_2, Self::V3_9_1, Self::V4_3_0].into_iter().find(|version| version.name() == name)
    }

    /// Whether its brokers need a ZooKeeper beside them.
    #[must_use]
    pub fn needs_zookeeper(self) -> bool {
        self == Self::V2_8_2
    }
}

/// The directory with the jars of that release, downloaded when it is not there.
pub fn kafka_jars(version: Version) -> Result<PathBuf> {
    jars(&format!("kafka-{}", version.name()), version.name())
}

/// The directory with a tiered storage for brokers of 3.9.1 that keeps segments in a local directory.
pub fn tiered_storage_jars() -> Result<PathBuf> {
    jars("kafka-tiered", "tiered")
}

/// The jars that `tests/kafka/<pom>/pom.xml` names, in the cache as `entry`.
fn jars(entry: &str, pom: &str) -> Result<PathBuf> {
    let pom = repository().join("tests/kafka").join(pom).join("pom.xml");
    cache::entry(entry, |directory| {
        eprintln!("fetching {entry} from Maven Central");
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-ntp", "-f"]).arg(&pom).arg(COPY).arg("-DincludeScope=runtime");
        maven.arg(format!("-DoutputDirectory={}", directory.display()));
        run(&mut maven).context("Maven (Debian: apt-get install maven) is needed to fetch Kafka").map(drop)
    })
}

/// The directory of Python packages with `confluent-kafka`, made when it is not there.
pub fn python_packages() -> Result<PathBuf> {
    packages(PYTHON_CLIENT)
}

/// The directory of Python packages with `pproxy`, made when it is not there.
pub fn python_proxy() -> Result<PathBuf> {
    packages(PYTHON_PROXY)
}

fn packages(wanted: &str) -> Result<PathBuf> {
    let entry = cache::entry(&format!("python-{wanted}"), |directory| {
        eprintln!("fetching {wanted} for Python");
        // Packages in a directory of their own rather than a virtual environment: the entry is renamed when complete,
        // and a virtual environment holds its own path.
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "-q", "--no-input", "--target"]).arg(directory.join("packages"));
        pip.arg(wanted);
        run(&mut pip).context("Python 3 with pip (Debian: apt-get install python3-pip) is needed").map(drop)
    })?;
    Ok(entry.join("packages"))
}
