//! How files say that connections are secured.

use std::path::PathBuf;
use std::time::Duration;

use kmirror_protocol::net::kerberos::KerberosCredentials;
use kmirror_protocol::net::sasl::{SaslSettings, ScramHash, TokenSource};
use kmirror_protocol::net::tls::{StoreKind, StorePlace, TlsSettings, TlsVersion};
use kmirror_protocol::net::{Route, SecuritySettings};

use super::*;
use crate::config::problem::Severity;

const TWO: &str = "clusters = A, B\nA.bootstrap.servers = a1:9092\nB.bootstrap.servers = b1:9092\n\
    A->B.enabled = true\n";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required";
const OAUTH: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
const KRB5: &str = "com.sun.security.auth.module.Krb5LoginModule required";

fn read_with(lines: &str, surroundings: Surroundings) -> Result<Plan, ConfigErrors> {
    let args = PlanArgs { surroundings, ..PlanArgs::default() };
    read(&format!("{TWO}{lines}"), "mm2.properties", &args)
}

fn plan(lines: &str) -> Plan {
    read_with(lines, Surroundings::default()).unwrap_or_else(|errors| panic!("{lines}\n{errors}"))
}

/// How the source's consumer is secured.
fn security(lines: &str) -> SecuritySettings {
    plan(lines).flows[0].source_client.security.settings()
}

fn tls(lines: &str) -> TlsSettings {
    security(&format!("A.security.protocol = SSL\n{lines}")).tls.unwrap()
}

/// A mechanism's login at the source.
fn sasl(mechanism: &str, login: &str, lines: &str) -> SaslSettings {
    let text = format!(
        "A.security.protocol=SASL_SSL\nA.sasl.mechanism={mechanism}\nA.sasl.jaas.config={login}\n{lines}"
    );
    security(&text).sasl.unwrap()
}

fn error(lines: &str) -> String {
    let errors = read_with(lines, Surroundings::default()).expect_err(lines).errors;
    assert_eq!(errors.len(), 1, "{lines}: {errors:#?}");
    errors[0].to_string()
}

fn warnings(lines: &str) -> Vec<String> {
    let findings = plan(lines).findings;
    findings.iter().filter(|found| found.severity() == Severity::Warning).map(ToString::to_string).collect()
}

fn only_warning(lines: &str) -> String {
    let warnings = warnings(lines);
    assert_eq!(warnings.len(), 1, "{lines}: {warnings:#?}");
    warnings.into_iter().next().unwrap()
}

#[test]
fn without_anything_it_is_plaintext() {
    assert_eq!(security(""), SecuritySettings::default());
    assert_eq!(security("security.protocol = plaintext"), SecuritySettings::default());
    assert!(error("security.protocol = TLS").contains("`TLS` is not one of"));
}

#[test]
fn stores() {
    let settings = tls(
        "A.ssl.truststore.location = /t.jks\nA.ssl.truststore.password = tp\nssl.keystore.type = pkcs12\n\
         A.ssl.keystore.location = /k.p12\nA.ssl.keystore.password = kp\nA.ssl.key.password = p\n",
    );
    let (trust, identity) = (settings.trust.unwrap(), settings.identity.unwrap());
    assert_eq!((trust.place, trust.kind), (StorePlace::File("/t.jks".into()), None));
    assert_eq!(trust.password.unwrap().expose(), "tp");
    assert_eq!((identity.place, identity.kind), (StorePlace::File("/k.p12".into()), Some(StoreKind::Pkcs12)));
    assert_eq!(settings.key_password.unwrap().expose(), "p");
    assert!(settings.checks_host_name && settings.versions.is_empty() && settings.cipher_suites.is_empty());
    let settings = tls(
        "A.ssl.truststore.type=PEM\nA.ssl.truststore.certificates=-----BEGIN..\nA.ssl.keystore.key=k\n\
         A.ssl.keystore.certificate.chain=c\nA.ssl.enabled.protocols=TLSv1.3\nA.ssl.cipher.suites=TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256\n",
    );
    assert!(matches!(settings.trust.unwrap().place, StorePlace::Inline { key: None, .. }));
    assert!(matches!(settings.identity.unwrap().place, StorePlace::Inline { key: Some(_), .. }));
    assert_eq!(
        (settings.versions, settings.cipher_suites),
        (vec![TlsVersion::Tls13], vec!["TLS_AES_256_GCM_SHA384".into(), "TLS_AES_128_GCM_SHA256".into()])
    );
}

