//! Wrong addresses, servers that are no Kafka, files of garbage: a message that helps, the documented exit code.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Duration;

use kmirror_tests::cache;
use kmirror_tests::kafka::{KafkaCluster, Options, Version, free_port};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::process::run;

use crate::fixture::{SOON, create, flow, produce, source, sync, target};

/// `EXIT STATUS` in the manual: the configuration is wrong, nothing was begun.
const CONFIGURATION: i32 = 2;
/// The same: no flow could be started.
const START_FAILED: i32 = 3;

/// Runs with a source at `bootstrap`, which must fail to start, and returns what it said.
fn unreachable(bootstrap: &str) -> String {
    let properties = Properties::flow(("far", bootstrap), ("target", &target().bootstrap()), ".*");
    let process = kmirror::start_run(&properties, &[]).unwrap();
    let exit = process.wait(SOON).unwrap();
    let said = process.stdout() + &process.stderr();
    assert_eq!(exit.code(), Some(START_FAILED), "{said}");
    assert!(said.contains("far"), "the alias is not named:\n{said}");
    assert!(said.contains(bootstrap), "the address is not named:\n{said}");
    said
}

/// All at once, since each waits for as long as a start may take.
#[test]
fn clusters_that_cannot_be_reached() {
    thread::scope(|scope| {
        scope.spawn(a_host_that_is_not_there);
        scope.spawn(a_port_nobody_listens_on);
        scope.spawn(an_http_server_on_the_port);
        scope.spawn(a_server_of_random_bytes);
        scope.spawn(a_server_that_never_answers);
        scope.spawn(a_tls_port_spoken_to_in_plain);
    });
}

fn a_host_that_is_not_there() {
    let said = unreachable("no-such-host.invalid:9092").to_lowercase();
    assert!(said.contains("resolve") || said.contains("name"), "{said}");
}

fn a_port_nobody_listens_on() {
    let said = unreachable(&format!("127.0.0.1:{}", free_port().unwrap())).to_lowercase();
    assert!(said.contains("refused"), "{said}");
}

/// A server that answers whatever comes with the same bytes.
fn always_answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut request = [0; 1024];
                if client.read(&mut request).is_ok_and(|count| count > 0) {
                    client.write_all(answer).ok();
                }
            });
        }
    });
    address
}

fn an_http_server_on_the_port() {
    let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let said = unreachable(&always_answering(answer).to_string());
    assert!(said.contains("HTTP"), "{said}");
}

fn a_server_of_random_bytes() {
    let said = unreachable(&always_answering(&[0xff; 300]).to_string());
    assert!(!said.contains("panicked"), "{said}");
}

fn a_server_that_never_answers() {
    let said = unreachable(&always_answering(b"").to_string());
    assert!(!said.contains("panicked"), "{said}");
}

fn a_tls_port_spoken_to_in_plain() {
    let store = cache::entry("keystore", |directory| {
        let mut keytool = Command::new("keytool");
        keytool.args(["-genkeypair", "-alias", "broker", "-keyalg", "EC", "-dname", "CN=localhost"]);
        keytool.args(["-validity", "36500", "-storepass", "secret", "-keypass", "secret", "-keystore"]);
        run(keytool.arg(directory.join("broker.p12"))).map(drop)
    });
    let store = store.unwrap().join("broker.p12").display().to_string();
    let options = Options::default()
        .with("listeners", "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},TLS://127.0.0.1:{port.TLS},CONTROLLER://127.0.0.1:{port.CONTROLLER}")
        .with("advertised.listeners", "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},TLS://127.0.0.1:{port.TLS}")
        .with("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,TLS:SSL,CONTROLLER:PLAINTEXT")
        .with("ssl.keystore.location", &store)
        .with("ssl.keystore.password", "secret")
        .with("ssl.key.password", "secret");
    let cluster = KafkaCluster::start(Version::V3_9_1, options).unwrap();
    let said = unreachable(&cluster.bootstrap_of("TLS"));
    assert!(said.contains("TLS") || said.contains("SSL"), "{said}");
}

#[test]
fn a_topic_that_cannot_be_created_leaves_the_others_alone() {
    // Replication factor 3 on one broker is refused for the topic; the other exists already.
    for topic in ["half.makeable", "half.refused"] {
        create(topic, 1, &[]);
        produce(topic, &["--records", "25"]);
    }
    oracle::create_topic(&target().bootstrap(), "half.half.makeable", 1, 1, &[]).unwrap();
    // The last line wins, as in any properties file.
    let properties = flow("half", "half\\\\..*").with("replication.factor", "3");
    let mirror = kmirror::start_run(&properties, &[]).unwrap();
    crate::fixture::wait_for(&mirror, target(), "half.half.makeable", 25);
    crate::fixture::eventually("a message about the refused topic", || {
        let said = mirror.stdout() + &mirror.stderr();
        said.contains("half.refused") && said.contains("INVALID_REPLICATION_FACTOR")
    });
    assert!(mirror.exited().is_none(), "{}", mirror.tail(40));
    // What was refused is tried again: once it exists, its records flow.
    oracle::create_topic(&target().bootstrap(), "half.half.refused", 1, 1, &[]).unwrap();
    crate::fixture::wait_for(&mirror, target(), "half.half.refused", 25);
    crate::fixture::stop(&mirror);
}

#[test]
fn one_unreachable_broker_in_the_list_is_no_matter() {
    create("one-of-two", 1, &[]);
    produce("one-of-two", &["--records", "30"]);
    let dead = format!("127.0.0.1:{}", free_port().unwrap());
    let both = format!("{dead}; {}", source().bootstrap());
    let properties = Properties::flow(("listed", &both), ("target", &target().bootstrap()), "one-of-two");
    sync(&properties);
    assert_eq!(oracle::offsets_held(&target().bootstrap(), "listed.one-of-two").unwrap(), 30);
}

/// Runs on a file with this content, which must be refused, and returns what it said.
fn refused_file(content: &[u8]) -> String {
    let file = cache::scratch("file").unwrap().join("mm2.properties");
    std::fs::write(&file, content).unwrap();
    let finished = kmirror::finish(&["run", &file.display().to_string()], Duration::from_secs(20)).unwrap();
    let said = finished.stdout + &finished.stderr;
    assert_eq!(finished.exit.code(), Some(CONFIGURATION), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn files_of_garbage() {
    refused_file(b"");
    refused_file(&[0xff, 0xfe, 0x00, 0x80, b'\n', 0x01]);
    refused_file(b"\\uZZZZ = x\nclusters\n====\n");
    refused_file(&b"a\\".repeat(200_000));
    let said = refused_file(b"clusters = a, b\na->b.enabled = true\n");
    assert!(said.contains("bootstrap.servers"), "{said}");
    let said = refused_file(
        b"clusters = a, b\na.bootstrap.servers = h:1\nb.bootstrap.servers = i:1\na->b.enabled = true\n\
          a->b.topics = x(\nreplication.factor = two\n",
    );
    // All that is wrong is said at once, each with its line.
    for word in ["topics", "replication.factor", "two", "5", "6"] {
        assert!(said.contains(word), "{word} is not in:\n{said}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let finished = kmirror::finish(&["run", "/no/such/file"], Duration::from_secs(20)).unwrap();
    assert_eq!(finished.exit.code(), Some(CONFIGURATION));
    assert!(finished.stderr.contains("/no/such/file"), "{}", finished.stderr);
}
