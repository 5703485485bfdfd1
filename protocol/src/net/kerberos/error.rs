//! What can go wrong with Kerberos: each with whose fault it is and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ccache::CacheError;
use super::conf::ConfError;
use super::crypto::CryptoError;
use super::der::DerError;
use super::keytab::KeytabError;

/// Why there is no ticket, or no agreement with a broker. Cheap to clone. Holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KerberosError {
    /// `krb5.conf` cannot be read.
    #[error(
        "cannot read the Kerberos configuration {path}: give its path by java.security.krb5.conf or KRB5_CONFIG",
        path = path.display()
    )]
    ConfigFile {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// `krb5.conf` is wrong.
    #[error("the Kerberos configuration is wrong")]
    Config(#[from] ConfError),
    /// A name without a realm, and nothing says which.
    #[error("'{principal}' has no realm: write it as NAME@REALM, or set default_realm in [libdefaults] of {config}", config = config.display())]
    NoRealm {
        /// As it was written.
        principal: String,
        /// Where the default would be.
        config: PathBuf,
    },
    /// A name that is none.
    #[error("'{0}' is no Kerberos principal: write NAME@REALM or NAME/HOST@REALM")]
    BadPrincipal(String),
    /// Nothing says who we are.
    #[error("nothing says who to log in as: set principal in the JAAS configuration")]
    NoPrincipal,
    /// A key tab cannot be read.
    #[error("cannot read the key tab {path} (keyTab in the JAAS configuration)", path = path.display())]
    KeytabFile {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A key tab is none.
    #[error("{path} (keyTab in the JAAS configuration) is no key tab that can be used", path = path.display())]
    Keytab {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeytabError,
    },
    /// The key tab is somebody else's.
    #[error(
        "the key tab {path} has no key of {principal}; it has keys of: {held}. Set principal to one of them, or take \
         another keyTab",
        path = path.display()
    )]
    NotInKeytab {
        /// Which.
        path: PathBuf,
        /// Who was wanted.
        principal: String,
        /// Who is in it.
        held: String,
    },
    /// The key tab has keys of foreign types only.
    #[error(
        "the key tab {path} has no key of {principal} that may be used; it has: {held}. Ask for keys of {wanted} \
         (kadmin: ktadd -e), or look at permitted_enctypes and default_tkt_enctypes in krb5.conf",
        path = path.display()
    )]
    KeytabTypes {
        /// Which.
        path: PathBuf,
        /// Who.
        principal: String,
        /// Types in it.
        held: String,
        /// Types that may be used.
        wanted: String,
    },
    /// A credential cache cannot be read.
    #[error(
        "cannot read the credential cache {path}: run kinit, or set ticketCache in the JAAS configuration or KRB5CCNAME",
        path = path.display()
    )]
    CacheFile {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A credential cache is none.
    #[error("{path} is no credential cache that can be used", path = path.display())]
    Cache {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: CacheError,
    },
    /// A credential cache is no file.
    #[error("the credential cache '{0}' is no file: only FILE: caches can be read (kinit -c FILE:/path)")]
    CacheKind(String),
    /// The cache is somebody else's.
    #[error("the credential cache {path} is that of {holder}, and principal in the JAAS configuration is {principal}", path = path.display())]
    CacheOfOther {
        /// Which.
        path: PathBuf,
        /// Whose.
        holder: String,
        /// Who was wanted.
        principal: String,
    },
    /// There is nothing in it any more.
    #[error("the credential cache {path} holds no valid ticket of {principal}{expired}: run kinit", path = path.display())]
    CacheExpired {
        /// Which.
        path: PathBuf,
        /// Who.
        principal: String,
        /// `, the last expired at ...`
        expired: String,
    },
    /// `krb5.conf` names no KDC.
    #[error(
        "no KDC of realm {realm} is known: write 'kdc = HOST' for it in [realms] of {config} (KDCs are not looked up \
         in DNS)",
        config = config.display()
    )]
    NoKdc {
        /// Of which realm.
        realm: String,
        /// Where it was looked for.
        config: PathBuf,
    },
    /// No KDC answered.
    #[error("no KDC of realm {realm} answers; tried: {tried}. Check kdc in krb5.conf, and the network")]
    Unreachable {
        /// Of which realm.
        realm: String,
        /// Each with what came of it.
        tried: String,
    },
    /// The KDC refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// No encryption type is left to ask for.
    #[error(
        "no encryption type is left to ask for: permitted_enctypes, default_tkt_enctypes or default_tgs_enctypes in \
         krb5.conf name none of aes256-cts-hmac-sha1-96, aes128-cts-hmac-sha1-96, aes256-cts-hmac-sha384-192, \
         aes128-cts-hmac-sha256-128 (DES and RC4 are not supported)"
    )]
    NoEtypes,
    /// The KDC asks for something we cannot do.
    #[error(
        "the KDC asks {principal} for a way to log in that is not supported (it offers {offered}); it takes an encrypted timestamp"
    )]
    Preauth {
        /// Who.
        principal: String,
        /// Numbers of its ways.
        offered: String,
    },
    /// The KDC's answer cannot be read with our key.
    #[error(
        "the answer of the KDC cannot be read with the {secret} of {principal}: it is not the one the KDC has"
    )]
    WrongKey {
        /// Who.
        principal: String,
        /// What we have.
        secret: String,
        /// What was found.
        #[source]
        source: CryptoError,
    },
    /// The way from realm to realm does not end.
    #[error(
        "the realms refer to each other without end on the way to {server}; check [domain_realm] and [capaths] in krb5.conf"
    )]
    Referrals {
        /// What for.
        server: String,
    },
    /// The KDC's answer is not to our question.
    #[error("the answer of a KDC of {realm} is not to our question: {what}")]
    NotOurs {
        /// Of which realm.
        realm: String,
        /// What differs.
        what: &'static str,
    },
    /// Bytes that are not what they should be.
    #[error("a message of Kerberos is damaged")]
    Damaged(#[from] DerError),
    /// Keys and what they should open.
    #[error("the keys of Kerberos do not fit")]
    Crypto(#[from] CryptoError),
    /// The broker's part of the conversation is wrong.
    #[error("the broker and we do not agree by GSSAPI: {0}")]
    Broker(&'static str),
    /// The broker refused our ticket.
    #[error("the broker refuses the ticket for {service}: {what}")]
    RefusedByBroker {
        /// Whose ticket it was.
        service: String,
        /// What it said.
        what: String,
    },
    /// The clock of this machine cannot be used.
    #[error("the clock of this machine shows a time before 1970")]
    Clock,
}

impl KerberosError {
    pub(super) fn config(path: &Path, source: io::Error) -> Self {
        Self::ConfigFile { path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether the same question may be answered differently soon, without anybody changing a setting.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotOurs { .. } | Self::Damaged(_) => true,
            Self::Refused(refusal) => refusal.is_transient(),
            _ => false,
        }
    }
}

/// What a KDC said, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `KDC_ERR_*`, `KRB_AP_ERR_*` (RFC 4120, 7.5.9)
    pub code: i32,
    /// The KDC's own words.
    pub text: Option<String>,
    /// Who we are.
    pub client: String,
    /// What we asked for.
    pub server: String,
    /// What we proved ourselves with, in words.
    pub secret: String,
    /// Seconds by which the KDC's clock is ahead of ours.
    pub ahead: i64,
    /// The encryption types we asked for.
    pub etypes: String,
}
