//! ApiVersions: which versions of which API the broker speaks (KIP-35, KIP-511).

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};

use super::{Answer, Api, Call, offered};

/// First version with the client's name and version, which a broker checks.
const NAMED_FROM_VERSION: i16 = 3;

pub(super) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;

    fn refuse(_: &ApiVersionsRequest, _: i16, code: i16) -> ApiVersionsResponse {
        ApiVersionsResponse::default().with_error_code(code)
    }

    async fn answer(call: &Call<'_>, request: ApiVersionsRequest) -> Answer {
        let names = [&request.client_software_name, &request.client_software_version];
        if call.version >= NAMED_FROM_VERSION && !names.iter().all(|name| is_software_name(name)) {
            return call.body(&Self::refuse(&request, call.version, ResponseError::InvalidRequest.code()));
        }
        let cluster = call.peer.shared.cluster();
        let keys = offered(&cluster.options).map(|(api, low, high)| {
            ApiVersion::default().with_api_key(api as i16).with_min_version(low).with_max_version(high)
        });
        call.body(&ApiVersionsResponse::default().with_api_keys(keys.collect()))
    }
}

/// `ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN`.
fn is_software_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || ['-', '.'].contains(&c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().next_back())
}

/// The answer to a version that is not offered: in version 0, with the error and the versions of this API alone, so that
/// the client can ask again.
pub(super) fn unsupported(low: i16, high: i16) -> Vec<Bytes> {
    let mut body = BytesMut::new();
    body.put_i16(ResponseError::UnsupportedVersion.code());
    body.put_i32(1);
    body.put_i16(ApiKey::ApiVersions as i16);
    body.put_i16(low);
    body.put_i16(high);
    vec![body.freeze()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Bench, ask, ask_raw};
    use crate::options::SandboxOptions;

    #[tokio::test]
    async fn offers_what_is_implemented_and_what_options_leave() {
        let options = SandboxOptions {
            versions: vec![(ApiKey::Fetch, 0, 11), (ApiKey::ListOffsets, 0, -1)],
            ..SandboxOptions::default()
        };
        let bench = Bench::new(options);
        for version in 0..=4 {
            let request = ApiVersionsRequest::default()
                .with_client_software_name("test".into())
                .with_client_software_version("1.0".into());
            let response: ApiVersionsResponse = ask(&bench, version, &request).await;
            let range = |api: ApiKey| {
                let key = response.api_keys.iter().find(|key| key.api_key == api as i16)?;
                Some((key.min_version, key.max_version))
            };
            assert_eq!(range(ApiKey::Fetch), Some((4, 11)));
            assert_eq!(range(ApiKey::ListOffsets), None);
            assert_eq!(range(ApiKey::Metadata), Some((0, 12)));
        }
    }

    #[tokio::test]
    async fn an_unknown_version_is_answered_in_version_0() {
        let bench = Bench::new(SandboxOptions::default());
        let mut frame = BytesMut::new();
        frame.put_slice(&[0, 18, 0, 99, 0, 0, 0, 5, 0xFF, 0xFF, 0, 0]);
        let answer = ask_raw(&bench, frame.freeze()).await.unwrap();
        assert_eq!(answer, [0, 0, 0, 5, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4].as_slice());
    }

    #[tokio::test]
    async fn software_names_are_checked() {
        let bench = Bench::new(SandboxOptions::default());
        let request = ApiVersionsRequest::default().with_client_software_name("no spaces".into());
        let response: ApiVersionsResponse = ask(&bench, 3, &request).await;
        assert_eq!(response.error_code, ResponseError::InvalidRequest.code());
    }
}
