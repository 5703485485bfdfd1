//! One ZooKeeper for the brokers of releases that need it: its files, its process.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::artefacts::Version;
use crate::java::java;
use crate::process::Process;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const HEAP: &str = "-Xmx96m";
const MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// A running ZooKeeper, killed when dropped.
pub(crate) struct ZooKeeper {
    port: u16,
    _process: Process,
}

impl ZooKeeper {
    /// Starts the ZooKeeper that comes with that release of Kafka, with its files below `directory`.
    pub(crate) fn start(version: Version, directory: &Path, port: u16) -> Result<Self> {
        let own = directory.join("zookeeper");
        fs::create_dir_all(&own)?;
        let file = own.join("zookeeper.properties");
        let properties = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
             maxClientCnxns=0\ntickTime=1000\n",
            own.join("data").display()
        );
        fs::write(&file, properties)?;
        let mut command = java(version, "INFO")?;
        command.args([HEAP, MAIN]).arg(&file);
        let process = Process::spawn("zookeeper", &mut command, &own)?;
        process
            .wait_until("it listened", START_TIMEOUT, || TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(Self { port, _process: process })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
