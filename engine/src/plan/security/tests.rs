use super::*;
use crate::plan::PlanArgs;

fn plan(lines: &str) -> Plan {
    let text = format!(
        "clusters = A, B\nA.bootstrap.servers = a:1\nB.bootstrap.servers = b:1\nA->B.enabled = true\n\
         A.security.protocol = SSL\nB.security.protocol = SASL_SSL\nB.sasl.mechanism = PLAIN\n{lines}"
    );
    Plan::from_properties(&text, "f", &PlanArgs::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn login(password: &str) -> String {
    format!(
        "B.sasl.jaas.config = org.apache.kafka.common.security.plain.PlainLoginModule required username=u password={password};\n"
    )
}

fn aliases(change: &SecurityChange) -> Vec<&str> {
    change.changed.iter().map(|(alias, _, _)| alias.as_str()).collect()
}

#[test]
fn a_new_password_is_taken_up_by_all_clients_of_the_cluster() {
    let running = plan(&login("old"));
    assert!(aliases(&running.security_change(&plan(&login("old")))).is_empty());
    let change = running.security_change(&plan(&login("new")));
    assert_eq!((aliases(&change), change.needs_restart.len()), (vec!["B"], 0));
    let (_, before, after) = &change.changed[0];
    assert!(before.replace(after.settings()));
    let flow = running.enabled_flows().next().unwrap();
    for client in [&flow.target_client, &flow.target_admin, &running.clusters["B"].admin] {
        let Some(SaslSettings::Plain { password, .. }) = client.security.settings().sasl else {
            panic!("PLAIN")
        };
        assert_eq!(password.expose(), "new");
    }
}

#[test]
fn what_clients_share_cannot_be_parted() {
    let running = plan(&login("x"));
    let parted = format!("{}B.producer.ssl.key.password = other\n", login("x"));
    let change = running.security_change(&plan(&parted));
    assert_eq!((aliases(&change), change.needs_restart.len()), (vec![], 1));
    let other_protocol = format!("{}A->B.source.consumer.security.protocol = PLAINTEXT\n", login("x"));
    let parted = plan(&other_protocol);
    assert_eq!(parted.security_change(&running).needs_restart.len(), 1);
}

#[test]
fn files_with_secrets() {
    let text = "A.ssl.keystore.location = /k.p12\nA.ssl.keystore.password = p\nA.ssl.truststore.location = /t.p12\n\
        B.sasl.mechanism = GSSAPI\nB.sasl.jaas.config = com.sun.security.auth.module.Krb5LoginModule required \
        useKeyTab=true keyTab=\"/u.keytab\";\n";
    let files: Vec<PathBuf> = plan(text).secret_files().into_iter().collect();
    assert_eq!(files, [PathBuf::from("/k.p12"), PathBuf::from("/u.keytab")]);
}
