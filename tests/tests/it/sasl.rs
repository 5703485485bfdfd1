//! Every mechanism of SASL, against brokers that end sessions every five seconds: what is mirrored meanwhile is whole,
//! and no connection is opened twice; passwords through TLS, too. And what is said to those who are not let in.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use kmirror_tests::cache::scratch;
use kmirror_tests::java::java_source;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kmirror::{self, Properties};
use kmirror_tests::oracle;
use kmirror_tests::passwords::LOGIN_MODULE as SCRAM;
use kmirror_tests::process::{Process, run};
use kmirror_tests::stores::Stores;
use kmirror_tests::token_endpoint::{CLIENT, TokenEndpoint};

use crate::check::check;
use crate::fixture::{SOON, assert_same, eventually, many_processes, stop, wait_for};
use crate::tls::AT_ONCE;

/// A user of PLAIN, and one of SCRAM whose name and password have what SCRAM escapes.
const ALICE: (&str, &str) = ("alice", "alice-s3cret");
const BOB: (&str, &str) = ("bo=b,", "bob-s3,=cret");
/// What no output may hold.
const SECRETS: [&str; 4] = [ALICE.1, BOB.1, CLIENT.1, "gu3ssed"];
/// The exit code for clusters that do not take us.
const NOT_LET_IN: i32 = 3;

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";
const OAUTH: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";

/// One broker with an open listener for the oracles, one for passwords and unsigned tokens, the same through TLS, and one for
/// signed tokens.
pub(crate) fn secured(version: Version, stores: &Stores) -> KafkaCluster {
    let keys = scratch("keys").unwrap().join("keys.json");
    fs::write(&keys, TokenEndpoint::keys()).unwrap();
    let url = format!("file:{}", keys.display());
    let listeners = "PLAINTEXT://127.0.0.1:{port.PLAINTEXT},SASL_PLAINTEXT://127.0.0.1:{port.SASL_PLAINTEXT},\
                     SASL_SSL://127.0.0.1:{port.SASL_SSL},SIGNED://127.0.0.1:{port.SIGNED}";
    let users = format!("{PLAIN} user_{}=\"{}\";", ALICE.0, ALICE.1);
    let validator = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler";
    let mut options = stores
        .of_broker(Options::default())
        .with("listeners", &format!("{listeners},CONTROLLER://127.0.0.1:{{port.CONTROLLER}}"))
        .with("advertised.listeners", listeners)
        .with(
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SIGNED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        )
        .with("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER")
        .with("listener.name.signed.sasl.enabled.mechanisms", "OAUTHBEARER")
        .with("listener.name.sasl_plaintext.plain.sasl.jaas.config", &users)
        .with("listener.name.sasl_ssl.plain.sasl.jaas.config", &users)
        .with("listener.name.signed.oauthbearer.sasl.server.callback.handler.class", validator)
        .with("listener.name.signed.sasl.oauthbearer.jwks.endpoint.url", &url)
        .with("delegation.token.secret.key", "kmirror")
        .with("connections.max.reauth.ms", "5000")
        .with_flag(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}"))
        .with_flag(format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={}", keys.display()));
    for listener in ["sasl_plaintext", "sasl_ssl"] {
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            let option = format!("listener.name.{listener}.{mechanism}.sasl.jaas.config");
            options = options.with(&option, &format!("{SCRAM};"));
        }
    }
    for listener in ["sasl_plaintext", "sasl_ssl", "signed"] {
        let option = format!("listener.name.{listener}.oauthbearer.sasl.jaas.config");
        options = options.with(&option, &format!("{OAUTH};"));
    }
    let cluster = KafkaCluster::start(version, options).unwrap();
    oracle::ask("scram", &[&cluster.bootstrap(), BOB.0, BOB.1]).unwrap();
    cluster
}

