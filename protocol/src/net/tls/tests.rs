//! Handshakes with a rustls server of our own, whose certificates are those of `fixtures/tls/make`.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::net::keystore;
use crate::secret::Secret;

const PATIENCE: Duration = Duration::from_secs(10);

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls").join(name)
}

pub(crate) fn store(name: &str, password: Option<&str>) -> Option<Store> {
    let password = password.map(Secret::new);
    Some(Store { place: StorePlace::File(fixture(name)), kind: None, password })
}

pub(crate) fn trusting(name: &str) -> TlsSettings {
    TlsSettings { trust: store(name, None), checks_host_name: true, ..TlsSettings::default() }
}

/// What a server is made of.
pub(crate) struct Side {
    pub(crate) certificate: &'static str,
    pub(crate) asks: bool,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

pub(crate) static ONLY_12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
static ONLY_13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

pub(crate) const PLAIN: Side =
    Side { certificate: "broker.pem", asks: false, versions: rustls::ALL_VERSIONS };

/// The server's end of TLS.
pub(crate) fn acceptor(side: &Side) -> TlsAcceptor {
    let bytes = std::fs::read(fixture(side.certificate)).unwrap();
    let identity = keystore::identity(&bytes, None, None).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = load::certified(identity, &provider).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(side.versions).unwrap();
    let builder = if side.asks {
        let mut roots = RootCertStore::empty();
        let ca = keystore::trusted(&std::fs::read(fixture("ca.pem")).unwrap(), None).unwrap();
        roots.add(CertificateDer::from(ca[0].der.clone())).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    TlsAcceptor::from(Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)))))
}

/// A server that answers "hello" when it has read something; its port.
async fn server(side: Side) -> u16 {
    let acceptor = acceptor(&side);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut question = [0; 1];
                if stream.read_exact(&mut question).await.is_ok() {
                    stream.write_all(b"hello").await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        }
    });
    port
}

/// Connects, asks, and hears the answer, as a connection does.
async fn talk(tls: &Tls, host: &str, port: u16) -> Result<(), TlsError> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = tls.connect(host, stream, PATIENCE).await?;
    let has_identity = stream.has_identity();
    let explained = |error| explain(&error, has_identity).unwrap_or(TlsError::ClosedAtOnce);
    stream.write_all(b"?").await.map_err(explained)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(explained)?;
    assert_eq!(answer, b"hello");
    Ok(())
}

async fn attempt(settings: TlsSettings, host: &str, side: Side) -> Result<(), TlsError> {
    let port = server(side).await;
    talk(&Tls::new(settings), host, port).await
}

