//! The replica that is read: the nearest (KIP-392).

use kmirror_tests::kafka::Options;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::proxy::Link;

use crate::fixture::{assert_same, many_processes, stop, target, wait_for};
use crate::source_log::{TOPIC, leader_and_follower, produce, source};

/// With the way to the leader cut, records go on arriving: they come from the replica in the mirror's rack.
#[test]
fn the_nearest_replica_is_read() {
    let _alone = many_processes();
    let selector = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let options = Options::three_brokers().behind_proxy();
    let options =
        options.with("broker.rack", "rack-{port.PLAINTEXT}").with("replica.selector.class", selector);
    let source = source(options);
    let proxies = source.proxies(Link::default()).unwrap();
    produce(&source, "first", 100);
    let (leader, follower) = leader_and_follower(&source);
    let rack = format!("rack-{}", source.port(follower, "PLAINTEXT").unwrap());
    let far = source.bootstrap_of("FAR_PROXY");
    let properties = Properties::flow(("near", &far), ("target", &target().bootstrap()), TOPIC)
        .with("near.consumer.client.rack", &rack);
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    wait_for(&mirror, target(), "near.history", 100);
    let cut = Link { cut: true, ..Link::default() };
    proxies[usize::try_from(leader - 1).unwrap()].set(cut);
    produce(&source, "second", 100);
    wait_for(&mirror, target(), "near.history", 200);
    proxies[usize::try_from(leader - 1).unwrap()].set(Link::default());
    stop(&mirror);
    assert_same(&source, TOPIC, target(), "near.history");
}
