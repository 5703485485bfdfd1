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
/// The providers, and what a password is called through them: a file of its own, or a line of one.
const PROVIDERS: [(&str, &str); 2] =
    [("secrets", "DirectoryConfigProvider"), ("lines", "FileConfigProvider")];
/// The file of the mounted secret, and the key of the line.
const FILE: &str = "password";
/// The file with the line.
const LINES: &str = "all.properties";

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
        let names = PROVIDERS.map(|(name, _)| name).join(",");
        PROVIDERS.iter().fold(properties.with("config.providers", &names), |properties, (name, class)| {
            let class = format!("org.apache.kafka.common.config.provider.{class}");
            properties.with(&format!("config.providers.{name}.class"), &class)
        })
    }

    /// What kmirror needs to know for logging in at the cluster it calls `alias`, beside the provider: by the file of the
    /// password.
    #[must_use]
    pub fn login(&self, properties: Properties, alias: &str) -> Properties {
        self.login_by(properties, alias, &format!("${{secrets:{}:{FILE}}}", self.secrets.display()))
    }

    /// The same by a line of a file.
    #[must_use]
    pub fn login_by_line(&self, properties: Properties, alias: &str) -> Properties {
        let file = self.secrets.join(LINES);
        self.login_by(properties, alias, &format!("${{lines:{}:{FILE}}}", file.display()))
    }

    fn login_by(&self, properties: Properties, alias: &str, password: &str) -> Properties {
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
        replace(&self.secrets.join(FILE), self.password().as_bytes())?;
        let line = format!("{FILE} = {}\n", self.password());
        replace(&self.secrets.join(LINES), line.as_bytes())
    }

    fn password(&self) -> String {
        format!("{}-s3cret", self.number)
    }
}
