//! Connections through a SOCKS5 proxy, and from an address of choice.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::net::options::{Route, Socks5};
use crate::net::socks5::Socks5Error;
use crate::secret::Secret;

/// A name that only the proxy knows.
const BEHIND: &str = "broker.behind.invalid";

/// A proxy that wants `user` and `pass` if it wants anything, and answers requests with `reply`.
async fn proxy(server: &Server, wants_login: bool, reply: u8) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = (server.address.host.clone(), server.address.port);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let behind = behind.clone();
            tokio::spawn(async move {
                let mut head = [0; 2];
                client.read_exact(&mut head).await?;
                let mut methods = vec![0; head[1].into()];
                client.read_exact(&mut methods).await?;
                let chosen = match (wants_login, methods.contains(&2)) {
                    (false, _) => 0,
                    (true, true) => 2,
                    (true, false) => 0xff,
                };
                client.write_all(&[5, chosen]).await?;
                if chosen == 2 {
                    let mut login = [0; 1 + 1 + 4 + 1 + 4];
                    client.read_exact(&mut login).await?;
                    client.write_all(&[1, u8::from(&login != b"\x01\x04user\x04pass")]).await?;
                }
                let mut request = vec![0; 4 + 1 + BEHIND.len() + 2];
                client.read_exact(&mut request).await?;
                assert_eq!(&request[..5], [5, 1, 0, 3, BEHIND.len().try_into().unwrap()]);
                assert_eq!(&request[5..5 + BEHIND.len()], BEHIND.as_bytes());
                client.write_all(&[5, reply, 0, 1, 127, 0, 0, 1, 0, 80]).await?;
                let mut broker = TcpStream::connect(behind).await?;
                copy_bidirectional(&mut client, &mut broker).await
            });
        }
    });
    Address::new("127.0.0.1", port)
}

fn through(address: &Address, login: Option<(&str, &str)>) -> ConnectionOptions {
    let login = login.map(|(user, password)| (user.to_owned(), Secret::new(password)));
    let proxy = Some(Socks5 { address: address.clone(), login });
    ConnectionOptions { route: Route { bind: None, proxy }, ..options() }
}

async fn idle() -> Server {
    Server::greeting(|mut peer| async move { while peer.request().await.is_some() {} }).await
}

#[tokio::test]
async fn a_proxy_leads_to_a_broker_whose_name_it_alone_knows() {
    let server = idle().await;
    let broker = Address::new(BEHIND, 9092);
    let open = proxy(&server, false, 0).await;
    for login in [None, Some(("user", "pass"))] {
        Connection::open(&broker, &through(&open, login), None).await.unwrap();
    }
    let guarded = proxy(&server, true, 0).await;
    Connection::open(&broker, &through(&guarded, Some(("user", "pass"))), None).await.unwrap();
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told() {
    let server = idle().await;
    let broker = Address::new(BEHIND, 9092);
    let guarded = proxy(&server, true, 0).await;
    let said = |error: NetError| match error {
        NetError::Proxy { source, .. } => source,
        other => panic!("{other:?}"),
    };
    let none = Connection::open(&broker, &through(&guarded, None), None).await.unwrap_err();
    assert!(matches!(*said(none), Socks5Error::LoginRequired));
    let wrong =
        Connection::open(&broker, &through(&guarded, Some(("user", "word"))), None).await.unwrap_err();
    assert!(wrong.is_security());
    assert!(matches!(*said(wrong), Socks5Error::LoginRefused));
    let refusing = proxy(&server, false, 5).await;
    let refused = Connection::open(&broker, &through(&refusing, None), None).await.unwrap_err();
    assert!(!refused.is_security());
    assert!(said(refused).to_string().contains("the broker refused"));
    let no_proxy = Connection::open(&broker, &through(&server.address, None), None).await.unwrap_err();
    assert!(matches!(no_proxy, NetError::Proxy { .. } | NetError::ConnectTimeout { .. }), "{no_proxy:?}");
}

#[tokio::test]
async fn the_local_address_is_the_one_that_was_asked_for() {
    let server = Server::greeting(|peer| async move {
        assert_eq!(peer.stream.peer_addr().unwrap().ip(), IpAddr::from([127, 0, 0, 9]));
    })
    .await;
    let from = |bind: &str| {
        let route = Route { bind: Some(bind.parse().unwrap()), proxy: None };
        ConnectionOptions { route, ..options() }
    };
    Connection::open(&server.address, &from("127.0.0.9"), None).await.unwrap();
    let foreign = Connection::open(&server.address, &from("192.0.2.1"), None).await.unwrap_err();
    assert!(matches!(foreign, NetError::Bind { .. }), "{foreign:?}");
    assert!(foreign.to_string().contains("kmirror.bind.address"));
}
