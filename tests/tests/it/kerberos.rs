//! GSSAPI with a real KDC: key tabs, passwords and credential caches, by UDP and TCP, at both sides, through TLS; tickets that end
//! every few seconds under load, and such that are renewed; brokers with new keys; what is said to those who get none; clocks that differ.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kmirror_tests::cache::scratch;
use kmirror_tests::clock;
use kmirror_tests::kafka::{KafkaCluster, Options, Version};
use kmirror_tests::kdc::{Kdc, REALM, jaas};
use kmirror_tests::kmirror::{Properties, binary};
use kmirror_tests::oracle;
use kmirror_tests::process::Process;
use kmirror_tests::stores::{KEY_PASSWORD, STORE_PASSWORD, Stores};

use crate::fixture::{SOON, assert_same, stop, wait_for};

/// The exit code for clusters that do not take us.
const NOT_LET_IN: i32 = 3;
const PASSWORD: &str = "pass-w0rd-of-pw";
/// Types as `ktadd -e` takes them; together they are both profiles of AES with 256 bits.
const SHA1: &str = "aes256-cts-hmac-sha1-96:normal";
const SHA2: &str = "aes256-cts-hmac-sha384-192:normal";
/// The one with 128 bits.
const SHORT: &str = "aes128-cts-hmac-sha1-96:normal";

/// After this the target wants a new proof.
const SESSION: Duration = Duration::from_secs(3);

/// A realm with the brokers' principal, and its key tab.
fn realm() -> (Kdc, String) {
    let kdc = Kdc::start().unwrap();
    let keytab = kdc.keytab("broker.keytab", &["kafka/localhost"], &format!("{SHA1},{SHA2}")).unwrap();
    let module = jaas(&[
        ("useKeyTab", "true"),
        ("storeKey", "true"),
        ("keyTab", &keytab.display().to_string()),
        ("principal", &format!("kafka/localhost@{REALM}")),
    ]);
    (kdc, module)
}

/// One broker with an open listener for the oracles, one for tickets, which ends sessions after `session`, and one for
/// tickets and client certificates. It insists on that protection level, which brokers make no use of.
fn secured(
    version: Version,
    kdc: &Kdc,
    module: &str,
    stores: &Stores,
    session: Duration,
    protection: &str,
) -> KafkaCluster {
    let listeners = |host: &str| {
        format!(
            "PLAINTEXT://127.0.0.1:{{port.PLAINTEXT}},KRB://{host}:{{port.KRB}},KRBS://{host}:{{port.KRBS}}"
        )
    };
    let options = stores
        .of_broker(Options::default())
        .with("listeners", &format!("{},CONTROLLER://127.0.0.1:{{port.CONTROLLER}}", listeners("127.0.0.1")))
        .with("advertised.listeners", &listeners("localhost"))
        .with(
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,KRB:SASL_PLAINTEXT,KRBS:SASL_SSL,CONTROLLER:PLAINTEXT",
        )
        .with("listener.name.krb.sasl.enabled.mechanisms", "GSSAPI")
        .with("listener.name.krb.gssapi.sasl.jaas.config", module)
        .with("listener.name.krbs.sasl.enabled.mechanisms", "GSSAPI")
        .with("listener.name.krbs.gssapi.sasl.jaas.config", module)
        .with("listener.name.krbs.ssl.client.auth", "required")
        .with("sasl.kerberos.service.name", "kafka")
        .with("javax.security.sasl.qop", protection)
        .with("connections.max.reauth.ms", &session.as_millis().to_string())
        .with_flag(format!("-Djava.security.krb5.conf={}", kdc.config().display()));
    KafkaCluster::start(version, options).unwrap()
}

/// Where clients with tickets come in: by the name that the ticket is for.
fn bootstrap(cluster: &KafkaCluster) -> String {
    cluster.bootstrap_of("KRB").replace("127.0.0.1", "localhost")
}

fn flow(source: (&str, &KafkaCluster), target: &KafkaCluster, topics: &str) -> Properties {
    Properties::flow((source.0, &bootstrap(source.1)), ("dst", &bootstrap(target)), topics)
        .with("security.protocol", "SASL_PLAINTEXT")
        .with("sasl.mechanism", "GSSAPI")
        .with("group.id", source.0)
}

fn keytab(path: &Path, principal: &str) -> String {
    let path = path.display().to_string();
    jaas(&[("useKeyTab", "true"), ("keyTab", &path), ("principal", principal), ("serviceName", "kafka")])
}

/// `kmirror run` with a Kerberos configuration, given as people give it to MirrorMaker.
fn start(properties: &Properties, options: &str, arguments: &[&str]) -> Process {
    let directory = scratch("kmirror").unwrap();
    let file = properties.write(&directory).unwrap();
    let mut command = Command::new(binary().unwrap());
    command.arg("run").arg(file).args(arguments).env("KAFKA_OPTS", options);
    Process::spawn("kmirror", &mut command, &directory).unwrap()
}

