//! The floor: a user-space relay that copies the same number of bytes from one socket to another, 256 KB at a time.
//!
//! Encrypted, it is a client of TLS on both sides, with the library and the settings that kmirror has.
//!
//! No mirror that copies through user space can use less. Only the relay runs in a process of its own; whoever
//! serves the bytes and whoever discards them belongs to the comparison and does not count.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use kmirror_tests::cache::scratch;
use kmirror_tests::process::Process;
use kmirror_tests::stores::Stores;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::measure::{Measure, PeakMemory};

/// What the relay reads and writes at once.
const CHUNK_BYTES: usize = 256 << 10;
/// The word that makes the comparison's own binary the relay process.
pub const RELAY_COMMAND: &str = "relay-process";

/// Measures the relay over `bytes` bytes; encrypted with the certificates of `stores`, if there are any.
pub fn run(bytes: u64, within: Duration, stores: Option<&Stores>) -> Result<Measure> {
    let source = TcpListener::bind("127.0.0.1:0")?;
    let target = TcpListener::bind("127.0.0.1:0")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(RELAY_COMMAND).args([source.local_addr()?.to_string(), target.local_addr()?.to_string()]);
    command.args(stores.map(|stores| stores.path("ca.pem")));
    let process = Process::spawn("relay", &mut command, &scratch("relay")?)?;
    let memory = PeakMemory::of(process.pid());
    let server = stores.map(server).transpose()?;
    let other = server.clone();
    let serve = thread::spawn(move || match server {
        Some(server) => serve(accept_tls(&source, server)?, bytes),
        None => serve(source.accept()?.0, bytes),
    });
    let discard = thread::spawn(move || match other {
        Some(server) => discard(accept_tls(&target, server)?),
        None => discard(target.accept()?.0),
    });
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

/// The relay process: connects to both sides, copies until the source ends. `trust` is the authority's certificate.
pub fn relay(source: SocketAddr, target: SocketAddr, trust: Option<&str>) -> Result<()> {
    let (source, target) = (TcpStream::connect(source)?, TcpStream::connect(target)?);
    let Some(trust) = trust else { return copy(source, target) };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trust)?)?;
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let encrypted = |stream| -> Result<_> {
        let name = ServerName::try_from("localhost")?;
        Ok(StreamOwned::new(ClientConnection::new(Arc::clone(&config), name)?, stream))
    };
    copy(encrypted(source)?, encrypted(target)?)
}

fn copy(mut source: impl Read, mut target: impl Write) -> Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = read(&mut source, &mut buffer)?;
        if count == 0 {
            return Ok(target.flush()?);
        }
        target.write_all(&buffer[..count])?;
    }
}

/// Zero at the end. Both who serves and the relay hang up without the goodbye of TLS.
fn read(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    from.read(buffer)
        .or_else(|error| if error.kind() == ErrorKind::UnexpectedEof { Ok(0) } else { Err(error) })
}

type Encrypted = StreamOwned<ServerConnection, TcpStream>;

fn server(stores: &Stores) -> Result<Arc<ServerConfig>> {
    let mut config = stores.server()?;
    // The relay only writes to one of them: closing with a ticket unread would reset the connection.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn accept_tls(listener: &TcpListener, server: Arc<ServerConfig>) -> Result<Encrypted> {
    let (stream, _) = listener.accept()?;
    Ok(StreamOwned::new(ServerConnection::new(server)?, stream))
}

fn serve(mut relay: impl Write, bytes: u64) -> Result<()> {
    let block = vec![7; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let count = block.len().min(usize::try_from(left)?);
        relay.write_all(&block[..count])?;
        left -= u64::try_from(count)?;
    }
    Ok(relay.flush()?)
}

fn discard(mut relay: impl Read) -> Result<u64> {
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match read(&mut relay, &mut buffer)? {
            0 => return Ok(total),
            count => total += u64::try_from(count)?,
        }
    }
}
