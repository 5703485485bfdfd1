//! Credentials that are replaced while records flow: a mounted secret changes, and nothing is restarted or lost.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kafka::{KafkaCluster, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{assert_same, create, produce, source, stop, wait_for};
use crate::sasl::{SCRAM, secured};

const TOPIC: &str = "rotated";
const USER: &str = "carol";

/// Gives the user another password, at the broker and where it is read from, as Kubernetes swaps a mounted secret.
fn rotate(cluster: &KafkaCluster, secrets: &Path, password: &str) {
    oracle::ask("scram", &[&cluster.bootstrap(), USER, password]).unwrap();
    let new = secrets.join("..new");
    fs::write(&new, password).unwrap();
    fs::rename(new, secrets.join("password")).unwrap();
}

#[test]
fn a_password_that_changes_under_load_is_taken_up_without_a_restart() {
    let target = secured(Version::V4_3_0);
    let secrets = scratch("secrets").unwrap();
    rotate(&target, &secrets, "first-s3cret");
    create(TOPIC, 2, &[]);
    let directory = secrets.display();
    let provider = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";
    let properties = Properties::flow(
        ("rot", &source().bootstrap()),
        ("dst", &target.bootstrap_of("SASL_PLAINTEXT")),
        TOPIC,
    )
    .with("config.providers", "secrets")
    .with("config.providers.secrets.class", provider)
    .with("dst.security.protocol", "SASL_PLAINTEXT")
    .with("dst.sasl.mechanism", "SCRAM-SHA-512")
    .with(
        "dst.sasl.jaas.config",
        &format!("{SCRAM} username=\"{USER}\" password=\"${{secrets:{directory}:password}}\";"),
    );
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let mut first = 0;
    let mut produce_more = || {
        let from = first.to_string();
        produce(TOPIC, &["--case", "plain", "--partitions", "2", "--records", "300", "--first", &from]);
        first += 300;
        oracle::offsets_held(&source().bootstrap(), TOPIC).unwrap()
    };
    let mirrored = produce_more();
    wait_for(&mirror, &target, "rot.rotated", mirrored);
    // Sessions last five seconds: the old password is refused before this is over.
    for password in ["second-s3cret", "third-s3cret"] {
        rotate(&target, &secrets, password);
        for _ in 0..5 {
            produce_more();
            thread::sleep(Duration::from_secs(1));
        }
        let mirrored = produce_more();
        wait_for(&mirror, &target, "rot.rotated", mirrored);
    }
    stop(&mirror);
    assert_same(source(), TOPIC, &target, "rot.rotated");
    let said = mirror.stdout() + &mirror.stderr();
    assert!(!said.contains("-s3cret"), "a password was shown:\n{said}");
}