#[test]
fn stores_that_contradict_themselves() {
    let cases = [
        ("ssl.truststore.password = x", "`ssl.truststore.location` is not"),
        ("ssl.keystore.password = x", "`ssl.keystore.location` is not"),
        ("ssl.keystore.location = /k.p12", "`ssl.keystore.password` is not"),
        ("ssl.keystore.location = /k\nssl.keystore.type = JKS", "`ssl.keystore.password` is not"),
        (
            "ssl.keystore.location = /k\nssl.keystore.type = PEM\nssl.keystore.password = x",
            "of the type PEM has no",
        ),
        (
            "ssl.truststore.location = /k\nssl.truststore.type = PEM\nssl.truststore.password = x",
            "of the type PEM",
        ),
        ("ssl.truststore.certificates = x\nssl.truststore.type = JKS", "are PEM"),
        ("ssl.truststore.certificates = x\nssl.truststore.location = /t", "are both set"),
        ("ssl.keystore.key = x", "`ssl.keystore.certificate.chain` is not"),
        ("ssl.keystore.certificate.chain = x", "`ssl.keystore.key` is not"),
        ("ssl.keystore.certificate.chain = x\nssl.keystore.key=k\nssl.keystore.location=/k", "are both set"),
        ("ssl.truststore.type = JCEKS", "is not one of `JKS`"),
        ("ssl.enabled.protocols = TLSv1.1", "never spoken"),
        (
            "ssl.cipher.suites = TLS_X, hush",
            "TLS_X, number 2 is not a cipher suite that there is (there are TLS_",
        ),
        ("ssl.enabled.protocols = TLS1.2", "is not a list of `TLSv1.2`"),
        ("ssl.endpoint.identification.algorithm = none", "is not `https` or nothing"),
        ("ssl.engine.factory.class = com.example.Vault", "is a Java class"),
    ];
    for (lines, said) in cases {
        let lines = format!("security.protocol = SSL\n{lines}\n");
        let told = error(&lines);
        assert!(told.contains(said), "{lines}: {told}");
    }
}

#[test]
fn logins() {
    let SaslSettings::Plain { username, password } =
        sasl("PLAIN", &format!("{PLAIN} username=u password=\"p w\";"), "")
    else {
        panic!("PLAIN")
    };
    assert_eq!((username.as_str(), password.expose()), ("u", "p w"));
    let token = sasl("SCRAM-SHA-512", &format!("{SCRAM} username=id password=hmac tokenauth=true;"), "");
    assert!(matches!(token, SaslSettings::Scram { hash: ScramHash::Sha512, is_token: true, .. }));
    let user = sasl("SCRAM-SHA-256", &format!("{SCRAM} username=u password=p;"), "");
    assert!(matches!(user, SaslSettings::Scram { hash: ScramHash::Sha256, is_token: false, .. }));
}

#[test]
fn logins_that_are_wrong() {
    let cases = [
        (
            "PLAIN",
            String::new(),
            "neither `sasl.jaas.config` nor a JAAS file has one (set `A.sasl.jaas.config`",
        ),
        (
            "PLAIN",
            format!("{SCRAM} username=u password=p;"),
            "is PLAIN, and the login module is ScramLoginModule",
        ),
        (
            "GSSAPI",
            format!("{PLAIN} username=u password=p;"),
            "is GSSAPI, and the login module is PlainLoginModule",
        ),
        ("PLAIN", format!("{PLAIN} username=u;"), "has no `password`"),
        ("PLAIN", format!("{PLAIN} username=u password=p"), "does not end with a semicolon"),
        ("PLAIN", "com.example.Login required;".to_owned(), "the login module `com.example.Login` is none"),
        ("PLAIN", "x.PlainLoginModule required;".to_owned(), "probably meant: `org.apache.kafka"),
        ("PLAIN", "sword-fish required;".to_owned(), "the login module is none that"),
        ("PLAIN", "swordfish".to_owned(), "stands no flag (write `required`"),
        ("SCRAM-SHA-1", format!("{SCRAM} username=u password=p;"), "is not one of"),
        (
            "AWS_MSK_IAM",
            "software.amazon.msk.auth.iam.IAMLoginModule required awsRoleArn=\"arn:x\";".to_owned(),
            "no role is assumed",
        ),
        ("OAUTHBEARER", format!("{OAUTH};"), "says where tokens come from"),
        ("GSSAPI", format!("{KRB5};"), "neither a key tab"),
        ("GSSAPI", format!("{KRB5} useKeyTab=true;"), "has no `keyTab`"),
        ("GSSAPI", format!("{KRB5} keyTab=\"/k\";"), "only with `useKeyTab=true`"),
        ("GSSAPI", format!("{KRB5} useTicketCache=true isInitiator=false;"), "has to be an initiator"),
        ("GSSAPI", format!("{KRB5} password=p;"), "has no `principal`"),
    ];
    for (mechanism, login, said) in cases {
        let lines = format!(
            "A.security.protocol=SASL_SSL\nA.sasl.mechanism={mechanism}\nA.sasl.jaas.config={login}\n"
        );
        let told = error(&lines);
        assert!(told.contains(said), "{lines}: {told}");
        assert!(!told.contains("fish"), "{told}");
    }
    let unset =
        error(&format!("A.security.protocol=SASL_SSL\nA.sasl.jaas.config={PLAIN} username=u password=p;"));
    assert!(unset.contains("GSSAPI is Kafka's default"), "{unset}");
}

