//! Certificates that end, and authorities that others follow, while records flow: what is said about it, and nothing is lost.

use std::time::{Duration, Instant};
use std::{fs, thread};

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;
use kmirror_tests::stores::{CLIENT, STORE_PASSWORD, Stores};

use crate::fixture::{SOON, assert_same, create, eventually, many_processes, source, stop, wait_for};

const TOPIC: &str = "certified";
/// How long the client's first certificate holds.
const BRIEF: Duration = Duration::from_secs(15);

/// A broker that wants certificates of clients, and reads its stores when it starts.
fn broker(stores: &Stores) -> KafkaCluster {
    let listeners = "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},SSL://127.0.0.1:{port.SSL}";
    let options = stores
        .of_broker(Options::default())
        .with("ssl.truststore.location", &stores.path("trust.pem"))
        .with("ssl.client.auth", "required")
        .with("listeners", &format!("{listeners},CONTROLLER://127.0.0.1:{{port.CONTROLLER}}"))
        .with("advertised.listeners", listeners)
        .with("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT");
    KafkaCluster::start(Version::V4_3_0, options).unwrap()
}

/// A new process of the broker reads its files anew, and everybody connects anew.
fn restart(target: &mut KafkaCluster) {
    target.stop_broker(1).unwrap();
    target.start_broker(1).unwrap();
}

fn catches_up(mirror: &Process, target: &KafkaCluster) {
    let held = oracle::offsets_held(&source().bootstrap(), TOPIC).unwrap();
    wait_for(mirror, target, "cert.certified", held);
}

#[test]
fn certificates_end_and_authorities_follow_others_under_load() {
    let _alone = many_processes();
    let stores = Stores::make().unwrap();
    stores.trust("trust.pem", &["ca"]).unwrap();
    let mut target = broker(&stores);
    create(TOPIC, 2, &[]);
    let arguments = [&source().bootstrap(), TOPIC, "--case", "plain", "--partitions", "2", "--rate", "200"];
    let producer = oracle::start("produce", "produce", &arguments, target.directory()).unwrap();
    let properties =
        Properties::flow(("cert", &source().bootstrap()), ("dst", &target.bootstrap_of("SSL")), TOPIC)
            .with("dst.security.protocol", "SSL")
            .with("dst.ssl.truststore.location", &stores.path("trust.pem"))
            .with("dst.ssl.keystore.location", &stores.path("client.p12"))
            .with("dst.ssl.keystore.password", STORE_PASSWORD);
    stores.ending("client", CLIENT, BRIEF.as_secs().cast_signed()).unwrap();
    let made = Instant::now();
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    catches_up(&mirror, &target);
    let says = |what: &str| eventually(what, || mirror.stderr().contains(what));
    let reads_anew = |times: usize| {
        eventually("new files", || mirror.stderr().matches("read anew").count() >= times);
    };
    says("(client in ssl.keystore) ends in 0 days");

    // What is open stays open; who connects anew is not let in, until there is a new certificate.
    thread::sleep((BRIEF + Duration::from_secs(1)).saturating_sub(made.elapsed()));
    catches_up(&mirror, &target);
    restart(&mut target);
    says("does not accept");
    stores.signed("client", CLIENT, 30).unwrap();
    catches_up(&mirror, &target);
    reads_anew(1);

    // Now the broker's has ended.
    fs::copy(stores.path("expired.p12"), stores.path("broker.p12")).unwrap();
    restart(&mut target);
    says("expired on 20");

    // The broker comes back with one of another authority, which we trust beside the old one; then we get one, too, and the
    // old authority is trusted no more.
    stores.authority("next-ca").unwrap();
    stores.trust("trust.pem", &["ca", "next-ca"]).unwrap();
    stores.signed_by("next-ca", "broker", kmirror_tests::stores::HERE).unwrap();
    restart(&mut target);
    catches_up(&mirror, &target);
    reads_anew(2);
    stores.signed_by("next-ca", "client", CLIENT).unwrap();
    reads_anew(3);
    stores.trust("trust.pem", &["next-ca"]).unwrap();
    restart(&mut target);
    catches_up(&mirror, &target);

    producer.stop(SOON).unwrap();
    catches_up(&mirror, &target);
    stop(&mirror);
    assert_same(source(), TOPIC, &target, "cert.certified");
    assert!(!(mirror.stdout() + &mirror.stderr()).contains(STORE_PASSWORD), "a password was shown");
}
