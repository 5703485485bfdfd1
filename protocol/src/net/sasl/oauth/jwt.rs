//! What is to be seen of a JSON Web Token (RFC 7519) without checking who signed it: that is the broker's task. Text in,
//! values out.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::error::TokenError;
use crate::secret::Secret;

/// The alphabet of JWTs. They have no padding; Java's client does not mind it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A token, and the time it is good for.
#[derive(Debug)]
pub(in crate::net::sasl) struct Token {
    /// What the broker gets.
    pub(in crate::net::sasl) text: Secret,
    /// Since when, in milliseconds of the epoch (`iat`), if it says so.
    pub(super) issued_ms: Option<i64>,
    /// Until when, in milliseconds of the epoch (`exp`).
    pub(super) expires_ms: i64,
}

impl Token {
    /// Reads a signed token as Java's client does (`SerializedJwt`, `LoginAccessTokenValidator`): three parts, an expiry.
    /// Who it is for is not asked here: the claim that says so has the name that the broker is configured with.
    ///
    /// # Errors
    /// [`TokenError::NotJwt`].
    pub(super) fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let parts: Vec<&str> = text.splitn(4, '.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(not_jwt("it has not three parts (header, payload and signature)"));
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(not_jwt("a part of it is empty"));
        }
        let payload = BASE64.decode(payload).map_err(|_| not_jwt("its payload is not Base64"))?;
        let payload = Zeroizing::new(payload);
        let claims: Map<String, Value> =
            serde_json::from_slice(&payload).map_err(|_| not_jwt("its payload is not a JSON object"))?;
        let time = |name| claims.get(name).map(|claim| claim.as_f64().and_then(milliseconds).ok_or(name));
        let (expires, issued) = (time("exp").transpose(), time("iat").transpose());
        let wrong = |_| not_jwt("exp or iat in its payload is not a time");
        let expires_ms =
            expires.map_err(wrong)?.ok_or_else(|| not_jwt("there is no expiry (exp) in its payload"))?;
        Ok(Self { text: Secret::new(text), issued_ms: issued.map_err(wrong)?, expires_ms })
    }

    /// Makes an unsigned token as `OAuthBearerUnsecuredLoginCallbackHandler` does, for brokers that are set up for tests.
    pub(super) fn unsecured(string_claims: &[(String, String)], now_ms: i64, lifetime_ms: i64) -> Self {
        let expires_ms = now_ms.saturating_add(lifetime_ms);
        let mut claims = Map::new();
        for (name, value) in string_claims {
            claims.insert(name.clone(), Value::from(value.as_str()));
        }
        claims.insert("iat".to_owned(), seconds(now_ms));
        claims.insert("exp".to_owned(), seconds(expires_ms));
        let header = BASE64.encode(json!({"alg": "none"}).to_string());
        let text = format!("{header}.{}.", BASE64.encode(Value::Object(claims).to_string()));
        Self { text: Secret::new(text), issued_ms: Some(now_ms), expires_ms }
    }
}

/// Times are seconds, possibly with a fraction (RFC 7519, section 2).
fn milliseconds(seconds: f64) -> Option<i64> {
    /// The end of the year 9999.
    const LAST: f64 = 253_402_300_799.0;
    let whole = (0.0..=LAST).contains(&seconds);
    #[expect(clippy::cast_possible_truncation, reason = "it is within the bounds of the type by far")]
    let ms = (seconds * 1000.0) as i64;
    whole.then_some(ms)
}

fn seconds(ms: i64) -> Value {
    Value::from(ms.div_euclid(1000))
}

fn not_jwt(why: &'static str) -> TokenError {
    TokenError::NotJwt { why }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn jwt(payload: &str) -> String {
        format!("{}.{}.sig", BASE64.encode(r#"{"alg":"RS256"}"#), BASE64.encode(payload))
    }

    #[test]
    fn times_are_read_and_nothing_else_is_needed() {
        let text = jwt(r#"{"exp":1700000000,"iat":1699999000.5,"sub":"x"}"#);
        let token = Token::parse(&format!("{text}\n")).unwrap();
        assert_eq!((token.expires_ms, token.issued_ms), (1_700_000_000_000, Some(1_699_999_000_500)));
        assert_eq!(token.text.expose(), text);
        assert_eq!(Token::parse(&jwt(r#"{"exp":1}"#)).unwrap().issued_ms, None);
    }

    #[test]
    fn what_javas_client_refuses_is_refused() {
        let unsecured = Token::unsecured(&[], 0, 1000);
        for text in [
            "",
            "opaque",
            "a.b",
            "a.b.c.d",
            "a..c",
            "a.!.c",
            unsecured.text.expose(),
            &jwt("[]"),
            &jwt("{}"),
            &jwt(r#"{"exp":-1}"#),
            &jwt(r#"{"exp":"1"}"#),
            &jwt(r#"{"exp":1e300}"#),
            &jwt(r#"{"exp":1,"iat":-1}"#),
        ] {
            assert!(matches!(Token::parse(text), Err(TokenError::NotJwt { .. })), "{text}");
        }
    }

    #[test]
    fn unsigned_tokens_have_an_empty_signature() {
        let claims = [("sub".to_owned(), "al\"ice".to_owned())];
        let token = Token::unsecured(&claims, 5_000, 60_000);
        let parts: Vec<&str> = token.text.expose().split('.').collect();
        assert_eq!(BASE64.decode(parts[0]).unwrap(), br#"{"alg":"none"}"#);
        assert_eq!(BASE64.decode(parts[1]).unwrap(), br#"{"exp":65,"iat":5,"sub":"al\"ice"}"#);
        assert_eq!((parts.len(), parts[2]), (3, ""));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}", payload in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Token::parse(&text);
            let _ = Token::parse(&format!("a.{}.c", BASE64.encode(payload)));
        }
    }
}
