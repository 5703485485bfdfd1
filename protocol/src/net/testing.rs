//! A server for one test: a closure gets each connection. For the tests of connections and of clusters.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::Encodable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::net::address::Address;
use crate::wire::api::ApiKey;

pub(crate) struct Server {
    pub(crate) address: Address,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves every connection with `serve`, on the IPv4 loopback.
    pub(crate) async fn start<F>(serve: impl Fn(Peer) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::bind("127.0.0.1:0".parse().unwrap(), serve).await.unwrap()
    }

    pub(crate) async fn bind<F>(
        at: SocketAddr,
        serve: impl Fn(Peer) -> F + Send + 'static,
    ) -> std::io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await?;
        let bound = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Peer { stream }));
            }
        });
        Ok(Self { address: Address::new(bound.ip().to_string(), bound.port()), task })
    }

    /// The same with the handshake done before `serve` gets the connection.
    pub(crate) async fn greeting<F>(serve: impl Fn(Peer) -> F + Send + Sync + Clone + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start(move |mut peer| {
            let serve = serve.clone();
            async move {
                peer.greet().await;
                serve(peer).await;
            }
        })
        .await
    }
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) api: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) body: Bytes,
}

/// The client, seen from the server.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

impl Peer {
    /// The next request; `None` when the client is gone.
    pub(crate) async fn request(&mut self) -> Option<Asked> {
        let len = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        let mut frame = Bytes::from(frame);
        let (api, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
        let client_id = usize::try_from(frame.get_i16()).unwrap();
        assert_eq!(frame.split_to(client_id), "kmirror");
        if version >= 3 && api == ApiKey::ApiVersions.key() {
            assert_eq!(frame.get_u8(), 0, "no tagged fields");
        }
        Some(Asked { api, version, correlation_id, body: frame })
    }

    pub(crate) async fn answer(&mut self, correlation_id: i32, body: &[u8]) {
        let len = i32::try_from(body.len() + 4).unwrap();
        let head = [len.to_be_bytes(), correlation_id.to_be_bytes()].concat();
        self.write(&[&head, body].concat()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Answers with a message, behind the header that goes with its API and version.
    pub(crate) async fn answer_message(&mut self, asked: &Asked, message: &impl Encodable) {
        let api = ApiKey::ALL.iter().find(|api| api.key() == asked.api).unwrap();
        let mut body = BytesMut::new();
        if api.is_flexible(asked.version) {
            body.put_u8(0);
        }
        message.encode(&mut body, asked.version).unwrap();
        self.answer(asked.correlation_id, &body).await;
    }

    /// Answers the first question with all that we speak.
    pub(crate) async fn greet(&mut self) {
        let asked = self.request().await.unwrap();
        assert_eq!((asked.api, asked.version), (18, 3));
        let answer = api_versions(0, ApiKey::ALL, 3);
        self.answer(asked.correlation_id, &answer).await;
    }
}

/// An answer to the question for versions.
pub(crate) fn api_versions(error_code: i16, apis: &[ApiKey], version: i16) -> Bytes {
    let range = |api: &ApiKey| {
        ApiVersion::default()
            .with_api_key(api.key())
            .with_min_version(*api.versions().start())
            .with_max_version(*api.versions().end())
    };
    let mut out = BytesMut::new();
    ApiVersionsResponse::default()
        .with_error_code(error_code)
        .with_api_keys(apis.iter().map(range).collect())
        .encode(&mut out, version)
        .unwrap();
    out.freeze()
}
