//! `kmirror plan`: says what would be done and why, and does nothing.

use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kmirror::{self, Finished, Properties};
use kmirror_tests::oracle;

use crate::fixture::{create, flow, produce, source, target};

fn plan(properties: &Properties, options: &[&str]) -> Finished {
    let file = properties.write(&scratch("plan").unwrap()).unwrap();
    let file = file.display().to_string();
    kmirror::finish(&[&["plan", &file], options].concat(), Duration::from_secs(30)).unwrap()
}

#[test]
fn a_plan_names_every_topic_and_writes_nothing() {
    create("planned.a", 3, &[]);
    create("planned.b.internal", 1, &[]);
    create("unplanned", 1, &[]);
    produce("planned.a", &["--records", "5"]);
    let topics =
        || (oracle::topics(&source().bootstrap()).unwrap(), oracle::topics(&target().bootstrap()).unwrap());
    let before = topics();
    let properties = flow("pl", "planned\\\\..*").with("replication.faktor", "2");
    let finished = plan(&properties, &[]);
    assert_eq!(finished.exit.code(), Some(0), "{}", finished.stderr);
    let said = finished.stdout + &finished.stderr;
    for word in [
        "planned.a",
        "pl.planned.a",
        "planned.b.internal",
        "unplanned",
        "replication.faktor",
        "replication.factor",
    ] {
        assert!(said.contains(word), "{word} is not in:\n{said}");
    }
    let mine = |topics: &std::collections::BTreeMap<String, u64>| -> Vec<String> {
        topics.keys().filter(|name| name.contains("planned") || name.contains(".pl.")).cloned().collect()
    };
    let after = topics();
    assert_eq!((mine(&before.0), mine(&before.1)), (mine(&after.0), mine(&after.1)));
}

#[test]
fn a_plan_is_json_when_asked() {
    create("jsoned", 2, &[]);
    let finished = plan(&flow("js", "jsoned"), &["--json"]);
    assert_eq!(finished.exit.code(), Some(0), "{}", finished.stderr);
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert!(document.to_string().contains("js.jsoned"), "{document:#}");
}

#[test]
fn an_offline_plan_connects_to_nothing() {
    let properties =
        Properties::flow(("a", "no-such-host.invalid:1"), ("b", "no-such-host.invalid:2"), "x.*");
    let finished = plan(&properties, &["--offline"]);
    assert_eq!(finished.exit.code(), Some(0), "{}{}", finished.stdout, finished.stderr);

    // A comment behind a value belongs to the value, as in any properties file.
    let bad = properties.with("replication.factor", "1 # one");
    let finished = plan(&bad, &["--offline"]);
    let said = finished.stdout + &finished.stderr;
    assert!(finished.exit.code().is_some_and(|code| code != 0), "{said}");
    assert!(said.contains("replication.factor") && said.contains("1 # one"), "{said}");
}

#[test]
fn a_plan_shows_a_loop_of_one_cluster() {
    create("plan-loop", 1, &[]);
    let one = source().bootstrap();
    let other = one.replace("127.0.0.1", "localhost");
    let finished = plan(&Properties::flow(("x", &one), ("y", &other), "plan-loop"), &[]);
    let said = finished.stdout + &finished.stderr;
    assert!(finished.exit.code().is_some_and(|code| code != 0), "{said}");
    assert!(said.contains(source().id()), "{said}");
}
