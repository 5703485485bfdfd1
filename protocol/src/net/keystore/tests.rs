//! Stores as keytool and openssl make them (`fixtures/tls/make`), and what is left of them after damage.

use proptest::prelude::*;
use rustls::crypto::ring::sign::any_supported_type;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../fixtures/tls/", $name)).as_slice()
    };
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

fn open(bytes: &[u8], password: &str, key_password: &str) -> Result<Identity, KeystoreError> {
    let given = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
    identity(bytes, given(password).as_ref(), given(key_password).as_ref())
}

fn certificate(pem_bytes: &[u8]) -> Vec<u8> {
    pem::trusted(&pem::text(pem_bytes)).unwrap().remove(0).der
}

/// The key is one that rustls can use, and the chain begins with the client's certificate.
fn is_the_client(identity: Identity) {
    assert_eq!(identity.chain[0], certificate(fixture!("client.pem")));
    assert_eq!(format!("{:?}", identity.key).matches("[hidden]").count(), 1);
    any_supported_type(&identity.key.into()).unwrap();
}

#[test]
fn keys_come_out_of_every_kind_of_store() {
    for (name, bytes, password, key_password, chain) in [
        ("JKS", fixture!("client.jks"), "store-secret", "key-secret", 2),
        ("PKCS12 by keytool", fixture!("client.p12"), "store-secret", "", 2),
        ("PKCS12 by old keytool", fixture!("client-legacy-java.p12"), "store-secret", "", 2),
        ("PKCS12 by openssl", fixture!("client-openssl.p12"), "store-secret", "", 2),
        ("PKCS12 by old openssl", fixture!("client-legacy.p12"), "store-secret", "", 2),
        ("PEM", fixture!("client.pem"), "", "", 1),
        ("PEM, encrypted", fixture!("client-encrypted.pem"), "", "key-secret", 1),
        ("PEM, password of the store", fixture!("client-encrypted.pem"), "key-secret", "", 1),
        ("PEM, PKCS1", fixture!("client-pkcs1.pem"), "", "", 1),
    ] {
        let identity = open(bytes, password, key_password).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(identity.chain.len(), chain, "{name}");
        is_the_client(identity);
    }
    let sec1 = open(fixture!("broker-sec1.pem"), "", "").unwrap();
    any_supported_type(&sec1.key.into()).unwrap();
}

#[test]
fn wrong_passwords_are_told_from_damage() {
    use KeystoreError as E;
    for (name, bytes, password, key_password, expected) in [
        ("JKS", fixture!("client.jks"), "wrong", "key-secret", E::WrongPassword),
        ("JKS, key", fixture!("client.jks"), "store-secret", "wrong", E::WrongKeyPassword),
        ("JKS, key as the store", fixture!("client.jks"), "store-secret", "", E::WrongKeyPassword),
        ("JKS, none", fixture!("client.jks"), "", "", E::NoKeyPassword),
        ("PKCS12", fixture!("client.p12"), "wrong", "", E::WrongPassword),
        ("PKCS12, none", fixture!("client.p12"), "", "", E::NoPassword),
        ("PKCS12, old", fixture!("client-legacy.p12"), "wrong", "", E::WrongPassword),
        ("PEM", fixture!("client-encrypted.pem"), "", "wrong", E::WrongKeyPassword),
        ("PEM, none", fixture!("client-encrypted.pem"), "", "", E::NoKeyPassword),
        ("no key", fixture!("trust.jks"), "store-secret", "", E::NoKey),
        ("no key", fixture!("trust.p12"), "store-secret", "", E::NoKey),
        ("no key", fixture!("ca.pem"), "", "", E::NoKey),
        ("JCEKS", fixture!("client.jceks"), "store-secret", "key-secret", E::Jceks),
        ("empty", &[], "", "", E::Empty),
        ("text", b"hello", "", "", E::Unrecognised),
    ] {
        assert_eq!(
            open(bytes, password, key_password).unwrap_err(),
            expected,
            "{name} {password} {key_password}"
        );
    }
    for (name, bytes) in [("JKS", fixture!("client.jks")), ("PKCS12", fixture!("client.p12"))] {
        let cut = &bytes[..bytes.len() / 2];
        let error = open(cut, "store-secret", "key-secret").unwrap_err();
        assert!(matches!(error, KeystoreError::Damaged(_)), "{name}: {error}");
    }
    let old = open(fixture!("client-proc-type.pem"), "", "key-secret").unwrap_err().to_string();
    assert!(old.contains("openssl pkcs8 -topk8"), "{old}");
    assert!(E::Jceks.to_string().contains("keytool -importkeystore"));
}

