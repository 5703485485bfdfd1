//! Credentials that are replaced while records flow: a mounted secret changes, and nothing is restarted or lost.

use std::thread;
use std::time::Duration;

use kmirror_tests::kafka::Version;
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::passwords::Passwords;
use kmirror_tests::stores::Stores;

use crate::fixture::{assert_same, stop, wait_for};
use crate::sasl::secured;

const TOPIC: &str = "rotated";

#[test]
fn a_password_that_changes_under_load_is_taken_up_without_a_restart() {
    let stores = Stores::make().unwrap();
    let (source, target) = (secured(Version::V3_9_1, &stores), secured(Version::V4_3_0, &stores));
    let mut passwords = [&source, &target].map(|cluster| Passwords::first(&cluster.bootstrap()).unwrap());
    oracle::create_topic(&source.bootstrap(), TOPIC, 2, 1, &[]).unwrap();
    let properties = Properties::flow(
        ("rot", &source.bootstrap_of("SASL_PLAINTEXT")),
        ("dst", &target.bootstrap_of("SASL_PLAINTEXT")),
        TOPIC,
    );
    // The one out of a line of a file, the other out of a file of its own.
    let properties = passwords[0].login_by_line(Passwords::provider(properties), "rot");
    let properties = passwords[1].login(properties, "dst");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    let mut first = 0;
    let mut produce_more = || {
        let from = first.to_string();
        let options = ["--case", "plain", "--partitions", "2", "--records", "300", "--first", &from];
        oracle::produce(&source.bootstrap(), TOPIC, &options).unwrap();
        first += 300;
        oracle::offsets_held(&source.bootstrap(), TOPIC).unwrap()
    };
    let mirrored = produce_more();
    wait_for(&mirror, &target, "rot.rotated", mirrored);
    // Sessions last five seconds: the old password is refused before this is over.
    for _ in ["second", "third"] {
        for passwords in &mut passwords {
            passwords.choose();
            passwords.change().unwrap();
            passwords.hand_out().unwrap();
        }
        for _ in 0..5 {
            produce_more();
            thread::sleep(Duration::from_secs(1));
        }
        let mirrored = produce_more();
        wait_for(&mirror, &target, "rot.rotated", mirrored);
    }
    stop(&mirror);
    assert_same(&source, TOPIC, &target, "rot.rotated");
    let said = mirror.stdout() + &mirror.stderr();
    assert!(!said.contains("-s3cret"), "a password was shown:\n{said}");
}
