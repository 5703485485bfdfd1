//! TLS between two buffers: what came from the broker and what leaves for it. Knows no sockets.
//!
//! rustls's own buffers (`ClientConnection`) are filled 4 KB at a time, and all that is there of a record is moved with each
//! of them; beside kmirror's other work that was a fifth of all CPU (`benches/RESULTS.md`).

use std::io::IoSlice;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::client::{ClientConfig, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};
use tokio::io::ReadBuf;

/// What may have come and not been decrypted: the longest handshake message that rustls takes (64 KB) and a record.
const INCOMING_BYTES: usize = 96 << 10;
/// What is encrypted at a time.
const SEALED_BYTES: usize = 64 << 10;
/// The most that one record carries (RFC 8446, section 5.1).
const RECORD_BYTES: usize = 16 << 10;
/// Room for what is encrypted at a time, with what each record adds; it grows should rustls ask for more.
const OUTGOING_BYTES: usize = SEALED_BYTES + (4 << 10);

/// What rustls waits for when there is nothing left to take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// For more of the handshake.
    ForHandshake,
    /// For nothing: records may go both ways.
    ForTraffic,
}

/// One connection's state, and its records.
pub(super) struct Records {
    session: UnbufferedClientConnection,
    incoming: Buffer,
    outgoing: Buffer,
    /// Decrypted, and not asked for yet: at most what `incoming` had.
    rest: BytesMut,
    /// Small pieces that leave in one record.
    gathered: Vec<u8>,
    is_over: bool,
    /// rustls must not be asked again behind a failure: it panics should there be a second to tell the broker of.
    failed: Option<Error>,
}

impl Records {
    pub(super) fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, Error> {
        Ok(Self {
            session: UnbufferedClientConnection::new(config, name)?,
            incoming: Buffer::new(INCOMING_BYTES),
            outgoing: Buffer::new(OUTGOING_BYTES),
            rest: BytesMut::new(),
            gathered: Vec::new(),
            is_over: false,
            failed: None,
        })
    }

    pub(super) fn session(&self) -> &CommonState {
        &self.session
    }

