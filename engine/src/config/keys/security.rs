//! The rows of connections: where the clusters are, and how they are secured.

use super::Kind::{Choice, Secret, Servers};
use super::Scope::Cluster;
use super::{Opt, ignored};

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
    "How connections are secured. This version speaks PLAINTEXT; everything else is an error.",
);

const UNUSED: &str = "this version connects in PLAINTEXT only, and that needs none of it";

const fn unused(name: &'static str) -> Opt {
    ignored(name, Cluster, UNUSED)
}

const fn secret(name: &'static str) -> Opt {
    Opt { kind: Secret, ..ignored(name, Cluster, UNUSED) }
}

/// Keys of encryption and authentication.
static UNUSED_KEYS: &[Opt] = &[
    secret("ssl.key.password"),
    secret("ssl.keystore.password"),
    secret("ssl.keystore.key"),
    secret("ssl.truststore.password"),
    unused("ssl.keystore.location"),
    unused("ssl.keystore.type"),
    unused("ssl.keystore.certificate.chain"),
    unused("ssl.truststore.location"),
    unused("ssl.truststore.type"),
    unused("ssl.truststore.certificates"),
    unused("ssl.protocol"),
    unused("ssl.provider"),
    unused("ssl.cipher.suites"),
    unused("ssl.enabled.protocols"),
    unused("ssl.keymanager.algorithm"),
    unused("ssl.trustmanager.algorithm"),
    unused("ssl.endpoint.identification.algorithm"),
    unused("ssl.secure.random.implementation"),
    unused("ssl.engine.factory.class"),
    unused("ssl.client.auth"),
    secret("sasl.jaas.config"),
    unused("sasl.mechanism"),
    unused("sasl.client.callback.handler.class"),
    unused("sasl.login.class"),
    unused("sasl.login.callback.handler.class"),
    unused("sasl.login.connect.timeout.ms"),
    unused("sasl.login.read.timeout.ms"),
    unused("sasl.login.refresh.buffer.seconds"),
    unused("sasl.login.refresh.min.period.seconds"),
    unused("sasl.login.refresh.window.factor"),
    unused("sasl.login.refresh.window.jitter"),
    unused("sasl.login.retry.backoff.ms"),
    unused("sasl.login.retry.backoff.max.ms"),
    unused("sasl.kerberos.service.name"),
    unused("sasl.kerberos.kinit.cmd"),
    unused("sasl.kerberos.min.time.before.relogin"),
    unused("sasl.kerberos.ticket.renew.jitter"),
    unused("sasl.kerberos.ticket.renew.window.factor"),
    secret("sasl.oauthbearer.client.credentials.client.secret"),
    secret("sasl.oauthbearer.assertion.private.key.passphrase"),
    unused("sasl.oauthbearer.client.credentials.client.id"),
    unused("sasl.oauthbearer.assertion.algorithm"),
    unused("sasl.oauthbearer.assertion.claim.aud"),
    unused("sasl.oauthbearer.assertion.claim.exp.seconds"),
    unused("sasl.oauthbearer.assertion.claim.iss"),
    unused("sasl.oauthbearer.assertion.claim.jti.include"),
    unused("sasl.oauthbearer.assertion.claim.nbf.seconds"),
    unused("sasl.oauthbearer.assertion.claim.sub"),
    unused("sasl.oauthbearer.assertion.file"),
    unused("sasl.oauthbearer.assertion.private.key.file"),
    unused("sasl.oauthbearer.assertion.template.file"),
    unused("sasl.oauthbearer.clock.skew.seconds"),
    unused("sasl.oauthbearer.expected.audience"),
    unused("sasl.oauthbearer.expected.issuer"),
    unused("sasl.oauthbearer.header.urlencode"),
    unused("sasl.oauthbearer.jwks.endpoint.refresh.ms"),
    unused("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms"),
    unused("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"),
    unused("sasl.oauthbearer.jwks.endpoint.url"),
    unused("sasl.oauthbearer.jwt.retriever.class"),
    unused("sasl.oauthbearer.jwt.validator.class"),
    unused("sasl.oauthbearer.scope"),
    unused("sasl.oauthbearer.scope.claim.name"),
    unused("sasl.oauthbearer.sub.claim.name"),
    unused("sasl.oauthbearer.token.endpoint.url"),
    unused("security.providers"),
];

/// The rows of this file, those that have their effect first.
pub(super) fn security_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 2] = [&BOOTSTRAP_SERVERS, &SECURITY_PROTOCOL];
    used.into_iter().chain(UNUSED_KEYS)
}
