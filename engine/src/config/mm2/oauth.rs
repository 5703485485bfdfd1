//! A login with tokens: `OAuthBearerLoginModule` and `sasl.oauthbearer.*` (KIP-255, KIP-768).

use core::net::IpAddr;
use std::time::Duration;

use kmirror_protocol::net::sasl::{OAuthSettings, TokenRefresh, TokenSource};

use super::client::Owner;
use super::login::Login;
use super::reader::Reader;
use super::tls::Given;
use crate::config::java_options::path;
use crate::config::keys::{self, Opt};
use crate::config::problem::{Notice, Problem};
use crate::config::security_problem::{LoginProblem, SecurityNotice};

/// How long an unsecured token lives where nobody says (`OAuthBearerUnsecuredLoginCallbackHandler`).
const UNSECURED_LIFETIME: Duration = Duration::from_secs(3600);

/// Who supplies tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handler {
    Unsecured,
    Secured,
}

impl Reader<'_> {
    pub(super) fn oauth(&mut self, owner: Owner<'_>, login: &Login<'_>) -> Option<OAuthSettings> {
        let extensions = self.extensions(login);
        let refresh = TokenRefresh {
            window_percent: self.percent(&owner.places(&keys::REFRESH_WINDOW), &keys::REFRESH_WINDOW),
            jitter_percent: self.percent(&owner.places(&keys::REFRESH_JITTER), &keys::REFRESH_JITTER),
            min_period: self.seconds(owner, &keys::REFRESH_MIN_PERIOD),
            buffer: self.seconds(owner, &keys::REFRESH_BUFFER),
        };
        self.check_retriever(owner);
        let source = match self.handler(owner)? {
            Handler::Unsecured => self.unsecured(login),
            Handler::Secured => self.token_endpoint(owner, login),
        };
        Some(OAuthSettings { source: source?, extensions, refresh })
    }

    fn seconds(&mut self, owner: Owner<'_>, opt: &'static Opt) -> Duration {
        Duration::from_secs(self.int(&owner.places(opt), opt))
    }

    /// A number of milliseconds that has no default.
    fn millis_if_set(&mut self, owner: Owner<'_>, opt: &'static Opt) -> Option<Duration> {
        self.text_if_set(&owner.places(opt), opt)?;
        Some(self.millis(owner, opt))
    }

    /// The class says it. Without one Kafka takes unsecured tokens, for which a login has claims; where an endpoint is
    /// given, no other can be meant.
    fn handler(&mut self, owner: Owner<'_>) -> Option<Handler> {
        let opt = &keys::SASL_LOGIN_CALLBACK;
        let Some(class) = self.text_if_set(&owner.places(opt), opt) else {
            let has_endpoint =
                self.text_if_set(&owner.places(&keys::OAUTH_ENDPOINT), &keys::OAUTH_ENDPOINT).is_some();
            return Some(if has_endpoint { Handler::Secured } else { Handler::Unsecured });
        };
        match class.value.strip_prefix("org.apache.kafka.common.security.oauthbearer.") {
            Some("OAuthBearerLoginCallbackHandler" | "secured.OAuthBearerLoginCallbackHandler") => {
                Some(Handler::Secured)
            }
            Some("internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler") => Some(Handler::Unsecured),
            _ => {
                let hint = "there are OAuthBearerLoginCallbackHandler and \
                            internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler of \
                            org.apache.kafka.common.security.oauthbearer";
                let problem = Problem::ForeignClass { class: class.value };
                self.error(Some(class.origin), problem, Some(hint.to_owned()));
                None
            }
        }
    }

    fn check_retriever(&mut self, owner: Owner<'_>) {
        let opt = &keys::OAUTH_RETRIEVER;
        let Some(class) = self.text_if_set(&owner.places(opt), opt) else { return };
        let known = ["DefaultJwtRetriever", "ClientCredentialsJwtRetriever", "FileJwtRetriever"];
        let name = class.value.strip_prefix("org.apache.kafka.common.security.oauthbearer.");
        if !name.is_some_and(|name| known.contains(&name)) {
            let hint =
                format!("there are {} of org.apache.kafka.common.security.oauthbearer", known.join(", "));
            self.error(Some(class.origin), Problem::ForeignClass { class: class.value }, Some(hint));
        }
    }

    fn token_endpoint(&mut self, owner: Owner<'_>, login: &Login<'_>) -> Option<TokenSource> {
        let opt = &keys::OAUTH_ENDPOINT;
        let Some(url) = self.text_if_set(&owner.places(opt), opt) else {
            let what = "`sasl.oauthbearer.token.endpoint.url` says where tokens come from, and it is not set";
            self.error(Some(login.origin.clone()), LoginProblem::Contradiction(what).into(), None);
            return None;
        };
        if let Some(file) = after_scheme(&url.value, "file:") {
            return Some(TokenSource::File(path(file).into()));
        }
        if !["https://", "http://"].iter().any(|scheme| after_scheme(&url.value, scheme).is_some()) {
            // It is not shown: it may hold a key, or be the client's secret in the wrong place.
            let value = "the value".to_owned();
            let expected = "a URL that begins with `https://`, `http://` or `file:`".to_owned();
            self.error(Some(url.origin), Problem::BadValue { value, expected }, None);
            return None;
        }
        if after_scheme(&url.value, "http://").is_some_and(|rest| !is_this_host(rest)) {
            let notice = Notice::Security(SecurityNotice::ReadableClientSecret);
            self.notice(Some(url.origin), notice, Some("a URL with `https://` encrypts them".to_owned()));
        }
        let id = self.text_if_set(&owner.places(&keys::OAUTH_CLIENT_ID), &keys::OAUTH_CLIENT_ID);
        let secret =
            self.secret_if_set(&owner.places(&keys::OAUTH_CLIENT_SECRET), &keys::OAUTH_CLIENT_SECRET);
        let scope = self.text_if_set(&owner.places(&keys::OAUTH_SCOPE), &keys::OAUTH_SCOPE);
        let client_id = match id {
            Some(id) => Some(id.value),
            None => self.option_of(login, "clientId").map(|id| id.expose().to_owned()),
        };
        let client_secret = match secret {
            Some(secret) => Some(secret.value),
            None => self.option_of(login, "clientSecret"),
        };
        Some(TokenSource::Endpoint {
            url: url.value,
            client_id: client_id?,
            client_secret: client_secret?,
            scope: scope.map(|scope| scope.value).or_else(|| login.text("scope").map(ToOwned::to_owned)),
            url_encodes_header: self
                .flag(&owner.places(&keys::OAUTH_HEADER_URLENCODE), &keys::OAUTH_HEADER_URLENCODE)
                .value,
            tls: Box::new(self.tls(Given::Login(login))),
            connect_timeout: self.millis_if_set(owner, &keys::LOGIN_CONNECT_TIMEOUT),
            read_timeout: self.millis_if_set(owner, &keys::LOGIN_READ_TIMEOUT),
            retry_backoff: self.millis(owner, &keys::LOGIN_RETRY_BACKOFF),
            retry_backoff_max: self.millis(owner, &keys::LOGIN_RETRY_BACKOFF_MAX),
        })
    }

    fn unsecured(&mut self, login: &Login<'_>) -> Option<TokenSource> {
        let mut string_claims = Vec::new();
        for (name, value) in login.module.options() {
            if let Some(claim) = name.strip_prefix("unsecuredLoginStringClaim_") {
                string_claims.push((claim.to_owned(), value.expose().to_owned()));
            } else if name.starts_with("unsecuredLoginNumberClaim_")
                || name.starts_with("unsecuredLoginListClaim_")
            {
                let what = "unsecured tokens have claims of text only; they are for tests";
                self.bad_option(login, "unsecuredLoginNumberClaim_", what);
                return None;
            }
        }
        if string_claims.is_empty() {
            let what = "`sasl.oauthbearer.token.endpoint.url` says where tokens come from, and it is not set; for tests \
                        `unsecuredLoginStringClaim_sub` makes tokens that nobody signed";
            self.error(Some(login.origin.clone()), LoginProblem::Contradiction(what).into(), None);
            return None;
        }
        let lifetime = match login.text("unsecuredLoginLifetimeSeconds").map(str::parse) {
            None => UNSECURED_LIFETIME,
            Some(Ok(seconds)) => Duration::from_secs(seconds),
            Some(Err(_)) => {
                self.bad_option(login, "unsecuredLoginLifetimeSeconds", "it is a number of seconds");
                return None;
            }
        };
        Some(TokenSource::Unsecured { string_claims, lifetime })
    }

    /// `extension_NAME` (KIP-342): names of letters, and `auth` is taken by the protocol (RFC 7628).
    fn extensions(&mut self, login: &Login<'_>) -> Vec<(String, String)> {
        let mut extensions = Vec::new();
        for (option, value) in login.module.options() {
            let Some(name) = option.strip_prefix("extension_") else { continue };
            let value = value.expose();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic()) && name != "auth";
            let is_value = value.chars().all(|c| matches!(c, '!'..='~' | ' ' | '\t' | '\r' | '\n'));
            if is_name && is_value {
                extensions.push((name.to_owned(), value.to_owned()));
            } else {
                let what =
                    "a name consists of letters and is not `auth`, a value of printable ASCII characters";
                self.bad_option(login, "extension_..", what);
            }
        }
        extensions
    }
}

/// What is behind the scheme of a URL, written in small letters or in capitals.
fn after_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = url.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether what is behind a URL's scheme leads to this host, so that nobody is on the way.
fn is_this_host(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or_default();
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_this_host() {
        for rest in ["localhost/token", "LOCALHOST:80", "127.0.0.1", "127.1.2.3:8080/x", "[::1]:80?x"] {
            assert!(is_this_host(rest), "{rest}");
        }
        for rest in
            ["idp/localhost", "localhost.example", "localhost:1@idp", "10.0.0.1", "[::2]", "", "127.0.0.1.x"]
        {
            assert!(!is_this_host(rest), "{rest}");
        }
    }
}
