//! Reading the file again while a mirror runs: limits change, everything else is told to need a restart.

use anyhow::anyhow;
use kmirror_engine::config::problem::ConfigErrors;
use kmirror_engine::config::reload::keys_that_need_a_restart;
use kmirror_engine::plan::Plan;
use kmirror_engine::{Mirror, chain};
use tracing::{error, info, warn};

use crate::args::FileArguments;
use crate::file;

/// The file, and what it said when the mirror was started.
pub(crate) struct Reload {
    file: FileArguments,
    running: String,
}

impl Reload {
    /// Remembers what the file said.
    pub(crate) fn new(file: &FileArguments, running: String) -> Self {
        Self { file: file.clone(), running }
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
            }
            Err(error) => error!("the file was read again and changes nothing: {}", chain(error.as_ref())),
        }
    }

    fn read(&self) -> anyhow::Result<(String, Plan)> {
        let text = file::text(&self.file)?;
        let told = |errors: ConfigErrors| {
            let errors: Vec<String> = errors.errors.iter().map(ToString::to_string).collect();
            anyhow!("{}", errors.join("; "))
        };
        let plan = file::parse(&self.file, &text).map_err(told)?;
        Ok((text, plan))
    }
}
