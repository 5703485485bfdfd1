//! An encrypted stream: the handshake, and the farewell.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::certificate::{Certificate, Moment};
use super::error::{TlsError, explain};
use super::load::Loaded;
use super::records::{Records, Waits};
use super::settings::TlsSettings;
use crate::net::facts::{Shown, TlsFacts};

/// A TCP stream with TLS. Says goodbye (`close_notify`) when dropped, as far as that needs no waiting.
pub(crate) struct TlsStream {
    socket: TcpStream,
    records: Records,
    has_identity: bool,
}

impl TlsStream {
    /// Whether we had a certificate to show.
    pub(crate) fn has_identity(&self) -> bool {
        self.has_identity
    }

    /// How it is encrypted.
    pub(crate) fn facts(&self) -> TlsFacts {
        let session = self.records.session();
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
        let session = self.records.session();
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
    TlsStream::shake_hands(loaded, name, stream).await.map_err(|error| {
        explain(&error, loaded.has_identity).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => TlsError::ClosedInHandshake,
            _ => TlsError::Io(Arc::new(error)),
        })
    })
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

impl TlsStream {
    async fn shake_hands(loaded: &Loaded, name: ServerName<'static>, socket: TcpStream) -> io::Result<Self> {
        let records = Records::new(Arc::clone(&loaded.config), name).map_err(io::Error::other)?;
        let mut stream = Self { socket, records, has_identity: loaded.has_identity };
        loop {
            let waits = stream.open(&mut ReadBuf::new(&mut []))?;
            poll_fn(|context| stream.poll_send(context)).await?;
            if waits == Waits::ForTraffic {
                return Ok(stream);
            }
            if poll_fn(|context| stream.poll_receive(context)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Decrypts what came. What there is to say about a failure is sent if that needs no waiting: who waits to write is
    /// somebody else.
    fn open(&mut self, into: &mut ReadBuf<'_>) -> io::Result<Waits> {
        let opened = self.records.open(into);
        if opened.is_err() {
            self.send_at_once();
        }
        opened.map_err(broken)
    }

    /// Sends what the socket takes.
    fn send_at_once(&mut self) {
        while let Some(sent) = self.socket.try_write(self.records.to_send()).ok().filter(|sent| *sent > 0) {
            self.records.sent(sent);
        }
    }

    /// Takes up what the socket has; how many bytes.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(self.records.room());
        if room.remaining() == 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut room))?;
        let came = room.filled().len();
        self.records.came(came);
        Poll::Ready(Ok(came))
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.records.to_send().is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(context, self.records.to_send()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.records.sent(sent),
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            self.open(buffer)?;
            if buffer.filled().len() > before || buffer.remaining() == 0 || self.records.is_over() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(context))? == 0 {
                // Closed without a goodbye. Frames have lengths, so that nothing is taken for whole that is not.
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(context))?;
        let taken = self.records.seal(slices).map_err(broken)?;
        // What does not leave now does so before the next.
        match self.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Drop for TlsStream {
    fn drop(&mut self) {
        self.records.farewell();
        self.send_at_once();
    }
}
