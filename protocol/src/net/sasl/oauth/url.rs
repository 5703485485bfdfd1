//! The URL of a token endpoint, and the encoding of forms. Text in, text out.

use std::sync::Arc;

use hyper::Uri;

use super::error::TokenError;

/// `http://host[:port]/path` or `https://...`.
#[derive(Debug, Clone)]
pub(super) struct Url {
    host: String,
    port: u16,
    encrypted: bool,
    target: String,
    authority: String,
}

impl Url {
    /// Reads it. Names and passwords within are refused: they would be seen.
    ///
    /// # Errors
    /// [`TokenError::Url`].
    pub(super) fn parse(text: &str) -> Result<Self, TokenError> {
        let wrong = |why| TokenError::Url { why };
        let uri: Uri = text.trim().parse().map_err(|_| wrong("it cannot be read"))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it is neither https nor http")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?.as_str().to_owned();
        if authority.contains('@') {
            return Err(wrong("it holds a user name; clientId and clientSecret have their own options"));
        }
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned();
        if host.is_empty() {
            return Err(wrong("it has no host"));
        }
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Ok(Self { host, port, encrypted, target, authority })
    }

    /// Name or address, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is https.
    pub(super) fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as they were written.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// For people: without the query, which may hold a key.
    pub(super) fn shown(&self) -> Arc<str> {
        let scheme = if self.encrypted { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{scheme}://{}{path}", self.authority).into()
    }
}

/// Text as forms have it (`java.net.URLEncoder`).
pub(super) fn form_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::parse(" https://idp.example/oauth/token?key=k ").unwrap();
        assert_eq!((url.host(), url.port(), url.is_encrypted()), ("idp.example", 443, true));
        assert_eq!((url.target(), url.authority()), ("/oauth/token?key=k", "idp.example"));
        assert_eq!(&*url.shown(), "https://idp.example/oauth/token");
        assert!(Url::parse("HttpS://idp").unwrap().is_encrypted());
        let url = Url::parse("http://[::1]:8080").unwrap();
        assert_eq!((url.host(), url.port(), url.target()), ("::1", 8080, "/"));
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in ["", "idp", "/token", "ftp://a/b", "https://u:p@idp/token", "file:/x", "http://"] {
            let error = Url::parse(text).unwrap_err();
            assert!(matches!(error, TokenError::Url { .. }) && !error.to_string().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn forms_are_encoded_as_java_does() {
        assert_eq!(form_encoded("a b~*-_.ü/:"), "a+b%7E*-_.%C3%BC%2F%3A");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = Url::parse(&text);
            let _ = Url::parse(&format!("http://{text}"));
        }
    }
}
