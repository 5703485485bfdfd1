//! The log: to standard error, in text or JSON, with a level for each module.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::args::{LogArguments, LogFormat};

/// Parts of kmirror as people name them, and the crates they are.
const PARTS: [(&str, &str); 3] =
    [("engine", "kmirror_engine"), ("protocol", "kmirror_protocol"), ("sandbox", "kmirror_sandbox")];

/// Begins to log.
///
/// # Errors
/// Levels that are none.
pub(crate) fn start(arguments: &LogArguments) -> anyhow::Result<()> {
    let filter = EnvFilter::builder()
        .parse(with_crates(&arguments.log))
        .with_context(|| format!("--log {}", arguments.log))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).init();
        }
    }
    Ok(())
}

/// `engine::flow=debug` is `kmirror_engine::flow=debug`.
fn with_crates(levels: &str) -> String {
    let directives: Vec<String> = levels.split(',').map(|directive| with_crate(directive.trim())).collect();
    directives.join(",")
}

fn with_crate(directive: &str) -> String {
    for (part, name) in PARTS {
        if let Some(rest) = directive.strip_prefix(part)
            && (rest.starts_with("::") || rest.starts_with('='))
        {
            return format!("{name}{rest}");
        }
    }
    directive.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_for_crates() {
        assert_eq!(with_crates("info"), "info");
        assert_eq!(with_crates("warn, engine=debug"), "warn,kmirror_engine=debug");
        assert_eq!(
            with_crates("engine::flow=trace,protocol=off"),
            "kmirror_engine::flow=trace,kmirror_protocol=off"
        );
        assert_eq!(with_crates("engineer=info"), "engineer=info");
    }

    #[test]
    fn levels_that_are_none() {
        assert!(EnvFilter::builder().parse(with_crates("engine=loud")).is_err());
        assert!(EnvFilter::builder().parse(with_crates("debug,engine::flow=trace")).is_ok());
    }
}
