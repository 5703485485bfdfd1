//! The keys of encryption (`SslConfigs`), of a client or within a login, with the rules of Kafka's class
//! `DefaultSslEngineFactory` for what goes together.

use std::path::Path;

use kmirror_protocol::Secret;
use kmirror_protocol::net::tls::{Store, StoreKind, StorePlace, TlsSettings, TlsVersion, cipher_suite_names};

use super::client::Owner;
use super::login::Login;
use super::reader::{Reader, Sourced, split_list};
use crate::config::java_options::{TRUST_STORE, TRUST_STORE_PASSWORD, TRUST_STORE_TYPE};
use crate::config::keys::{self, Opt};
use crate::config::origin::Origin;
use crate::config::problem::{Notice, Problem};
use crate::config::security_problem::{LoginProblem, SecurityNotice};

/// Where keys of encryption are given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    /// In the file, for a client.
    Client(Owner<'a>),
    /// As options of a login, for a token endpoint.
    Login(&'a Login<'a>),
}

impl Reader<'_> {
    /// What is given for a key, as it is.
    fn given(&self, given: Given<'_>, opt: &'static Opt) -> Option<Sourced<Secret>> {
        match given {
            Given::Client(owner) => {
                let setting = self.setting(&owner.places(opt), opt)?;
                Some(Sourced { value: setting.value.clone(), origin: setting.origin.clone() })
            }
            Given::Login(login) => {
                let value = login.module.option(opt.name)?.clone();
                Some(Sourced { value, origin: login.origin.clone() })
            }
        }
    }

    fn given_something(&self, given: Given<'_>, opt: &'static Opt) -> Option<Sourced<Secret>> {
        self.given(given, opt).filter(|value| !value.value.is_empty())
    }

    fn given_text(&self, given: Given<'_>, opt: &'static Opt) -> Option<Sourced<String>> {
        let Sourced { value, origin } = self.given_something(given, opt)?;
        Some(Sourced { value: value.expose().to_owned(), origin })
    }

    /// How connections are encrypted.
    pub(super) fn tls(&mut self, given: Given<'_>) -> TlsSettings {
        TlsSettings {
            trust: self.trust(given),
            identity: self.identity(given),
            key_password: self.given_something(given, &keys::SSL_KEY_PASSWORD).map(|password| password.value),
            checks_host_name: self.checks_host_name(given),
            versions: self.tls_versions(given),
            cipher_suites: self.cipher_suites(given),
        }
    }

    fn contradiction(&mut self, origin: Origin, what: &'static str) {
        self.error(Some(origin), Problem::Login(LoginProblem::Contradiction(what)), None);
    }

    fn trust(&mut self, given: Given<'_>) -> Option<Store> {
        let file = self.given_text(given, &keys::SSL_TRUSTSTORE_LOCATION);
        let password = self.given_something(given, &keys::SSL_TRUSTSTORE_PASSWORD);
        let kind = self.store_kind(given, &keys::SSL_TRUSTSTORE_TYPE);
        let is_pem = kind == Some(StoreKind::Pem);
        if let Some(certificates) = self.given_something(given, &keys::SSL_TRUSTSTORE_CERTIFICATES) {
            let origin = certificates.origin;
            if kind.is_some() && !is_pem {
                self.contradiction(
                    origin,
                    "`ssl.truststore.certificates` are PEM, and `ssl.truststore.type` is not",
                );
            } else if file.is_some() {
                self.contradiction(
                    origin,
                    "`ssl.truststore.certificates` and `ssl.truststore.location` are both set",
                );
            } else if password.is_some() {
                self.contradiction(origin, "`ssl.truststore.certificates` have no `ssl.truststore.password`");
            }
            let place = StorePlace::Inline { certificates: certificates.value, key: None };
            return Some(Store { place, kind: Some(StoreKind::Pem), password: None });
        }
        match (&file, &password) {
            (Some(_), Some(password)) if is_pem => self.contradiction(
                password.origin.clone(),
                "a trust store of the type PEM has no `ssl.truststore.password`",
            ),
            (None, Some(password)) => self.contradiction(
                password.origin.clone(),
                "`ssl.truststore.password` is set, and `ssl.truststore.location` is not",
            ),
            _ => {}
        }
        let Some(file) = file else { return self.trust_of_java() };
        let place = StorePlace::File(file.value.into());
        Some(Store { place, kind, password: password.map(|password| password.value) })
    }

    /// The trust store that was named to Java: it counts where there is no other. Whoever names one does not mean to
    /// trust everybody whom the system trusts.
    fn trust_of_java(&mut self) -> Option<Store> {
        let properties = &self.surroundings.java.properties;
        let given = |name| properties.get(name).filter(|value| !value.is_empty());
        let file = given(TRUST_STORE)?.expose();
        let kind = given(TRUST_STORE_TYPE).and_then(|kind| kind_named(kind.expose()));
        let store = Store {
            place: StorePlace::File(file.into()),
            kind,
            password: given(TRUST_STORE_PASSWORD).cloned(),
        };
        self.notice(None, Notice::Security(SecurityNotice::TrustStoreOfJava { file: file.to_owned() }), None);
        Some(store)
    }

    fn identity(&mut self, given: Given<'_>) -> Option<Store> {
        let file = self.given_text(given, &keys::SSL_KEYSTORE_LOCATION);
        let password = self.given_something(given, &keys::SSL_KEYSTORE_PASSWORD);
        let kind = self.store_kind(given, &keys::SSL_KEYSTORE_TYPE);
        let is_pem = kind == Some(StoreKind::Pem);
        let chain = self.given_something(given, &keys::SSL_KEYSTORE_CHAIN);
        match (self.given_something(given, &keys::SSL_KEYSTORE_KEY), chain) {
            (Some(key), Some(chain)) => {
                if kind.is_some() && !is_pem {
                    self.contradiction(
                        key.origin,
                        "`ssl.keystore.key` is PEM, and `ssl.keystore.type` is not",
                    );
                } else if file.is_some() {
                    self.contradiction(
                        key.origin,
                        "`ssl.keystore.key` and `ssl.keystore.location` are both set",
                    );
                } else if password.is_some() {
                    let what =
                        "`ssl.keystore.key` has no `ssl.keystore.password`, only an `ssl.key.password`";
                    self.contradiction(key.origin, what);
                }
                let place = StorePlace::Inline { certificates: chain.value, key: Some(key.value) };
                return Some(Store { place, kind: Some(StoreKind::Pem), password: None });
            }
            (Some(key), None) => {
                self.contradiction(
                    key.origin,
                    "`ssl.keystore.key` is set, and `ssl.keystore.certificate.chain` is not",
                );
            }
            (None, Some(chain)) => {
                self.contradiction(
                    chain.origin,
                    "`ssl.keystore.certificate.chain` is set, and `ssl.keystore.key` is not",
                );
            }
            (None, None) => {}
        }
        match (&file, &password) {
            (Some(_), Some(password)) if is_pem => self.contradiction(
                password.origin.clone(),
                "a key store of the type PEM has no `ssl.keystore.password`, only an `ssl.key.password`",
            ),
            (None, Some(password)) => self.contradiction(
                password.origin.clone(),
                "`ssl.keystore.password` is set, and `ssl.keystore.location` is not",
            ),
            (Some(file), None) if has_password(kind, &file.value) => self.contradiction(
                file.origin.clone(),
                "`ssl.keystore.location` is set, and `ssl.keystore.password` is not",
            ),
            _ => {}
        }
        let place = StorePlace::File(file?.value.into());
        Some(Store { place, kind, password: password.map(|password| password.value) })
    }

    fn store_kind(&mut self, given: Given<'_>, opt: &'static Opt) -> Option<StoreKind> {
        let text = self.given_text(given, opt)?;
        let kind = kind_named(&text.value);
        if kind.is_none() {
            let hint = "`keytool -importkeystore -deststoretype PKCS12` makes such a store of another";
            let expected = "one of `JKS`, `PKCS12`, `PEM`".to_owned();
            self.bad_value(&text, opt, expected, Some(hint.to_owned()));
        }
        kind
    }

    /// Empty switches it off, as since Kafka 2.0. Of a token endpoint Java always checks the name.
    fn checks_host_name(&mut self, given: Given<'_>) -> bool {
        let opt = &keys::SSL_ENDPOINT_IDENTIFICATION;
        let Some(Sourced { value, origin }) = self.given(given, opt) else { return true };
        let checks = value.expose().eq_ignore_ascii_case("https");
        if matches!(given, Given::Login(_)) {
            if !checks {
                self.notice(Some(origin), Notice::Security(SecurityNotice::CheckedAllTheSame), None);
            }
            return true;
        }
        if value.is_empty() {
            let hint = "set it to `https`, and have certificates with the brokers' names".to_owned();
            self.notice(Some(origin), Notice::Security(SecurityNotice::AnyName), Some(hint));
        } else if !checks {
            let text = Sourced { value: value.expose().to_owned(), origin };
            self.bad_value(&text, opt, "`https` or nothing".to_owned(), None);
        }
        checks
    }

    fn tls_versions(&mut self, given: Given<'_>) -> Vec<TlsVersion> {
        let opt = &keys::SSL_ENABLED_PROTOCOLS;
        let Some(text) = self.given_text(given, opt) else { return Vec::new() };
        let (mut versions, mut old) = (Vec::new(), Vec::new());
        let listed = split_list(&text.value);
        for name in &listed {
            match name.as_str() {
                "TLSv1.2" => versions.push(TlsVersion::Tls12),
                "TLSv1.3" => versions.push(TlsVersion::Tls13),
                "TLSv1.1" | "TLSv1" | "SSLv3" | "SSLv2Hello" | "SSLv2" => old.push(name.as_str()),
                _ => {
                    let expected = "a list of `TLSv1.2`, `TLSv1.3`".to_owned();
                    self.bad_value(&text, opt, expected, None);
                    return Vec::new();
                }
            }
        }
        if versions.is_empty() {
            let expected =
                "`TLSv1.2`, `TLSv1.3` or both; older versions are broken and never spoken".to_owned();
            self.bad_value(&text, opt, expected, None);
        } else if !old.is_empty() {
            let versions = old.join(", ");
            self.notice(Some(text.origin), Notice::Security(SecurityNotice::OldTls { versions }), None);
        }
        versions
    }

    /// As in Java, names that there are not are left out, and none of the others makes up for them.
    fn cipher_suites(&mut self, given: Given<'_>) -> Vec<String> {
        let Some(text) = self.given_text(given, &keys::SSL_CIPHER_SUITES) else { return Vec::new() };
        let known = cipher_suite_names();
        let (suites, missing): (Vec<_>, Vec<_>) =
            (1..).zip(split_list(&text.value)).partition(|(_, name)| known.contains(name));
        // What looks like no suite may be a piece of a login.
        let shown = |(number, name): &(usize, String)| {
            if is_suite(name) { name.clone() } else { format!("number {number}") }
        };
        let missing: Vec<String> = missing.iter().map(shown).collect();
        if suites.is_empty() {
            let (value, expected) = (missing.join(", "), "a cipher suite that there is".to_owned());
            let hint = Some(format!("there are {}", known.join(", ")));
            self.error(Some(text.origin), Problem::BadValue { value, expected }, hint);
        } else if !missing.is_empty() {
            let notice = SecurityNotice::MissingSuites { suites: missing.join(", ") };
            self.notice(Some(text.origin), Notice::Security(notice), None);
        }
        suites.into_iter().map(|(_, name)| name).collect()
    }
}

/// Whether a text is the name of a cipher suite, be it one that there is or not.
fn is_suite(name: &str) -> bool {
    let is_letter = |sign: char| sign.is_ascii_uppercase() || sign.is_ascii_digit() || sign == '_';
    (name.starts_with("TLS_") || name.starts_with("SSL_")) && name.chars().all(is_letter)
}

fn kind_named(name: &str) -> Option<StoreKind> {
    match name.to_ascii_uppercase().as_str() {
        "JKS" => Some(StoreKind::Jks),
        "PKCS12" => Some(StoreKind::Pkcs12),
        "PEM" => Some(StoreKind::Pem),
        _ => None,
    }
}

/// Whether a key store cannot be without a password, as far as its type or its name tells.
fn has_password(kind: Option<StoreKind>, file: &str) -> bool {
    match kind {
        Some(kind) => kind != StoreKind::Pem,
        None => Path::new(file)
            .extension()
            .is_some_and(|end| ["jks", "p12", "pfx"].iter().any(|known| end.eq_ignore_ascii_case(known))),
    }
}
