//! `kmirror status`: who mirrors what, and how far that is. Asks the clusters, so that it works from any host, and writes
//! nothing.

mod json;
mod text;

use std::io::Write;

use kmirror_engine::chain;
use kmirror_engine::share::view::{FlowView, look};
use tracing::error;

use crate::args::FileArguments;
use crate::block_on;
use crate::exit::Exit;
use crate::file::{chosen, plan_or_exit};

/// One flow's name, and how it stands or why that is not known.
struct Flow {
    name: String,
    result: Result<FlowView, String>,
}

/// How it is to be told.
pub(crate) struct Asked<'a> {
    /// Only this flow.
    pub(crate) flow: Option<&'a str>,
    /// Each partition, not only each topic.
    pub(crate) partitions: bool,
    /// For programs; each partition is told there in any case.
    pub(crate) json: bool,
}

/// Looks, writes what was found, and says how the process ends.
///
/// # Errors
/// When the file cannot be read, names no such flow, or the report cannot be written.
pub(crate) fn status(file: &FileArguments, asked: &Asked<'_>, out: &mut impl Write) -> anyhow::Result<Exit> {
    let plan = match plan_or_exit(file)? {
        Ok(plan) => plan,
        Err(exit) => return Ok(exit),
    };
    let flows = chosen(&plan, asked.flow)?;
    let found = block_on(async {
        let mut found = Vec::with_capacity(flows.len());
        for flow in flows {
            let result = look(flow).await.map_err(|error| chain(&error));
            found.push(Flow { name: flow.name(), result });
        }
        found
    })?;
    if asked.json {
        json::write(&found, out)?;
    } else {
        text::write(&found, asked.partitions, out)?;
    }
    let mut exit = Exit::Success;
    for (flow, error) in found.iter().filter_map(|flow| Some((flow, flow.result.as_ref().err()?))) {
        error!(flow = flow.name, "{error}");
        exit = Exit::StartFailed;
    }
    Ok(exit)
}
