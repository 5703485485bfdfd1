//! The first question on a connection: which versions the broker speaks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::shared::Closer;
use crate::net::error::NetError;
use crate::wire::api::ApiKey;
use crate::wire::error::{ErrorCode, WireError};
use crate::wire::messages::{self, ApiVersionsRequest, ApiVersionsResponse, StrBytes};

/// The version every broker understands, and answers a version in that it does not.
const FALLBACK: i16 = 0;

/// The highest common version of every API that the broker and we have in common.
///
/// A broker that does not speak the version we ask in says so in version 0, and (since Kafka 2.4, KIP-511) which
/// versions of this API it speaks; then we ask once more.
pub(super) async fn versions(closer: &Arc<Closer>) -> Result<BTreeMap<ApiKey, i16>, NetError> {
    let newest = *ApiKey::ApiVersions.versions().end();
    let mut answer = ask(closer, newest).await?;
    if code(&answer) == ErrorCode::UnsupportedVersion {
        let spoken = common_versions(&answer).get(&ApiKey::ApiVersions).copied();
        answer = ask(closer, spoken.unwrap_or(FALLBACK)).await?;
    }
    match code(&answer) {
        ErrorCode::None => Ok(common_versions(&answer)),
        code => Err(NetError::Refused {
            address: closer.shared().address().clone(),
            api: ApiKey::ApiVersions,
            code,
        }),
    }
}

fn code(answer: &ApiVersionsResponse) -> ErrorCode {
    answer.error_code.into()
}

async fn ask(closer: &Arc<Closer>, version: i16) -> Result<ApiVersionsResponse, NetError> {
    let wire = |source: WireError| NetError::wire(closer.shared().address(), source);
    let mut request = ApiVersionsRequest::default();
    if version >= 3 {
        request = request
            .with_client_software_name(StrBytes::from_static_str("kmirror"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    }
    let body = messages::encode_request(&request, version).map_err(wire)?;
    let body = super::send(closer, ApiKey::ApiVersions, version, vec![body]).await?.await?;
    decode(version, body).map_err(wire)
}

/// The error code comes first in every version, and tells whether the rest is in version 0.
fn decode(version: i16, body: Bytes) -> Result<ApiVersionsResponse, WireError> {
    let refused = body.starts_with(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
    messages::decode_response::<ApiVersionsRequest>(if refused { FALLBACK } else { version }, body)
}

fn common_versions(answer: &ApiVersionsResponse) -> BTreeMap<ApiKey, i16> {
    let common = |api: &ApiKey| {
        let theirs = answer.api_keys.iter().find(|range| range.api_key == api.key())?;
        Some((*api, api.common_version(theirs.min_version, theirs.max_version)?))
    };
    ApiKey::ALL.iter().filter_map(common).collect()
}
