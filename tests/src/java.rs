//! Starts Java: Kafka's own classes, MirrorMaker, and single source files against Kafka's clients.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::artefacts::{Version, kafka_jars};
use crate::cache::{repository, scratch};
use crate::process::Process;

/// The main class of dedicated-mode MirrorMaker 2.
pub const MIRROR_MAKER_2: &str = "org.apache.kafka.connect.mirror.MirrorMaker";
/// The main class of MirrorMaker 1, in 3.9.1 only.
pub const MIRROR_MAKER_1: &str = "kafka.tools.MirrorMaker";

/// For processes that live for a minute: what the better compiler and a collector with threads of its own gain never pays.
const QUICK: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];

/// `java` with the class path of that release and logging at `level` (INFO, WARN, ...) to the console.
pub fn java(version: Version, level: &str) -> Result<Command> {
    let jars = kafka_jars(version)?;
    let logging = repository().join("tests/kafka/log4j.properties");
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{}/*", jars.display()));
    command.arg(format!("-Dlog4j.configuration=file:{}", logging.display()));
    command.arg(format!("-Dkmirror.log.level={level}"));
    command.arg(format!("-Dorg.slf4j.simpleLogger.defaultLogLevel={}", level.to_lowercase()));
    command.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
    command.arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS");
    Ok(command)
}

/// A single-file Java program under `tests/java`, compiled as it starts: `java(..)` and its name.
pub fn java_source(version: Version, file: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = java(version, "WARN")?;
    command.args(QUICK).arg(repository().join("tests/java").join(file)).args(arguments);
    Ok(command)
}

/// Runs Kafka's console producer on lines `key<tab>value`.
pub fn console_producer(
    version: Version,
    bootstrap: &str,
    topic: &str,
    codec: &str,
    lines: &[String],
) -> Result<()> {
    let input = scratch("console")?.join("lines.txt");
    fs::write(&input, lines.concat())?;
    let mut command = java(version, "WARN")?;
    command.args(["-XX:TieredStopAtLevel=1", "-Xmx128m", "kafka.tools.ConsoleProducer"]);
    command.args(["--bootstrap-server", bootstrap, "--topic", topic, "--property", "parse.key=true"]);
    command.args(["--compression-codec", codec, "--timeout", "100"]);
    let output = command.stdin(fs::File::open(&input)?).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // It ends well even when records were refused, but not without a word.
    if !output.status.success() || said.contains("ERROR") || said.contains("Exception") {
        bail!("the console producer failed ({}):\n{said}", output.status);
    }
    Ok(())
}

/// The heap, and with it the collector Kafka's own start scripts choose: for measuring.
#[must_use]
pub fn server_flags(heap_mb: u32) -> Vec<String> {
    let heap = [format!("-Xms{heap_mb}m"), format!("-Xmx{heap_mb}m")];
    let collector = ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"];
    heap.into_iter().chain(collector.map(str::to_owned)).collect()
}

/// The heap for a process that lives for a minute.
#[must_use]
pub fn quick_flags(heap_mb: u32) -> Vec<String> {
    std::iter::once(format!("-Xmx{heap_mb}m")).chain(QUICK.map(str::to_owned)).collect()
}

/// Starts the real MirrorMaker 2 in dedicated mode on a properties file, with such flags as [`server_flags`].
pub fn mirror_maker_2(
    version: Version,
    properties: &Path,
    flags: &[String],
    directory: &Path,
) -> Result<Process> {
    let mut command = java(version, "INFO")?;
    command.args(flags).arg(MIRROR_MAKER_2).arg(properties);
    Process::spawn("mirror-maker-2", &mut command, directory)
}
