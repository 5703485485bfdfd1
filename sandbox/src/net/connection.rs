//! One client's connection: frames in, answers out, strictly in order and one at a time, as a broker does, which reads
//! no further request of a connection while one is being answered. Knows frames, not what is in them.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::{self, Outcome, Peer};
use crate::chunks::ChunkQueue;
use crate::shared::Shared;

/// Small frames are read together into a buffer of this size; larger ones get a buffer of their own.
const READ_BUFFER: usize = 64 * 1024;

/// Room in the buffer that is worth a read.
const READ_LEAST: usize = 4 * 1024;

/// The length in front of each frame.
const LENGTH_LEN: usize = 4;

/// Serves `stream` until the peer goes away or misbehaves.
pub(crate) async fn serve(broker: i32, stream: TcpStream, shared: Arc<Shared>) {
    if let Err(reason) = converse(broker, stream, shared).await {
        tracing::debug!(broker, %reason, "connection closed");
    }
}

async fn converse(broker: i32, mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let max_frame_bytes = shared.cluster().options.max_frame_bytes;
    let peer = Peer::new(broker, shared);
    let mut buffer = BytesMut::with_capacity(READ_BUFFER);
    while let Some(frame) = read_frame(&mut stream, &mut buffer, max_frame_bytes).await? {
        match api::respond(&peer, frame).await {
            Outcome::Send(chunks) => send(&mut stream, chunks).await?,
            Outcome::SendAsIs(bytes) => stream.write_all(&bytes).await?,
            Outcome::Silence => {}
            Outcome::HangUp(reason) => return Err(io::Error::other(reason)),
        }
    }
    Ok(())
}

/// The next frame without its length; `None` when the peer has closed between frames.
async fn read_frame(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    max_frame_bytes: usize,
) -> io::Result<Option<Bytes>> {
    while buffer.len() < LENGTH_LEN {
        make_room(buffer);
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
    let announced = buffer.get_i32();
    let len = usize::try_from(announced).ok().filter(|len| *len <= max_frame_bytes);
    let len = len.ok_or_else(|| io::Error::other(format!("a frame of {announced} bytes is announced")))?;
    if len > READ_BUFFER {
        return read_large(stream, buffer, len).await.map(Some);
    }
    while buffer.len() < len {
        make_room(buffer);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(buffer.split_to(len).freeze()))
}

fn make_room(buffer: &mut BytesMut) {
    if buffer.capacity() - buffer.len() < READ_LEAST {
        buffer.reserve(READ_BUFFER);
    }
}

/// A frame in memory of exactly its size, which is not cleared first.
async fn read_large(stream: &mut TcpStream, buffer: &mut BytesMut, len: usize) -> io::Result<Bytes> {
    let mut frame = BytesMut::with_capacity(len);
    let present = buffer.len().min(len);
    frame.put(buffer.split_to(present));
    let mut rest = frame.limit(len - present);
    while rest.has_remaining_mut() {
        if stream.read_buf(&mut rest).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(rest.into_inner().freeze())
}

async fn send(stream: &mut TcpStream, chunks: Vec<Bytes>) -> io::Result<()> {
    let len: usize = chunks.iter().map(Bytes::len).sum();
    let len = i32::try_from(len).map_err(|_| io::Error::other("an answer larger than a frame can be"))?;
    let length = Bytes::copy_from_slice(&len.to_be_bytes());
    let mut queue = ChunkQueue::new([length].into_iter().chain(chunks));
    stream.write_all_buf(&mut queue).await
}
