//! The password kmirror logs in with at a cluster, which is changed while it runs. Knows no plan and no time.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cache::scratch;
use crate::faults::plan::Fault;
use crate::faults::trouble::{Outcome, Patient};
use crate::kmirror::Properties;
use crate::oracle;

/// Who kmirror is.
const USER: &str = "mirror";
/// What verifies passwords, at the brokers, and tells them, at kmirror.
pub const LOGIN_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required";
/// The class of the provider `secrets`.
pub const PROVIDER: &str = "org.apache.kafka.common.config.provider.DirectoryConfigProvider";
/// The file of the mounted secret.
const FILE: &str = "password";
/// How long a cluster in trouble may refuse to change a password.
const CHANGED_WITHIN: Duration = Duration::from_secs(180);

/// A cluster's password of the moment, at its brokers and in a directory as Kubernetes mounts it.
pub struct Passwords {
    /// The cluster's addresses, past the proxies.
    near: String,
    secrets: PathBuf,
    number: u32,
}

impl Passwords {
    /// Gives the user its first password.
    pub fn first(near: &str) -> Result<Self> {
        let first = Self { near: near.to_owned(), secrets: scratch("secrets")?, number: 1 };
        first.change()?;
        first.hand_out()?;
        Ok(first)
    }

    /// What kmirror needs to know for logging in at the cluster it calls `alias`, beside [`PROVIDER`].
    #[must_use]
    pub fn login(&self, properties: Properties, alias: &str) -> Properties {
        let password = format!("${{secrets:{}:{FILE}}}", self.secrets.display());
        let login = format!("{LOGIN_MODULE} username=\"{USER}\" password=\"{password}\";");
        properties
            .with(&format!("{alias}.security.protocol"), "SASL_PLAINTEXT")
            .with(&format!("{alias}.sasl.mechanism"), "SCRAM-SHA-512")
            .with(&format!("{alias}.sasl.jaas.config"), &login)
    }

    fn password(&self) -> String {
        format!("password-{}", self.number)
    }

    /// At the brokers.
    fn change(&self) -> Result<()> {
        oracle::ask("scram", &[&self.near, USER, &self.password()]).map(drop)
    }

    /// To kmirror: one file takes the place of the other.
    fn hand_out(&self) -> Result<()> {
        let new = self.secrets.join("..new");
        fs::write(&new, self.password())?;
        fs::rename(new, self.secrets.join(FILE)).context("the password file")
    }
}

/// From the change at the brokers until the file tells it, whoever connects or has to authenticate again is refused.
impl Patient for Passwords {
    fn inject(&mut self, _: Fault) -> Result<Outcome> {
        self.number += 1;
        // A cluster in trouble may have done it or not when it says no: it is done again before anybody is told.
        self.change().ok();
        Ok(Outcome::Done)
    }

    fn heal(&mut self, _: Fault) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.change() {
            if begun.elapsed() > CHANGED_WITHIN {
                bail!("the password cannot be changed: {error:#}");
            }
        }
        self.hand_out()
    }
}
