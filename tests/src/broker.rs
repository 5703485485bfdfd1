//! One node, broker and KRaft controller in one, or a broker that has a ZooKeeper: its properties, files, process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::artefacts::Version;
use crate::cache;
use crate::disk::Disk;
use crate::java::java;
use crate::process::{Exit, Process, Signal, run};

/// How long a node may take until it serves, on a machine busy with other things.
const START_TIMEOUT: Duration = Duration::from_secs(240);
/// How long a clean shutdown may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// ZooKeeper remembers a killed broker for its session timeout (see `zookeeper_properties`) and refuses it so long.
const SESSION: Duration = Duration::from_millis(6500);
/// What a node logs when it serves, with KRaft (it is unfenced by then) and with ZooKeeper.
const STARTED: [&str; 2] = ["Kafka Server started", "] started (kafka.server.KafkaServer)"];

/// What one node needs to know.
pub(crate) struct NodeSettings {
    pub(crate) version: Version,
    pub(crate) id: i32,
    pub(crate) cluster_id: String,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) jvm_flags: Vec<String>,
    /// No file of this process may grow beyond; stands for a full disk.
    pub(crate) file_size_limit: Option<u64>,
    /// `data-2` is a [`Disk`].
    pub(crate) small_disk: bool,
    /// Further variables of the process.
    pub(crate) environment: Vec<(String, String)>,
}

/// A node with its files; runs or not.
pub(crate) struct Node {
    settings: NodeSettings,
    directory: PathBuf,
    process: Option<Process>,
    killed: Option<Instant>,
    /// Dropped behind the process that writes to it.
    disk: Option<Disk>,
}

impl Node {
    /// Makes the node's files below `directory`; does not start it.
    pub(crate) fn create(settings: NodeSettings, directory: PathBuf) -> Result<Self> {
        let disk = settings.small_disk.then(|| Disk::mount(&directory.join("data-2"))).transpose()?;
        let mut node = Self { settings, directory, process: None, killed: None, disk };
        let own = node.directory.display().to_string();
        let properties = &mut node.settings.properties;
        properties.entry("log.dirs".to_owned()).or_insert_with(|| "{dir}/data".to_owned());
        for value in properties.values_mut() {
            *value = value.replace("{dir}", &own);
        }
        node.format()?;
        Ok(node)
    }

    /// What `kafka-storage.sh format` does, in every directory the properties name.
    fn format(&self) -> Result<()> {
        let property = |name: &str| self.settings.properties.get(name);
        let data: Vec<&str> = property("log.dirs").into_iter().flat_map(|dirs| dirs.split(',')).collect();
        let metadata = property("metadata.log.dir").map_or_else(|| data[0], String::as_str);
        for directory in data.iter().chain(std::iter::once(&metadata)).map(Path::new) {
            fs::create_dir_all(directory)?;
            if self.settings.version.needs_zookeeper() {
                continue; // such a broker makes its files itself, and the cluster id comes from ZooKeeper
            }
            let meta = format!(
                "version=1\ncluster.id={}\nnode.id={}\ndirectory.id={}\n",
                self.settings.cluster_id,
                self.settings.id,
                random_id()?
            );
            fs::write(directory.join("meta.properties"), meta)?;
        }
        if self.settings.version.needs_zookeeper() {
            return Ok(());
        }
        let checkpoint = bootstrap_checkpoint(self.settings.version)?;
        fs::copy(&checkpoint, Path::new(metadata).join("bootstrap.checkpoint"))?;
        Ok(())
    }

    /// The cluster id in the node's files, there once it has served.
    pub(crate) fn stored_cluster_id(&self) -> Result<String> {
        let path = self.directory.join("data/meta.properties");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let id = text.lines().find_map(|line| line.strip_prefix("cluster.id="));
        id.map(str::to_owned).with_context(|| format!("no cluster.id in {}", path.display()))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings.properties.insert(key.to_owned(), value.to_owned());
    }

