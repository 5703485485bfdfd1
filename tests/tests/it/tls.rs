//! TLS with real brokers of both releases: every kind of store, both versions, client certificates, new certificates
//! while running; the system's roots; the name that is asked for; and what is said about each thing that can be wrong.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties, binary};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;
use kmirror_tests::stores::{CLIENT, KEY_PASSWORD, STORE_PASSWORD, Stores};
use rustls::server::Acceptor;

use crate::check::check;
use crate::fixture::{SOON, assert_same, eventually, many_processes, stop, wait_for};

/// `EXIT STATUS` in the manual: no flow could be started.
const START_FAILED: i32 = 3;
/// What cannot be mended by trying again ends the start within this time, on a busy machine, too.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(12);

/// A broker with a listener for each way of TLS, beside the open one.
fn broker(version: Version, stores: &Stores) -> KafkaCluster {
    let names = ["SSL", "MUTUAL", "OLD", "EXPIRED", "ELSEWHERE"];
    let each = |f: &dyn Fn(&str) -> String| names.map(f).join(",");
    let open = "PLAINTEXT://127.0.0.1:{port.PLAINTEXT}";
    let listeners = each(&|name| format!("{name}://127.0.0.1:{{port.{name}}}"));
    let advertised = each(&|name| format!("{name}://localhost:{{port.{name}}}"));
    let protocols = each(&|name| format!("{name}:SSL"));
    let options = stores
        .of_broker(Options::default())
        .with("listeners", &format!("{open},{listeners},CONTROLLER://127.0.0.1:{{port.CONTROLLER}}"))
        .with("advertised.listeners", &format!("{open},{advertised}"))
        .with(
            "listener.security.protocol.map",
            &format!("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,{protocols}"),
        )
        .with("connections.max.idle.ms", "3000")
        .with("listener.name.mutual.ssl.client.auth", "required")
        .with("listener.name.old.ssl.enabled.protocols", "TLSv1.2")
        .with("listener.name.old.ssl.cipher.suites", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
        .with("listener.name.old.ssl.client.auth", "required")
        .with("listener.name.expired.ssl.keystore.location", &stores.path("expired.p12"))
        .with("listener.name.elsewhere.ssl.keystore.location", &stores.path("elsewhere.p12"));
    KafkaCluster::start(version, options).unwrap()
}

/// What one side's `ssl.` options are.
type Ssl<'a> = &'a [(&'a str, &'a str)];

fn with(mut properties: Properties, alias: &str, ssl: Ssl<'_>) -> Properties {
    properties = properties.with(&format!("{alias}.security.protocol"), "SSL");
    for (key, value) in ssl {
        properties = properties.with(&format!("{alias}.ssl.{key}"), value);
    }
    properties
}

/// Tries to run with the source behind a listener; what is said about it names the alias and all of `parts`.
fn refused(what: &str, source: (&KafkaCluster, &str), target: &KafkaCluster, ssl: Ssl<'_>, parts: &[&str]) {
    let bootstrap = source.0.bootstrap_of(source.1);
    let flow = Properties::flow(("a", &bootstrap), ("b", &target.bootstrap()), "t");
    let process = kmirror::start_run(&with(flow, "a", ssl), &["--until-synced"]).unwrap();
    let exit = process.wait(SOON).unwrap();
    let said = process.stdout() + &process.stderr();
    assert_eq!(exit.code(), Some(START_FAILED), "{what}: {said}");
    let took = exit.at.duration_since(process.started());
    // What was only closed may be a broker that stops, and is tried again.
    assert!(took < AT_ONCE || said.contains("it was closed"), "{what}: it ended after {took:?} only");
    for part in parts.iter().chain(&["cluster a: ", bootstrap.as_str()]) {
        assert!(said.contains(part), "{what}: {part} is not in:\n{said}");
    }
    for secret in [STORE_PASSWORD, KEY_PASSWORD, "swordfish"] {
        assert!(!said.contains(secret), "{what}: a password was shown:\n{said}");
    }
}

#[test]
fn every_store_on_both_sides_new_certificates_and_what_can_be_wrong() {
    let _alone = many_processes();
    let stores = Stores::make().unwrap();
    let (jks_trust, jks_client) = (stores.jks_trust("ca.pem").unwrap(), stores.jks_client().unwrap());
    let pkcs12_trust = stores.pkcs12_trust("ca.pem").unwrap();
    let (legacy, encrypted) = (stores.legacy_client().unwrap(), stores.encrypted_client().unwrap());
    let old = broker(Version::V3_9_1, &stores);
    let new = broker(Version::V4_3_0, &stores);
    for (cluster, topic) in [(&old, "t"), (&new, "u")] {
        oracle::create_topic(&cluster.bootstrap(), topic, 2, 1, &[]).unwrap();
        oracle::produce(&cluster.bootstrap(), topic, &["--partitions", "2", "--records", "500"]).unwrap();
    }

    let pem_text = |file: &str| std::fs::read_to_string(stores.path(file)).unwrap().replace('\n', "\\n");
    let (ca_text, key_text, certificate_text) =
        (pem_text("ca.pem"), pem_text("client.key"), pem_text("client.crt"));
    let (ca_file, client_p12) = (stores.path("ca.pem"), stores.path("client.p12"));

    // Forth: JKS and PKCS12 by keytool and openssl. Back: PEM in files and in the properties, TLS 1.2.
    let forth = Properties::flow(("a", &old.bootstrap_of("SSL")), ("b", &new.bootstrap_of("MUTUAL")), "t");
    let forth =
        with(forth, "a", &[("truststore.location", &jks_trust), ("truststore.password", STORE_PASSWORD)]);
    let forth = with(
        forth,
        "b",
        &[
            ("truststore.location", &pkcs12_trust),
            ("truststore.password", STORE_PASSWORD),
            ("keystore.location", &jks_client),
            ("keystore.password", STORE_PASSWORD),
            ("key.password", KEY_PASSWORD),
        ],
    );
    kmirror::run_until_synced(&forth, SOON).unwrap();
    assert_same(&old, "t", &new, "a.t");
    let back = Properties::flow(("b", &new.bootstrap_of("OLD")), ("a", &old.bootstrap_of("MUTUAL")), "u");
    let back = with(
        back,
        "b",
        &[
            ("truststore.type", "PEM"),
            ("truststore.certificates", &ca_text),
            ("keystore.type", "PEM"),
            ("keystore.certificate.chain", &certificate_text),
            ("keystore.key", &key_text),
        ],
    );
    let back = with(
        back,
        "a",
        &[
            ("truststore.type", "PEM"),
            ("truststore.location", &ca_file),
            ("keystore.type", "PEM"),
            ("keystore.location", &encrypted),
            ("key.password", KEY_PASSWORD),
            ("enabled.protocols", "TLSv1.3"),
            ("cipher.suites", "TLS_AES_256_GCM_SHA384"),
        ],
    );
    kmirror::run_until_synced(&back, SOON).unwrap();
    assert_same(&new, "u", &old, "b.u");

    by_the_systems_roots(&stores, &old, &new);
    everything_that_can_be_wrong(&stores, &old, &new);
    checked(&stores, &old, &new);
    new_certificates_while_running(&stores, &old, &new, (&legacy, &client_p12));
}

/// Without a trust store the system's roots count: those that OpenSSL's variable names.
fn by_the_systems_roots(stores: &Stores, old: &KafkaCluster, new: &KafkaCluster) {
    let flow = Properties::flow(("roots", &old.bootstrap_of("SSL")), ("b", &new.bootstrap()), "t");
    let directory = scratch("kmirror").unwrap();
    let file = with(flow, "roots", &[]).write(&directory).unwrap();
    for (roots, code) in [("ca.pem", 0), ("other-ca.pem", START_FAILED)] {
        let mut command = Command::new(binary().unwrap());
        command.args(["run", "--until-synced"]).arg(&file).env("SSL_CERT_FILE", stores.path(roots));
        let process = Process::spawn("kmirror", &mut command, &directory).unwrap();
        let exit = process.wait(SOON).unwrap();
        assert_eq!(exit.code(), Some(code), "{roots}: {}", process.tail(20));
    }
    assert_same(old, "t", new, "roots.t");
}

/// Who serves several names at one address goes by the one that is asked for (RFC 6066, section 3).
#[test]
fn the_name_that_is_asked_for_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = format!("localhost:{}", listener.local_addr().unwrap().port());
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut acceptor = Acceptor::default();
        loop {
            acceptor.read_tls(&mut stream).unwrap();
            if let Some(accepted) = acceptor.accept().map_err(|(error, _)| error).unwrap() {
                return accepted.client_hello().server_name().map(str::to_owned);
            }
        }
    });
    let flow = Properties::flow(("a", &bootstrap), ("b", "127.0.0.1:1"), "t");
    let _process = kmirror::start_run(&with(flow, "a", &[]), &[]).unwrap();
    assert_eq!(asked.join().unwrap().as_deref(), Some("localhost"));
}