/// How to log in somewhere.
struct Login {
    listener: &'static str,
    mechanism: &'static str,
    jaas: String,
    more: Vec<(&'static str, String)>,
}

fn password(module: &str, mechanism: &'static str, user: &str, password: &str, options: &str) -> Login {
    let jaas = format!("{module} username=\"{user}\" password=\"{password}\"{options};");
    Login { listener: "SASL_PLAINTEXT", mechanism, jaas, more: Vec::new() }
}

/// The same through TLS.
fn sealed(login: Login, stores: &Stores) -> Login {
    let trust = [("ssl.truststore.location", stores.path("ca.pem"))];
    Login { listener: "SASL_SSL", more: trust.into_iter().chain(login.more).collect(), ..login }
}

fn token(endpoint: &str, secret: &str) -> Login {
    token_with(endpoint, secret, "")
}

/// The endpoint's certificate is verified by options of the login module, as Java has it.
fn token_over_tls(endpoint: &str, stores: &Stores) -> Login {
    let trust = stores.path("ca.pem");
    token_with(
        endpoint,
        CLIENT.1,
        &format!(" ssl.truststore.type=\"PEM\" ssl.truststore.location=\"{trust}\""),
    )
}

fn token_with(endpoint: &str, secret: &str, options: &str) -> Login {
    let handler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
    Login {
        listener: "SIGNED",
        mechanism: "OAUTHBEARER",
        jaas: format!(
            "{OAUTH} clientId=\"{}\" clientSecret=\"{secret}\" scope=\"kafka\"{options};",
            CLIENT.0
        ),
        more: vec![
            ("sasl.login.callback.handler.class", handler.to_owned()),
            ("sasl.oauthbearer.token.endpoint.url", endpoint.to_owned()),
            ("sasl.login.retry.backoff.max.ms", "200".to_owned()),
        ],
    }
}

fn unsigned() -> Login {
    let jaas = format!("{OAUTH} unsecuredLoginStringClaim_sub=\"olga\" extension_traceId=\"1\";");
    Login { listener: "SASL_PLAINTEXT", mechanism: "OAUTHBEARER", jaas, more: Vec::new() }
}

impl Login {
    /// Gives cluster `alias` this way in.
    fn give(&self, properties: Properties, alias: &str, cluster: &KafkaCluster) -> Properties {
        let protocol = if self.listener == "SASL_SSL" { "SASL_SSL" } else { "SASL_PLAINTEXT" };
        let mut properties = properties
            .with(&format!("{alias}.bootstrap.servers"), &cluster.bootstrap_of(self.listener))
            .with(&format!("{alias}.security.protocol"), protocol)
            .with(&format!("{alias}.sasl.mechanism"), self.mechanism)
            .with(&format!("{alias}.sasl.jaas.config"), &self.jaas);
        for (option, value) in &self.more {
            properties = properties.with(&format!("{alias}.{option}"), value);
        }
        properties
    }
}

/// Delegation tokens of alice at both clusters.
fn delegation_tokens(clusters: [&KafkaCluster; 2]) -> Vec<Login> {
    let bootstraps = clusters.map(|cluster| cluster.bootstrap_of("SASL_PLAINTEXT"));
    let arguments = [ALICE.0, ALICE.1, &bootstraps[0], &bootstraps[1]];
    let said = run(&mut java_source(Version::V4_3_0, "DelegationTokens.java", &arguments).unwrap()).unwrap();
    let login = |line: &str| {
        let (id, hmac) = line.split_once(' ').unwrap();
        password(SCRAM, "SCRAM-SHA-256", id, hmac, " tokenauth=\"true\"")
    };
    said.lines().map(login).collect()
}

/// One flow for each way in, all of them at once.
fn flows(ways: &[(&str, [Login; 2])], clusters: [&KafkaCluster; 2]) -> Properties {
    let aliases: Vec<String> =
        ways.iter().flat_map(|(name, _)| [format!("{name}-src"), format!("{name}-dst")]).collect();
    let mut properties = Properties::of(&format!("clusters = {}\n", aliases.join(", ")))
        .with("replication.factor", "1")
        .with("offset.storage.replication.factor", "1")
        .with("offset-syncs.topic.replication.factor", "1")
        .with("checkpoints.topic.replication.factor", "1")
        .with("emit.heartbeats.enabled", "false")
        .with("refresh.topics.interval.seconds", "1")
        .with("offset.flush.interval.ms", "1000");
    for (name, logins) in ways {
        let [from, to] = [format!("{name}-src"), format!("{name}-dst")];
        properties = logins[0].give(properties, &from, clusters[0]);
        properties = logins[1].give(properties, &to, clusters[1]);
        properties = properties
            .with(&format!("{from}->{to}.enabled"), "true")
            .with(&format!("{from}->{to}.topics"), "secured");
    }
    properties
}

/// The sockets that a process has: each by a number that no other has had since.
fn sockets(process: &Process) -> BTreeSet<String> {
    let links = fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap();
    let names = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    names
        .filter_map(|name| Some(name.to_str()?.to_owned()))
        .filter(|name| name.starts_with("socket:"))
        .collect()
}

fn assert_keeps_secrets(said: &str) {
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} is in:\n{said}");
    }
}

