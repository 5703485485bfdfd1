//! The rows of logins (SASL): as whom to connect, and where tokens and tickets come from (`SaslConfigs`).

use super::Kind::{Bool, Choice, Class, Fraction, Int, Secret, Text};
use super::Scope::Cluster;
use super::{Kind, Opt, Status, ignored};

const MILLIS: Kind = Int { min: 0, max: i32::MAX as i64 };

/// Which.
pub static SASL_MECHANISM: Opt = Opt::used(
    "sasl.mechanism",
    Cluster,
    Choice(&["GSSAPI", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]),
    "GSSAPI",
    "How to log in. No other mechanism is tried, whatever a broker offers.",
);
/// Login.
pub static SASL_JAAS_CONFIG: Opt = Opt::used(
    "sasl.jaas.config",
    Cluster,
    Secret,
    "",
    "The login, as in a JAAS file: a login module, `required`, its options, `;`. Where it is not set, the section \
     `KafkaClient` of the JAAS file counts (`--jaas`, `java.security.auth.login.config` in `KAFKA_OPTS`).",
);
/// Where tokens come from.
pub static SASL_LOGIN_CALLBACK: Opt = Opt::used(
    "sasl.login.callback.handler.class",
    Cluster,
    Class,
    "",
    "With `OAUTHBEARER`, where tokens come from: Kafka's `OAuthBearerLoginCallbackHandler` or \
     `OAuthBearerUnsecuredLoginCallbackHandler`; kmirror runs no other.",
);

/// Service.
pub static KERBEROS_SERVICE_NAME: Opt = Opt::used(
    "sasl.kerberos.service.name",
    Cluster,
    Text,
    "kafka",
    "The first part of the brokers' principals; `serviceName` in JAAS says the same.",
);
/// Host part.
pub static KERBEROS_DOMAIN_NAME: Opt = Opt::used(
    "kerberos.domain.name",
    Cluster,
    Text,
    "",
    "The second part of all brokers' principals in place of their host names, as some distributions have it.",
)
.since("kmirror");
/// Renewal.
pub static KERBEROS_RENEW_WINDOW: Opt = Opt::used(
    "sasl.kerberos.ticket.renew.window.factor",
    Cluster,
    Fraction { min: 0, max: 100 },
    "0.8",
    "After which part of a ticket's life it is renewed.",
);
/// Renewal.
pub static KERBEROS_RENEW_JITTER: Opt = Opt::used(
    "sasl.kerberos.ticket.renew.jitter",
    Cluster,
    Fraction { min: 0, max: 100 },
    "0.05",
    "How much later at most, at random.",
);
/// Renewal.
pub static KERBEROS_MIN_TIME: Opt = Opt::used(
    "sasl.kerberos.min.time.before.relogin",
    Cluster,
    Int { min: 0, max: i64::MAX },
    "60000",
    "How long to wait at least between two logins, in milliseconds.",
);

/// Refresh.
pub static REFRESH_WINDOW: Opt = Opt::used(
    "sasl.login.refresh.window.factor",
    Cluster,
    Fraction { min: 50, max: 100 },
    "0.8",
    "After which part of a token's life it is fetched anew.",
);
/// Refresh.
pub static REFRESH_JITTER: Opt = Opt::used(
    "sasl.login.refresh.window.jitter",
    Cluster,
    Fraction { min: 0, max: 25 },
    "0.05",
    "How much later at most, at random.",
);
/// Refresh.
pub static REFRESH_MIN_PERIOD: Opt = Opt::used(
    "sasl.login.refresh.min.period.seconds",
    Cluster,
    Int { min: 0, max: 900 },
    "60",
    "How long to wait at least before a token is fetched anew.",
);
/// Refresh.
pub static REFRESH_BUFFER: Opt = Opt::used(
    "sasl.login.refresh.buffer.seconds",
    Cluster,
    Int { min: 0, max: 3600 },
    "300",
    "How long before its end at the latest a token is fetched anew.",
);
/// Endpoint.
pub static LOGIN_CONNECT_TIMEOUT: Opt = Opt::used(
    "sasl.login.connect.timeout.ms",
    Cluster,
    MILLIS,
    "",
    "How long connecting to the token endpoint may take; 30 s where it is not set, or 0.",
)
.since("3.1");
/// Endpoint.
pub static LOGIN_READ_TIMEOUT: Opt = Opt::used(
    "sasl.login.read.timeout.ms",
    Cluster,
    MILLIS,
    "",
    "How long the token endpoint's answer may take; 30 s where it is not set, or 0.",
)
.since("3.1");
/// Endpoint.
pub static LOGIN_RETRY_BACKOFF: Opt = Opt::used(
    "sasl.login.retry.backoff.ms",
    Cluster,
    MILLIS,
    "100",
    "The first pause before the token endpoint is asked again.",
)
.since("3.1");
/// Endpoint.
pub static LOGIN_RETRY_BACKOFF_MAX: Opt =
    Opt::used("sasl.login.retry.backoff.max.ms", Cluster, MILLIS, "10000", "The longest such pause.")
        .since("3.1");
