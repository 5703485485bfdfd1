//! The program as it is shipped: one static file, its names, its demo, its help.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use kmirror_tests::cache::scratch;
use kmirror_tests::kmirror;
use kmirror_tests::process::Process;

use crate::fixture::{create, flow, produce, stop, target, wait_for};

/// The program header of an executable that needs a dynamic loader.
const PT_INTERP: u32 = 3;
const MAX_BYTES: u64 = 20 << 20;

#[test]
fn the_release_binary_is_one_static_file() {
    let binary = kmirror::binary().unwrap();
    if !binary.to_string_lossy().contains("musl") {
        eprintln!("{} is no release for musl: tests/run builds and checks one", binary.display());
        return;
    }
    let bytes = fs::read(&binary).unwrap();
    assert!(u64::try_from(bytes.len()).unwrap() <= MAX_BYTES, "{} bytes", bytes.len());
    let number = |at: usize, length: usize| {
        bytes[at..at + length].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
    };
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    assert!(count > 0);
    for header in 0..count {
        assert_ne!(
            u32::try_from(number(table + header * size, 4)).unwrap(),
            PT_INTERP,
            "it wants a dynamic loader"
        );
    }
}

#[test]
fn it_answers_to_the_names_of_mirror_maker() {
    for name in ["connect-mirror-maker", "connect-mirror-maker.sh"] {
        let topic = format!("named-{}", name.len());
        create(&topic, 1, &[]);
        produce(&topic, &["--records", "10"]);
        let directory = scratch("name").unwrap();
        let program = directory.join(name);
        symlink(kmirror::binary().unwrap(), &program).unwrap();
        let file = flow(&topic, &topic).write(&directory).unwrap();
        let mut command = Command::new(&program);
        command.arg(file).args(["--clusters", "target"]);
        let mirror = Process::spawn("named", &mut command, &directory).unwrap();
        wait_for(&mirror, target(), &format!("{topic}.{topic}"), 10);
        stop(&mirror);
    }
}

#[test]
fn the_demo_ends_well_and_soon() {
    let started = Instant::now();
    let finished = kmirror::finish(&["demo"], Duration::from_secs(60)).unwrap();
    assert_eq!(finished.exit.code(), Some(0), "{}{}", finished.stdout, finished.stderr);
    // 20 s on a machine of its own; here others build and test at the same time.
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
}

#[test]
fn every_command_has_help_with_examples() {
    for command in ["run", "plan", "demo"] {
        let finished = kmirror::finish(&[command, "--help"], Duration::from_secs(10)).unwrap();
        assert_eq!(finished.exit.code(), Some(0));
        assert!(finished.stdout.contains("Example"), "{}", finished.stdout);
    }
    let finished = kmirror::finish(&["--version"], Duration::from_secs(10)).unwrap();
    assert!(finished.stdout.starts_with("kmirror "), "{}", finished.stdout);
}