fn configured(path: &Path) -> String {
    format!("-Djava.security.krb5.conf={}", path.display())
}

fn synced(properties: &Properties, options: &str, flags: &[&str]) -> String {
    let process = start(properties, options, &[&["--until-synced"], flags].concat());
    let exit = process.wait(SOON).unwrap();
    assert_eq!(exit.code(), Some(0), "{}", process.tail(40));
    let said = process.stdout() + &process.stderr();
    assert!(!said.contains(PASSWORD), "{said}");
    said
}

#[test]
fn tickets_of_every_kind_and_none() {
    let _alone = crate::fixture::many_processes();
    let (mut kdc, module) = realm();
    let stores = Stores::make().unwrap();
    let mut source = secured(Version::V3_9_1, &kdc, &module, &stores, Duration::ZERO, "auth-conf");
    let mut target = secured(Version::V4_3_0, &kdc, &module, &stores, SESSION, "auth");
    for topic in ["kept", "typed", "listed", "sealed", "brief", "renewed", "rekeyed", "early"] {
        oracle::create_topic(&source.bootstrap(), topic, 2, 1, &[]).unwrap();
        oracle::produce(&source.bootstrap(), topic, &["--records", "50", "--partitions", "2"]).unwrap();
    }
    let pair = kdc.keytab("pair.keytab", &["mirrormaker/localhost"], SHA1).unwrap();
    let user = kdc.keytab("user.keytab", &["mm"], SHA2).unwrap();
    kdc.administer(&[&format!("addprinc -pw {PASSWORD} pw")]).unwrap();

    // A JAAS file with a KafkaClient section for one side, of the other in the properties; tickets by UDP.
    let file = kdc.directory().join("jaas.conf");
    let section = keytab(&pair, &format!("mirrormaker/localhost@{REALM}"));
    fs::write(&file, format!("KafkaClient {{\n    {section}\n}};\n")).unwrap();
    let options =
        format!("-Djava.security.auth.login.config={} {}", file.display(), configured(&kdc.config()));
    let properties =
        flow(("kept", &source), &target, "kept").with("dst.sasl.jaas.config", &keytab(&user, "mm"));
    let said = synced(&properties, &options, &[]);
    assert_same(&source, "kept", &target, "kept.kept");
    assert_eq!(said.matches("which in Kafka protects nothing").count(), 1, "{said}");

    // Both files by flags; the realm by the brokers' host, and of its KDCs the second.
    let listed = fs::read_to_string(kdc.config()).unwrap();
    let listed = listed.replace(&format!("default_realm = {REALM}\n"), "");
    let listed =
        listed.replace("kdc = ", "kdc = 127.0.0.1:1\nkdc = ") + "[domain_realm]\nlocalhost = KMIRROR.TEST\n";
    let conf = kdc.directory().join("listed.conf");
    fs::write(&conf, listed).unwrap();
    let flags = ["--krb5-conf", conf.to_str().unwrap(), "--jaas", file.to_str().unwrap()];
    synced(&flow(("listed", &source), &target, "listed"), "", &flags);
    assert_same(&source, "listed", &target, "listed.listed");

    // A password at one side and a credential cache at the other; by TCP.
    let cache = kdc.log_in(&user, "mm", "cache", &[]).unwrap().display().to_string();
    let tcp = kdc.write_config("tcp.conf", "udp_preference_limit = 1").unwrap();
    let password = jaas(&[("principal", "pw"), ("password", PASSWORD), ("serviceName", "kafka")]);
    let cached = jaas(&[("useTicketCache", "true"), ("ticketCache", &cache), ("serviceName", "kafka")]);
    let properties = flow(("typed", &source), &target, "typed")
        .with("typed.sasl.jaas.config", &password)
        .with("dst.sasl.jaas.config", &cached);
    synced(&properties, &configured(&tcp), &[]);
    assert_same(&source, "typed", &target, "typed.typed");

    tickets_through_tls(&kdc, &source, &target, &stores);
    let (renewed, records) = with_a_ticket_to_renew(&kdc, &source, &target, &user);
    tickets_that_end_under_load(&kdc, &source, &target);
    brokers_with_new_keys(&kdc, &source, &target, &user);
    is_renewed(&renewed, records, &source, &target);
    those_who_get_none(&kdc, &source, &target, &user);
    clocks_apart(&mut kdc, &mut source, &mut target, &user);
    kdc.stop().unwrap();
    let process = refused(&source, &target, &keytab(&user, "mm"), &configured(&kdc.config()));
    says(&process, &["no KDC of realm KMIRROR.TEST answers; tried: 127.0.0.1", "by Tcp (nobody listens)"]);
}