/// One flow whose source is to be entered so.
fn entering(login: &Login, clusters: [&KafkaCluster; 2]) -> Properties {
    let properties =
        Properties::of("clusters = src, dst\nsrc->dst.enabled = true\nsrc->dst.topics = secured\n")
            .with("dst.bootstrap.servers", &clusters[1].bootstrap());
    login.give(properties, "src", clusters[0])
}

/// Runs one flow that is not let in, and returns what it said.
fn refused(login: &Login, clusters: [&KafkaCluster; 2]) -> String {
    let process = kmirror::start_run(&entering(login, clusters), &["--until-synced"]).unwrap();
    let exit = process.wait(SOON).unwrap();
    let said = process.stdout() + &process.stderr();
    assert_eq!(exit.code(), Some(NOT_LET_IN), "it ended with {}:\n{said}", exit.status);
    let took = exit.at.duration_since(process.started());
    // A token endpoint that is down may come back.
    assert!(took < AT_ONCE || login.mechanism == "OAUTHBEARER", "it ended after {took:?} only:\n{said}");
    for part in ["cluster src: ", &clusters[0].bootstrap_of(login.listener)] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert_keeps_secrets(&said);
    said
}

#[test]
fn every_mechanism_mirrors_over_sessions_that_end() {
    // A session is renewed within its last second: on a machine that has nothing heavier to do.
    let _alone = many_processes();
    let stores = Stores::make().unwrap();
    let (source, target) = (secured(Version::V3_9_1, &stores), secured(Version::V4_3_0, &stores));
    let clusters = [&source, &target];
    // Shorter than the test: it is fetched anew meanwhile.
    let endpoint = TokenEndpoint::start(Duration::from_secs(5)).unwrap();
    let encrypted = TokenEndpoint::start_tls(Duration::from_secs(5), &stores).unwrap();
    let mut tokens = delegation_tokens(clusters).into_iter();
    let both = |login: &dyn Fn() -> Login| [login(), login()];
    let ways = [
        ("plain", both(&|| password(PLAIN, "PLAIN", ALICE.0, ALICE.1, ""))),
        ("scram256", both(&|| password(SCRAM, "SCRAM-SHA-256", BOB.0, BOB.1, ""))),
        ("scram512", both(&|| password(SCRAM, "SCRAM-SHA-512", BOB.0, BOB.1, ""))),
        ("plainly-sealed", both(&|| sealed(password(PLAIN, "PLAIN", ALICE.0, ALICE.1, ""), &stores))),
        ("sealed", both(&|| sealed(password(SCRAM, "SCRAM-SHA-512", BOB.0, BOB.1, ""), &stores))),
        ("unsigned", both(&unsigned)),
        ("oauth", both(&|| token(endpoint.url(), CLIENT.1))),
        ("https", both(&|| token_over_tls(encrypted.url(), &stores))),
        ("token", [tokens.next().unwrap(), tokens.next().unwrap()]),
    ];
    oracle::create_topic(&source.bootstrap(), "secured", 2, 1, &[]).unwrap();
    oracle::produce(&source.bootstrap(), "secured", &["--partitions", "2"]).unwrap();

    let mirror = kmirror::start_run(&flows(&ways, clusters), &[]).unwrap();
    let mirrored = |name: &str| format!("{name}-src.secured");
    let held = oracle::offsets_held(&source.bootstrap(), "secured").unwrap();
    for (name, _) in &ways {
        wait_for(&mirror, &target, &mirrored(name), held);
    }
    // All connections there are going to be.
    std::thread::sleep(Duration::from_secs(1));
    let before = sockets(&mirror);
    for _ in 0..4 {
        oracle::produce(&source.bootstrap(), "secured", &["--partitions", "2"]).unwrap();
        std::thread::sleep(Duration::from_secs(1));
    }
    let held = oracle::offsets_held(&source.bootstrap(), "secured").unwrap();
    for (name, _) in &ways {
        wait_for(&mirror, &target, &mirrored(name), held);
    }
    eventually("the third token", || endpoint.given() >= 3 && encrypted.given() >= 3);
    let after = sockets(&mirror);
    assert!(before.is_subset(&after), "{before:?} became {after:?}\n{}", mirror.tail(60));
    stop(&mirror);
    for (name, _) in &ways {
        assert_same(&source, "secured", &target, &mirrored(name));
    }
    assert_keeps_secrets(&(mirror.stdout() + &mirror.stderr()));

    one_that_is_refused_disturbs_no_other(clusters);
    endpoint.set_down(true);
    let cases = [
        (password(PLAIN, "PLAIN", ALICE.0, SECRETS[3], ""), "PLAIN as user alice was refused"),
        (
            sealed(password(PLAIN, "PLAIN", ALICE.0, SECRETS[3], ""), &stores),
            "PLAIN as user alice was refused",
        ),
        (password(SCRAM, "SCRAM-SHA-512", BOB.0, SECRETS[3], ""), "SCRAM-SHA-512 as user bo=b, was refused"),
        (
            Login { listener: "SIGNED", ..password(PLAIN, "PLAIN", "a", "b", "") },
            "not enabled there, but OAUTHBEARER is",
        ),
        (token(endpoint.url(), CLIENT.1), "answered with HTTP status 503"),
        (token(encrypted.url(), CLIENT.1), "was issued by"),
    ];
    for (login, expected) in cases {
        let said = refused(&login, clusters);
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
        let (exit, said) = check(&entering(&login, clusters));
        assert_eq!(exit, Some(NOT_LET_IN), "{said}");
        assert!(said.contains("FAILED    SASL") && said.contains(expected), "{expected} is not in:\n{said}");
        assert_keeps_secrets(&said);
    }
}

