//! Brokers that are restarted one after the other under load, as an upgrade does it.

use std::thread;
use std::time::Duration;

use kmirror_tests::kafka::KafkaCluster;

use crate::brokers::survives;

fn restart_one_after_the_other(cluster: &mut KafkaCluster) {
    for broker in 1..=3 {
        cluster.stop_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(1));
        cluster.start_broker(broker).unwrap();
        thread::sleep(Duration::from_secs(2));
    }
}

#[test]
fn brokers_restart_under_load() {
    survives(restart_one_after_the_other);
}
