//! A real Kerberos realm on loopback: MIT's KDC with a database, ports and files of its own, gone when dropped.
//!
//! Debian's `krb5-kdc`, `krb5-admin-server` and `krb5-user`; nothing of the system's own Kerberos is read or written.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::scratch;
use crate::kafka::free_port;
use crate::process::{Process, run};

/// The realm of every [`Kdc`].
pub const REALM: &str = "KMIRROR.TEST";

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// A running KDC.
pub struct Kdc {
    directory: PathBuf,
    port: u16,
    starts: u32,
    environment: Vec<(&'static str, String)>,
    process: Option<Process>,
}

impl Kdc {
    /// Makes a realm without principals, and starts its KDC.
    pub fn start() -> Result<Self> {
        let directory = scratch("kdc")?;
        let port = free_port()?;
        let mut kdc = Self { directory, port, starts: 0, environment: Vec::new(), process: None };
        kdc.write_files()?;
        run(kdc.command("kdb5_util").args(["create", "-s", "-P", "of-the-database", "-r", REALM]))?;
        kdc.resume()?;
        Ok(kdc)
    }

    fn write_files(&self) -> Result<()> {
        let own = self.directory.display();
        let kdc = format!(
            "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n{REALM} = {{\n\
             database_name = {own}/principals\nkey_stash_file = {own}/stash\nacl_file = {own}/acl\n\
             max_life = 24h\nmax_renewable_life = 7d\ndefault_principal_flags = +preauth\n\
             supported_enctypes = aes256-cts-hmac-sha384-192:normal aes128-cts-hmac-sha256-128:normal \
             aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n}}\n",
            port = self.port
        );
        fs::write(self.directory.join("kdc.conf"), kdc)?;
        self.write_config("krb5.conf", "").map(drop)
    }

    /// A `krb5.conf` of this realm, with further lines in `[libdefaults]`.
    pub fn write_config(&self, name: &str, libdefaults: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let text = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\nrdns = false\n\
             dns_canonicalize_hostname = false\n{libdefaults}\n[realms]\n{REALM} = {{\nkdc = 127.0.0.1:{}\n}}\n",
            self.port
        );
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The `krb5.conf` for those who need nothing special.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.join("krb5.conf")
    }

    /// Where files of this realm may be made.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A command of MIT's that knows this realm only.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Debian keeps some of them where only root looks.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("KRB5_CONFIG", self.config());
        command.env("KRB5_KDC_PROFILE", self.directory.join("kdc.conf"));
        command
    }

    /// Runs lines of `kadmin.local`, such as `addprinc -randkey kafka/localhost`.
    pub fn administer(&self, lines: &[&str]) -> Result<()> {
        for line in lines {
            run(self.command("kadmin.local").args(["-r", REALM, "-q", line]))
                .with_context(|| format!("kadmin: {line}"))?;
        }
        Ok(())
    }

    /// Makes the principals, with random keys, and a key tab of those keys. `salts` as `ktadd -e` takes them.
    pub fn keytab(&self, name: &str, principals: &[&str], salts: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        for principal in principals {
            let add = format!("addprinc -randkey {principal}");
            let export = format!("ktadd -k {} -e {salts} {principal}", path.display());
            self.administer(&[&add, &export])?;
        }
        // kadmin says what went wrong, and ends well all the same.
        path.is_file().then_some(path).with_context(|| format!("no key tab of {principals:?} was written"))
    }

    /// What `kinit` with a key tab leaves: a credential cache.
    pub fn log_in(&self, keytab: &Path, principal: &str, name: &str, options: &[&str]) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let mut kinit = self.command("kinit");
        kinit.arg("-k").arg("-t").arg(keytab).arg("-c").arg(&path).args(options).arg(principal);
        run(&mut kinit)?;
        Ok(path)
    }

    /// Gives the KDC further environment variables from its next start on, instead of those it had.
    pub fn set_environment(&mut self, variables: &[(&'static str, String)]) {
        self.environment = variables.to_vec();
    }

    /// Ends the KDC.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop(Duration::from_secs(10)).map(drop),
            None => Ok(()),
        }
    }

    /// Starts it again.
    pub fn resume(&mut self) -> Result<()> {
        self.starts += 1;
        let mut command = self.command("krb5kdc");
        command.args(["-n", "-r", REALM]).arg("-P").arg(self.directory.join("kdc.pid"));
        command.envs(self.environment.iter().cloned());
        // A log of its own for each start, or the old one would say that it listens.
        let process = Process::spawn(&format!("krb5kdc-{}", self.starts), &mut command, &self.directory)?;
        process.wait_until("it listened", START, || {
            (process.stdout() + &process.stderr()).contains("starting")
        })?;
        self.process = Some(process);
        Ok(())
    }
}

/// A JAAS configuration of `Krb5LoginModule` in one line, as `sasl.jaas.config` takes it.
#[must_use]
pub fn jaas(options: &[(&str, &str)]) -> String {
    let mut line = "com.sun.security.auth.module.Krb5LoginModule required".to_owned();
    for (name, value) in options {
        write!(line, " {name}=\"{value}\"").ok();
    }
    line + ";"
}
