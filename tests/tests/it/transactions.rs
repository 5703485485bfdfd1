//! Transactions at the source: markers never arrive, aborted records by `isolation.level`, as with MirrorMaker 2.

use kmirror_tests::oracle;

use crate::fixture::{assert_mirrored, create, flow, produce, source, sync, target};

fn produce_transactions(topic: &str) {
    create(topic, 2, &[]);
    let steps =
        [("commit", "none"), ("abort", "lz4"), ("commit", "zstd"), ("abort", "none"), ("commit", "lz4")];
    for (number, (outcome, codec)) in steps.iter().enumerate() {
        let first = (number * 300).to_string();
        let seed = format!("step-{number}");
        let options = ["--partitions", "2", "--records", "300", "--codec", codec, "--transactional", outcome];
        produce(topic, &[&options[..], &["--first", &first, "--seed", &seed]].concat());
    }
}

#[test]
fn read_uncommitted_copies_aborted_records_too() {
    produce_transactions("transactions");
    sync(&flow("all", "transactions"));
    assert_mirrored("all", "transactions");
    let found = oracle::dump(&target().bootstrap(), "all.transactions", &[]).unwrap();
    assert_eq!(found[&0].records, 1500);
    // No marker took an offset.
    assert_eq!(found[&0].offsets, Some((0, 1499)));
}

#[test]
fn read_committed_copies_committed_records_only() {
    produce_transactions("committed");
    sync(&flow("some", "committed").with("some.consumer.isolation.level", "read_committed"));
    let isolation = ["--isolation", "read_committed"];
    let expected = oracle::dump(&source().bootstrap(), "committed", &isolation).unwrap();
    let found = oracle::dump(&target().bootstrap(), "some.committed", &[]).unwrap();
    oracle::same_content(&expected, &found).unwrap();
    assert_eq!(found[&1].records, 900);
}