/// GSSAPI through TLS with stores of keytool's and client certificates, by keys of 128 bits.
fn tickets_through_tls(kdc: &Kdc, source: &KafkaCluster, target: &KafkaCluster, stores: &Stores) {
    let (trust, client) = (stores.jks_trust("ca.pem").unwrap(), stores.jks_client().unwrap());
    let short = kdc.keytab("short.keytab", &["short"], SHORT).unwrap();
    let at = |cluster: &KafkaCluster| cluster.bootstrap_of("KRBS").replace("127.0.0.1", "localhost");
    let properties = Properties::flow(("sealed", &at(source)), ("dst", &at(target)), "sealed")
        .with("security.protocol", "SASL_SSL")
        .with("sasl.mechanism", "GSSAPI")
        .with("sasl.jaas.config", &keytab(&short, "short"))
        .with("ssl.truststore.location", &trust)
        .with("ssl.truststore.password", STORE_PASSWORD)
        .with("ssl.keystore.location", &client)
        .with("ssl.keystore.password", STORE_PASSWORD)
        .with("ssl.key.password", KEY_PASSWORD);
    synced(&properties, &configured(&kdc.config()), &[]);
    assert_same(source, "sealed", target, "sealed.sealed");
}

/// How long a cached ticket holds that can be renewed for an hour.
const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// A mirror that goes by such a ticket, and how many records it has mirrored.
fn with_a_ticket_to_renew(
    kdc: &Kdc,
    source: &KafkaCluster,
    target: &KafkaCluster,
    user: &Path,
) -> ((Process, Instant), u64) {
    let life = format!("{}s", RENEWED_EVERY.as_secs());
    let cache = kdc.log_in(user, "mm", "renewed", &["-l", &life, "-r", "1h"]).unwrap();
    let began = Instant::now();
    let cache = cache.display().to_string();
    let login = jaas(&[("useTicketCache", "true"), ("ticketCache", &cache), ("serviceName", "kafka")]);
    let properties = flow(("renewed", source), target, "renewed")
        .with("sasl.jaas.config", &login)
        .with("sasl.kerberos.min.time.before.relogin", "1000");
    let mirror = start(&properties, &configured(&kdc.config()), &[]);
    let records = oracle::offsets_held(&source.bootstrap(), "renewed").unwrap();
    wait_for(&mirror, target, "renewed.renewed", records);
    ((mirror, began), records)
}

/// It still mirrors when the first ticket ended long ago: the target asks for a proof every few seconds.
fn is_renewed(
    (mirror, began): &(Process, Instant),
    before: u64,
    source: &KafkaCluster,
    target: &KafkaCluster,
) {
    thread::sleep((2 * RENEWED_EVERY).saturating_sub(began.elapsed()));
    oracle::produce(&source.bootstrap(), "renewed", &["--records", "50", "--partitions", "2"]).unwrap();
    let records = oracle::offsets_held(&source.bootstrap(), "renewed").unwrap();
    assert!(records > before);
    wait_for(mirror, target, "renewed.renewed", records);
    stop(mirror);
    assert_same(source, "renewed", target, "renewed.renewed");
}

/// Each ticket lives for six seconds, and the target wants a new proof after three.
fn tickets_that_end_under_load(kdc: &Kdc, source: &KafkaCluster, target: &KafkaCluster) {
    let brief = kdc.keytab("brief.keytab", &["brief"], SHA2).unwrap();
    kdc.administer(&["modprinc -maxlife 6sec brief"]).unwrap();
    let properties = flow(("brief", source), target, "brief")
        .with("sasl.jaas.config", &keytab(&brief, "brief"))
        .with("sasl.kerberos.min.time.before.relogin", "1000");
    let mirror = start(&properties, &configured(&kdc.config()), &[]);
    let mut records = 50;
    wait_for(&mirror, target, "brief.brief", records);
    let logins = || (mirror.stdout() + &mirror.stderr()).matches("logged in to Kerberos").count();
    let first = logins();
    while logins() < first + 4 {
        oracle::produce(&source.bootstrap(), "brief", &["--records", "50", "--partitions", "2"]).unwrap();
        records += 50;
        wait_for(&mirror, target, "brief.brief", records);
    }
    stop(&mirror);
    assert_same(source, "brief", target, "brief.brief");
}

