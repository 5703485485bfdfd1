//! The one door to the message crate: everything but Fetch and Produce is coded by it, behind these functions.
//!
//! Its decoders reserve memory by the counts they read before they look for the elements. So a response is first
//! walked by its shape, which proves that every count and length is true; only then is it decoded. What a
//! response may make us allocate is thus bounded by its own length. A request type has to name the shape of its
//! response to pass this door at all.

mod configs_v0;
mod requests;
mod shape;
mod shapes;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
pub use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AlterClientQuotasRequest, AlterClientQuotasResponse, AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsResponse, ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse, CreateAclsRequest, CreateAclsResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteAclsRequest,
    DeleteAclsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DescribeAclsRequest, DescribeAclsResponse,
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, DescribeClusterRequest,
    DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, DescribeProducersRequest, DescribeProducersResponse,
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, InitProducerIdRequest, InitProducerIdResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse, ShareGroupDescribeRequest, ShareGroupDescribeResponse, SyncGroupRequest,
    SyncGroupResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::Decodable;
pub use kafka_protocol::{messages as parts, protocol::StrBytes};

use super::api::ApiKey;
use super::error::WireError;
pub use shape::{Field, Kind};

/// A string as messages carry it: a copy, which keeps nothing else in memory.
pub fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A duration as messages carry it.
pub fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// A request that the message crate encodes, whose response it may decode once that fits its shape.
pub trait Request: kafka_protocol::protocol::Request {
    /// The API it belongs to.
    const API: ApiKey;
    /// The layout of its response.
    const RESPONSE: &'static [Field];

    /// Appends the body of the request in one of our versions.
    ///
    /// # Errors
    /// [`WireError::Codec`] for a value this version cannot carry.
    fn write(&self, version: i16, body: &mut BytesMut) -> Result<(), WireError> {
        encode(self, version, body)
    }

    /// Reads a response in one of our versions, whose layout has been checked.
    ///
    /// # Errors
    /// [`WireError::Codec`] for what does not fit the type.
    fn read(version: i16, body: &mut Bytes) -> Result<Self::Response, WireError> {
        decode::<Self>(version, body)
    }
}

/// The body of a request.
///
/// # Errors
/// [`WireError::Version`] for a version we do not speak, [`WireError::Codec`] for a value this version cannot carry.
pub fn encode_request<R: Request>(request: &R, version: i16) -> Result<Bytes, WireError> {
    check_version(R::API, version)?;
    let mut body = BytesMut::new();
    request.write(version, &mut body).map_err(|error| error.of(R::API, version))?;
    Ok(body.freeze())
}

/// Takes a response body apart; all of it must be used up.
///
/// # Errors
/// Any [`WireError`] for bytes that are not this response in this version.
pub fn decode_response<R: Request>(version: i16, body: Bytes) -> Result<R::Response, WireError> {
    check_version(R::API, version)?;
    let flexible = R::API.is_flexible(version);
    shape::check(R::RESPONSE, version, flexible, body.clone()).map_err(|error| error.of(R::API, version))?;
    let mut body = body;
    let response = R::read(version, &mut body).map_err(|error| error.of(R::API, version))?;
    match body.len() {
        0 => Ok(response),
        bytes => Err(WireError::LeftOver { bytes }.of(R::API, version)),
    }
}

fn encode<R: Request>(request: &R, version: i16, body: &mut BytesMut) -> Result<(), WireError> {
    request.encode(body, version).map_err(|error| WireError::Codec { reason: error.to_string() })
}

fn decode<R: Request>(version: i16, body: &mut Bytes) -> Result<R::Response, WireError> {
    R::Response::decode(body, version).map_err(|error| WireError::Codec { reason: error.to_string() })
}

fn check_version(api: ApiKey, version: i16) -> Result<(), WireError> {
    if api.versions().contains(&version) { Ok(()) } else { Err(WireError::Version { api, version }) }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
