//! What would copy a topic into itself is refused at start, before anything is written.

use std::time::Duration;

use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;

use crate::fixture::{SOON, create, flow, produce, source, target};

/// The exit code for flows that must not run.
const REFUSED: i32 = 4;

/// Runs until synced, which must end with an error of the configuration, and returns what it said.
fn refused(properties: &Properties) -> String {
    let process = kmirror::start_run(properties, &["--until-synced"]).unwrap();
    let exit = process.wait(SOON).unwrap();
    let said = process.stdout() + &process.stderr();
    assert_eq!(exit.code(), Some(REFUSED), "it ended with {}:\n{said}", exit.status);
    said
}

#[test]
fn two_names_of_one_cluster_are_refused() {
    create("loop", 1, &[]);
    produce("loop", &["--records", "10"]);
    let one = source().bootstrap();
    let other = one.replace("127.0.0.1", "localhost");
    let properties = Properties::flow(("here", &one), ("there", &other), "loop");
    let said = refused(&properties);
    for word in ["here", "there", source().id(), "--allow-same-cluster"] {
        assert!(said.contains(word), "{word} is not in:\n{said}");
    }
    let topics = oracle::topics(&one).unwrap();
    assert!(!topics.contains_key("here.loop"), "something was written");
    assert!(!topics.contains_key("mm2-offsets.here.internal"), "something was written");
}

#[test]
fn one_cluster_is_mirrored_into_itself_for_those_who_mean_it() {
    create("meant", 1, &[]);
    produce("meant", &["--records", "10"]);
    let one = source().bootstrap();
    let properties = Properties::flow(("mine", &one), ("also-mine", &one), "meant");
    let process = kmirror::start_run(&properties, &["--until-synced", "--allow-same-cluster"]).unwrap();
    assert_eq!(process.wait(SOON).unwrap().code(), Some(0), "{}", process.tail(40));
    assert_eq!(oracle::offsets_held(&one, "mine.meant").unwrap(), 10);
}

#[test]
fn identity_both_ways_is_refused_with_the_path() {
    let properties = flow("left", "circle").identity().with("target->left.enabled", "true");
    let properties = properties.with("target->left.topics", "circle");
    create("circle", 1, &[]);
    produce("circle", &["--records", "10"]);
    let said = refused(&properties);
    assert!(said.contains("left") && said.contains("target") && said.contains("circle"), "{said}");
    assert!(!oracle::topics(&target().bootstrap()).unwrap().contains_key("circle"), "something was written");
}

#[test]
fn both_ways_under_prefixes_is_no_loop() {
    create("back-and-forth", 1, &[]);
    produce("back-and-forth", &["--records", "10"]);
    let properties = flow("forth", ".*back-and-forth").with("target->forth.enabled", "true");
    let properties = properties.with("target->forth.topics", ".*back-and-forth");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    crate::fixture::wait_for(&mirror, target(), "forth.back-and-forth", 10);
    // Long enough for several looks at the topics of both sides.
    std::thread::sleep(Duration::from_secs(4));
    crate::fixture::stop(&mirror);
    let names = |bootstrap: &str| -> Vec<String> {
        let topics = oracle::topics(bootstrap).unwrap().into_keys();
        topics.filter(|name| name.contains("back-and-forth")).collect()
    };
    assert_eq!(names(&source().bootstrap()), ["back-and-forth"]);
    assert_eq!(names(&target().bootstrap()), ["forth.back-and-forth"]);
}