/// Endpoint.
pub static OAUTH_ENDPOINT: Opt = Opt::used(
    "sasl.oauthbearer.token.endpoint.url",
    Cluster,
    Text,
    "",
    "Where tokens are got with client credentials, `https://..`; `file:///..` names a file that holds the token.",
)
.since("3.1");
/// Client.
pub static OAUTH_CLIENT_ID: Opt = Opt::used(
    "sasl.oauthbearer.client.credentials.client.id",
    Cluster,
    Text,
    "",
    "The client's id; `clientId` in JAAS is the older place for it.",
)
.since("4.1");
/// Client.
pub static OAUTH_CLIENT_SECRET: Opt = Opt::used(
    "sasl.oauthbearer.client.credentials.client.secret",
    Cluster,
    Secret,
    "",
    "The client's secret; `clientSecret` in JAAS is the older place for it.",
)
.since("4.1");
/// Scope.
pub static OAUTH_SCOPE: Opt = Opt::used(
    "sasl.oauthbearer.scope",
    Cluster,
    Text,
    "",
    "The scope to ask for; `scope` in JAAS is the older place for it.",
)
.since("4.1");
/// Header.
pub static OAUTH_HEADER_URLENCODE: Opt = Opt::used(
    "sasl.oauthbearer.header.urlencode",
    Cluster,
    Bool,
    "false",
    "Whether id and secret are URL-encoded in the header that carries them (RFC 6749).",
)
.since("3.9");
/// Retriever.
pub static OAUTH_RETRIEVER: Opt = Opt::used(
    "sasl.oauthbearer.jwt.retriever.class",
    Cluster,
    Class,
    "",
    "Kafka's `DefaultJwtRetriever`, `ClientCredentialsJwtRetriever` or `FileJwtRetriever`; kmirror runs no other, and \
     the endpoint's URL decides.",
)
.since("4.1");

const BROKER: &str = "it is for those who check tokens, which brokers do";
const ASSERTION: &str =
    "assertions (`JwtBearerJwtRetriever`) are not supported; client credentials and token files are";

const fn secret(name: &'static str, reason: &'static str) -> Opt {
    Opt { kind: Secret, ..ignored(name, Cluster, reason) }
}

/// A class that kmirror stands in for, and nobody else's.
const fn class(name: &'static str, harmless: &'static [&'static str], reason: &'static str) -> Opt {
    Opt::used(name, Cluster, Class, "", "").status(Status::RefusedUnless { harmless, reason })
}

/// Keys of logins without an effect.
static OTHERS: &[Opt] = &[
    class(
        "sasl.client.callback.handler.class",
        &[
            "software.amazon.msk.auth.iam.IAMClientCallbackHandler",
            "org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerSaslClientCallbackHandler",
            "org.apache.kafka.common.security.authenticator.SaslClientCallbackHandler",
        ],
        "kmirror does what Kafka's own handlers do",
    ),
    class(
        "sasl.login.class",
        &[
            "org.apache.kafka.common.security.authenticator.DefaultLogin",
            "org.apache.kafka.common.security.kerberos.KerberosLogin",
            "org.apache.kafka.common.security.oauthbearer.internals.OAuthBearerRefreshingLogin",
        ],
        "kmirror does what Kafka's own logins do",
    ),
    ignored("sasl.kerberos.kinit.cmd", Cluster, "kmirror gets and renews tickets itself, without a command"),
    secret("sasl.oauthbearer.assertion.private.key.passphrase", ASSERTION),
    ignored("sasl.oauthbearer.assertion.*", Cluster, ASSERTION),
    ignored("sasl.oauthbearer.clock.skew.seconds", Cluster, BROKER),
    ignored("sasl.oauthbearer.expected.*", Cluster, BROKER),
    ignored("sasl.oauthbearer.jwks.*", Cluster, BROKER),
    ignored("sasl.oauthbearer.jwt.validator.class", Cluster, BROKER),
    ignored("sasl.oauthbearer.scope.claim.name", Cluster, BROKER),
    ignored("sasl.oauthbearer.sub.claim.name", Cluster, BROKER),
];

/// The rows of this file, those that have their effect first.
pub(super) fn sasl_rows() -> impl Iterator<Item = &'static Opt> {
    let used: [&'static Opt; 22] = [
        &SASL_MECHANISM,
        &SASL_JAAS_CONFIG,
        &SASL_LOGIN_CALLBACK,
        &KERBEROS_SERVICE_NAME,
        &KERBEROS_DOMAIN_NAME,
        &KERBEROS_RENEW_WINDOW,
        &KERBEROS_RENEW_JITTER,
        &KERBEROS_MIN_TIME,
        &OAUTH_ENDPOINT,
        &OAUTH_CLIENT_ID,
        &OAUTH_CLIENT_SECRET,
        &OAUTH_SCOPE,
        &OAUTH_HEADER_URLENCODE,
        &OAUTH_RETRIEVER,
        &REFRESH_WINDOW,
        &REFRESH_JITTER,
        &REFRESH_MIN_PERIOD,
        &REFRESH_BUFFER,
        &LOGIN_CONNECT_TIMEOUT,
        &LOGIN_READ_TIMEOUT,
        &LOGIN_RETRY_BACKOFF,
        &LOGIN_RETRY_BACKOFF_MAX,
    ];
    used.into_iter().chain(OTHERS)
}
