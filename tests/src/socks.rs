//! A SOCKS5 proxy on loopback, gone when dropped: `pproxy`, which knows nothing of Kafka.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

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
        process.wait_until("it listened", START, || TcpStream::connect(&address).is_ok())?;
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
