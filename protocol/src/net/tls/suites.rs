//! Cipher suites by the names that Java gives them, and versions. Pure.

use rustls::crypto::{CryptoProvider, ring};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion};

use super::error::TlsError;
use super::settings::TlsVersion;

/// rustls marks the suites of TLS 1.3, Java and the RFCs do not.
const RUSTLS_13: &str = "TLS13_";
const JAVA_13: &str = "TLS_";

/// The cipher suites that there are, by the names that Java gives them.
pub fn cipher_suite_names() -> Vec<String> {
    ring::default_provider().cipher_suites.iter().map(java_name).collect()
}

/// The provider with only those suites that are named, in their order; with all where none is. As in Java, names that
/// there are not are left out; no suite is used that is not named.
pub(super) fn limit(mut provider: CryptoProvider, names: &[String]) -> Result<CryptoProvider, TlsError> {
    if names.is_empty() {
        return Ok(provider);
    }
    let find =
        |name: &String| provider.cipher_suites.iter().find(|suite| java_name(suite) == name.trim()).copied();
    let suites: Vec<SupportedCipherSuite> = names.iter().filter_map(find).collect();
    if suites.is_empty() {
        let known: Vec<String> = provider.cipher_suites.iter().map(java_name).collect();
        return Err(TlsError::NoSuchCipherSuite { names: names.join(", "), known: known.join(", ") });
    }
    provider.cipher_suites = suites;
    Ok(provider)
}

fn java_name(suite: &SupportedCipherSuite) -> String {
    let name = format!("{:?}", suite.suite());
    match name.strip_prefix(RUSTLS_13) {
        Some(rest) => format!("{JAVA_13}{rest}"),
        None => name,
    }
}

/// The versions to offer; all where none is named.
pub(super) fn versions(named: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    let wanted = |version| named.is_empty() || named.contains(&version);
    let mut versions = Vec::new();
    if wanted(TlsVersion::Tls13) {
        versions.push(&rustls::version::TLS13);
    }
    if wanted(TlsVersion::Tls12) {
        versions.push(&rustls::version::TLS12);
    }
    versions
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;

    use super::*;

    #[test]
    fn suites_go_by_their_names_in_java() {
        let names =
            ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"].map(str::to_owned).to_vec();
        let limited = limit(default_provider(), &names).unwrap();
        assert_eq!(limited.cipher_suites.iter().map(java_name).collect::<Vec<_>>(), names);
        assert_eq!(limit(default_provider(), &[]).unwrap().cipher_suites.len(), 9);
    }

    #[test]
    fn what_there_is_not_is_left_out() {
        let names = ["TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_AES_256_GCM_SHA384", "x"].map(str::to_owned);
        let limited = limit(default_provider(), &names).unwrap();
        assert_eq!(
            limited.cipher_suites.iter().map(java_name).collect::<Vec<_>>(),
            ["TLS_AES_256_GCM_SHA384"]
        );
        assert!(cipher_suite_names().contains(&names[1]) && !cipher_suite_names().contains(&names[0]));
    }

    #[test]
    fn what_there_is_not_is_named_beside_what_there_is() {
        let error = limit(default_provider(), &["TLS_RSA_WITH_AES_128_CBC_SHA".to_owned()]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("TLS_RSA_WITH_AES_128_CBC_SHA"), "{text}");
        assert!(text.contains("TLS_AES_128_GCM_SHA256"), "{text}");
    }
}
