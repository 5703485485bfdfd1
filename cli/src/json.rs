//! How reports are written for programs.

use std::io::Write;

use serde_json::Value;

/// Writes a document, indented, with a line end behind it.
pub(crate) fn print(value: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value).map_err(std::io::Error::from)?;
    Ok(writeln!(out)?)
}
