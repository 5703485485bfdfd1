//! Asks a token endpoint with client credentials (RFC 6749, section 4.4; KIP-768, `HttpAccessTokenRetriever`).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::error::TokenError;
use super::http::{self, Answer, DEFAULT_TIMEOUT, Timeouts};
use super::jwt::Token;
use super::url::{Url, form_encoded};
use crate::net::sasl::error::quoted;
use crate::net::tls::{Tls, TlsSettings};
use crate::secret::Secret;

/// What to ask, whom, and how patiently.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    authorization: Secret,
    form: String,
    tls: Tls,
    timeouts: Timeouts,
    backoff: Duration,
    /// For how long it is tried again.
    backoff_max: Duration,
}

/// What is asked with.
pub(super) struct ClientCredentials<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a Secret,
    pub(super) scope: Option<&'a str>,
    pub(super) url_encodes_header: bool,
}

impl Endpoint {
    /// Asks nobody yet.
    ///
    /// # Errors
    /// [`TokenError::Url`], [`TokenError::Empty`].
    pub(super) fn new(
        url: &str,
        client: &ClientCredentials<'_>,
        tls: &TlsSettings,
        (connect, read): (Option<Duration>, Option<Duration>),
        (backoff, backoff_max): (Duration, Duration),
    ) -> Result<Self, TokenError> {
        let timeouts = Timeouts { connect: limit(connect), read: limit(read) };
        Ok(Self {
            url: Url::parse(url)?,
            authorization: authorization(client)?,
            form: form(client.scope),
            tls: Tls::new(tls.clone()),
            timeouts,
            backoff,
            backoff_max,
        })
    }

    /// Gets a token. Tries again after failures that may pass, each time after twice the time, until `backoff_max` is
    /// over (Kafka class `Retry`).
    ///
    /// # Errors
    /// Any [`TokenError`] of an endpoint: the last.
    pub(super) async fn fetch(&self) -> Result<Token, TokenError> {
        let end = Instant::now() + self.backoff_max;
        let mut wait = self.backoff;
        loop {
            let error = match self.ask().await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            let left = end.saturating_duration_since(Instant::now());
            if !error.is_retriable() || left.is_zero() {
                return Err(error);
            }
            tracing::debug!(error = %error, "asking the token endpoint again");
            sleep(wait.min(left)).await;
            wait = wait.saturating_mul(2);
        }
    }

    async fn ask(&self) -> Result<Token, TokenError> {
        let answer =
            http::post(&self.url, self.authorization.expose(), &self.form, &self.tls, self.timeouts).await?;
        let token = token(&self.url, &answer)?;
        Token::parse(token.expose())
    }
}

/// How long a part may take. To Java 0 means no limit, as where nothing is set; here neither is without end.
fn limit(configured: Option<Duration>) -> Duration {
    configured.filter(|limit| !limit.is_zero()).unwrap_or(DEFAULT_TIMEOUT)
}

/// HTTP Basic (RFC 7617) with the alphabet of RFC 4648, section 4. RFC 6749 wants both parts encoded as forms before;
/// most servers do not (`sasl.oauthbearer.header.urlencode`).
fn authorization(client: &ClientCredentials<'_>) -> Result<Secret, TokenError> {
    let part = |option, text: &str| match text.trim() {
        "" => Err(TokenError::Empty { option }),
        text if client.url_encodes_header => Ok(Zeroizing::new(form_encoded(text))),
        text => Ok(Zeroizing::new(text.to_owned())),
    };
    let (id, secret) = (part("clientId", client.id)?, part("clientSecret", client.secret.expose())?);
    let both = Zeroizing::new(format!("{}:{}", id.as_str(), secret.as_str()));
    Ok(Secret::new(format!("Basic {}", STANDARD.encode(both.as_bytes()))))
}