#[test]
fn options_that_a_module_does_not_have() {
    let lines = |options: &str| {
        format!(
            "A.security.protocol=SASL_SSL\nA.sasl.mechanism=PLAIN\nA.sasl.jaas.config={PLAIN} username=u password=p {options};\n"
        )
    };
    let near = only_warning(&lines("pasword=q"));
    assert!(
        near.ends_with("PlainLoginModule has no option `pasword` (probably meant: `password`)"),
        "{near}"
    );
    // It may be half of a password with quotes in it.
    let far = only_warning(&lines("hush=q"));
    assert!(far.ends_with("no option like number 3"), "{far}");
}

#[test]
fn kerberos() {
    let text = "KafkaClient {\n com.sun.security.auth.module.Krb5LoginModule required\n useKeyTab=true\n \
        keyTab=\"file:/tmp/mirrormaker.keytab\"\n storeKey=true\n useTicketCache=false\n serviceName=\"broker\"\n \
        principal=\"mirrormaker/HOSTNAME@EXAMPLE.COM\";\n};\n";
    let surroundings = Surroundings {
        jaas: Some(("/etc/jaas.conf".into(), Ok(Secret::new(text)))),
        krb5_conf: Some("/etc/other.conf".into()),
        ..Surroundings::default()
    };
    let lines = "source.consumer.sasl.kerberos.ticket.renew.window.factor=0.5\nA.security.protocol = SASL_PLAINTEXT\n\
        A.kerberos.domain.name = hadoop.example.com\n";
    let plan = read_with(lines, surroundings.clone()).unwrap();
    let Some(SaslSettings::Gssapi(settings)) = plan.flows[0].source_client.security.settings().sasl else {
        panic!()
    };
    assert_eq!(settings.principal.as_deref(), Some("mirrormaker/HOSTNAME@EXAMPLE.COM"));
    assert_eq!(settings.credentials, KerberosCredentials::KeyTab("/tmp/mirrormaker.keytab".into()));
    assert_eq!(settings.service_name, "broker");
    assert_eq!(settings.service_host.as_deref(), Some("hadoop.example.com"));
    assert_eq!(settings.config, PathBuf::from("/etc/other.conf"));
    assert_eq!((settings.renew_window_percent, settings.renew_jitter_percent), (50, 5));
    assert_eq!(settings.min_time_before_relogin, Duration::from_secs(60));

    let conflict =
        read_with(&format!("{lines}A.sasl.kerberos.service.name = kafka\n"), surroundings).unwrap_err();
    assert!(conflict.to_string().contains("say different things"), "{conflict}");
    let gone = Surroundings { jaas: Some(("/j".into(), Err("gone".to_owned()))), ..Surroundings::default() };
    let errors = read_with("A.security.protocol = SASL_SSL", gone).unwrap_err();
    assert!(errors.to_string().contains("the JAAS file /j cannot be read: gone"), "{errors}");
    let broken = Surroundings { jaas: Some(("/j".into(), Ok(Secret::new("x")))), ..Surroundings::default() };
    let errors = read_with("A.security.protocol = SASL_SSL", broken).unwrap_err();
    assert!(errors.to_string().contains("/j, KafkaClient: a JAAS file consists of sections"), "{errors}");
}

