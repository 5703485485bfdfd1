//! The rows of connections: where the clusters are, which way leads there, and how it is encrypted.

use super::Kind::{Choice, Class, List, Secret, Servers, Text};
use super::Scope::{Cluster, Process};
use super::{Opt, Status, ignored};

/// Where a cluster is.
pub static BOOTSTRAP_SERVERS: Opt = Opt::used(
    "bootstrap.servers",
    Cluster,
    Servers,
    "",
    "Brokers to ask first; commas or semicolons between them.",
);
/// How connections are secured.
pub static SECURITY_PROTOCOL: Opt = Opt::used(
    "security.protocol",
    Cluster,
    Choice(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
    "PLAINTEXT",
    "How connections are secured: encrypted (`SSL`), with a login (`SASL_PLAINTEXT`), or both.",
);

/// A key of encryption.
const fn ssl(name: &'static str, kind: super::Kind, doc: &'static str) -> Opt {
    Opt::used(name, Cluster, kind, "", doc)
}

/// Whom to trust.
pub static SSL_TRUSTSTORE_LOCATION: Opt = ssl(
    "ssl.truststore.location",
    Text,
    "A file with the certificates to trust. Where neither this nor `ssl.truststore.certificates` is set, \
     `-Djavax.net.ssl.trustStore` in `KAFKA_OPTS` counts, or else the system's. Read again when it changes.",
);
/// Its password.
pub static SSL_TRUSTSTORE_PASSWORD: Opt = ssl(
    "ssl.truststore.password",
    Secret,
    "The trust store's password. A JKS store opens without, unchecked, as in Java.",
);
/// Its format.
pub static SSL_TRUSTSTORE_TYPE: Opt = ssl(
    "ssl.truststore.type",
    Text,
    "`JKS`, `PKCS12` or `PEM`; what the file holds decides, so it may be left out.",
);
/// Whom to trust, in place.
pub static SSL_TRUSTSTORE_CERTIFICATES: Opt =
    ssl("ssl.truststore.certificates", Secret, "The certificates to trust, as PEM in place of a file.")
        .since("2.7");
/// Who we are.
pub static SSL_KEYSTORE_LOCATION: Opt = ssl(
    "ssl.keystore.location",
    Text,
    "A file with our certificate and its key, for brokers that ask for one. Read again when it changes.",
);
/// Its password.
pub static SSL_KEYSTORE_PASSWORD: Opt =
    ssl("ssl.keystore.password", Secret, "The key store's password; PEM has none.");
/// The key's password.
pub static SSL_KEY_PASSWORD: Opt = ssl(
    "ssl.key.password",
    Secret,
    "The password of the key in the key store; the store's where this is not set.",
);
/// Its format.
pub static SSL_KEYSTORE_TYPE: Opt = ssl(
    "ssl.keystore.type",
    Text,
    "`JKS`, `PKCS12` or `PEM`; what the file holds decides, so it may be left out.",
);
/// Our key, in place.
pub static SSL_KEYSTORE_KEY: Opt =
    ssl("ssl.keystore.key", Secret, "Our key, as PEM in place of a file.").since("2.7");
/// Our certificate, in place.
pub static SSL_KEYSTORE_CHAIN: Opt = ssl(
    "ssl.keystore.certificate.chain",
    Secret,
    "Our certificate and those above it, as PEM in place of a file.",
)
.since("2.7");
/// Names.
pub static SSL_ENDPOINT_IDENTIFICATION: Opt = Opt::used(
    "ssl.endpoint.identification.algorithm",
    Cluster,
    Text,
    "https",
    "`https`: a broker's certificate must be for the name it was connected by. Empty: any name will do.",
);
/// Versions.
pub static SSL_ENABLED_PROTOCOLS: Opt = Opt::used(
    "ssl.enabled.protocols",
    Cluster,
    List,
    "TLSv1.2,TLSv1.3",
    "The versions of TLS that may be spoken; older ones are never spoken.",
);
/// Ciphers.
pub static SSL_CIPHER_SUITES: Opt = ssl(
    "ssl.cipher.suites",
    List,
    "The cipher suites that may be used, by Java's names; all that kmirror has where it is not set. Those that it has not \
     are left out, with a warning.",
);

/// Proxy.
pub static SOCKS5_PROXY: Opt = Opt::used(
    "kmirror.socks5.proxy",
    Cluster,
    Text,
    "",
    "A SOCKS5 proxy to connect through, `host:port`; it finds the addresses of the brokers' names.",
)
.since("kmirror");
/// Its user.
pub static SOCKS5_USER: Opt =
    Opt::used("kmirror.socks5.user", Cluster, Text, "", "The user name for the proxy, where it wants one.")
        .since("kmirror");
/// Its password.
pub static SOCKS5_PASSWORD: Opt =
    Opt::used("kmirror.socks5.password", Cluster, Secret, "", "The password for the proxy.").since("kmirror");
/// Where to connect from.
pub static BIND_ADDRESS: Opt = Opt::used(
    "kmirror.bind.address",
    Cluster,
    Text,
    "",
    "The IP address of this host to connect from, where it has several.",
)
.since("kmirror");

/// Who supplies values.
pub static CONFIG_PROVIDERS: Opt = Opt::used(
    "config.providers",
    Process,
    List,
    "",
    "Names for configuration providers; `${NAME:..}` in a value stands for what they supply.",
);
/// What they are.
pub static CONFIG_PROVIDERS_KEYS: Opt = Opt::used(
    "config.providers.*",
    Process,
    Text,
    "",
    "`config.providers.NAME.class`: `FileConfigProvider` (`${NAME:/file:key}`), `DirectoryConfigProvider` \
     (`${NAME:/directory:file}`) or `EnvVarConfigProvider` (`${NAME:VARIABLE}`), with Kafka's package before them or \
     not. `config.providers.NAME.param.allowed.paths` and `config.providers.NAME.param.allowlist.pattern` (a Java regular \
     expression for whole names) restrict them.",
);

/// The engine factory that kmirror stands in for.
const ENGINE_FACTORY: Opt =
    Opt::used("ssl.engine.factory.class", Cluster, Class, "", "").status(Status::RefusedUnless {
        harmless: &["org.apache.kafka.common.security.ssl.DefaultSslEngineFactory"],
        reason: "stores are read by kmirror itself: set `ssl.truststore.*` and `ssl.keystore.*`",
    });

const RUSTLS: &str = "kmirror brings its own TLS (rustls) and its own randomness; there is no Java security provider to choose";

/// Keys of encryption without an effect.
static OTHERS: &[Opt] = &[
    ENGINE_FACTORY,
    ignored("ssl.protocol", Cluster, "`ssl.enabled.protocols` decides, as for Java's clients"),
    ignored("ssl.provider", Cluster, RUSTLS),
    ignored("ssl.keymanager.algorithm", Cluster, RUSTLS),
    ignored("ssl.trustmanager.algorithm", Cluster, RUSTLS),
    ignored("ssl.secure.random.implementation", Cluster, RUSTLS),
    ignored("security.providers", Cluster, RUSTLS),
    ignored(
        "ssl.client.auth",
        Cluster,
        "it is a broker's key; a client shows its certificate when it is asked",
    ),
];

/// The rows of this file, those that have their effect first.
pub(super) fn security_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 21] = [
        &BOOTSTRAP_SERVERS,
        &SECURITY_PROTOCOL,
        &SSL_TRUSTSTORE_LOCATION,
        &SSL_TRUSTSTORE_PASSWORD,
        &SSL_TRUSTSTORE_TYPE,
        &SSL_TRUSTSTORE_CERTIFICATES,
        &SSL_KEYSTORE_LOCATION,
        &SSL_KEYSTORE_PASSWORD,
        &SSL_KEY_PASSWORD,
        &SSL_KEYSTORE_TYPE,
        &SSL_KEYSTORE_KEY,
        &SSL_KEYSTORE_CHAIN,
        &SSL_ENDPOINT_IDENTIFICATION,
        &SSL_ENABLED_PROTOCOLS,
        &SSL_CIPHER_SUITES,
        &SOCKS5_PROXY,
        &SOCKS5_USER,
        &SOCKS5_PASSWORD,
        &BIND_ADDRESS,
        &CONFIG_PROVIDERS,
        &CONFIG_PROVIDERS_KEYS,
    ];
    used.into_iter().chain(OTHERS)
}
