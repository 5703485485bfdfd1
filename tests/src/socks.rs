//! A SOCKS5 proxy on loopback, gone when dropped: `pproxy`, which knows nothing of Kafka.

use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::artefacts::python_proxy;
use crate::cache::scratch;
use crate::kafka::free_port;
use crate::process::Process;

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// A running proxy.
pub struct SocksProxy {
    process: Process,
    address: String,
}

impl SocksProxy {
    /// Starts one that wants this user name and password.
    pub fn start(user: &str, password: &str) -> Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", python_proxy()?).env("PYTHONUNBUFFERED", "1");
        command.args(["-m", "pproxy", "-v", "-l"]).arg(format!("socks5://{address}#{user}:{password}"));
        let process = Process::spawn("socks", &mut command, &scratch("socks")?)?;
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            if process.exited().is_some() || begun.elapsed() > START {
                bail!("the proxy does not start: {}", process.tail(10));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { process, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it has connected somebody to this address.
    #[must_use]
    pub fn has_led_to(&self, address: &str) -> bool {
        let said = self.process.stdout() + &self.process.stderr();
        said.contains(&format!("-> {address}"))
    }
}
