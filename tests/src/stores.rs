//! Certificates and stores for brokers and clients, made by openssl and Java's keytool as people make them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::cache::{replace, scratch};
use crate::clock;
use crate::kafka::Options;
use crate::process::run;

/// The password of every store.
pub const STORE_PASSWORD: &str = "store-secret";
/// The password of the keys in stores that have one of their own.
pub const KEY_PASSWORD: &str = "key-secret";

/// What a broker's certificate is for.
pub const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";
/// What a client's is for.
pub const CLIENT: &str = "extendedKeyUsage=clientAuth";

/// A directory with a certificate authority and all that it has signed.
pub struct Stores {
    directory: PathBuf,
}

impl Stores {
    /// Makes the authorities `ca` and `other-ca`, and certificates signed by `ca`: `broker` (for `localhost` and
    /// `127.0.0.1`), `elsewhere` (for another host), `expired`, `client`. Each is there as PEM and PKCS12.
    pub fn make() -> Result<Self> {
        let stores = Self { directory: scratch("stores")? };
        for authority in ["ca", "other-ca"] {
            stores.authority(authority)?;
        }
        stores.signed("broker", HERE, 30)?;
        stores.signed("elsewhere", "subjectAltName=DNS:elsewhere.example.com", 30)?;
        stores.signed("expired", HERE, -1)?;
        stores.signed("client", CLIENT, 30)?;
        Ok(stores)
    }

    /// Makes an authority that has signed nothing.
    pub fn authority(&self, name: &str) -> Result<()> {
        let subject = format!("/O=kmirror tests/CN={name}");
        self.key(name)?;
        self.openssl(&format!("req -x509 -new -key {name}.key -days 30 -out {name}.pem -subj"), &[&subject])
    }

