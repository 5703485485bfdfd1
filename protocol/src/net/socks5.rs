//! The talk with a SOCKS5 proxy (RFC 1928, RFC 1929) that leads to a connection through it. Knows no Kafka.
//!
//! The proxy resolves the name of the broker: where one is needed, this side often cannot.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::address::Address;
use super::options::Socks5;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Why a proxy does not connect us.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Socks5Error {
    /// The connection to it failed.
    #[error("the talk with it failed")]
    Io(#[source] Arc<io::Error>),
    /// It speaks something else.
    #[error("it does not speak SOCKS5 (its answer begins with {0}, not 5)")]
    NotSocks(u8),
    /// It wants something that there is not.
    #[error("it accepts neither silence about who we are nor a user name with password")]
    NoMethod,
    /// It wants to know who we are.
    #[error("it asks for a user name and password, and none are set")]
    LoginRequired,
    /// It does not know us.
    #[error("it does not accept the user name and password")]
    LoginRefused,
    /// A name that cannot be said.
    #[error("{0} is longer than the 255 bytes that SOCKS5 has for it")]
    TooLong(&'static str),
    /// It cannot or does not want to connect us.
    #[error("{0}")]
    Refused(Refusal),
}

/// Why a proxy does not connect us, as it says (RFC 1928, 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(u8);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "it failed in general",
            2 => "its rules do not allow the connection",
            3 => "it cannot reach the network of the broker",
            4 => "it cannot reach the broker, or does not know its name",
            5 => "the broker refused the connection from it; is the broker running, and the port right?",
            6 => "the way from it to the broker is too long",
            7 => "it does not connect to others",
            8 => "it does not know addresses of this kind",
            code => return write!(f, "it refused with code {code}"),
        })
    }
}

impl Socks5Error {
    /// Whether it is the proxy's judgement of us, which trying again does not change.
    pub fn is_security(&self) -> bool {
        matches!(self, Self::NoMethod | Self::LoginRequired | Self::LoginRefused | Self::Refused(Refusal(2)))
    }
}

impl From<io::Error> for Socks5Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Has the proxy connect the stream, which leads to it, to the broker.
pub(super) async fn connect(
    stream: &mut TcpStream,
    proxy: &Socks5,
    broker: &Address,
) -> Result<(), Socks5Error> {
    let offer: &[u8] =
        if proxy.login.is_some() { &[VERSION, 2, NO_LOGIN, LOGIN] } else { &[VERSION, 1, NO_LOGIN] };
    stream.write_all(offer).await?;
    let chosen = answer(stream).await?;
    match chosen {
        NO_LOGIN => {}
        LOGIN => log_in(stream, proxy).await?,
        NONE_ACCEPTABLE if proxy.login.is_none() => return Err(Socks5Error::LoginRequired),
        _ => return Err(Socks5Error::NoMethod),
    }
    stream.write_all(&request(broker)?).await?;
    match answer(stream).await? {
        0 => skip_address(stream).await,
        code => Err(Socks5Error::Refused(Refusal(code))),
    }
}

/// The second byte of an answer, behind the version.
async fn answer(stream: &mut TcpStream) -> Result<u8, Socks5Error> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let [version, code] = head;
    if version == VERSION { Ok(code) } else { Err(Socks5Error::NotSocks(version)) }
}

async fn log_in(stream: &mut TcpStream, proxy: &Socks5) -> Result<(), Socks5Error> {
    let (user, password) = proxy.login.as_ref().ok_or(Socks5Error::LoginRequired)?;
    let mut request = Zeroizing::new(vec![LOGIN_VERSION]);
    push_counted(&mut request, user.as_bytes(), "the proxy's user name")?;
    push_counted(&mut request, password.expose().as_bytes(), "the proxy's password")?;
    stream.write_all(&request).await?;
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let [_, code] = head;
    if code == 0 { Ok(()) } else { Err(Socks5Error::LoginRefused) }
}

/// What asks for the connection.
fn request(broker: &Address) -> Result<Vec<u8>, Socks5Error> {
    let mut request = vec![VERSION, CONNECT, 0];
    match broker.host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(NAME);
            push_counted(&mut request, broker.host.as_bytes(), "the broker's name")?;
        }
    }
    request.extend(broker.port.to_be_bytes());
    Ok(request)
}

fn push_counted(request: &mut Vec<u8>, bytes: &[u8], what: &'static str) -> Result<(), Socks5Error> {
    request.push(u8::try_from(bytes.len()).map_err(|_| Socks5Error::TooLong(what))?);
    request.extend(bytes);
    Ok(())
}

/// The address that the proxy connects from ends its answer; nobody needs it.
async fn skip_address(stream: &mut TcpStream) -> Result<(), Socks5Error> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let [_, kind] = head;
    let len = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(Socks5Error::NotSocks(kind)),
    };
    let mut skipped = [0; 255 + 2];
    if let Some(place) = skipped.get_mut(..len + 2) {
        stream.read_exact(place).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_left_to_the_proxy() {
        let request = request(&Address::new("broker", 9093)).unwrap();
        assert_eq!(request, b"\x05\x01\x00\x03\x06broker\x23\x85");
        assert!(matches!(super::request(&Address::new("a".repeat(256), 1)), Err(Socks5Error::TooLong(_))));
    }

    #[test]
    fn addresses_are_sent_as_such() {
        assert_eq!(request(&Address::new("10.0.0.1", 1)).unwrap(), [5, 1, 0, 1, 10, 0, 0, 1, 0, 1]);
        assert_eq!(request(&Address::new("::1", 1)).unwrap().len(), 4 + 16 + 2);
    }
}
