//! What can be wrong with how connections are secured. No value that may be secret is in any of it.

/// Why a login, or an encryption, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginProblem {
    /// Neither an option nor a file has a login.
    #[error(
        "the cluster `{cluster}` needs a login for {mechanism}, and neither `sasl.jaas.config` nor a JAAS file has one"
    )]
    None {
        /// The cluster.
        cluster: String,
        /// The mechanism.
        mechanism: String,
    },
    /// The JAAS file that was named cannot be read.
    #[error("the JAAS file {path} cannot be read: {why}")]
    Unreadable {
        /// Its path.
        path: String,
        /// The operating system's words.
        why: String,
    },
    /// A login module that kmirror does not stand in for.
    #[error("the login module{} is none that kmirror stands in for", named(.class))]
    ForeignModule {
        /// Its class, where it looks like one.
        class: Option<String>,
    },
    /// A login module for another mechanism.
    #[error("`sasl.mechanism` is {mechanism}, and the login module is {module}, which is for {fits}")]
    OtherMechanism {
        /// `sasl.mechanism`
        mechanism: String,
        /// The module.
        module: &'static str,
        /// What it is for.
        fits: &'static str,
    },
    /// A section of a JAAS file with several login modules, none for the mechanism, or more than one.
    #[error("`sasl.mechanism` is {mechanism}, and of the login modules {modules} {} for it", which(.fitting))]
    NotOneModule {
        /// `sasl.mechanism`
        mechanism: String,
        /// All of them.
        modules: String,
        /// Those that are for the mechanism.
        fitting: String,
    },
    /// A login that lacks an option.
    #[error("the login with {module} has no `{option}`")]
    NoOption {
        /// The module.
        module: &'static str,
        /// The option.
        option: &'static str,
    },
    /// A login's option with a value that cannot be.
    #[error("`{option}` of the login with {module}: {what}")]
    BadOption {
        /// The module.
        module: &'static str,
        /// The option.
        option: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// Two places that say different things.
    #[error("`serviceName` of the login and `sasl.kerberos.service.name` say different things")]
    ServiceNames,
    /// Options that exclude one another.
    #[error("{0}")]
    Contradiction(&'static str),
}

fn which(fitting: &str) -> String {
    if fitting.is_empty() { "none is".to_owned() } else { format!("several are ({fitting})") }
}

fn named(class: &Option<String>) -> String {
    class.as_ref().map(|class| format!(" `{class}`")).unwrap_or_default()
}

/// What should be known about how connections are secured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityNotice {
    /// Keys without an effect, since `security.protocol` is another.
    #[error("no effect: `security.protocol` of {clusters} is {protocol}")]
    WrongProtocol {
        /// Whose.
        clusters: String,
        /// What it is.
        protocol: String,
    },
    /// Everybody on the way can read it.
    #[error("the password for {cluster} travels readable for everybody on the way")]
    ReadablePassword {
        /// The cluster.
        cluster: String,
    },
    /// Everybody on the way can use it.
    #[error("the token for {cluster} travels readable for everybody on the way")]
    ReadableToken {
        /// The cluster.
        cluster: String,
    },
    /// Everybody on the way can read it, and use what is signed as long as the signature holds.
    #[error(
        "the signature for {cluster}, and a session token with it, travel readable for everybody on the way"
    )]
    ReadableSignature {
        /// The cluster.
        cluster: String,
    },
    /// Everybody on the way can read it.
    #[error(
        "the client's secret and the tokens travel readable for everybody on the way between here and the token endpoint"
    )]
    ReadableClientSecret,
    /// Any certificate will do.
    #[error(
        "certificates are taken whatever name they are for, so that anybody with one can pose as a broker"
    )]
    AnyName,
    /// A token endpoint with the wrong name will not do.
    #[error(
        "`ssl.endpoint.identification.algorithm` has no effect in a login: the name of a token endpoint is always checked"
    )]
    CheckedAllTheSame,
    /// Versions of TLS that are not spoken.
    #[error("{versions} is never spoken: it is broken")]
    OldTls {
        /// The versions.
        versions: String,
    },
    /// Cipher suites that kmirror does not have.
    #[error("{suites} in `ssl.cipher.suites` is none that kmirror has, and is left out")]
    MissingSuites {
        /// Their names, or their places in the list.
        suites: String,
    },
    /// An option that a login module does not have.
    #[error("{module} has no option {}", option.as_ref().map_or_else(|| format!("like number {number}"), |name| format!("`{name}`")))]
    UnknownOption {
        /// The module.
        module: &'static str,
        /// The option, where it is certain that it is a name.
        option: Option<String>,
        /// Which one, counted from 1.
        number: usize,
    },
    /// A key tab and a cache.
    #[error("a key tab and a ticket cache are both given; the key tab is used")]
    TwoCredentials,
    /// A trust store that only Java's options name.
    #[error(
        "`ssl.truststore.location` is not set, and the trust store of the Java option `javax.net.ssl.trustStore` is \
         used, {file}"
    )]
    TrustStoreOfJava {
        /// Its file.
        file: String,
    },
    /// An option of Java without an effect here.
    #[error("the Java option `{name}` has no effect")]
    JavaOption {
        /// Its name.
        name: String,
    },
}
