//! The head of a request and of a response: what stands between the length of a frame and the message itself.

use bytes::{BufMut, Bytes, BytesMut};

use super::api::ApiKey;
use super::cursor::Reader;
use super::error::WireError;

/// Bytes of the length that precedes every frame.
pub const LENGTH_BYTES: usize = 4;

/// Length, header and nothing else of a request whose body of `body_len` bytes follows.
///
/// Header version 1 up to the first flexible version of the API, then version 2, which adds (no) tagged fields.
///
/// # Errors
/// [`WireError::Length`] when the frame would not fit its 32-bit length, or the client id its 16-bit one.
pub fn request_head(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: &str,
    body_len: usize,
) -> Result<Bytes, WireError> {
    let too_long = |what, len: usize| WireError::Length {
        what,
        length: i64::try_from(len).unwrap_or(i64::MAX),
        remaining: 0,
    };
    let flexible = api.is_flexible(version);
    let head_len = 10 + client_id.len() + usize::from(flexible);
    let client_id_len =
        i16::try_from(client_id.len()).map_err(|_| too_long("the client id", client_id.len()))?;
    let frame_len =
        i32::try_from(head_len + body_len).map_err(|_| too_long("the request", head_len + body_len))?;

    let mut head = BytesMut::with_capacity(LENGTH_BYTES + head_len);
    head.put_i32(frame_len);
    head.put_i16(api.key());
    head.put_i16(version);
    head.put_i32(correlation_id);
    head.put_i16(client_id_len);
    head.put_slice(client_id.as_bytes());
    if flexible {
        head.put_u8(0);
    }
    Ok(head.freeze())
}

/// The body of a response, behind the header whose correlation id the caller has compared already.
///
/// ApiVersions answers with header version 0 whatever its version, so that a client can read the refusal of a
/// version it asked for too boldly (KIP-511).
///
/// # Errors
/// [`WireError::Truncated`] when the frame is shorter than its header.
pub fn response_body(api: ApiKey, version: i16, frame: Bytes) -> Result<Bytes, WireError> {
    let mut reader = Reader::new(frame);
    reader.i32("the correlation id")?;
    if api.is_flexible(version) && api != ApiKey::ApiVersions {
        reader.skip_tags()?;
    }
    Ok(reader.rest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::{RequestHeader, ResponseHeader};
    use kafka_protocol::protocol::{Encodable, StrBytes};

    #[test]
    fn request_heads_are_those_of_the_message_crate() {
        for &api in ApiKey::ALL {
            for version in api.versions() {
                let header = RequestHeader::default()
                    .with_request_api_key(api.key())
                    .with_request_api_version(version)
                    .with_correlation_id(77)
                    .with_client_id(Some(StrBytes::from_static_str("kmirror")));
                let mut expected = BytesMut::new();
                header.encode(&mut expected, if api.is_flexible(version) { 2 } else { 1 }).unwrap();
                let head = request_head(api, version, 77, "kmirror", 5).unwrap();
                assert_eq!(head[4..], expected[..], "{api} {version}");
                assert_eq!(head[..4], i32::try_from(expected.len() + 5).unwrap().to_be_bytes());
            }
        }
    }

    #[test]
    fn response_heads_are_those_of_the_message_crate() {
        for &api in ApiKey::ALL {
            for version in api.versions() {
                let theirs = kafka_protocol::messages::ApiKey::try_from(api.key()).unwrap();
                let mut frame = BytesMut::new();
                ResponseHeader::default()
                    .with_correlation_id(77)
                    .encode(&mut frame, theirs.response_header_version(version))
                    .unwrap();
                frame.put_slice(b"body");
                assert_eq!(response_body(api, version, frame.freeze()).unwrap(), "body", "{api} {version}");
            }
        }
    }

    #[test]
    fn a_frame_shorter_than_its_header_is_an_error() {
        let short = Bytes::from_static(&[0, 0, 0]);
        assert!(matches!(response_body(ApiKey::Fetch, 4, short), Err(WireError::Truncated { .. })));
        let no_tags = Bytes::from_static(&[0, 0, 0, 1]);
        assert!(response_body(ApiKey::Fetch, 12, no_tags).is_err());
    }
}
