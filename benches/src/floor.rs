//! The floor: a user-space relay that copies the same number of bytes from one socket to another, 256 KB at a time.
//!
//! No mirror that copies through user space can use less. Only the relay runs in a process of its own; whoever
//! serves the bytes and whoever discards them belongs to the comparison and does not count.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use kmirror_tests::cache::scratch;
use kmirror_tests::process::Process;

use crate::measure::{Measure, PeakMemory};

/// What the relay reads and writes at once.
const CHUNK_BYTES: usize = 256 << 10;
/// The word that makes the comparison's own binary the relay process.
pub const RELAY_COMMAND: &str = "relay-process";

/// Measures the relay over `bytes` bytes.
pub fn run(bytes: u64, within: Duration) -> Result<Measure> {
    let source = TcpListener::bind("127.0.0.1:0")?;
    let target = TcpListener::bind("127.0.0.1:0")?;
    let addresses = [source.local_addr()?.to_string(), target.local_addr()?.to_string()];
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(RELAY_COMMAND).args(&addresses);
    let process = Process::spawn("relay", &mut command, &scratch("relay")?)?;
    let memory = PeakMemory::of(process.pid());
    let serve = thread::spawn(move || serve(&source, bytes));
    let discard = thread::spawn(move || discard(&target));
    let exit = process.wait(within)?;
    serve.join().ok().context("serving failed")??;
    let received = discard.join().ok().context("discarding failed")??;
    anyhow::ensure!(
        exit.status.success() && received == bytes,
        "the relay passed {received} of {bytes} bytes"
    );
    Ok(Measure {
        wall: exit.at.duration_since(process.started()).as_secs_f64(),
        cpu: exit.cpu().as_secs_f64(),
        peak_mb: memory.megabytes(),
        ..Measure::default()
    })
}

/// The relay process: connects to both sides, copies until the source ends.
pub fn relay(source: SocketAddr, target: SocketAddr) -> Result<()> {
    let (mut source, mut target) = (TcpStream::connect(source)?, TcpStream::connect(target)?);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        target.write_all(&buffer[..count])?;
    }
}

fn serve(listener: &TcpListener, bytes: u64) -> Result<()> {
    let (mut relay, _) = listener.accept()?;
    let block = vec![7; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let count = block.len().min(usize::try_from(left)?);
        relay.write_all(&block[..count])?;
        left -= u64::try_from(count)?;
    }
    Ok(())
}

fn discard(listener: &TcpListener) -> Result<u64> {
    let (mut relay, _) = listener.accept()?;
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match relay.read(&mut buffer)? {
            0 => return Ok(total),
            count => total += u64::try_from(count)?,
        }
    }
}
