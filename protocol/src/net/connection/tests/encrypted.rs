//! Connections with TLS: the server of the other tests behind a door that decrypts.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::security::{Security, SecuritySettings};
use crate::net::tls::tests::{ONLY_12, PLAIN, Side, acceptor, store, trusting};
use crate::net::tls::{TlsError, TlsSettings};

/// Where the server is reached through TLS.
async fn door(server: &Server, side: &Side) -> Address {
    let acceptor = acceptor(side);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = (server.address.host.clone(), server.address.port);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(behind).await?;
                copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    Address::new("127.0.0.1", port)
}

fn encrypted(tls: TlsSettings) -> ConnectionOptions {
    let security = Security::new(SecuritySettings { tls: Some(tls), ..SecuritySettings::default() });
    ConnectionOptions { security, ..options() }
}

fn cause(error: &NetError) -> &TlsError {
    match error.root() {
        NetError::Tls { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

/// Echoes bodies.
async fn echo() -> Server {
    Server::greeting(|mut peer| async move {
        while let Some(asked) = peer.request().await {
            peer.answer(asked.correlation_id, &asked.body).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_requests_in_many_chunks_arrive_whole_both_ways() {
    let server = echo().await;
    let address = door(&server, &PLAIN).await;
    let pool = BufferPool::new(64 << 20);
    let options = encrypted(trusting("ca.pem"));
    let connection = Connection::open(&address, &options, Some(pool)).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0_u8..8 {
        let chunk = Bytes::from(vec![number; 100_000 + usize::from(number)]);
        let body = vec![chunk.slice(..1), chunk.slice(1..70_000), chunk.slice(70_000..)];
        let answer = tokio::time::timeout(
            Duration::from_secs(20),
            connection.send(ApiKey::Metadata, 4, [body.clone(), body].concat()),
        );
        waiting.push((number, chunk.len() * 2, answer.await.unwrap().unwrap()));
    }
    for (number, len, answer) in waiting {
        let body = answer.await.unwrap();
        assert_eq!(body.len(), len);
        assert!(body.iter().all(|byte| *byte == number));
    }
}

#[tokio::test]
async fn a_broker_that_wants_a_certificate_says_so_before_the_first_answer() {
    for versions in [rustls::ALL_VERSIONS, ONLY_12] {
        let server = echo().await;
        let address = door(&server, &Side { asks: true, versions, ..PLAIN }).await;
        let none = Connection::open(&address, &encrypted(trusting("ca.pem")), None).await.unwrap_err();
        assert!(matches!(cause(&none), TlsError::ClientCertificateRequired), "{none:?}");
        assert!(none.is_security());
        let identity = store("client.jks", Some("store-secret"));
        let key_password = Some(crate::secret::Secret::new("key-secret"));
        let ours = TlsSettings { identity, key_password, ..trusting("ca.pem") };
        Connection::open(&address, &encrypted(ours), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_plain_broker_spoken_to_in_tls_is_told_from_a_broken_one() {
    let server = Server::start(|peer| async move { drop(peer) }).await;
    let error = Connection::open(&server.address, &encrypted(trusting("ca.pem")), None).await.unwrap_err();
    assert!(matches!(cause(&error), TlsError::ClosedInHandshake), "{error:?}");
}
