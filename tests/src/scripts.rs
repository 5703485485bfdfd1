//! Runs the scripts under `tests/oracle` to their ends, by the one process that `serve.py` is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::artefacts::python_packages;
use crate::cache::{repository, scratch};
use crate::process::Process;

/// How long `serve.py` may take to start.
const START: Duration = Duration::from_secs(60);

/// Python on the script `tests/oracle/<script>.py`, with `confluent-kafka` at hand.
pub fn python(script: &str) -> Result<Command> {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", python_packages()?).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(repository().join(format!("tests/oracle/{script}.py")));
    Ok(command)
}

/// Runs a script and returns its standard output; an error with all it said when it fails.
pub fn run(script: &str, arguments: &[&str]) -> Result<String> {
    let (code, stdout, stderr) =
        answer(script, arguments).with_context(|| format!("{script}.py gave no answer"))?;
    if code != 0 {
        bail!("{script}.py {arguments:?} failed (exit code {code})\n{stdout}\n{stderr}");
    }
    Ok(stdout)
}

fn answer(script: &str, arguments: &[&str]) -> Result<(i32, String, String)> {
    let mut connection = TcpStream::connect(("127.0.0.1", port()?))?;
    let request = serde_json::to_string(&[&[script], arguments].concat())?;
    writeln!(connection, "{request}")?;
    let mut answer = BufReader::new(connection);
    let mut head = String::new();
    answer.read_line(&mut head)?;
    let (code, out, err): (i32, usize, usize) = serde_json::from_str(&head)?;
    let mut text = |length| -> Result<String> {
        let mut bytes = vec![0; length];
        answer.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((code, text(out)?, text(err)?))
}

/// Where `serve.py` listens; starts it when it does not run.
fn port() -> Result<u16> {
    static SERVER: Mutex<Option<(Process, u16)>> = Mutex::new(None);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((process, port)) = &*server
        && process.exited().is_none()
    {
        return Ok(*port);
    }
    let process = Process::spawn("serve", &mut python("serve")?, &scratch("oracle")?)?;
    let told = || process.stdout().strip_suffix('\n').and_then(|text| text.parse().ok());
    process.wait_until("it listened", START, || told().is_some())?;
    let port = told().context("serve.py named no port")?;
    *server = Some((process, port));
    Ok(port)
}