#[test]
fn of_several_modules_in_a_file_the_one_for_the_mechanism_counts() {
    let read = |mechanism: &str, modules: &str| {
        let text = format!("KafkaClient {{ {modules} }};");
        let jaas = Some(("/j".into(), Ok(Secret::new(text))));
        let lines = format!("A.security.protocol=SASL_SSL\nA.sasl.mechanism={mechanism}\n");
        read_with(&lines, Surroundings { jaas, ..Surroundings::default() })
    };
    let both = format!("{KRB5} useTicketCache=true;\n{PLAIN} username=u password=hush;");
    let login = |mechanism| read(mechanism, &both).unwrap().flows[0].source_client.security.settings().sasl;
    assert!(matches!(login("PLAIN"), Some(SaslSettings::Plain { username, .. }) if username == "u"));
    assert!(matches!(login("GSSAPI"), Some(SaslSettings::Gssapi(_))));
    let none = read("OAUTHBEARER", &format!("{both} hush required;")).unwrap_err().to_string();
    let said =
        "is OAUTHBEARER, and of the login modules Krb5LoginModule, PlainLoginModule, another none is for it";
    assert!(none.contains(said) && !none.contains("hush"), "{none}");
    let two = read("PLAIN", &format!("{both} {PLAIN} username=v password=hush;")).unwrap_err().to_string();
    assert!(two.contains("several are (PlainLoginModule, PlainLoginModule) for it"), "{two}");
    assert!(!two.contains("hush"), "{two}");
}

#[test]
fn other_credentials_of_kerberos() {
    let credentials = |login: &str| match sasl("GSSAPI", login, "") {
        SaslSettings::Gssapi(settings) => (settings.credentials, settings.service_name),
        other => panic!("{other:?}"),
    };
    let kafka = || "kafka".to_owned();
    let cache = |path: Option<&str>| KerberosCredentials::Cache(path.map(PathBuf::from));
    assert_eq!(credentials(&format!("{KRB5} useTicketCache=true renewTGT=true;")), (cache(None), kafka()));
    let login = format!("{KRB5} useTicketCache=true ticketCache=\"/tmp/c\";");
    assert_eq!(credentials(&login), (cache(Some("/tmp/c")), kafka()));
    let password = KerberosCredentials::Password(Secret::new("p"));
    assert_eq!(credentials(&format!("{KRB5} principal=\"u@R\" password=p;")), (password, kafka()));
    let ibm = "com.ibm.security.auth.module.Krb5LoginModule required credsType=both principal=\"u@R\" ";
    let login = format!("{ibm} useKeytab=\"file:///etc/u.keytab\";");
    assert_eq!(credentials(&login), (KerberosCredentials::KeyTab("/etc/u.keytab".into()), kafka()));
    assert_eq!(credentials(&format!("{ibm} useDefaultCcache=true;")), (cache(None), kafka()));
}