/// Two flows of one process, of which one has a wrong password at its source.
fn one_that_is_refused_disturbs_no_other(clusters: [&KafkaCluster; 2]) {
    let right = || password(PLAIN, "PLAIN", ALICE.0, ALICE.1, "");
    let ways = [
        ("let-in", [right(), right()]),
        ("kept-out", [password(PLAIN, "PLAIN", ALICE.0, SECRETS[3], ""), right()]),
    ];
    let mirror = kmirror::start_run(&flows(&ways, clusters), &[]).unwrap();
    let held = oracle::offsets_held(&clusters[0].bootstrap(), "secured").unwrap();
    wait_for(&mirror, clusters[1], "let-in-src.secured", held);
    let refusals = || mirror.stderr().matches("cluster kept-out-src: ").count();
    eventually("a word about the refusal", || refusals() > 0);
    oracle::produce(&clusters[0].bootstrap(), "secured", &["--partitions", "2"]).unwrap();
    let held = oracle::offsets_held(&clusters[0].bootstrap(), "secured").unwrap();
    wait_for(&mirror, clusters[1], "let-in-src.secured", held);
    stop(&mirror);
    assert_same(clusters[0], "secured", clusters[1], "let-in-src.secured");
    assert_keeps_secrets(&(mirror.stdout() + &mirror.stderr()));
}