fn form(scope: Option<&str>) -> String {
    match scope.map(str::trim).filter(|scope| !scope.is_empty()) {
        Some(scope) => format!("grant_type=client_credentials&scope={}", form_encoded(scope)),
        None => "grant_type=client_credentials".to_owned(),
    }
}

/// The members of an answer that are read (RFC 6749, sections 5.1 and 5.2; `errorCode` is Okta's).
#[derive(Deserialize, Default)]
struct Members {
    access_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    #[serde(rename = "errorCode")]
    error_code: Option<String>,
    #[serde(rename = "errorSummary")]
    error_summary: Option<String>,
}

fn token(url: &Url, answer: &Answer) -> Result<Secret, TokenError> {
    let members = serde_json::from_slice::<Members>(&answer.body);
    if !matches!(answer.status, 200 | 201) {
        let members = members.unwrap_or_default();
        let said = [members.error, members.error_description, members.error_code, members.error_summary];
        let message: String = said.iter().flatten().map(|words| format!(": {}", quoted(words))).collect();
        return Err(TokenError::Refused { endpoint: url.shown(), status: answer.status, message });
    }
    let no_token = |why| TokenError::NoToken { endpoint: url.shown(), why };
    let members = members.map_err(|_| no_token("it is not a JSON object"))?;
    let token = members.access_token.map(Secret::new).ok_or_else(|| no_token("it lacks access_token"))?;
    if token.expose().trim().is_empty() { Err(no_token("its access_token is empty")) } else { Ok(token) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials<'a>(id: &'a str, secret: &'a Secret, url_encodes_header: bool) -> ClientCredentials<'a> {
        ClientCredentials { id, secret, scope: None, url_encodes_header }
    }

    fn answer(status: u16, body: &str) -> Result<Secret, TokenError> {
        let url = Url::parse("http://idp/token").unwrap();
        token(&url, &Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()) })
    }

    #[test]
    fn credentials_go_into_the_header() {
        let secret = Secret::new("s+ü");
        let header = |encodes| authorization(&credentials(" id ", &secret, encodes)).unwrap();
        assert_eq!(header(false).expose(), format!("Basic {}", STANDARD.encode("id:s+ü")));
        assert_eq!(header(true).expose(), format!("Basic {}", STANDARD.encode("id:s%2B%C3%BC")));
        let error = authorization(&credentials("id", &Secret::new(" "), false)).unwrap_err();
        assert!(matches!(error, TokenError::Empty { option: "clientSecret" }));
    }

    #[test]
    fn no_time_at_all_is_the_default() {
        assert_eq!(limit(Some(Duration::from_millis(7))), Duration::from_millis(7));
        assert_eq!((limit(Some(Duration::ZERO)), limit(None)), (DEFAULT_TIMEOUT, DEFAULT_TIMEOUT));
    }

    #[test]
    fn the_form_has_a_scope_where_there_is_one() {
        assert_eq!(form(None), "grant_type=client_credentials");
        assert_eq!(form(Some(" ")), "grant_type=client_credentials");
        assert_eq!(form(Some("a b")), "grant_type=client_credentials&scope=a+b");
    }

    #[test]
    fn answers_are_tokens_or_say_why_not() {
        assert_eq!(answer(200, r#"{"access_token":"t","expires_in":1,"x":[{}]}"#).unwrap().expose(), "t");
        for body in ["", "[]", "{}", r#"{"access_token":" "}"#, r#"{"access_token":1}"#] {
            assert!(matches!(answer(200, body), Err(TokenError::NoToken { .. })), "{body}");
        }
        let error =
            answer(401, r#"{"error":"invalid_client","error_description":"bad\nsecret"}"#).unwrap_err();
        assert!(error.to_string().contains("HTTP status 401: invalid_client: bad secret; check"), "{error}");
        assert!(!error.is_retriable());
        let error = answer(503, "<html>busy</html>").unwrap_err();
        assert!(error.is_retriable() && error.to_string().contains("503; check"), "{error}");
    }
}