/// The brokers' key is another, and the ticket for the old one would hold for a day.
fn brokers_with_new_keys(kdc: &Kdc, source: &KafkaCluster, target: &KafkaCluster, user: &Path) {
    let properties =
        flow(("rekeyed", source), target, "rekeyed").with("sasl.jaas.config", &keytab(user, "mm"));
    let mirror = start(&properties, &configured(&kdc.config()), &[]);
    wait_for(&mirror, target, "rekeyed.rekeyed", 50);
    let file = kdc.directory().join("broker.keytab");
    fs::remove_file(&file).unwrap();
    kdc.administer(&[&format!("ktadd -k {} -e {SHA1},{SHA2} kafka/localhost", file.display())]).unwrap();
    // The target asks for a proof at least once meanwhile.
    thread::sleep(SESSION + Duration::from_secs(1));
    oracle::produce(&source.bootstrap(), "rekeyed", &["--records", "50", "--partitions", "2"]).unwrap();
    wait_for(&mirror, target, "rekeyed.rekeyed", 100);
    stop(&mirror);
}

fn those_who_get_none(kdc: &Kdc, source: &KafkaCluster, target: &KafkaCluster, user: &Path) {
    let usual = configured(&kdc.config());
    let old = kdc.keytab("old.keytab", &["old"], SHA2).unwrap();
    kdc.administer(&["cpw -randkey old"]).unwrap();
    let weak = configured(&kdc.write_config("weak.conf", "permitted_enctypes = rc4-hmac").unwrap());
    let wrong = jaas(&[("principal", "pw"), ("password", "gu3ssed"), ("serviceName", "kafka")]);
    let other = keytab(user, "mm").replace("serviceName=\"kafka\"", "serviceName=\"kafk\"");
    let unknown = jaas(&[("principal", "nobody"), ("password", "gu3ssed"), ("serviceName", "kafka")]);
    let cases = [
        (keytab(&old, "old"), &usual, vec!["the KDC refuses the key in", "old.keytab", "version 2"]),
        (wrong, &usual, vec!["the KDC refuses the password of pw@KMIRROR.TEST"]),
        (unknown, &usual, vec!["does not know nobody@KMIRROR.TEST: check principal"]),
        (other, &usual, vec!["the service kafk/localhost@KMIRROR.TEST", "sasl.kerberos.service.name"]),
        (
            keytab(user, "other"),
            &usual,
            vec!["has no key of other@KMIRROR.TEST; it has keys of: mm@KMIRROR.TEST"],
        ),
        (keytab(Path::new("/nowhere.keytab"), "mm"), &usual, vec!["cannot read the key tab /nowhere.keytab"]),
        (keytab(user, "mm"), &weak, vec!["no encryption type is left to ask for"]),
    ];
    // Each takes as long as it takes a mirror to give up: all at once.
    let begun: Vec<_> = cases
        .iter()
        .map(|(login, options, words)| (refused(source, target, login, options), words.clone()))
        .collect();
    for (process, words) in begun {
        says(&process, &words);
    }
}

/// Begins what will not be let in.
fn refused(source: &KafkaCluster, target: &KafkaCluster, login: &str, options: &str) -> Process {
    let properties = flow(("none", source), target, "kept").with("sasl.jaas.config", login);
    start(&properties, options, &["--until-synced"])
}

/// The KDC's clock is 20 minutes ahead of ours; then that of the brokers, too.
fn clocks_apart(kdc: &mut Kdc, source: &mut KafkaCluster, target: &mut KafkaCluster, user: &Path) {
    let library = clock::library().unwrap();
    let ahead = clock::ahead(&library, 1200);
    kdc.stop().unwrap();
    kdc.set_environment(&ahead);
    kdc.resume().unwrap();
    let login = keytab(user, "mm");
    let strict = configured(&kdc.write_config("strict.conf", "kdc_timesync = 0").unwrap());
    let usual = configured(&kdc.config());
    let by_kdc = refused(source, target, &login, &strict);
    let by_broker = refused(source, target, &login, &usual);
    says(&by_kdc, &["the clock of this machine and that of the KDC differ by 1", "set the clocks"]);
    says(&by_broker, &["the KDC's clock, which was used, is 1", "s ahead of that of this machine"]);

    for cluster in [&mut *source, &mut *target] {
        cluster.stop_broker(1).unwrap();
        cluster.set_environment(1, &ahead).unwrap();
        cluster.start_broker(1).unwrap();
    }
    let properties = flow(("early", source), target, "early").with("sasl.jaas.config", &login);
    synced(&properties, &usual, &[]);
    assert_same(source, "early", target, "early.early");
}

/// It ends, with these words on both clusters and no secret.
fn says(process: &Process, words: &[&str]) {
    let exit = process.wait(SOON).unwrap();
    let said = process.stdout() + &process.stderr();
    assert_eq!(exit.code(), Some(NOT_LET_IN), "{said}");
    for word in words
        .iter()
        .chain(&["none->dst: cluster ", ": none of its bootstrap servers can be used (localhost:"])
    {
        assert!(said.contains(word), "'{word}' is missing in:\n{said}");
    }
    for secret in ["gu3ssed", PASSWORD] {
        assert!(!said.contains(secret), "{said}");
    }
}
