//! From settings and the files they name to a rustls configuration. The thin I/O is at the end; it blocks.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use super::certificate::Certificate;
use super::error::{Purpose, TlsError};
use super::settings::{Store, StorePlace, TlsSettings};
use super::verifier::Verifier;
use super::{CertificateInfo, Holder, suites};
use crate::net::keystore::{self, Identity, KeystoreError, MAX_STORE_BYTES};

/// The bits of a file's mode that let everybody read it.
const READABLE_BY_ALL: u32 = 0o004;

/// What was made of the settings.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) config: Arc<ClientConfig>,
    /// Whether there is a certificate of ours.
    pub(super) has_identity: bool,
    pub(super) certificates: Vec<CertificateInfo>,
    /// Files with a private key that everybody may read.
    pub(super) exposed: Vec<PathBuf>,
}

/// How a file looked when it was read; a different one has to be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: (i64, i64),
    /// Of the file's owner and mode, too.
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

/// The stamps of all files that the settings name.
pub(super) fn stamps(settings: &TlsSettings) -> Vec<Option<Stamp>> {
    let stores = [&settings.trust, &settings.identity];
    stores.into_iter().flatten().filter_map(file_of).map(|file| stamp(file).ok()).collect()
}

/// Reads the stores and makes a configuration of them.
pub(super) fn load(settings: &TlsSettings) -> Result<Loaded, TlsError> {
    let provider = suites::limit(ring::default_provider(), &settings.cipher_suites)?;
    let algorithms = provider.signature_verification_algorithms;
    let mut certificates = Vec::new();
    let (roots, trusted, trusted_by) = trust(settings.trust.as_ref(), &mut certificates)?;
    let verifier: Arc<dyn ServerCertVerifier> =
        Arc::new(Verifier::new(roots, trusted, trusted_by, settings.checks_host_name, algorithms));
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&suites::versions(&settings.versions))
        .map_err(|_| TlsError::NoCipherSuites)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(store) = &settings.identity else {
        let config = finished(builder.with_no_client_auth());
        return Ok(Loaded { config, has_identity: false, certificates, exposed: Vec::new() });
    };
    let identity = identity(store, settings)?;
    let own = || Holder::Own { alias: identity.alias.clone() };
    let chain = identity.chain.iter().filter_map(|der| Certificate::read(der));
    certificates.extend(chain.map(|certificate| described(certificate, own())));
    let own = certified(identity, builder.crypto_provider()).map_err(TlsError::Identity)?;
    let config = builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
    let exposed = file_of(store).filter(|file| is_exposed(file)).map(Path::to_path_buf);
    Ok(Loaded {
        config: finished(config),
        has_identity: true,
        certificates,
        exposed: exposed.into_iter().collect(),
    })
}

/// Each connection verifies the broker: a session that is resumed would outlive the broker's certificate.
fn finished(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Those whom we trust: as webpki wants them, as they are, and what to call the place they are from.
fn trust(
    store: Option<&Store>,
    certificates: &mut Vec<CertificateInfo>,
) -> Result<(RootCertStore, BTreeSet<Vec<u8>>, String), TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(store) = store else {
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let name = "this system (there is no ssl.truststore.location)".to_owned();
        return Ok((roots, BTreeSet::new(), name));
    };
    let bytes = read(store, Purpose::Trust)?;
    let found = keystore::trusted(&bytes, store.password.as_ref());
    let found = found.map_err(|source| unusable(store, Purpose::Trust, source))?;
    for one in &found {
        let Some(certificate) = Certificate::read(&one.der) else { continue };
        // What is no authority, or none for webpki, still counts as it is.
        if certificate.is_authority {
            roots.add(CertificateDer::from(one.der.as_slice())).ok();
        }
        certificates.push(described(certificate, Holder::Trusted { alias: one.alias.clone() }));
    }
    let trusted = found.into_iter().map(|one| one.der).collect();
    Ok((roots, trusted, place(store, Purpose::Trust)))
}

fn identity(store: &Store, settings: &TlsSettings) -> Result<Identity, TlsError> {
    let unusable = |source| unusable(store, Purpose::Identity, source);
    let (password, key_password) = (store.password.as_ref(), settings.key_password.as_ref());
    match &store.place {
        StorePlace::File(_) => {
            let bytes = read(store, Purpose::Identity)?;
            keystore::identity(&bytes, password, key_password).map_err(unusable)
        }
        StorePlace::Inline { certificates, key } => {
            let key = key.as_ref().ok_or(KeystoreError::NoKey).map_err(unusable)?;
            keystore::inline_identity(certificates, key, key_password.or(password)).map_err(unusable)
        }
    }
}

/// The key with its certificates, as rustls shows them. rustls itself would not take a certificate of version 1.
pub(super) fn certified(identity: Identity, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
    let key = provider.key_provider.load_private_key(identity.key.into())?;
    let leaf = identity.chain.first().ok_or(Error::NoCertificatesPresented)?;
    let theirs =
        Certificate::read(leaf).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?.public_key;
    if key.public_key().is_some_and(|ours| ours.as_ref() != theirs) {
        return Err(InconsistentKeys::KeyMismatch.into());
    }
    Ok(CertifiedKey::new(identity.chain.into_iter().map(CertificateDer::from).collect(), key))
}

fn described(certificate: Certificate, holder: Holder) -> CertificateInfo {
    CertificateInfo { holder, subject: certificate.subject, not_after: certificate.not_after }
}

fn file_of(store: &Store) -> Option<&Path> {
    match &store.place {
        StorePlace::File(file) => Some(file),
        StorePlace::Inline { .. } => None,
    }
}

/// What to call a store.
fn place(store: &Store, purpose: Purpose) -> String {
    match (&store.place, purpose) {
        (StorePlace::File(file), _) => format!("{} ({})", file.display(), purpose.location()),
        (StorePlace::Inline { .. }, Purpose::Trust) => "ssl.truststore.certificates".to_owned(),
        (StorePlace::Inline { .. }, Purpose::Identity) => {
            "ssl.keystore.certificate.chain with ssl.keystore.key".to_owned()
        }
    }
}

fn unusable(store: &Store, purpose: Purpose, source: KeystoreError) -> TlsError {
    TlsError::Store { purpose, place: place(store, purpose), source }
}

/// Whether everybody may read a file of this mode.
fn readable_by_all(mode: u32) -> bool {
    mode & READABLE_BY_ALL != 0
}

fn is_exposed(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| readable_by_all(metadata.mode()))
}

fn stamp(file: &Path) -> io::Result<Stamp> {
    let metadata = std::fs::metadata(file)?;
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Ok(Stamp { modified, changed, size: metadata.size(), inode: metadata.ino() })
}

fn read(store: &Store, purpose: Purpose) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    match &store.place {
        StorePlace::File(file) => {
            let unreadable =
                |source| TlsError::Unreadable { purpose, file: file.clone(), source: Arc::new(source) };
            let mut bytes = Zeroizing::new(Vec::new());
            // One byte more than is allowed shows that there are more.
            let limit = u64::try_from(MAX_STORE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            File::open(file)
                .and_then(|opened| opened.take(limit).read_to_end(&mut bytes))
                .map_err(unreadable)?;
            Ok(bytes)
        }
        StorePlace::Inline { certificates, .. } => {
            Ok(Zeroizing::new(certificates.expose().as_bytes().to_vec()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_the_last_digit() {
        assert!(readable_by_all(0o100_644));
        assert!(readable_by_all(0o004));
        assert!(!readable_by_all(0o100_640));
        assert!(!readable_by_all(0o100_600));
    }
}
