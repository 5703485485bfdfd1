//! What counts beside the configuration file: other files, the environment. Whoever calls reads them; here they are
//! values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kmirror_protocol::Secret;

use super::java_options::JavaOptions;

/// What counts beside the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The JAAS file with the logins (`java.security.auth.login.config`), and what it holds.
    pub jaas: Option<(PathBuf, Provided)>,
    /// The Kerberos configuration (`java.security.krb5.conf`, `KRB5_CONFIG`); `/etc/krb5.conf` where there is none.
    pub krb5_conf: Option<PathBuf>,
    /// What the files hold that [`super::providers::wanted`] asked for.
    pub files: BTreeMap<PathBuf, Provided>,
    /// The environment variables that [`super::providers::wanted`] asked for, as far as they are set.
    pub variables: BTreeMap<String, Secret>,
    /// What was said to Java.
    pub java: JavaOptions,
}

/// What a file holds, or why it could not be read.
pub type Provided = Result<Secret, String>;

/// Kerberos configuration where nobody says another.
pub const KRB5_CONF: &str = "/etc/krb5.conf";