#[test]
fn tokens() {
    let handler = "A.sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.secured.\
        OAuthBearerLoginCallbackHandler\n";
    let url = "A.sasl.oauthbearer.token.endpoint.url=https://idp/token\nA.sasl.login.read.timeout.ms=9\n";
    let login = format!(
        "{OAUTH} clientId=id clientSecret=\"s\" scope=sc extension_Team=x ssl.truststore.location=\"/t.pem\" \
         ssl.truststore.type=PEM;"
    );
    let SaslSettings::OAuthBearer(settings) = sasl("OAUTHBEARER", &login, &format!("{handler}{url}")) else {
        panic!()
    };
    assert_eq!(settings.extensions, [("Team".to_owned(), "x".to_owned())]);
    assert_eq!((settings.refresh.window_percent, settings.refresh.buffer), (80, Duration::from_secs(300)));
    let TokenSource::Endpoint {
        client_id,
        client_secret,
        scope,
        tls,
        read_timeout,
        connect_timeout,
        retry_backoff_max,
        ..
    } = settings.source
    else {
        panic!()
    };
    assert_eq!((client_id.as_str(), client_secret.expose(), scope.as_deref()), ("id", "s", Some("sc")));
    assert_eq!(tls.trust.unwrap().kind, Some(StoreKind::Pem));
    assert_eq!((read_timeout, connect_timeout), (Some(Duration::from_millis(9)), None));
    assert_eq!(retry_backoff_max, Duration::from_secs(10));

    let newer = format!(
        "{url}A.sasl.oauthbearer.client.credentials.client.id=other\n\
         A.sasl.oauthbearer.client.credentials.client.secret=t\n"
    );
    let SaslSettings::OAuthBearer(settings) = sasl("OAUTHBEARER", &login, &newer) else { panic!() };
    assert!(matches!(settings.source, TokenSource::Endpoint { client_id, .. } if client_id == "other"));
    let file = "A.sasl.oauthbearer.token.endpoint.url=file:///run/token\n";
    let SaslSettings::OAuthBearer(settings) = sasl("OAUTHBEARER", &format!("{OAUTH};"), file) else {
        panic!()
    };
    assert_eq!(settings.source, TokenSource::File("/run/token".into()));
    let unsecured = format!("{OAUTH} unsecuredLoginStringClaim_sub=me unsecuredLoginLifetimeSeconds=60;");
    let SaslSettings::OAuthBearer(settings) = sasl("OAUTHBEARER", &unsecured, "") else { panic!() };
    let string_claims = vec![("sub".to_owned(), "me".to_owned())];
    assert_eq!(settings.source, TokenSource::Unsecured { string_claims, lifetime: Duration::from_secs(60) });

    for (lines, said) in [
        ("A.sasl.login.callback.handler.class=com.example.Tokens\n", "`com.example.Tokens` is a Java class"),
        ("A.sasl.oauthbearer.token.endpoint.url=ldap://x?hush\n", "the value is not a URL that begins with"),
        ("A.sasl.oauthbearer.token.endpoint.url=hush # x\n", "the value is not a URL that begins with"),
        (
            "A.sasl.oauthbearer.token.endpoint.url=https://x\nA.sasl.oauthbearer.jwt.retriever.class=org.apache.kafka.\
             common.security.oauthbearer.JwtBearerJwtRetriever\n",
            "JwtBearerJwtRetriever` is a Java class",
        ),
    ] {
        let head = format!(
            "A.security.protocol=SASL_SSL\nA.sasl.mechanism=OAUTHBEARER\nA.sasl.jaas.config={login}\n"
        );
        let told = error(&format!("{head}{lines}"));
        assert!(told.contains(said) && !told.contains("hush"), "{told}");
    }
}

#[test]
fn schemes_of_token_endpoints_have_capitals_or_not() {
    let source = |url: &str| {
        let login = format!("{OAUTH} clientId=id clientSecret=s;");
        let url = format!("A.sasl.oauthbearer.token.endpoint.url={url}\n");
        let SaslSettings::OAuthBearer(settings) = sasl("OAUTHBEARER", &login, &url) else { panic!("{url}") };
        settings.source
    };
    assert!(
        matches!(source("HTTPS://idp/token"), TokenSource::Endpoint { url, .. } if url == "HTTPS://idp/token")
    );
    assert_eq!(source("File:///run/token"), TokenSource::File("/run/token".into()));
}

#[test]
fn the_name_of_a_token_endpoint_is_always_checked() {
    let url = "A.sasl.oauthbearer.token.endpoint.url=https://idp/token\n";
    for (option, told) in [("\"\"", true), ("none", true), ("https", false), ("HTTPS", false)] {
        let login =
            format!("{OAUTH} clientId=id clientSecret=s ssl.endpoint.identification.algorithm={option};");
        let SaslSettings::OAuthBearer(settings) = sasl("OAUTHBEARER", &login, url) else { panic!() };
        let TokenSource::Endpoint { tls, .. } = settings.source else { panic!() };
        assert!(tls.checks_host_name, "{option}");
        let lines = format!(
            "A.security.protocol=SASL_SSL\nA.sasl.mechanism=OAUTHBEARER\nA.sasl.jaas.config={login}\n{url}"
        );
        let warnings = warnings(&lines);
        assert_eq!(warnings.len(), usize::from(told), "{warnings:?}");
        assert!(warnings.iter().all(|one| one.contains("has no effect in a login")), "{warnings:?}");
    }
}