fn everything_that_can_be_wrong(stores: &Stores, old: &KafkaCluster, new: &KafkaCluster) {
    let (ca, other, client) = (stores.path("ca.pem"), stores.path("other-ca.pem"), stores.path("client.p12"));
    let (trust_jks, client_jks, missing) =
        (stores.path("trust.jks"), stores.path("client.jks"), stores.path("missing.p12"));
    let damaged = std::fs::read(&client).unwrap();
    stores.replace("damaged.p12", &damaged[..damaged.len() / 2]).unwrap();
    let damaged = stores.path("damaged.p12");
    let trust = ("truststore.location", ca.as_str());
    let self_made = stores.path("other-client.pem");
    let key = std::fs::read(stores.path("other-ca.key")).unwrap();
    let certificate = std::fs::read(stores.path("other-ca.pem")).unwrap();
    stores.replace("other-client.pem", &[key, certificate].concat()).unwrap();

    refused(
        "unknown CA",
        (old, "SSL"),
        new,
        &[("truststore.location", &other)],
        &["CN=ca", "ssl.truststore.location"],
    );
    refused("expired", (old, "EXPIRED"), new, &[trust], &["CN=expired", "expired on 20"]);
    let name = "ssl.endpoint.identification.algorithm";
    refused("name", (old, "ELSEWHERE"), new, &[trust], &["elsewhere.example.com", "127.0.0.1", name]);
    for listener in ["MUTUAL", "OLD"] {
        refused(
            "no certificate",
            (old, listener),
            new,
            &[trust],
            &["client certificate", "ssl.keystore.location"],
        );
        let stranger = [trust, ("keystore.type", "PEM"), ("keystore.location", &self_made)];
        refused(
            "strange certificate",
            (new, listener),
            old,
            &stranger,
            &["does not accept", "ssl.keystore.location"],
        );
    }
    let wrong = [("truststore.location", trust_jks.as_str()), ("truststore.password", "swordfish")];
    refused("trust store's password", (old, "SSL"), new, &wrong, &["trust.jks", "ssl.truststore.password"]);
    let own = |file: &str, password: &str, key: &str| {
        [trust.0, trust.1, "keystore.location", file, "keystore.password", password, "key.password", key]
            .map(str::to_owned)
    };
    for (what, option, values) in [
        ("key store's password", "ssl.keystore.password", own(&client, "swordfish", "")),
        ("key's password", "ssl.key.password", own(&client_jks, STORE_PASSWORD, "swordfish")),
        ("damaged", "damaged.p12", own(&damaged, STORE_PASSWORD, "")),
        ("missing", "missing.p12", own(&missing, STORE_PASSWORD, "")),
    ] {
        let pairs: Vec<(&str, &str)> = values
            .chunks(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        refused(what, (old, "MUTUAL"), new, &pairs, &[option]);
    }
    refused("a plain port", (old, "PLAINTEXT"), new, &[trust], &["plain", "security.protocol"]);
    let newest = [trust, ("enabled.protocols", "TLSv1.3")];
    refused("nothing in common", (old, "OLD"), new, &newest, &["ssl.enabled.protocols"]);
    let other_cipher = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    let other_cipher = [trust, ("enabled.protocols", "TLSv1.2"), ("cipher.suites", other_cipher)];
    refused("no common cipher", (old, "OLD"), new, &other_cipher, &["ssl.cipher.suites"]);
    // Without the comparison of names the chain is still verified.
    let careless = [("truststore.location", other.as_str()), ("endpoint.identification.algorithm", "")];
    refused("unknown CA and no names", (old, "ELSEWHERE"), new, &careless, &["ssl.truststore.location"]);
}

/// What `check` tells of certificates, and of those that are not good; names are not compared where they are not to be.
fn checked(stores: &Stores, old: &KafkaCluster, new: &KafkaCluster) {
    let trust = [("truststore.location", stores.path("ca.pem"))];
    let trust = trust.each_ref().map(|(key, value)| (*key, value.as_str()));
    let careless = [trust[0], ("endpoint.identification.algorithm", "")];
    let ways = [
        ("SSL", &trust[..], 0, ["ok        TLS", "CN=broker", " until 20"]),
        ("ELSEWHERE", &careless[..], 0, ["ok        TLS", "CN=elsewhere", " until 20"]),
        ("EXPIRED", &trust[..], START_FAILED, ["FAILED    TLS", "expired on 20", "not tried Kafka"]),
    ];
    for (listener, ssl, code, words) in ways {
        let flow = Properties::flow(("a", &old.bootstrap_of(listener)), ("b", &new.bootstrap()), "t");
        let (exit, said) = check(&with(flow, "a", ssl));
        assert_eq!(exit, Some(code), "{listener}: {said}");
        for word in words {
            assert!(said.contains(word), "{listener}: {word} is not in:\n{said}");
        }
    }
}

/// A mirror under load gets another key store; a broker that then trusts only what is new sees it.
fn new_certificates_while_running(
    stores: &Stores,
    old: &KafkaCluster,
    new: &KafkaCluster,
    (legacy, own): (&str, &str),
) {
    std::fs::copy(legacy, own).unwrap();
    let flow = Properties::flow(("a", &old.bootstrap_of("MUTUAL")), ("b", &new.bootstrap_of("SSL")), "live");
    let trust = stores.path("ca.pem");
    let ours = [
        ("truststore.location", trust.as_str()),
        ("keystore.location", own),
        ("keystore.password", STORE_PASSWORD),
    ];
    let flow = with(with(flow, "a", &ours), "b", &[("truststore.location", &trust)]);
    // What looks for topics is idle for longer than the brokers allow, so that it connects anew each time.
    let flow = flow.with("refresh.topics.interval.seconds", "5").with("group.id", "live");
    oracle::create_topic(&old.bootstrap(), "live", 1, 1, &[]).unwrap();
    oracle::produce(&old.bootstrap(), "live", &["--records", "100"]).unwrap();
    let mirror = kmirror::start_run(&flow, &[]).unwrap();
    wait_for(&mirror, new, "a.live", 100);
    // A store that is broken is not used, and it is said once.
    stores.replace("client.p12", b"not a store").unwrap();
    eventually("a word about the broken store", || mirror.stderr().contains("ssl.keystore.location"));
    stores.signed("client", CLIENT, 29).unwrap();
    eventually("a word about the new store", || mirror.stderr().contains("read anew"));
    oracle::produce(&old.bootstrap(), "live", &["--records", "100"]).unwrap();
    wait_for(&mirror, new, "a.live", 200);
    stop(&mirror);
    assert_same(old, "live", new, "a.live");
}
