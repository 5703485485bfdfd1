//! The least of a client: one connection, requests and answers as kafka-protocol's types.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Link {
    stream: TcpStream,
    last_id: i32,
}

impl Link {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), last_id: 0 }
    }

    /// Sends a request; answers its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.last_id += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.last_id)
            .with_client_id(Some("link".into()));
        let mut frame = BytesMut::new();
        let api = ApiKey::try_from(R::KEY).unwrap();
        header.encode(&mut frame, api.request_header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send_frame(&frame).await;
        self.last_id
    }

    pub(crate) async fn send_frame(&mut self, frame: &[u8]) {
        self.stream.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes()).await.unwrap();
        self.stream.write_all(frame).await.unwrap();
    }

    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Tells the broker that nothing more comes.
    pub(crate) async fn close_sending(&mut self) {
        // The broker may have closed it already.
        let _ = self.stream.shutdown().await;
    }

    /// The next frame, `None` when the connection is closed.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let len = self.stream.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// All that comes until the connection is closed.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A connection that is reset is closed, too.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }

    /// The answer to the request with this id, which must be the next.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, id: i32) -> Option<R::Response> {
        let mut frame = self.frame().await?;
        assert_eq!(frame.get_i32(), id);
        if ApiKey::try_from(R::KEY).unwrap().response_header_version(version) >= 1 {
            assert_eq!(frame.get_u8(), 0);
        }
        Some(R::Response::decode(&mut frame, version).unwrap())
    }

    /// A request and its answer; `None` when the connection is closed instead.
    pub(crate) async fn ask<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }
}
