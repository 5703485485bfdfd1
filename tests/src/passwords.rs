//! The password kmirror logs in with at a cluster, which is changed while it runs. Knows no plan and no time.

use std::path::PathBuf;

use anyhow::Result;

use crate::cache::{replace, scratch};
use crate::kmirror::Properties;
use crate::oracle;

/// Who kmirror is.
const USER: &str = "mirror";
/// What verifies passwords, at the brokers, and tells them, at kmirror.
pub const LOGIN_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required";
/// The class of the provider `secrets`.
const PROVIDER: &str = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";
/// The file of the mounted secret.
const FILE: &str = "password";

/// A cluster's password of the moment, at its brokers and in a directory as Kubernetes mounts it.
pub struct Passwords {
    /// The cluster's addresses on a listener that is open.
    bootstrap: String,
    secrets: PathBuf,
    number: u32,
}

impl Passwords {
    /// Gives the user its first password.
    pub fn first(bootstrap: &str) -> Result<Self> {
        let first = Self { bootstrap: bootstrap.to_owned(), secrets: scratch("secrets")?, number: 1 };
        first.change()?;
        first.hand_out()?;
        Ok(first)
    }

    /// What kmirror needs to know for reading any of them; once in a file.
    #[must_use]
    pub fn provider(properties: Properties) -> Properties {
        properties.with("config.providers", "secrets").with("config.providers.secrets.class", PROVIDER)
    }

    /// What kmirror needs to know for logging in at the cluster it calls `alias`, beside the provider.
    #[must_use]
    pub fn login(&self, properties: Properties, alias: &str) -> Properties {
        let password = format!("${{secrets:{}:{FILE}}}", self.secrets.display());
        let login = format!("{LOGIN_MODULE} username=\"{USER}\" password=\"{password}\";");
        properties
            .with(&format!("{alias}.security.protocol"), "SASL_PLAINTEXT")
            .with(&format!("{alias}.sasl.mechanism"), "SCRAM-SHA-512")
            .with(&format!("{alias}.sasl.jaas.config"), &login)
    }

    /// Another password from now on, of which nobody knows before [`Self::change`] and [`Self::hand_out`].
    pub fn choose(&mut self) {
        self.number += 1;
    }

    /// Tells it the brokers.
    pub fn change(&self) -> Result<()> {
        oracle::ask("scram", &[&self.bootstrap, USER, &self.password()]).map(drop)
    }

    /// Tells it kmirror.
    pub fn hand_out(&self) -> Result<()> {
        replace(&self.secrets.join(FILE), self.password().as_bytes())
    }

    fn password(&self) -> String {
        format!("{}-s3cret", self.number)
    }
}
