//! Bad links between kmirror and the target: long, cut, silent.

use std::thread;
use std::time::{Duration, Instant};

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::proxy::{Link, Proxy};

use crate::fixture::{SOON, stop, verify, wait_for};

struct Far {
    source: KafkaCluster,
    target: KafkaCluster,
    proxies: Vec<Proxy>,
}

impl Far {
    fn start(link: Link) -> Self {
        let source = KafkaCluster::start(Version::V4_3_0, Options::default()).unwrap();
        let target = KafkaCluster::start(Version::V4_3_0, Options::default().behind_proxy()).unwrap();
        let proxies = target.proxies(link).unwrap();
        Self { source, target, proxies }
    }

    fn properties(&self, topic: &str) -> Properties {
        let (source, target) = (self.source.bootstrap(), self.target.bootstrap_of("FAR_PROXY"));
        Properties::flow(("src", &source), ("dst", &target), topic).identity()
    }

    fn produce(&self, topic: &str, options: &[&str]) {
        oracle::create_topic(&self.source.bootstrap(), topic, 2, 1, &[]).unwrap();
        let options = [&["--case", "plain", "--partitions", "2"], options].concat();
        oracle::produce(&self.source.bootstrap(), topic, &options).unwrap();
    }

    fn set(&self, link: Link) {
        self.proxies.iter().for_each(|proxy| proxy.set(link));
    }

    fn assert_exact(&self, topic: &str, at_least: u64) {
        verify((&self.source, topic), (&self.target, topic)).assert_exact(at_least);
    }
}

const FAR: Link = Link { delay: Duration::from_millis(25), bytes_per_second: None, hold: false, cut: false };

#[test]
fn a_long_link_is_kept_full() {
    let far = Far::start(FAR);
    // 400 batches: with one request of one batch under way at a time, 20 s of round trips alone.
    far.produce("far", &["--records", "40000", "--batch-records", "200"]);
    let started = Instant::now();
    kmirror::run_until_synced(&far.properties("far"), SOON).unwrap();
    let took = started.elapsed();
    far.assert_exact("far", 80_000);
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn a_link_cut_again_and_again_loses_and_repeats_nothing() {
    let far = Far::start(Link { bytes_per_second: Some(4 << 20), ..FAR });
    far.produce("cut", &["--records", "100000", "--batch-records", "100"]);
    let mirror = kmirror::start_run(&far.properties("cut"), &[]).unwrap();
    for _ in 0..6 {
        thread::sleep(Duration::from_millis(700));
        far.proxies.iter().for_each(Proxy::close_all);
    }
    far.set(Link { cut: true, ..FAR });
    thread::sleep(Duration::from_secs(2));
    far.set(FAR);
    wait_for(&mirror, &far.target, "cut", 200_000);
    stop(&mirror);
    far.assert_exact("cut", 200_000);
}

#[test]
fn a_silent_link_is_given_up_and_made_anew() {
    let far = Far::start(Link { bytes_per_second: Some(4 << 20), ..FAR });
    far.produce("silent", &["--records", "100000", "--batch-records", "100"]);
    let properties = far.properties("silent").with("dst.producer.request.timeout.ms", "2000");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    thread::sleep(Duration::from_millis(1500));
    far.set(Link { hold: true, ..FAR });
    thread::sleep(Duration::from_secs(4));
    // What was held back arrives late, on connections nobody reads any more.
    far.set(FAR);
    wait_for(&mirror, &far.target, "silent", 200_000);
    stop(&mirror);
    far.assert_exact("silent", 200_000);
}