#[test]
fn trust_is_what_java_takes_for_it() {
    let ca = certificate(fixture!("ca.pem"));
    for (name, bytes, password, count) in [
        ("JKS", fixture!("trust.jks"), "store-secret", 2),
        ("JKS without password", fixture!("trust.jks"), "", 2),
        ("PKCS12 by keytool", fixture!("trust.p12"), "store-secret", 1),
        ("PKCS12 by openssl, unmarked", fixture!("trust-openssl.p12"), "store-secret", 1),
        ("PEM", fixture!("ca.pem"), "", 1),
    ] {
        let password = secret(password).filter(|text| !text.is_empty());
        let found = trusted(bytes, password.as_ref()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.len(), count, "{name}");
        assert!(found.iter().any(|one| one.der == ca), "{name}");
    }
    // Of a key's chain only the first certificate is trusted.
    for bytes in [fixture!("client.jks"), fixture!("client.p12")] {
        let found = trusted(bytes, secret("store-secret").as_ref()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].der, certificate(fixture!("client.pem")));
        assert_eq!(found[0].alias, "client");
    }
    assert_eq!(trusted(fixture!("trust.jks"), secret("wrong").as_ref()), Err(KeystoreError::WrongPassword));
}

#[test]
fn pem_survives_what_property_files_do_to_it() {
    let text = std::str::from_utf8(fixture!("client-encrypted.pem")).unwrap();
    let with_comments =
        format!("Bag Attributes\n    friendlyName: client\nsubject=CN = client\n{text}# the end\n");
    for changed in [
        text.replace('\n', " "),
        text.replace('\n', ""),
        text.replace('\n', "\\n"),
        text.replace('\n', "\\r\\n"),
        text.replace('\n', "\r\n"),
        with_comments,
    ] {
        let both = Secret::new(changed.clone());
        let identity = inline_identity(&both, &both, secret("key-secret").as_ref());
        is_the_client(identity.unwrap_or_else(|error| panic!("{error}: {changed}")));
    }
}

#[test]
fn several_certificates_are_all_taken_and_several_keys_are_not() {
    let both = [fixture!("ca.pem"), fixture!("other-ca.pem")].concat();
    assert_eq!(trusted(&both, None).unwrap().len(), 2);
    let keys = [fixture!("client.pem"), fixture!("broker.pem")].concat();
    assert_eq!(open(&keys, "", "").unwrap_err(), KeystoreError::SeveralKeys(2));
}

#[test]
fn what_would_take_minutes_is_refused() {
    use pkcs8::der::Encode;
    use pkcs8::pkcs5::pbes2::Parameters;

    let hashed = |iterations| {
        let parameters = Parameters::pbkdf2_sha256_aes256cbc(iterations, &[0; 8], &[0; 16]).unwrap();
        let info = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: parameters.into(),
            encrypted_data: &[0; 16],
        };
        pem::decrypt(&info.to_der().unwrap(), &Secret::new("key-secret")).unwrap_err()
    };
    assert_eq!(hashed(1), KeystoreError::WrongKeyPassword);
    assert!(matches!(hashed(100_000_000), KeystoreError::Unsupported(_)));
}

#[test]
fn giants_are_not_looked_at() {
    let giant = vec![0; MAX_STORE_BYTES + 1];
    assert_eq!(trusted(&giant, None), Err(KeystoreError::TooLarge));
}

/// A store with some bytes changed, and perhaps cut off.
fn mutated(original: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((0..original.len(), any::<u8>()), 0..8);
    (changes, 0..=original.len()).prop_map(move |(changes, len)| {
        let mut bytes = original.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(len.max(original.len() / 4));
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_jks_stores_are_errors_at_worst(bytes in mutated(fixture!("client.jks"))) {
        let _ = open(&bytes, "", "key-secret");
        let _ = trusted(&bytes, None);
    }

    #[test]
    fn damaged_pem_is_an_error_at_worst(bytes in mutated(fixture!("client-pkcs1.pem"))) {
        let _ = open(&bytes, "", "key-secret");
        let _ = trusted(&bytes, None);
    }

    #[test]
    fn garbage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes, "a", "b").is_err());
        let jks = [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2][..], &bytes].concat();
        let _ = open(&jks, "", "b");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_pkcs12_stores_are_errors_at_worst(bytes in mutated(fixture!("client-legacy.p12"))) {
        let _ = open(&bytes, "store-secret", "");
    }
}
