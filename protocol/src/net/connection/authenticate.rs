//! The conversation about who we are: SaslHandshake, then SaslAuthenticate until both sides are content (KIP-152). The
//! same the first time and again; nothing else may be in flight meanwhile.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use super::shared::Shared;
use crate::net::error::NetError;
use crate::net::sasl::{Exchange, Sasl, SaslError, Step, quoted};
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::{
    self, Request, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};

/// More than any mechanism takes.
const MAX_ROUNDS: usize = 8;
/// How old an exchange may be when it is shown: brokers refuse stamps and tokens that are much older.
const FRESH_FOR: Duration = Duration::from_secs(30);
/// More than any mechanism says at once.
const MAX_CHALLENGE_BYTES: usize = 64 << 10;

/// Authenticates, not before a moment until which the connection may have to wait; how long the session lives, if it ends.
///
/// # Errors
/// [`NetError::Sasl`], and what breaks connections.
pub(super) async fn authenticate(
    shared: &Shared,
    sasl: &Sasl,
    version: i16,
    not_before: Instant,
) -> Result<Option<Duration>, NetError> {
    let failed = |source| NetError::sasl(shared.address(), source);
    // What takes long, tokens and tickets, is got while others still use the connection.
    let begin = async || sasl.begin(&shared.address().host).await.map_err(failed);
    let mut exchange = begin().await?;
    let begun = Instant::now();
    let _alone = shared.alone().await?;
    sleep_until(not_before).await;
    // Answers that are in flight are taken as slowly as the target is.
    if begun.elapsed() > FRESH_FOR {
        exchange = begin().await?;
    }
    let mechanism = sasl.settings().mechanism();
    propose(shared, mechanism).await?;
    let lifetime = converse(shared, sasl, &mut exchange, version).await?;
    tracing::debug!(address = %shared.address(), mechanism, ?lifetime, "authenticated");
    Ok(lifetime)
}

/// Names our mechanism. It is that or none.
async fn propose(shared: &Shared, mechanism: &'static str) -> Result<(), NetError> {
    let version = *ApiKey::SaslHandshake.versions().end();
    let request = SaslHandshakeRequest::default().with_mechanism(messages::text(mechanism));
    let answer = ask(shared, version, request).await?;
    let source = match ErrorCode::from(answer.error_code) {
        ErrorCode::None => return Ok(()),
        ErrorCode::UnsupportedSaslMechanism => {
            let enabled = answer.mechanisms.iter().map(|name| quoted(name).into()).collect();
            SaslError::Mechanism { mechanism, enabled }
        }
        code => SaslError::NotWanted { code },
    };
    Err(NetError::sasl(shared.address(), source))
}

async fn converse(
    shared: &Shared,
    sasl: &Sasl,
    exchange: &mut Exchange,
    version: i16,
) -> Result<Option<Duration>, NetError> {
    let mechanism = sasl.settings().mechanism();
    let failed = |source| NetError::sasl(shared.address(), source);
    let endless = |what| failed(SaslError::Challenge { mechanism, what });
    let mut message = exchange.first();
    for _ in 0..MAX_ROUNDS {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(&message));
        let answer = ask(shared, version, request).await?;
        if let Err(refused) = check(sasl, exchange, &answer) {
            sasl.forget(&shared.address().host).await;
            return Err(failed(refused));
        }
        if answer.auth_bytes.len() > MAX_CHALLENGE_BYTES {
            return Err(endless("a message that is far too long"));
        }
        match exchange.next(&answer.auth_bytes).map_err(failed)? {
            Step::Send(next) => message = next,
            Step::Done => {
                sasl.ended(exchange, &shared.address().host);
                return Ok(lifetime(&answer));
            }
        }
    }
    Err(endless("it does not come to an end"))
}

fn check(sasl: &Sasl, exchange: &Exchange, answer: &SaslAuthenticateResponse) -> Result<(), SaslError> {
    let mechanism = sasl.settings().mechanism();
    let refused = |code| SaslError::Refused {
        mechanism,
        user: exchange.user().or_else(|| sasl.settings().user().map(Into::into)),
        code,
        message: quoted(answer.error_message.as_deref().unwrap_or("no reason given")).into(),
        hint: exchange.hint(mechanism),
    };
    ErrorCode::from(answer.error_code).ok().map_err(refused)
}

fn lifetime(answer: &SaslAuthenticateResponse) -> Option<Duration> {
    u64::try_from(answer.session_lifetime_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

async fn ask<R: Request>(shared: &Shared, version: i16, request: R) -> Result<R::Response, NetError> {
    let wire = |source| NetError::wire(shared.address(), source);
    let body = messages::encode_request(&request, version).map_err(wire)?;
    let answer = shared.submit(None, R::API, version, vec![body])?;
    let answer = answer.await.unwrap_or_else(|_| Err(shared.broken_or_closed()))?;
    messages::decode_response::<R>(version, answer).map_err(wire)
}
