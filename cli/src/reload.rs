//! Reading the file again while a mirror runs: limits and secrets change, everything else is told to need a restart.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use kmirror_engine::config::problem::ConfigErrors;
use kmirror_engine::config::reload::keys_that_need_a_restart;
use kmirror_engine::plan::Plan;
use kmirror_engine::{Mirror, chain};
use tracing::{error, info, warn};
use zeroize::Zeroizing;

use crate::args::FileArguments;
use crate::file;
use crate::surroundings::{self, Watched};

/// How often the files are looked at that secrets are in: those of configuration providers and the JAAS file.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(5);

/// The file, and what it said when the mirror was started.
pub(crate) struct Reload {
    file: FileArguments,
    running: Zeroizing<String>,
    watched: Mutex<Watched>,
}

impl Reload {
    /// Remembers what the file said, and how the files beside it were.
    pub(crate) fn new(file: &FileArguments, running: Zeroizing<String>, watched: Watched) -> Self {
        Self { file: file.clone(), running, watched: Mutex::new(watched) }
    }

    /// Waits until a file beside the configuration is another than it was.
    pub(crate) async fn changed(&self) {
        loop {
            tokio::time::sleep(LOOK_AT_FILES_EVERY).await;
            if self.watched.lock().unwrap_or_else(PoisonError::into_inner).look_again() {
                return;
            }
        }
    }

    /// Reads the file again. One that cannot be read, or is wrong, changes nothing.
    pub(crate) fn apply(&self, mirror: &Mirror) {
        match self.read() {
            Ok((text, plan)) => {
                let keys = keys_that_need_a_restart(&self.running, &text);
                if !keys.is_empty() {
                    warn!(
                        "the file was read again; these keys have no effect before a restart: {}",
                        keys.join(", ")
                    );
                }
                for flow in plan.enabled_flows() {
                    let limits = flow.limits.clone();
                    let described = limits.describe();
                    if mirror.set_limits(flow.source.as_str(), flow.target.as_str(), limits) {
                        info!(flow = flow.name(), "limits as read again: {described}");
                    }
                }
                secure(mirror, &plan);
            }
            Err(error) => error!("the file was read again and changes nothing: {}", chain(error.as_ref())),
        }
    }

    fn read(&self) -> anyhow::Result<(Zeroizing<String>, Plan)> {
        let text = file::text(&self.file)?;
        let (surroundings, watched) = surroundings::read(&self.file, &text);
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = watched;
        let told = |errors: ConfigErrors| {
            let errors: Vec<String> = errors.errors.iter().map(ToString::to_string).collect();
            anyhow!("{}", errors.join("; "))
        };
        let plan = file::parse(&self.file, &text, surroundings).map_err(told)?;
        Ok((text, plan))
    }
}

fn secure(mirror: &Mirror, plan: &Plan) {
    let change = mirror.set_security(plan);
    for (alias, security, _) in &change.changed {
        let protocol = security.settings().protocol();
        info!(cluster = alias.as_str(), "secured as read again ({protocol}), from the next connection on");
    }
    for alias in &change.needs_restart {
        warn!(
            cluster = alias.as_str(),
            "how its connections are secured, and their way (kmirror.socks5.*, kmirror.bind.address), changes only at a restart"
        );
    }
}
