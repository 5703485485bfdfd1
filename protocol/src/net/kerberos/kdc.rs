//! Talks to KDCs: UDP and TCP, one KDC after the other, each try with a limit of time and size.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

use super::conf::Conf;
use super::error::KerberosError;
use super::messages::KrbError;
use super::refusal;

/// Where KDCs listen.
const PORT: u16 = 88;
/// KDCs of a realm, and addresses of one, that are tried.
const MAX_KDCS: usize = 16;
const MAX_ADDRESSES: usize = 4;
/// The largest answer, in bytes: a ticket with the groups of a large directory has some tens of kilobytes.
const MAX_ANSWER: usize = 1 << 20;
/// The largest datagram.
const MAX_DATAGRAM: usize = 65_536;
/// How long finding an address may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// Who is silent is asked again, for longer; TCP in between serves where datagrams do not get through.
const UDP_FIRST: [(Transport, Duration); 4] = [
    (Transport::Udp, Duration::from_secs(1)),
    (Transport::Tcp, TCP_PATIENCE),
    (Transport::Udp, Duration::from_secs(2)),
    (Transport::Udp, Duration::from_secs(4)),
];
const TCP_FIRST: [(Transport, Duration); 3] = [
    (Transport::Tcp, TCP_PATIENCE),
    (Transport::Udp, Duration::from_secs(1)),
    (Transport::Udp, Duration::from_secs(3)),
];
const TCP_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

/// Sends `message` to the KDCs of `realm`, in the order of `conf`, until one answers.
pub(super) async fn ask(
    conf: &Conf,
    config: &Path,
    realm: &str,
    message: &[u8],
) -> Result<Vec<u8>, KerberosError> {
    let kdcs: Vec<&str> = conf.kdcs(realm).into_iter().take(MAX_KDCS).collect();
    if kdcs.is_empty() {
        return Err(KerberosError::NoKdc { realm: realm.to_owned(), config: config.to_owned() });
    }
    let over_tcp = message.len() > conf.udp_preference_limit();
    let rounds: &[(Transport, Duration)] = if over_tcp { &TCP_FIRST } else { &UDP_FIRST };
    let mut tried: Vec<String> = Vec::new();
    for (transport, patience) in rounds {
        for kdc in &kdcs {
            match ask_one(kdc, *transport, *patience, message).await {
                Ok(answer) => return Ok(answer),
                Err(what) => {
                    tracing::debug!(kdc, ?transport, what, "a KDC does not answer");
                    let what = format!("{kdc} by {transport:?} ({what})");
                    if !tried.contains(&what) {
                        tried.push(what);
                    }
                }
            }
        }
    }
    Err(KerberosError::Unreachable { realm: realm.to_owned(), tried: tried.join(", ") })
}

/// One KDC's answer, or why there is none.
async fn ask_one(
    kdc: &str,
    transport: Transport,
    patience: Duration,
    message: &[u8],
) -> Result<Vec<u8>, String> {
    let (host, port) =
        host_and_port(kdc).ok_or("this is no address; KDC proxies (https) are not supported")?;
    let lookup = timeout(LOOKUP, lookup_host((host, port))).await;
    let found = lookup.map_err(|_| "its name is not found in time")?;
    let mut last = "its name has no address".to_owned();
    for address in found.map_err(|_| "its name is not found")?.take(MAX_ADDRESSES) {
        let answer = match transport {
            Transport::Udp => over_udp(address, patience, message).await,
            Transport::Tcp => over_tcp(address, patience, message).await,
        };
        match answer.map(|answer| (code(&answer), answer)) {
            Ok((Some(refusal::SERVICE_UNAVAILABLE), _)) => last = "it is not available".to_owned(),
            Ok((Some(refusal::RESPONSE_TOO_BIG), _)) if transport == Transport::Udp => {
                match over_tcp(address, TCP_PATIENCE, message).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => last = format!("its answer is too large, and by Tcp: {}", in_words(&error)),
                }
            }
            Ok((_, answer)) => return Ok(answer),
            Err(error) => last = in_words(&error),
        }
    }
    Err(last)
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

/// The code of an answer that is an error.
fn code(answer: &[u8]) -> Option<i32> {
    KrbError::parse(answer).ok().map(|error| error.code)
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn over_udp(kdc: SocketAddr, patience: Duration, message: &[u8]) -> io::Result<Vec<u8>> {
    let own: SocketAddr =
        if kdc.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(own).await?;
    // Takes datagrams of the KDC only, and learns when nobody listens there.
    socket.connect(kdc).await?;
    socket.send(message).await?;
    let mut answer = vec![0; MAX_DATAGRAM];
    let length = within(patience, socket.recv(&mut answer)).await?;
    answer.truncate(length);
    Ok(answer)
}

/// Four bytes of length go before each message (RFC 4120, 7.2.2).
async fn over_tcp(kdc: SocketAddr, patience: Duration, message: &[u8]) -> io::Result<Vec<u8>> {
    within(patience, async {
        let mut stream = TcpStream::connect(kdc).await?;
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
        let length = usize::try_from(stream.read_u32().await?).map_err(io::Error::other)?;
        if length > MAX_ANSWER {
            return Err(io::Error::other(format!("an answer of {length} bytes is too large")));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    })
    .await
}

/// The parts of `host`, `host:port`, `[ipv6]:port`, `ipv6`.
fn host_and_port(kdc: &str) -> Option<(&str, u16)> {
    if let Some(rest) = kdc.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = if rest.is_empty() { PORT } else { rest.strip_prefix(':')?.parse().ok()? };
        return Some((host, port));
    }
    let (host, port) = match kdc.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()?),
        _ => (kdc, PORT),
    };
    (!host.is_empty() && !host.contains('/')).then_some((host, port))
}

#[cfg(test)]
mod tests;
