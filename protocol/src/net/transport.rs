//! The one place that opens a stream to a broker: name, addresses, socket options, proxy, TLS.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BufMut;
use tokio::io::{self as tokio_io, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::address::Address;
use super::error::NetError;
use super::facts::TlsFacts;
use super::options::ConnectionOptions;
use super::socks5;
use super::tls::{self, TlsError, TlsStream};

/// An open stream.
pub(super) struct Stream {
    pub(super) read: ReadHalf,
    pub(super) write: WriteHalf,
    pub(super) encryption: Option<Encryption>,
    pub(super) facts: Option<TlsFacts>,
}

/// What has to be known of a stream's TLS to explain its failures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encryption {
    has_identity: bool,
}

impl Encryption {
    /// What a failure of the stream says in TLS's own words.
    pub(super) fn explain(self, error: &io::Error) -> Option<TlsError> {
        tls::explain(error, self.has_identity)
    }
}

/// What a connection reads from.
pub(super) enum ReadHalf {
    Plain(OwnedReadHalf),
    Tls(tokio_io::ReadHalf<TlsStream>),
}

impl ReadHalf {
    /// Reads what there is, at least one byte; 0 at the end of the stream. Can be cancelled: nothing is lost.
    pub(super) async fn read_buf(&mut self, into: &mut impl BufMut) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(into).await,
            Self::Tls(stream) => stream.read_buf(into).await,
        }
    }
}

/// What a connection writes to.
pub(super) enum WriteHalf {
    Plain(OwnedWriteHalf),
    Tls(tokio_io::WriteHalf<TlsStream>),
}

impl WriteHalf {
    /// Writes some of what is there, at least one byte.
    pub(super) async fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write_vectored(slices).await,
            Self::Tls(stream) => stream.write_vectored(slices).await,
        }
    }

    /// Sees that all that was written leaves.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(stream) => stream.flush().await,
        }
    }
}

/// All the addresses of a host, each once, in the resolver's order. With a proxy they are the proxy's: it resolves the
/// names of brokers itself.
pub(super) async fn resolve(
    address: &Address,
    options: &ConnectionOptions,
) -> Result<Vec<SocketAddr>, NetError> {
    let address = options.route.proxy.as_ref().map_or(address, |proxy| &proxy.address);
    let lookup = lookup_host((address.host.as_str(), address.port));
    let found = timeout(options.connect_timeout, lookup)
        .await
        .map_err(|_| timed_out(address, options))?
        .map_err(|source| NetError::Resolve { address: address.clone(), source: Arc::new(source) })?;
    let mut peers: Vec<SocketAddr> = Vec::new();
    for peer in found {
        // From an address of the one kind nothing of the other can be reached.
        let reachable = options.route.bind.is_none_or(|bind| bind.is_ipv4() == peer.is_ipv4());
        if reachable && !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    if peers.is_empty() { Err(NetError::NoAddresses { address: address.clone() }) } else { Ok(peers) }
}

/// Opens a stream to one address of the broker, or of the proxy.
pub(super) async fn open(
    address: &Address,
    peer: SocketAddr,
    options: &ConnectionOptions,
) -> Result<Stream, NetError> {
    let stream = timeout(options.connect_timeout, reach(address, peer, options))
        .await
        .map_err(|_| timed_out(address, options))??;
    let Some(tls) = options.security.tls() else {
        let (read, write) = stream.into_split();
        return Ok(Stream {
            read: ReadHalf::Plain(read),
            write: WriteHalf::Plain(write),
            encryption: None,
            facts: None,
        });
    };
    // A broker that is busy takes its time for handshakes as for requests; Java sets them no limit of their own.
    let stream = tls.connect(&address.host, stream, options.request_timeout).await;
    let stream = stream.map_err(|source| NetError::tls(address, source))?;
    let encryption = Some(Encryption { has_identity: stream.has_identity() });
    let facts = Some(stream.facts());
    let (read, write) = tokio_io::split(stream);
    Ok(Stream { read: ReadHalf::Tls(read), write: WriteHalf::Tls(write), encryption, facts })
}

/// A stream that leads to the broker.
async fn reach(
    address: &Address,
    peer: SocketAddr,
    options: &ConnectionOptions,
) -> Result<TcpStream, NetError> {
    let mut stream = connect(address, peer, options).await?;
    if let Some(proxy) = &options.route.proxy {
        socks5::connect(&mut stream, proxy, address).await.map_err(|source| NetError::Proxy {
            address: address.clone(),
            proxy: proxy.address.clone(),
            source: Arc::new(source),
        })?;
    }
    Ok(stream)
}

async fn connect(
    address: &Address,
    peer: SocketAddr,
    options: &ConnectionOptions,
) -> Result<TcpStream, NetError> {
    let failed = |source| NetError::Connect { address: address.clone(), peer, source: Arc::new(source) };
    let socket = socket(peer, options).map_err(failed)?;
    if let Some(bind) = options.route.bind {
        socket.bind(SocketAddr::new(bind, 0)).map_err(|source| NetError::Bind {
            address: address.clone(),
            bind,
            source: Arc::new(source),
        })?;
    }
    socket.connect(peer).await.map_err(failed)
}

fn socket(peer: SocketAddr, options: &ConnectionOptions) -> io::Result<TcpSocket> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Before connecting: the window scale of the connection is settled then.
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn timed_out(address: &Address, options: &ConnectionOptions) -> NetError {
    NetError::ConnectTimeout { address: address.clone(), after: options.connect_timeout }
}