fn text(error: TlsError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn names_and_addresses_of_the_certificate_are_accepted() {
    for host in ["localhost", "127.0.0.1", "a.kafka.example.com"] {
        attempt(trusting("ca.pem"), host, PLAIN).await.unwrap_or_else(|error| panic!("{host}: {error}"));
    }
    for versions in [ONLY_12, ONLY_13] {
        attempt(trusting("trust.jks"), "localhost", Side { versions, ..PLAIN }).await.unwrap();
    }
}

#[tokio::test]
async fn a_broker_signed_by_a_stranger_is_refused_whatever_is_switched_off() {
    let careless = TlsSettings { checks_host_name: false, ..trusting("other-ca.pem") };
    let error = text(attempt(careless, "localhost", PLAIN).await.unwrap_err());
    for part in ["CN=ca", "O=kmirror, CN=broker", "other-ca.pem", "ssl.truststore.location"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[tokio::test]
async fn another_name_is_refused_unless_it_is_not_compared() {
    let side = Side { certificate: "elsewhere.pem", ..PLAIN };
    let error = text(attempt(trusting("ca.pem"), "localhost", side).await.unwrap_err());
    for part in ["elsewhere.example.com", "not for localhost", "ssl.endpoint.identification.algorithm"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    let error = attempt(trusting("ca.pem"), "127.0.0.2", PLAIN).await.unwrap_err();
    assert!(matches!(error, TlsError::NameMismatch { .. }), "{error}");
    let side = Side { certificate: "elsewhere.pem", ..PLAIN };
    let careless = TlsSettings { checks_host_name: false, ..trusting("ca.pem") };
    attempt(careless, "localhost", side).await.unwrap();
}

#[tokio::test]
async fn the_common_name_counts_for_a_host_and_not_for_an_address() {
    for certificate in ["common-name.pem", "first-version.pem"] {
        attempt(trusting("ca.pem"), "localhost", Side { certificate, ..PLAIN }).await.unwrap();
        let error =
            attempt(trusting("ca.pem"), "127.0.0.1", Side { certificate, ..PLAIN }).await.unwrap_err();
        assert!(matches!(error, TlsError::NameMismatch { .. }), "{error}");
    }
}

#[tokio::test]
async fn certificates_of_the_first_version_need_their_issuer_in_the_trust_store() {
    for versions in [rustls::ALL_VERSIONS, ONLY_12] {
        let side = || Side { certificate: "first-version.pem", versions, ..PLAIN };
        attempt(trusting("ca.pem"), "localhost", side()).await.unwrap();
        let error = attempt(trusting("other-ca.pem"), "localhost", side()).await.unwrap_err();
        assert!(matches!(error, TlsError::UnknownIssuer { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_in_the_trust_store_needs_no_issuer() {
    let side = || Side { certificate: "self-signed.pem", ..PLAIN };
    attempt(trusting("self-signed.pem"), "localhost", side()).await.unwrap();
    let error = attempt(trusting("self-signed.pem"), "127.0.0.1", side()).await.unwrap_err();
    assert!(matches!(error, TlsError::NameMismatch { .. }), "{error}");
    let error = attempt(trusting("ca.pem"), "localhost", side()).await.unwrap_err();
    assert!(matches!(error, TlsError::UnknownIssuer { .. } | TlsError::Certificate { .. }), "{error}");
}

#[tokio::test]
async fn a_certificate_in_the_trust_store_that_is_no_authority_signs_for_nobody() {
    attempt(trusting("broker.pem"), "localhost", PLAIN).await.unwrap();
    let side = Side { certificate: "by-broker.pem", ..PLAIN };
    let error = attempt(trusting("broker.pem"), "localhost", side).await.unwrap_err();
    assert!(matches!(error, TlsError::UnknownIssuer { .. }), "{error}");
}

#[tokio::test]
async fn a_common_name_is_no_way_around_name_constraints() {
    let side = || Side { certificate: "by-constrained.pem", ..PLAIN };
    let error = attempt(trusting("constrained.pem"), "localhost", side()).await.unwrap_err();
    assert!(matches!(error, TlsError::NameMismatch { .. }), "{error}");
    let careless = TlsSettings { checks_host_name: false, ..trusting("constrained.pem") };
    attempt(careless, "localhost", side()).await.unwrap();
}

#[tokio::test]
async fn brokers_that_ask_who_we_are_get_an_answer() {
    for versions in [rustls::ALL_VERSIONS, ONLY_12] {
        let side = || Side { asks: true, versions, ..PLAIN };
        let none = attempt(trusting("ca.pem"), "localhost", side()).await.unwrap_err();
        assert!(matches!(none, TlsError::ClientCertificateRequired), "{none}");
        for (name, password) in [("client.p12", Some("store-secret")), ("client.pem", None)] {
            let ours = TlsSettings { identity: store(name, password), ..trusting("ca.pem") };
            attempt(ours, "localhost", side()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let foreign = TlsSettings { identity: store("mismatch.pem", None), ..trusting("ca.pem") };
        let error = attempt(foreign, "localhost", side()).await.unwrap_err();
        assert!(matches!(error, TlsError::Identity(_)), "{error}");
        let wrong = TlsSettings { identity: store("self-signed.pem", None), ..trusting("ca.pem") };
        let refused = attempt(wrong, "localhost", side()).await.unwrap_err();
        assert!(matches!(refused, TlsError::ClientCertificateRejected { .. }), "{refused}");
    }
}

#[tokio::test]
async fn nothing_in_common_is_told() {
    let new = TlsSettings { versions: vec![TlsVersion::Tls13], ..trusting("ca.pem") };
    let error = attempt(new, "localhost", Side { versions: ONLY_12, ..PLAIN }).await.unwrap_err();
    assert!(matches!(error, TlsError::NothingInCommon { .. }), "{error}");
    let none = TlsSettings {
        versions: vec![TlsVersion::Tls12],
        cipher_suites: vec!["TLS_AES_128_GCM_SHA256".into()],
        ..trusting("ca.pem")
    };
    assert!(matches!(Tls::new(none).refresh().await, Err(TlsError::NoCipherSuites)));
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n").await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
        let (_silent, _) = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
    });
    let tls = Tls::new(trusting("ca.pem"));
    assert!(matches!(talk(&tls, "localhost", port).await, Err(TlsError::NotTls)));
    assert!(matches!(talk(&tls, "localhost", port).await, Err(TlsError::ClosedInHandshake)));
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let slow = tls.connect("localhost", stream, Duration::from_millis(50)).await;
    assert!(matches!(slow, Err(TlsError::Timeout { .. })));
}

#[tokio::test]
async fn each_store_that_does_not_open_names_its_option() {
    let missing = TlsSettings { trust: store("nowhere.jks", None), ..TlsSettings::default() };
    let wrong_trust = TlsSettings { trust: store("trust.jks", Some("wrong")), ..TlsSettings::default() };
    let wrong_store = TlsSettings { identity: store("client.jks", Some("wrong")), ..trusting("ca.pem") };
    let wrong_key = TlsSettings {
        identity: store("client.jks", Some("store-secret")),
        key_password: Some(Secret::new("wrong")),
        ..trusting("ca.pem")
    };
    let no_store = TlsSettings { trust: store("make", None), ..TlsSettings::default() };
    for (settings, parts) in [
        (missing, ["nowhere.jks", "ssl.truststore.location"]),
        (wrong_trust, ["trust.jks", "ssl.truststore.password"]),
        (wrong_store, ["client.jks", "ssl.keystore.password"]),
        (wrong_key, ["client.jks", "ssl.key.password"]),
        (no_store, ["make", "it is no JKS, PKCS12 or PEM store"]),
    ] {
        let error = Tls::new(settings).refresh().await.unwrap_err();
        assert!(error.is_security());
        let error = text(error);
        for part in parts {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert!(!error.contains("wrong\""), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn stores_that_change_are_read_anew_and_broken_ones_are_not_used() {
    let directory = std::env::temp_dir().join(format!("kmirror-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("trust.pem");
    let anchors = |tls: &Tls| tls.certificates().into_iter().map(|one| one.subject).collect::<Vec<_>>();
    std::fs::copy(fixture("ca.pem"), &file).unwrap();
    let trust = Some(Store { place: StorePlace::File(file.clone()), kind: None, password: None });
    let tls = Tls::new(TlsSettings { trust, ..TlsSettings::default() });
    assert!(tls.certificates().is_empty());
    tls.refresh().await.unwrap();
    assert_eq!(anchors(&tls), ["CN=ca"]);

    std::fs::copy(fixture("other-ca.pem"), &file).unwrap();
    tls.refresh().await.unwrap();
    assert_eq!(anchors(&tls), ["CN=ca"], "a second has not passed");
    tokio::time::advance(LOOK_EVERY).await;
    tls.refresh().await.unwrap();
    assert_eq!(anchors(&tls), ["CN=other-ca"]);

    for broken in ["-----BEGIN CERTIFICATE-----\nMIIB", ""] {
        std::fs::write(&file, broken).unwrap();
        tokio::time::advance(LOOK_EVERY).await;
        tls.refresh().await.unwrap();
        assert_eq!(anchors(&tls), ["CN=other-ca"]);
    }
    std::fs::remove_file(&file).unwrap();
    tokio::time::advance(LOOK_EVERY).await;
    tls.refresh().await.unwrap();
    std::fs::copy(fixture("ca.pem"), &file).unwrap();
    tokio::time::advance(LOOK_EVERY).await;
    tls.refresh().await.unwrap();
    assert_eq!(anchors(&tls), ["CN=ca"]);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn all_certificates_are_known_with_their_ends() {
    let port = server(Side { asks: true, ..PLAIN }).await;
    let identity = store("client.p12", Some("store-secret"));
    let tls = Tls::new(TlsSettings { identity, ..trusting("ca.pem") });
    talk(&tls, "localhost", port).await.unwrap();
    let known = tls.certificates();
    let holders: Vec<&Holder> = known.iter().map(|one| &one.holder).collect();
    let own = Holder::Own { alias: "client".into() };
    let peer = Holder::Peer { host: "localhost".into() };
    assert_eq!(holders, [&Holder::Trusted { alias: "0".into() }, &own, &own, &peer]);
    assert!(known.iter().all(|one| one.not_after > 4_000_000_000), "{known:?}");
}

mod time {
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    /// The verdict on the broker's certificate at a time.
    fn at(seconds: u64, certificate: &str, trust: &str) -> Result<(), rustls::Error> {
        let read = |name: &str| {
            keystore::trusted(&std::fs::read(fixture(name)).unwrap(), None).unwrap().remove(0).der
        };
        let (leaf, ca) = (read(certificate), read(trust));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.clone())).ok();
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let verifier =
            verifier::Verifier::new(roots, [ca].into_iter().collect(), "the test".into(), true, algorithms);
        let name = ServerName::try_from("localhost").unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.verify_server_cert(&CertificateDer::from(leaf), &[], &name, &[], now).map(drop)
    }

    fn said(error: rustls::Error) -> String {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        text(explain(&error, false).unwrap())
    }

    #[test]
    fn certificates_have_a_first_and_a_last_second() {
        for (certificate, trust) in [
            ("broker.pem", "ca.pem"),
            ("first-version.pem", "ca.pem"),
            ("self-signed.pem", "self-signed.pem"),
        ] {
            at(2_000_000_000, certificate, trust).unwrap();
            let late = said(at(9_000_000_000, certificate, trust).unwrap_err());
            assert!(late.contains("expired on 21"), "{late}");
            let early = said(at(1_000_000_000, certificate, trust).unwrap_err());
            assert!(early.contains("valid only from 20") && early.contains("clock"), "{early}");
        }
    }
}
