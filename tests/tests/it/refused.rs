//! Records and batches that the target topic does not take as they are: too large, of another time, of another codec.

use kmirror_tests::kmirror;
use kmirror_tests::oracle;

use crate::fixture::{
    SOON, assert_mirrored, create, create_target, flow, produce, stop, sync, target, wait_for,
};

/// Ten records, the last of 900 KB.
fn produce_large(topic: &str) {
    create(topic, 1, &[]);
    produce(topic, &["--case", "sizes", "--records", "15"]);
}

#[test]
fn a_record_too_large_stops_its_partition_with_the_reason() {
    produce_large("oversized");
    create("oversized-not", 1, &[]);
    produce("oversized-not", &["--records", "50"]);
    create_target("stops.oversized", 1, &["max.message.bytes=500000"]);
    let mirror = kmirror::start_run(&flow("stops", "oversized.*"), &[]).unwrap();
    mirror.wait_until("it stopped the partition", SOON, || mirror.stderr().contains("stopped: ")).unwrap();
    let text = mirror.stderr();
    assert!(text.contains("record at source offset 9") && text.contains("takes 500000"), "{text}");
    wait_for(&mirror, target(), "stops.oversized", 9);
    wait_for(&mirror, target(), "stops.oversized-not", 50);
    stop(&mirror);
}

#[test]
fn a_record_too_large_raises_the_limit_where_that_is_wanted() {
    produce_large("raised");
    create_target("raises.raised", 1, &["max.message.bytes=500000"]);
    sync(&flow("raises", "raised").with("kmirror.raise.max.message.bytes", "true"));
    assert_mirrored("raises", "raised");
    let settings = oracle::topic_settings(&target().bootstrap(), "raises.raised").unwrap();
    assert_eq!(settings["max.message.bytes"], (1 << 20).to_string());
}

#[test]
fn a_record_too_large_goes_to_the_dead_letter_topic_where_that_is_wanted() {
    produce_large("letters");
    create_target("lays.letters", 1, &["max.message.bytes=500000"]);
    let lettered = sync(&flow("lays", "letters").with("kmirror.on.refused.records", "dead-letter"));
    assert!(lettered.stderr.contains("went to the dead-letter topic"), "{}", lettered.stderr);
    let found = oracle::dump(&target().bootstrap(), "lays.letters", &[]).unwrap();
    assert_eq!(found[&0].records, 14);
    let letter = oracle::ask("headers", &[&target().bootstrap(), "mm2-dead-letters.lays.internal"]).unwrap();
    let letter = &letter.as_array().unwrap()[0];
    assert_eq!(letter["value_bytes"], 900_000);
    let headers = &letter["headers"];
    let expected = [("cluster", "lays"), ("topic", "letters"), ("partition", "0"), ("offset", "9")];
    for (name, value) in expected {
        assert_eq!(headers[format!("kmirror.source.{name}")], value, "{headers}");
    }
    assert!(headers["kmirror.reason"].as_str().unwrap().contains("max.message.bytes"), "{headers}");
}

/// The records of the cases are of January 2026; the target takes those of the last hour only.
#[test]
fn timestamps_that_the_target_refuses() {
    create("times", 1, &[]);
    produce("times", &["--records", "30", "--codec", "lz4"]);
    oracle::ask(
        "produce",
        &[&crate::fixture::source().bootstrap(), "times", "--records", "40", "--now", "--codec", "lz4"],
    )
    .unwrap();
    create_target("late.times", 1, &["message.timestamp.before.max.ms=3600000"]);
    create_target("lost.times", 1, &["message.timestamp.before.max.ms=3600000"]);
    // Kept in step with the source, the targets would lose the setting, sooner or later than the records come.
    let keeping = |alias| flow(alias, "times").with("sync.topic.configs.enabled", "false");
    let mirror = kmirror::start_run(&keeping("late"), &[]).unwrap();
    mirror.wait_until("it stopped the partition", SOON, || mirror.stderr().contains("stopped: ")).unwrap();
    assert!(mirror.stderr().contains("record at source offset 0: its timestamp"), "{}", mirror.tail(20));
    stop(&mirror);
    sync(&keeping("lost").with("kmirror.on.refused.records", "dead-letter"));
    let held = |topic: &str| oracle::offsets_held(&target().bootstrap(), topic).unwrap();
    assert_eq!((held("lost.times"), held("mm2-dead-letters.lost.internal")), (40, 30));
}

#[test]
fn a_target_topic_with_a_codec_of_its_own() {
    create("codecs", 1, &[]);
    produce("codecs", &["--records", "400", "--codec", "lz4,none,snappy,gzip,zstd"]);
    for codec in ["gzip", "zstd", "lz4", "snappy", "uncompressed"] {
        let alias = format!("own-{codec}");
        create_target(&format!("{alias}.codecs"), 1, &[&format!("compression.type={codec}")]);
        let synced = sync(&flow(&alias, "codecs"));
        assert!(synced.stderr.contains("other-codec"), "{}", synced.stderr);
        assert_mirrored(&alias, "codecs");
    }
}
