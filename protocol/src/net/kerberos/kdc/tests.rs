//! KDCs that are silent, busy, or have too much to say.

use tokio::net::TcpListener;

use super::*;
use crate::net::kerberos::conf;
use crate::net::kerberos::der;
use crate::net::kerberos::principal::Principal;

fn error(code: i32) -> Vec<u8> {
    let parts = [
        der::context(0, &der::integer(5)),
        der::context(1, &der::integer(30)),
        der::context(4, &der::tagged(der::GENERALIZED_TIME, b"20261122000000Z")),
        der::context(5, &der::integer(0)),
        der::context(6, &der::integer(code.into())),
        der::context(9, &der::string("R")),
        der::context(10, &Principal::ticket_granting("R", "R").to_der()),
    ];
    der::application(30, &der::sequence(&parts))
}

fn realm(kdcs: &[SocketAddr]) -> Conf {
    let lines: Vec<String> = kdcs.iter().map(|kdc| format!("kdc = {kdc}\n")).collect();
    conf::tests::conf(&format!("[realms]\nR = {{\n{}}}\n", lines.concat()))
}

/// Answers each datagram with `answer`.
async fn udp(answer: Vec<u8>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 100];
        while let Ok((_, from)) = socket.recv_from(&mut bytes).await {
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address
}

async fn tcp(address: &str, answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u32().await.unwrap();
            let mut message = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut message).await.unwrap();
            stream.write_all(answer).await.unwrap();
        }
    });
    address
}

async fn answer_of(kdcs: &[SocketAddr], message: &[u8]) -> Result<Vec<u8>, KerberosError> {
    ask(&realm(kdcs), Path::new("/etc/krb5.conf"), "R", message).await
}

#[tokio::test]
async fn one_that_is_not_available_is_passed_over() {
    let busy = udp(error(refusal::SERVICE_UNAVAILABLE)).await;
    let other = udp(b"ticket".to_vec()).await;
    assert_eq!(answer_of(&[busy, other], b"question").await.unwrap(), b"ticket");
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_comes_by_tcp() {
    let kdc = udp(error(refusal::RESPONSE_TOO_BIG)).await;
    tcp(&kdc.to_string(), b"\0\0\0\x03big").await;
    assert_eq!(answer_of(&[kdc], b"question").await.unwrap(), b"big");
}

#[tokio::test]
async fn long_questions_go_by_tcp() {
    let kdc = tcp("127.0.0.1:0", b"\0\0\0\x02ok").await;
    assert_eq!(answer_of(&[kdc], &[7; 2000]).await.unwrap(), b"ok");
}

#[tokio::test]
async fn nobody_there() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = answer_of(&[gone], b"question").await.unwrap_err().to_string();
    for words in ["no KDC of realm R answers", "by Udp (nobody listens)", "by Tcp (nobody listens)"] {
        assert!(error.contains(words), "{error}");
    }
    let error = answer_of(&[], b"question").await.unwrap_err().to_string();
    assert!(error.contains("'kdc = HOST'"), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let kdc = tcp("127.0.0.1:0", b"\xff\xff\xff\xff").await;
    let error = answer_of(&[kdc], &[7; 2000]).await.unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}

#[test]
fn addresses() {
    for (text, expected) in [
        ("kdc.example.com", Some(("kdc.example.com", 88))),
        ("kdc:1088", Some(("kdc", 1088))),
        ("[::1]:1088", Some(("::1", 1088))),
        ("[::1]", Some(("::1", 88))),
        ("2001:db8::1", Some(("2001:db8::1", 88))),
        ("https://kdc/x", None),
        ("kdc:x", None),
        ("", None),
    ] {
        assert_eq!(host_and_port(text), expected, "{text}");
    }
}
