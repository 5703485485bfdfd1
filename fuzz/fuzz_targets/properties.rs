//! A properties file of anything: a plan or errors, and patterns that answer.
#![no_main]

use kmirror_engine::config::properties;
use kmirror_engine::plan::{Plan, PlanArgs};
use libfuzzer_sys::fuzz_target;

/// What makes most of a file meaningful, so that the rest reaches the plan.
const FRAME: &str =
    "clusters = a, b\na.bootstrap.servers = h:1\nb.bootstrap.servers = h:2\na->b.enabled = true\n";

fuzz_target!(|data: &[u8]| {
    let text = properties::decode(data);
    let parsed = properties::parse(&text);
    assert!(parsed.entries.windows(2).all(|pair| pair[0].line < pair[1].line));
    for text in [text.clone().into_owned(), format!("{FRAME}{text}")] {
        let Ok(plan) = Plan::from_properties(&text, "fuzz.properties", &PlanArgs::default()) else {
            continue;
        };
        for flow in plan.flows {
            for topic in ["orders", "mm2-offsets.a.internal", "a.b.c", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa!"] {
                let _ = flow.topics.decide(topic);
            }
        }
    }
});
