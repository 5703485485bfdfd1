//! The one place that opens a stream to a broker: name, addresses, socket options. TLS will join here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

use super::address::Address;
use super::error::NetError;
use super::options::ConnectionOptions;

/// What a connection reads from.
pub(super) type ReadHalf = OwnedReadHalf;
/// What a connection writes to.
pub(super) type WriteHalf = OwnedWriteHalf;

/// All the addresses of a host, each once, in the resolver's order.
pub(super) async fn resolve(
    address: &Address,
    options: &ConnectionOptions,
) -> Result<Vec<SocketAddr>, NetError> {
    let lookup = lookup_host((address.host.as_str(), address.port));
    let found = timeout(options.connect_timeout, lookup)
        .await
        .map_err(|_| timed_out(address, options))?
        .map_err(|source| NetError::Resolve { address: address.clone(), source: Arc::new(source) })?;
    let mut peers: Vec<SocketAddr> = Vec::new();
    for peer in found {
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    if peers.is_empty() { Err(NetError::NoAddresses { address: address.clone() }) } else { Ok(peers) }
}

/// Opens a stream to one address of the broker.
pub(super) async fn open(
    address: &Address,
    peer: SocketAddr,
    options: &ConnectionOptions,
) -> Result<(ReadHalf, WriteHalf), NetError> {
    let stream = timeout(options.connect_timeout, connect(peer, options))
        .await
        .map_err(|_| timed_out(address, options))?
        .map_err(|source| NetError::Connect { address: address.clone(), peer, source: Arc::new(source) })?;
    Ok(stream.into_split())
}

async fn connect(peer: SocketAddr, options: &ConnectionOptions) -> io::Result<TcpStream> {
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
    socket.connect(peer).await
}

fn timed_out(address: &Address, options: &ConnectionOptions) -> NetError {
    NetError::ConnectTimeout { address: address.clone(), after: options.connect_timeout }
}