    /// Whether the broker has said goodbye: nothing comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Where to put what comes; empty only where the broker sends what is no TLS.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.incoming.room()
    }

    /// So many bytes came.
    pub(super) fn came(&mut self, bytes: usize) {
        self.incoming.fill(bytes);
    }

    /// What is to be sent.
    pub(super) fn to_send(&self) -> &[u8] {
        self.outgoing.filled()
    }

    /// So much of it was.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.outgoing.consume(bytes);
    }

    /// Decrypts what came, until `into` is full or no whole record is left. What came before a failure is handed out first.
    pub(super) fn open(&mut self, into: &mut ReadBuf<'_>) -> Result<Waits, Error> {
        let before = into.filled().len();
        let fits = self.rest.len().min(into.remaining());
        into.put_slice(&self.rest.split_to(fits));
        loop {
            if into.remaining() == 0 && into.capacity() > 0 {
                return Ok(Waits::ForTraffic);
            }
            match &self.failed {
                Some(error) if into.filled().len() == before => return Err(error.clone()),
                Some(_) => return Ok(Waits::ForTraffic),
                None => {}
            }
            match self.step(into) {
                Ok(None) => {}
                Ok(Some(waits)) => return Ok(waits),
                Err(error) => {
                    self.alert();
                    self.failed = Some(error);
                }
            }
        }
    }

    /// Encrypts some of the slices, behind what is to be sent already; how many of their bytes.
    pub(super) fn seal(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Error> {
        self.open(&mut ReadBuf::new(&mut []))?;
        let UnbufferedStatus { discard: 0, state: Ok(ConnectionState::WriteTraffic(mut traffic)) } =
            self.session.process_tls_records(self.incoming.filled_mut())
        else {
            return Err(Error::HandshakeNotComplete);
        };
        let mut taken = 0;
        for slice in slices {
            let mut bytes = slice.get(..SEALED_BYTES - taken).unwrap_or(slice);
            while !bytes.is_empty() {
                let now;
                if self.gathered.is_empty() && bytes.len() >= RECORD_BYTES {
                    (now, bytes) = bytes.split_at(bytes.len() - bytes.len() % RECORD_BYTES);
                    encrypt(&mut traffic, now, &mut self.outgoing)?;
                } else {
                    (now, bytes) = bytes.split_at(bytes.len().min(RECORD_BYTES - self.gathered.len()));
                    self.gathered.extend_from_slice(now);
                }
                if self.gathered.len() == RECORD_BYTES {
                    encrypt(&mut traffic, &self.gathered, &mut self.outgoing)?;
                    self.gathered.clear();
                }
                taken += now.len();
            }
        }
        encrypt(&mut traffic, &self.gathered, &mut self.outgoing)?;
        self.gathered.clear();
        Ok(taken)
    }

    /// Says goodbye, behind what is to be sent already.
    pub(super) fn farewell(&mut self) {
        if self.failed.is_some() {
            return;
        }
        let status = self.session.process_tls_records(self.incoming.filled_mut());
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state {
            let outgoing = &mut self.outgoing;
            outgoing.append(|room| traffic.queue_close_notify(room).map_err(needs)).ok();
        }
    }

    /// Lets rustls take one step; what it waits for when there is none to take.
    fn step(&mut self, into: &mut ReadBuf<'_>) -> Result<Option<Waits>, Error> {
        let UnbufferedStatus { mut discard, state, .. } =
            self.session.process_tls_records(self.incoming.filled_mut());
        let mut waits = None;
        let result = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        discard += record.discard;
                        let fits = record.payload.len().min(into.remaining());
                        let (now, later) = record.payload.split_at(fits);
                        into.put_slice(now);
                        self.rest.extend_from_slice(later);
                    }
                    Some(Err(error)) => break Err(error),
                    None => break Ok(()),
                }
            },
            Ok(ConnectionState::EncodeTlsData(mut data)) => self.outgoing.append(|room| {
                data.encode(room).map_err(|error| match error {
                    EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                        Some(required_size)
                    }
                    EncodeError::AlreadyEncoded => None,
                })
            }),
            // It is sent before anything else.
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(())
            }
            Ok(ConnectionState::BlockedHandshake) => {
                waits = Some(Waits::ForHandshake);
                Ok(())
            }
            Ok(ConnectionState::WriteTraffic(_)) => {
                waits = Some(Waits::ForTraffic);
                Ok(())
            }
            Ok(_) => {
                self.is_over = true;
                waits = Some(Waits::ForTraffic);
                Ok(())
            }
            Err(error) => Err(error),
        };
        self.incoming.consume(discard);
        result.map(|()| waits)
    }

    /// Takes up what rustls has to say about its last failure.
    fn alert(&mut self) {
        if !self.session.wants_write() {
            return;
        }
        let status = self.session.process_tls_records(self.incoming.filled_mut());
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
            self.outgoing.append(|room| data.encode(room).map_err(|_| None)).ok();
        }
    }
}

fn encrypt<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    bytes: &[u8],
    outgoing: &mut Buffer,
) -> Result<(), Error> {
    if bytes.is_empty() {
        return Ok(());
    }
    outgoing.append(|room| traffic.encrypt(bytes, room).map_err(needs))
}

/// How much room is needed, where that was the trouble.
fn needs(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => Some(required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// Bytes that are put in at the end and taken from the beginning.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(size: usize) -> Self {
        Self { bytes: vec![0; size], start: 0, end: 0 }
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// What is free behind what is filled, which is moved to the front.
    fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    fn fill(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.bytes.len());
    }

    fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Appends what `write` puts into the room it is given; its error tells how much it needs, if that helps.
    fn append(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
    ) -> Result<(), Error> {
        let failed = || Error::General("nothing can be encrypted any more".to_owned());
        let written = match write(self.room()) {
            Ok(written) => written,
            Err(None) => return Err(failed()),
            Err(Some(needed)) => {
                let missing = needed.saturating_sub(self.room().len());
                self.bytes.resize(self.bytes.len() + missing, 0);
                write(self.room()).map_err(|_| failed())?
            }
        };
        self.fill(written);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
