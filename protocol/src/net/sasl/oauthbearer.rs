//! OAUTHBEARER (RFC 7628, KIP-255, KIP-342): a token, and what else the broker is to know. Bytes in, bytes out.

use zeroize::Zeroizing;

use super::error::{hint, quoted};
use super::{SaslError, Step};
use crate::secret::Secret;
use crate::wire::error::ErrorCode;

pub(super) const MECHANISM: &str = "OAUTHBEARER";

/// Between the parts of the message, and the answer to a refusal.
const SEPARATOR: &str = "\u{1}";

/// One exchange.
pub(in crate::net) struct OAuthBearer {
    first: Zeroizing<Vec<u8>>,
    /// The broker's reasons, after which it expects one more message before it ends the exchange.
    refusal: Option<String>,
}

impl OAuthBearer {
    /// Begins an exchange.
    ///
    /// # Errors
    /// [`SaslError::Unspeakable`] for what the message cannot hold (`OAuthBearerClientInitialResponse`).
    pub(super) fn new(token: &Secret, extensions: &[(String, String)]) -> Result<Self, SaslError> {
        if !is_token(token.expose()) {
            return Err(unspeakable("the token".to_owned(), "it has characters that no token has"));
        }
        let mut first = Zeroizing::new(Vec::new());
        for part in ["n,,", SEPARATOR, "auth=Bearer ", token.expose(), SEPARATOR] {
            first.extend_from_slice(part.as_bytes());
        }
        for (name, value) in extensions {
            check_extension(name, value)?;
            for part in [name, "=", value, SEPARATOR] {
                first.extend_from_slice(part.as_bytes());
            }
        }
        first.extend_from_slice(SEPARATOR.as_bytes());
        Ok(Self { first, refusal: None })
    }

    /// What to send first.
    pub(super) fn first(&self) -> Zeroizing<Vec<u8>> {
        self.first.clone()
    }

    /// What to answer. An empty message is consent; anything else says why not, and must be acknowledged.
    ///
    /// # Errors
    /// [`SaslError::Refused`] where the broker says nothing more after that.
    pub(super) fn next(&mut self, challenge: &[u8]) -> Result<Step, SaslError> {
        match &self.refusal {
            None if challenge.is_empty() => Ok(Step::Done),
            None => {
                self.refusal = Some(quoted(&String::from_utf8_lossy(challenge)));
                Ok(Step::Send(Zeroizing::new(SEPARATOR.as_bytes().to_vec())))
            }
            Some(reasons) => Err(SaslError::Refused {
                mechanism: MECHANISM,
                user: None,
                code: ErrorCode::SaslAuthenticationFailed,
                message: reasons.as_str().into(),
                hint: hint(MECHANISM).into(),
            }),
        }
    }
}

/// The alphabet of bearer tokens (RFC 6750, section 2.1).
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

fn check_extension(name: &str, value: &str) -> Result<(), SaslError> {
    let option = || format!("extension_{name}");
    if name == "auth" || name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(unspeakable(option(), "names are of letters, and not \"auth\""));
    }
    if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
        return Err(unspeakable(option(), "values are of one or more printable ASCII characters"));
    }
    Ok(())
}

fn unspeakable(option: String, why: &'static str) -> SaslError {
    SaslError::Unspeakable { mechanism: MECHANISM, option, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensions(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_message_is_kafkas() {
        let plain = OAuthBearer::new(&Secret::new("a.b-c_d="), &[]).unwrap();
        assert_eq!(plain.first().as_slice(), b"n,,\x01auth=Bearer a.b-c_d=\x01\x01");
        let more = extensions(&[("logicalCluster", "lkc-1"), ("x", "a b")]);
        let more = OAuthBearer::new(&Secret::new("t"), &more).unwrap();
        assert_eq!(more.first().as_slice(), b"n,,\x01auth=Bearer t\x01logicalCluster=lkc-1\x01x=a b\x01\x01");
    }

    #[test]
    fn a_refusal_is_acknowledged_and_told() {
        let mut exchange = OAuthBearer::new(&Secret::new("t"), &[]).unwrap();
        let step = exchange.next(b"{\"status\":\"invalid_token\"}").unwrap();
        assert!(matches!(step, Step::Send(bytes) if bytes.as_slice() == [1]));
        let error = exchange.next(b"").unwrap_err();
        assert!(error.to_string().contains("invalid_token"), "{error}");
    }

    #[test]
    fn what_would_tear_the_message_is_refused() {
        for token in ["", "=", "a b", "a\u{1}b", "ü", "a=b"] {
            assert!(OAuthBearer::new(&Secret::new(token), &[]).is_err(), "{token:?}");
        }
        for (name, value) in [("auth", "v"), ("", "v"), ("a1", "v"), ("a", ""), ("a", "\u{1}"), ("a", "ü")] {
            assert!(
                OAuthBearer::new(&Secret::new("t"), &extensions(&[(name, value)])).is_err(),
                "{name}={value}"
            );
        }
    }
}