    /// Makes `file` a PEM trust store of these authorities, whole at once.
    pub fn trust(&self, file: &str, authorities: &[&str]) -> Result<()> {
        let certificates =
            authorities.iter().map(|name| fs::read(self.directory.join(format!("{name}.pem"))));
        self.replace(file, &certificates.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// TLS with the certificate `broker`, for servers that stand beside the clusters.
    pub fn server(&self) -> Result<ServerConfig> {
        let certificate = CertificateDer::from_pem_file(self.path("broker.crt"))?;
        let key = PrivateKeyDer::from_pem_file(self.path("broker.key"))?;
        let config = ServerConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Ok(config)
    }

    /// A broker with the certificate `broker`, which trusts those that `ca` has signed.
    #[must_use]
    pub fn of_broker(&self, options: Options) -> Options {
        options
            .with("ssl.keystore.location", &self.path("broker.p12"))
            .with("ssl.keystore.type", "PKCS12")
            .with("ssl.keystore.password", STORE_PASSWORD)
            .with("ssl.truststore.location", &self.path("ca.pem"))
            .with("ssl.truststore.type", "PEM")
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self, file: &str) -> String {
        self.directory.join(file).display().to_string()
    }

    /// Makes a certificate `name` anew, as a rotation does; the files are replaced whole.
    pub fn signed(&self, name: &str, extension: &str, days: i32) -> Result<()> {
        self.sign("ca", name, extension, days, &[])
    }

    /// The same, signed by another authority.
    pub fn signed_by(&self, authority: &str, name: &str, extension: &str) -> Result<()> {
        self.sign(authority, name, extension, 30, &[])
    }

    /// The same for a certificate that ends in so many seconds: openssl counts days, on a clock that is behind.
    pub fn ending(&self, name: &str, extension: &str, seconds: i64) -> Result<()> {
        let yesterday = clock::ahead(&clock::library()?, seconds - 86_400);
        self.sign("ca", name, extension, 1, &yesterday)
    }

    fn sign(
        &self,
        authority: &str,
        name: &str,
        extension: &str,
        days: i32,
        environment: &[(&'static str, String)],
    ) -> Result<()> {
        fs::write(self.directory.join("extension"), extension)?;
        self.key(name)?;
        self.openssl(
            &format!("req -new -key {name}.key -out request -subj"),
            &[&format!("/O=kmirror tests/CN={name}")],
        )?;
        let words = format!(
            "x509 -req -in request -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days {days} \
             -extfile extension -out {name}.crt"
        );
        run(command("openssl", &self.directory, &words).envs(environment.iter().cloned()))?;
        let file = |end: &str| self.directory.join(format!("{name}.{end}"));
        self.replace(&format!("{name}.pem"), &[fs::read(file("key"))?, fs::read(file("crt"))?].concat())?;
        self.openssl(
            &format!(
                "pkcs12 -export -inkey {name}.key -in {name}.crt -name {name} -passout pass:{STORE_PASSWORD} -out new.p12"
            ),
            &[],
        )?;
        fs::rename(self.directory.join("new.p12"), file("p12"))?;
        Ok(())
    }

    /// The client's key and certificate as PKCS12 of the old kind.
    pub fn legacy_client(&self) -> Result<String> {
        self.openssl(
            &format!(
                "pkcs12 -export -legacy -inkey client.key -in client.crt -name client \
                 -passout pass:{STORE_PASSWORD} -out client-legacy.p12"
            ),
            &[],
        )?;
        Ok(self.path("client-legacy.p12"))
    }

    /// The client's certificate and its key, encrypted with [`KEY_PASSWORD`], as PEM.
    pub fn encrypted_client(&self) -> Result<String> {
        self.openssl(
            &format!("pkcs8 -topk8 -in client.key -passout pass:{KEY_PASSWORD} -out encrypted"),
            &[],
        )?;
        let parts = ["encrypted", "client.crt"].map(|file| fs::read(self.directory.join(file)));
        let [key, certificate] = parts;
        self.replace("client-encrypted.pem", &[key?, certificate?].concat())?;
        Ok(self.path("client-encrypted.pem"))
    }

    /// The client's key and certificate as JKS, the key under [`KEY_PASSWORD`].
    pub fn jks_client(&self) -> Result<String> {
        self.keytool(&format!(
            "-importkeystore -srckeystore client.p12 -srcstorepass {STORE_PASSWORD} -destkeystore client.jks \
             -deststoretype JKS -deststorepass {STORE_PASSWORD} -srcalias client -destkeypass {KEY_PASSWORD}"
        ))?;
        Ok(self.path("client.jks"))
    }

    /// A JKS trust store with one certificate.
    pub fn jks_trust(&self, certificate: &str) -> Result<String> {
        self.keytool_trust(certificate, "trust.jks", "JKS")
    }

    /// The same as PKCS12, which keytool makes unless told otherwise.
    pub fn pkcs12_trust(&self, certificate: &str) -> Result<String> {
        self.keytool_trust(certificate, "trust.p12", "PKCS12")
    }

    fn keytool_trust(&self, certificate: &str, file: &str, kind: &str) -> Result<String> {
        self.keytool(&format!(
            "-importcert -alias root -file {certificate} -keystore {file} -storetype {kind} -storepass {STORE_PASSWORD}"
        ))?;
        Ok(self.path(file))
    }

    /// Puts other bytes into a file, whole at once.
    pub fn replace(&self, file: &str, bytes: &[u8]) -> Result<()> {
        replace(&self.directory.join(file), bytes)
    }

    fn key(&self, name: &str) -> Result<()> {
        self.openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {name}.sec1"), &[])?;
        self.openssl(&format!("pkcs8 -topk8 -nocrypt -in {name}.sec1 -out {name}.key"), &[])
    }

    fn openssl(&self, words: &str, further: &[&str]) -> Result<()> {
        run(command("openssl", &self.directory, words).args(further)).map(drop)
    }

    fn keytool(&self, words: &str) -> Result<()> {
        // The JVM of a moment needs no second compiler.
        let quick = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-noprompt"];
        run(command("keytool", &self.directory, words).args(quick)).map(drop)
    }
}

fn command(program: &str, directory: &Path, words: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).args(words.split_whitespace());
    command
}
