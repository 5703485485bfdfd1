//! Ordinary clients against a sandbox: librdkafka and Kafka's own console tools produce to it, consume from it and
//! administer it. They are the judges of whether it behaves as a cluster.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

use std::io::Write;
use std::process::{Command, Stdio};

use kmirror_sandbox::{ApiKey, Sandbox, SandboxOptions, TopicSpec};
use kmirror_tests::artefacts::{Version, python_packages};
use kmirror_tests::cache::repository;
use kmirror_tests::java::java;
use kmirror_tests::oracle;
use kmirror_tests::process::run;
use tokio::runtime::Runtime;

/// A cluster of three brokers that is served while the test, which is blocking code, goes on.
fn serve() -> (Runtime, Sandbox) {
    let runtime = Runtime::new().unwrap();
    let options = SandboxOptions { brokers: 3, default_replication_factor: 2, ..SandboxOptions::default() };
    let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
    (runtime, sandbox)
}

fn librdkafka(part: &str) {
    let (_runtime, sandbox) = serve();
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", python_packages().unwrap()).env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(repository().join("sandbox/tests/librdkafka.py")).arg(sandbox.bootstrap()).arg(part);
    run(&mut python).unwrap();
    assert!(sandbox.requests(ApiKey::InitProducerId) > 0, "its producers are idempotent");
}

#[test]
fn librdkafka_reads_what_it_wrote_in_every_codec() {
    let (_runtime, sandbox) = serve();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for case in ["mixed", "tombstones"] {
            let topic = format!("{codec}-{case}");
            sandbox.create_topic(&TopicSpec::new(&topic, 2)).unwrap();
            let options = ["--case", case, "--codec", codec, "--partitions", "2", "--records", "700"];
            let written = oracle::produce(&sandbox.bootstrap(), &topic, &options).unwrap();
            let read = oracle::dump(&sandbox.bootstrap(), &topic, &[]).unwrap();
            oracle::same_content(&written, &read).unwrap();
            assert_eq!(sandbox.end_offset(&topic, 1).unwrap(), 700);
        }
    }
}

#[test]
fn librdkafka_shares_partitions_in_groups() {
    librdkafka("groups");
}

#[test]
fn librdkafka_commits_and_aborts_transactions() {
    librdkafka("transactions");
}

#[test]
fn librdkafka_administers() {
    librdkafka("administration");
}

fn console(version: Version, class: &str, arguments: &[&str], input: &str) -> String {
    let mut command = java(version, "ERROR").unwrap();
    command.args(["-Xmx128m", "-XX:TieredStopAtLevel=1", class]).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{class}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn console_clients_write_and_read(version: Version, producer: &str) {
    let (_runtime, sandbox) = serve();
    let bootstrap = sandbox.bootstrap();
    let lines: Vec<String> = (0..2000).map(|number| format!("line {number}")).collect();
    for (codec, lines) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().zip(lines.chunks(400)) {
        let arguments = ["--bootstrap-server", &bootstrap, "--topic", "j", "--compression-codec", codec];
        console(version, producer, &arguments, &lines.join("\n"));
    }
    let consumer = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let arguments = ["--bootstrap-server", &bootstrap, "--topic", "j", "--from-beginning", "--group", "g"];
    let read = console(version, consumer, &[&arguments[..], &["--max-messages", "2000"]].concat(), "");
    assert_eq!(read.lines().collect::<Vec<_>>(), lines);
    let groups = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let described =
        console(version, groups, &["--bootstrap-server", &bootstrap, "--describe", "--group", "g"], "");
    let lag = described.lines().find(|line| line.starts_with("g ")).unwrap();
    let figures: Vec<_> = lag.split_whitespace().filter(|word| ["2000", "0"].contains(word)).collect();
    assert!(figures.ends_with(&["2000", "2000", "0"]), "{lag}");
}

#[test]
fn console_clients_of_3_9_1_write_and_read() {
    console_clients_write_and_read(Version::V3_9_1, "kafka.tools.ConsoleProducer");
}

#[test]
fn console_clients_of_4_3_0_write_and_read() {
    console_clients_write_and_read(Version::V4_3_0, "org.apache.kafka.tools.ConsoleProducer");
}