#[test]
fn places() {
    let protocol = |lines: &str| {
        let plan = plan(lines);
        let flow = &plan.flows[0];
        [&flow.source_client, &flow.source_admin, &flow.target_client, &plan.clusters["B"].admin]
            .map(|client| client.security.settings().protocol())
    };
    assert_eq!(protocol("security.protocol = SSL"), ["SSL"; 4]);
    assert_eq!(protocol("B.security.protocol = SSL"), ["PLAINTEXT", "PLAINTEXT", "SSL", "SSL"]);
    assert_eq!(
        protocol("A.consumer.security.protocol = SSL"),
        ["SSL", "PLAINTEXT", "PLAINTEXT", "PLAINTEXT"]
    );
    assert_eq!(
        protocol("A->B.target.cluster.security.protocol = SSL"),
        ["PLAINTEXT", "PLAINTEXT", "SSL", "PLAINTEXT"]
    );
    let plan = plan("security.protocol = SSL\nB.producer.ssl.endpoint.identification.algorithm=");
    let flow = &plan.flows[0];
    assert!(flow.source_client.security.is_shared_with(&flow.source_admin.security));
    assert!(!flow.target_client.security.is_shared_with(&flow.target_admin.security));
    assert!(!flow.source_client.security.is_shared_with(&flow.target_admin.security));
}

#[test]
fn what_weakens_is_told() {
    let plain = format!("A.sasl.mechanism=PLAIN\nA.sasl.jaas.config={PLAIN} username=u password=p;\n");
    let told = only_warning(&format!("A.security.protocol=SASL_PLAINTEXT\n{plain}"));
    assert!(told.contains("travels readable"), "{told}");
    let iam = "A.sasl.mechanism=AWS_MSK_IAM\nA.sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;\n";
    let told = only_warning(&format!("A.security.protocol=SASL_PLAINTEXT\n{iam}"));
    assert!(told.contains("the signature for A") && told.contains("travel readable"), "{told}");
    assert!(warnings(&format!("A.security.protocol=SASL_SSL\n{iam}")).is_empty());
    let endpoint = |url: &str| {
        warnings(&format!(
            "A.security.protocol=SASL_SSL\nA.sasl.mechanism=OAUTHBEARER\nA.sasl.jaas.config={OAUTH} clientId=c \
             clientSecret=s;\nA.sasl.oauthbearer.token.endpoint.url={url}\n"
        ))
    };
    let told = endpoint("http://idp/token?key=hush");
    assert!(
        told.len() == 1 && told[0].contains("client's secret and the tokens travel readable"),
        "{told:?}"
    );
    assert!(!told[0].contains("hush"), "{told:?}");
    assert!(endpoint("https://idp/token").is_empty() && endpoint("http://localhost:8080/token").is_empty());
    let told = only_warning("A.security.protocol=SSL\nA.ssl.endpoint.identification.algorithm=\n");
    assert!(told.contains("whatever name"), "{told}");
    let told = only_warning("A.security.protocol=SSL\nA.ssl.enabled.protocols=TLSv1.2,TLSv1.1,TLSv1\n");
    assert!(told.contains("TLSv1.1, TLSv1 is never spoken"), "{told}");
    let told = only_warning(
        "A.security.protocol=SSL\nA.ssl.cipher.suites=TLS_RSA_WITH_RC4_128_SHA,TLS_AES_128_GCM_SHA256,x\n",
    );
    assert!(
        told.contains("TLS_RSA_WITH_RC4_128_SHA, number 3 in `ssl.cipher.suites` is none that kmirror has"),
        "{told}"
    );
    let told = only_warning(&plain);
    assert!(told.contains("A.sasl.mechanism: no effect: `security.protocol` of A is PLAINTEXT"), "{told}");
    let told = only_warning("ssl.truststore.location = /t\nssl.keystore.location = /k\n");
    assert!(told.contains("of A and B is PLAINTEXT"), "{told}");
    // It counts for one of them.
    assert!(warnings("ssl.truststore.location = /t\nB.security.protocol = SSL\n").is_empty());
    let mut surroundings = Surroundings::default();
    surroundings.java.read("-Djavax.net.ssl.keyStore=/k");
    let found = read_with("", surroundings).unwrap().findings;
    assert!(found.iter().any(|found| found.to_string().contains("`javax.net.ssl.keyStore` has no effect")));
}

