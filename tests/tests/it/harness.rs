//! The harness itself: what the oracle says of a topic is what was produced to it, whichever release stores it.

use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::oracle;

#[test]
fn an_oracle_reads_what_the_other_produced() {
    for version in [Version::V2_8_2, Version::V3_9_1, Version::V4_3_0] {
        let cluster = KafkaCluster::start(version, Options::default()).unwrap();
        let bootstrap = cluster.bootstrap();
        oracle::create_topic(&bootstrap, "t", 3, 1, &[]).unwrap();
        let options = ["--partitions", "3", "--codec", "none,gzip,snappy,lz4,zstd"];
        let produced = oracle::produce(&bootstrap, "t", &options).unwrap();
        let found = oracle::dump(&bootstrap, "t", &[]).unwrap();
        oracle::same_content(&produced, &found).unwrap();
        assert_eq!(oracle::offsets_held(&bootstrap, "t").unwrap(), 3000);

        // And it notices one record too many.
        let more = oracle::produce(&bootstrap, "t", &["--records", "1"]).unwrap();
        assert_eq!(more[&0].records, 1);
        let found = oracle::dump(&bootstrap, "t", &[]).unwrap();
        assert!(oracle::same_content(&produced, &found).is_err());
    }
}

#[test]
fn three_brokers_beside_one_zookeeper() {
    let _alone = crate::fixture::many_processes();
    let mut cluster = KafkaCluster::start(Version::V2_8_2, Options::three_brokers()).unwrap();
    oracle::create_topic(&cluster.bootstrap(), "t", 3, 3, &[]).unwrap();
    let produced = oracle::produce(&cluster.bootstrap(), "t", &["--partitions", "3"]).unwrap();
    cluster.stop_broker(2).unwrap();
    cluster.start_broker(2).unwrap();
    let found = oracle::dump(&cluster.bootstrap(), "t", &[]).unwrap();
    oracle::same_content(&produced, &found).unwrap();
    assert_eq!(cluster.id().len(), 22, "{}", cluster.id());
}