    pub(crate) fn limit_file_size(&mut self, bytes: Option<u64>) {
        self.settings.file_size_limit = bytes;
    }

    pub(crate) fn set_environment(&mut self, variables: &[(&str, String)]) {
        let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        self.settings.environment = variables.iter().map(owned).collect();
    }

    pub(crate) fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Starts the process; `wait_ready` says when it serves.
    pub(crate) fn start(&mut self) -> Result<()> {
        if let Some(killed) = self.killed.take().filter(|_| self.settings.version.needs_zookeeper()) {
            thread::sleep(SESSION.saturating_sub(killed.elapsed()));
        }
        let file = self.directory.join("server.properties");
        let lines: Vec<String> = self.settings.properties.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
        fs::write(&file, lines.concat())?;
        let mut command = self.command()?;
        command.arg("kafka.Kafka").arg(&file);
        // A restarted node logs to a file of its own, or its old log would say that it serves.
        let name = format!("broker-{}-{}", self.settings.id, starts(&self.directory));
        self.process = Some(Process::spawn(&name, &mut command, &self.directory)?);
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut java = java(self.settings.version, "INFO")?;
        java.args(&self.settings.jvm_flags);
        java.arg(format!("-Dkafka.logs.dir={}", self.directory.display()));
        java.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
        let Some(bytes) = self.settings.file_size_limit else { return Ok(java) };
        let mut shell = Command::new("bash");
        shell.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
        shell.args(["-c", "ulimit -f \"$1\" && shift && exec \"$@\"", "bash"]);
        shell.arg((bytes / 1024).to_string()).arg(java.get_program()).args(java.get_args());
        Ok(shell)
    }

    pub(crate) fn wait_ready(&self) -> Result<()> {
        let process = self.process.as_ref().context("the node was not started")?;
        process.wait_until("it served", START_TIMEOUT, || {
            let (out, err) = (process.stdout(), process.stderr());
            STARTED.iter().any(|line| out.contains(line) || err.contains(line))
        })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    pub(crate) fn stop(&mut self) -> Result<Option<Exit>> {
        self.process.take().map(|process| process.stop(STOP_TIMEOUT)).transpose()
    }

    pub(crate) fn kill(&mut self) -> Result<Option<Exit>> {
        self.killed = Some(Instant::now());
        self.process.take().map(|process| process.kill()).transpose()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }
}

/// How often the node in `directory` was started before.
fn starts(directory: &Path) -> usize {
    (0..).find(|n| !has_log(directory, *n)).unwrap_or(0)
}

fn has_log(directory: &Path, start: usize) -> bool {
    let Ok(mut files) = fs::read_dir(directory) else { return false };
    files.any(|file| file.is_ok_and(|f| f.file_name().to_string_lossy().ends_with(&format!("-{start}.out"))))
}

/// The file that tells a new KRaft cluster its feature levels. Kafka's own tool makes it once a release; it holds
/// nothing of one cluster, so every node gets a copy and formatting costs no JVM.
fn bootstrap_checkpoint(version: Version) -> Result<PathBuf> {
    let entry = cache::entry(&format!("format-{}", version.name()), |directory| {
        let file = directory.join("server.properties");
        let data = directory.join("data");
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
             listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\n",
            data.display()
        );
        fs::write(&file, properties)?;
        let mut tool = java(version, "WARN")?;
        tool.args(["kafka.tools.StorageTool", "format", "-t", &random_id()?, "-c"]).arg(&file);
        run(&mut tool).map(drop)
    })?;
    Ok(entry.join("data/bootstrap.checkpoint"))
}

/// Sixteen random bytes as Kafka writes an id: 22 characters of URL-safe Base64, not beginning with a dash.
pub(crate) fn random_id() -> Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = [0u8; 22];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
    let mut id: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect();
    // 22 characters hold 132 bits: the last may only use the upper two of its six. And Kafka's tools take a
    // leading dash for an option.
    id.replace_range(21.., "Q");
    id.replace_range(..1, "k");
    Ok(id)
}