#[test]
fn a_trust_store_named_to_java_counts_where_there_is_no_other() {
    let mut surroundings = Surroundings::default();
    surroundings.java.read(
        "-Djavax.net.ssl.trustStore=/j -Djavax.net.ssl.trustStorePassword=hush -Djavax.net.ssl.trustStoreType=pkcs12",
    );
    let lines = "security.protocol = SSL\nB.ssl.truststore.location = /t\n";
    let plan = read_with(lines, surroundings.clone()).unwrap();
    let trust = |client: &crate::plan::ClientPlan| client.security.settings().tls.unwrap().trust.unwrap();
    let store = trust(&plan.flows[0].source_client);
    assert_eq!((store.place, store.kind), (StorePlace::File("/j".into()), Some(StoreKind::Pkcs12)));
    assert_eq!(store.password.unwrap().expose(), "hush");
    let other = trust(&plan.flows[0].target_client);
    assert_eq!((other.place, other.password), (StorePlace::File("/t".into()), None));
    let told = |plan: &Plan| -> Vec<String> {
        let told = plan.findings.iter().map(ToString::to_string);
        told.filter(|one| one.contains("javax") || one.contains("hush")).collect()
    };
    let used = told(&plan);
    assert!(used.len() == 1 && used[0].ends_with("is used, /j") && !used[0].contains("hush"), "{used:?}");
    // Where nothing is encrypted it is of no account.
    assert!(told(&read_with("", surroundings).unwrap()).is_empty());
}

#[test]
fn ways() {
    let route = |lines: &str| plan(lines).flows[0].source_client.route.clone();
    assert_eq!(route(""), Route::default());
    let route = route(
        "A.kmirror.bind.address = 10.0.0.7\nkmirror.socks5.proxy = socks5://proxy:1080\n\
         kmirror.socks5.user = u\nkmirror.socks5.password = p\n",
    );
    let proxy = route.proxy.unwrap();
    assert_eq!(
        (route.bind.unwrap().to_string(), proxy.address.to_string()),
        ("10.0.0.7".into(), "proxy:1080".into())
    );
    assert_eq!(proxy.login.unwrap().1.expose(), "p");
    assert!(error("kmirror.bind.address = host").contains("`host` is not an IP address"));
    assert!(error("kmirror.socks5.proxy = p:1\nkmirror.socks5.user = u").contains("go together"));
    let hidden = error("kmirror.socks5.proxy = socks5://u:hush@p:1:2");
    assert!(hidden.contains("kmirror.socks5.password") && !hidden.contains("hush"), "{hidden}");
}

#[test]
fn values_from_providers() {
    let head = "config.providers = s\nconfig.providers.s.class = DirectoryConfigProvider\n";
    let surroundings = |value: &str| Surroundings {
        files: [("/d/f".into(), Ok(Secret::new(value)))].into(),
        ..Surroundings::default()
    };
    let lines = format!(
        "{head}A.security.protocol=SASL_SSL\nA.sasl.mechanism=PLAIN\n\
         A.sasl.jaas.config={PLAIN} username=u password=\"${{s:/d:f}}\";\n"
    );
    let plan = read_with(&lines, surroundings("hush\n")).unwrap();
    let Some(SaslSettings::Plain { password, .. }) = plan.flows[0].source_client.security.settings().sasl
    else {
        panic!()
    };
    assert_eq!(password.expose(), "hush");
    // Wherever such a value is wrong, it is not shown.
    let places = [
        "A.bootstrap.servers",
        "topics",
        "replication.factor",
        "security.protocol",
        "A.sasl.mechanism",
        "clusters",
        "replication.policy.class",
        "A.ssl.enabled.protocols",
        "kmirror.bind.address",
        "rename.x",
    ];
    for key in places {
        let lines = format!("{head}security.protocol=SSL\n{key} = ${{s:/d:f}}\n");
        let told = match read_with(&lines, surroundings("hu(sh # [")) {
            Ok(plan) => plan.findings.iter().map(ToString::to_string).collect::<String>(),
            Err(errors) => format!("{errors}{:?}", errors.findings),
        };
        assert!(!told.contains("hu(sh"), "{key}: {told}");
    }
    let suites = format!("{head}security.protocol=SSL\nssl.cipher.suites = ${{s:/d:f}}\n");
    let plan = read_with(&suites, surroundings("TLS_HUSH,TLS_AES_128_GCM_SHA256")).unwrap();
    let told: String = plan.findings.iter().map(ToString::to_string).collect();
    assert!(told.contains("is odd here") && !told.contains("HUSH"), "{told}");
    let missing = read_with(&format!("{head}topics = ${{s:/d:g}}"), surroundings("x")).unwrap_err();
    assert!(missing.to_string().contains("mm2.properties:7, topics: `${s:/d:g}` cannot be had"), "{missing}");
}
