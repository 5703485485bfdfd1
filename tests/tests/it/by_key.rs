//! Records dealt out by key over a target topic with another number of partitions.

use std::collections::BTreeMap;

use kmirror_tests::oracle;

use crate::fixture::{create, flow, produce, sync, target};

/// Where each key of a topic at the target lies, and how many records there are; a key in two places fails.
fn places(topic: &str) -> (BTreeMap<String, String>, usize) {
    let dump = oracle::ask("dump", &[&target().bootstrap(), topic, "--records"]).unwrap();
    let (mut places, mut records) = (BTreeMap::new(), 0);
    for (partition, content) in dump["partitions"].as_object().unwrap() {
        for record in content["content"].as_array().unwrap() {
            let key = record[2].as_str().unwrap().to_owned();
            let before = places.insert(key.clone(), partition.clone());
            assert!(before.is_none_or(|before| before == *partition), "{key} lies in two partitions");
            records += 1;
        }
    }
    (places, records)
}

/// Six partitions over four: keys lie where librdkafka's murmur2, Java's default, puts them; a second run goes on
/// without repeating anything.
#[test]
fn keys_go_where_producers_put_them() {
    create("spread", 6, &[]);
    for name in ["dealt.spread", "placed"] {
        oracle::create_topic(&target().bootstrap(), name, 4, 1, &[]).unwrap();
    }
    let properties = flow("dealt", "spread").with("kmirror.partitioning", "by-key");
    for (first, codec) in [("0", "none"), ("100", "lz4,gzip")] {
        let options = ["--case", "tombstones", "--partitions", "6", "--records", "100", "--codec", codec];
        produce("spread", &[&options[..], &["--first", first]].concat());
        sync(&properties);
    }
    let options = ["--case", "tombstones", "--records", "300", "--partitioner", "murmur2"];
    oracle::produce(&target().bootstrap(), "placed", &options).unwrap();
    let (dealt, records) = places("dealt.spread");
    let (placed, _) = places("placed");
    assert_eq!((dealt.len(), records), (20, 1200));
    assert_eq!(dealt, placed);
}
