//! An encrypted stream: the handshake, and the farewell.

use std::io::{self, IoSlice, Write};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client;

use super::certificate::{Certificate, Moment};
use super::error::{TlsError, explain};
use super::load::Loaded;
use super::settings::TlsSettings;
use crate::net::facts::{Shown, TlsFacts};

/// A TCP stream with TLS. Says goodbye (`close_notify`) when dropped, as far as that needs no waiting.
#[derive(Debug)]
pub(crate) struct TlsStream {
    inner: client::TlsStream<Ahead>,
    has_identity: bool,
}

/// rustls asks for 4 KB at a time, a quarter of a record: what the socket has is read at once, and given to it in pieces.
type Ahead = BufReader<TcpStream>;

/// How much is read at once. With more than a few records nothing is gained.
const READ_AHEAD_BYTES: usize = 64 << 10;

impl TlsStream {
    /// Whether we had a certificate to show.
    pub(crate) fn has_identity(&self) -> bool {
        self.has_identity
    }

    /// How it is encrypted.
    pub(crate) fn facts(&self) -> TlsFacts {
        let (_, session) = self.inner.get_ref();
        let version = session.protocol_version().and_then(|version| version.as_str());
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let shown = session.peer_certificates().unwrap_or_default().iter();
        let chain = shown.filter_map(|certificate| Certificate::read(certificate)).map(|certificate| Shown {
            subject: certificate.subject,
            not_after: Moment(certificate.not_after),
        });
        TlsFacts {
            version: version.unwrap_or_default().to_owned(),
            suite: suite.unwrap_or_default().to_owned(),
            chain: chain.collect(),
        }
    }

    /// The broker's own certificate (DER).
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        let (_, session) = self.inner.get_ref();
        session.peer_certificates()?.first().map(|certificate| certificate.as_ref())
    }
}

/// Shakes hands with `host`.
pub(super) async fn handshake(
    loaded: &Loaded,
    settings: &TlsSettings,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream, TlsError> {
    let name = server_name(host, settings, &stream)?;
    let connector = TlsConnector::from(Arc::clone(&loaded.config));
    match connector.connect(name, Ahead::with_capacity(READ_AHEAD_BYTES, stream)).await {
        Ok(inner) => Ok(TlsStream { inner, has_identity: loaded.has_identity }),
        Err(error) => Err(explain(&error, loaded.has_identity).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => TlsError::ClosedInHandshake,
            _ => TlsError::Io(Arc::new(error)),
        })),
    }
}

/// What the certificate must be for; it is told to the broker (SNI) if it is no address.
fn server_name(
    host: &str,
    settings: &TlsSettings,
    stream: &TcpStream,
) -> Result<ServerName<'static>, TlsError> {
    // The zone of an IPv6 address is known on this host only.
    let bare = host.split_once('%').map_or(host, |(address, _)| address);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(ServerName::from(address));
    }
    if let Ok(name) = ServerName::try_from(host.to_owned()) {
        return Ok(name);
    }
    match stream.peer_addr() {
        Ok(peer) if !settings.checks_host_name => Ok(ServerName::from(peer.ip())),
        _ => Err(TlsError::HostName { host: host.to_owned() }),
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        let (stream, session) = self.inner.get_mut();
        session.send_close_notify();
        session.write_tls(&mut WithoutWaiting(stream.get_ref())).ok();
    }
}

/// Writes what the socket takes at once.
struct WithoutWaiting<'a>(&'a TcpStream);

impl Write for WithoutWaiting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
