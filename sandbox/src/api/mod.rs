//! The APIs of a broker, one file each: the table of them, and what happens to a request between its frame and its answer.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_producers;
mod end_txn;
mod fetch;
mod find_coordinator;
#[cfg(test)]
mod group_tests;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_groups;
mod list_offsets;
mod metadata;
mod offset_commit;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod sync_group;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod transaction_tests;
mod txn_offset_commit;
mod write_txn_markers;

use std::future::Future;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request, StrBytes};
use kmirror_protocol::wire::compress::Decompressor;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::control::{RequestInfo, Verdict};
use crate::options::SandboxOptions;
use crate::shared::Shared;

/// One end of a connection.
pub(crate) struct Peer {
    /// The broker that was connected to.
    pub(crate) broker: i32,
    pub(crate) shared: Arc<Shared>,
    /// Looks into produced batches, unless that is switched off.
    pub(crate) inspector: Option<Mutex<Decompressor>>,
    /// Whether requests wait for what they ask for; otherwise they are answered with what there is.
    pub(crate) waits: bool,
    /// Wakes the request of this connection that waits.
    pub(crate) waker: Arc<Notify>,
}

impl Peer {
    pub(crate) fn new(broker: i32, shared: Arc<Shared>) -> Self {
        let inspector = shared.cluster().options.inspect_records.then(Mutex::default);
        Self { broker, shared, inspector, waits: true, waker: Arc::new(Notify::new()) }
    }
}

/// What the socket has to do after a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Send a frame of these pieces.
    Send(Vec<Bytes>),
    /// Send bytes that are no frame.
    SendAsIs(Bytes),
    /// Nothing: the request wants no answer.
    Silence,
    /// Close the connection.
    HangUp(String),
}

/// What an API makes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Body(Vec<Bytes>),
    Silence,
    HangUp(String),
}

/// A request on its way through an API.
pub(crate) struct Call<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) version: i16,
    /// Size of the buffer the request lies in.
    pub(crate) frame_len: usize,
    pub(crate) client_id: Option<&'a str>,
}

impl Call<'_> {
    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }

    /// The answer with `response` as its body.
    pub(crate) fn body(&self, response: &impl Encodable) -> Answer {
        let mut body = BytesMut::new();
        match response.encode(&mut body, self.version) {
            Ok(()) => Answer::Body(vec![body.freeze()]),
            Err(error) => {
                Answer::HangUp(format!("an answer that version {} cannot say: {error}", self.version))
            }
        }
    }
}

type Response<A> = <<A as Api>::Request as Request>::Response;

/// One of Kafka's APIs.
pub(crate) trait Api {
    /// Its request message.
    type Request: Request + Send;

    /// The answer that says of every part of the request that it failed with `code` (`AbstractRequest.getErrorResponse`).
    fn refuse(request: &Self::Request, version: i16, code: i16) -> Response<Self>;

    /// Does what a broker does.
    fn answer(call: &Call<'_>, request: Self::Request) -> impl Future<Output = Answer> + Send;
}

/// An API with the versions that are offered and those that could be.
struct Offer {
    api: ApiKey,
    offered: (i16, i16),
    implemented: (i16, i16),
}

macro_rules! apis {
    ($($key:ident $offered:tt $implemented:tt => $api:ty),* $(,)?) => {
        /// All APIs: (lowest, highest) version as Kafka 3.9 has them, and what is implemented.
        const OFFERS: &[Offer] = &[
            $(Offer { api: ApiKey::$key, offered: $offered, implemented: $implemented }),*
        ];

        /// Has the API answer, or refuse everything with this code.
        pub(crate) async fn run(api: ApiKey, call: &Call<'_>, body: Bytes, refusal: Option<i16>) -> Answer {
            match api {
                $(ApiKey::$key => run_api::<$api>(call, body, refusal).await,)*
                _ => Answer::HangUp(format!("{api:?} is not implemented")),
            }
        }
    };
}

apis! {
    Produce (0, 11) (3, 13) => produce::Produce,
    Fetch (4, 17) (4, 17) => fetch::Fetch,
    ListOffsets (1, 9) (1, 10) => list_offsets::ListOffsets,
    Metadata (0, 12) (0, 13) => metadata::Metadata,
    ApiVersions (0, 4) (0, 4) => api_versions::ApiVersions,
    CreateTopics (2, 7) (2, 7) => create_topics::CreateTopics,
    InitProducerId (0, 5) (0, 5) => init_producer_id::InitProducerId,
    OffsetCommit (2, 9) (2, 9) => offset_commit::OffsetCommit,
    OffsetFetch (1, 9) (1, 9) => offset_fetch::OffsetFetch,
    FindCoordinator (0, 6) (0, 6) => find_coordinator::FindCoordinator,
    JoinGroup (0, 9) (0, 9) => join_group::JoinGroup,
    Heartbeat (0, 4) (0, 4) => heartbeat::Heartbeat,
    LeaveGroup (0, 5) (0, 5) => leave_group::LeaveGroup,
    SyncGroup (0, 5) (0, 5) => sync_group::SyncGroup,
    DescribeGroups (0, 5) (0, 5) => describe_groups::DescribeGroups,
    ListGroups (0, 5) (0, 5) => list_groups::ListGroups,
    DeleteGroups (0, 2) (0, 2) => delete_groups::DeleteGroups,
    DeleteTopics (1, 6) (1, 6) => delete_topics::DeleteTopics,
    DeleteRecords (0, 2) (0, 2) => delete_records::DeleteRecords,
    OffsetForLeaderEpoch (2, 4) (2, 4) => offset_for_leader_epoch::OffsetForLeaderEpoch,
    AddPartitionsToTxn (0, 3) (0, 3) => add_partitions_to_txn::AddPartitionsToTxn,
    AddOffsetsToTxn (0, 4) (0, 4) => add_offsets_to_txn::AddOffsetsToTxn,
    EndTxn (0, 4) (0, 4) => end_txn::EndTxn,
    WriteTxnMarkers (1, 1) (1, 1) => write_txn_markers::WriteTxnMarkers,
    TxnOffsetCommit (0, 4) (0, 4) => txn_offset_commit::TxnOffsetCommit,
    DescribeConfigs (1, 4) (1, 4) => describe_configs::DescribeConfigs,
    IncrementalAlterConfigs (0, 1) (0, 1) => incremental_alter_configs::IncrementalAlterConfigs,
    CreatePartitions (0, 3) (0, 3) => create_partitions::CreatePartitions,
    DescribeCluster (0, 1) (0, 2) => describe_cluster::DescribeCluster,
    DescribeProducers (0, 0) (0, 0) => describe_producers::DescribeProducers,
}

/// The versions of each API that a sandbox with these options offers.
pub(crate) fn offered(options: &SandboxOptions) -> impl Iterator<Item = (ApiKey, i16, i16)> + '_ {
    OFFERS.iter().filter_map(|offer| {
        let asked = options.versions.iter().rev().find(|(api, _, _)| *api == offer.api);
        let (low, high) = match asked {
            Some((_, low, high)) => ((*low).max(offer.implemented.0), (*high).min(offer.implemented.1)),
            None => offer.offered,
        };
        (low <= high).then_some((offer.api, low, high))
    })
}

async fn run_api<A: Api>(call: &Call<'_>, mut body: Bytes, refusal: Option<i16>) -> Answer {
    let request = match A::Request::decode(&mut body, call.version) {
        Ok(request) => request,
        Err(error) => return Answer::HangUp(format!("the request cannot be read: {error}")),
    };
    // librdkafka 2.16 leaves three bytes behind a Metadata request for all topics; a broker does not look.
    if !body.is_empty() && call.peer.shared.cluster().options.strict_frames {
        return Answer::HangUp(format!("{} bytes are left behind the request", body.len()));
    }
    match refusal {
        Some(code) => call.body(&A::refuse(&request, call.version, code)),
        None => A::answer(call, request).await,
    }
}

/// The fixed start of every request.
struct Opening {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
}

impl Opening {
    fn read(frame: &[u8]) -> Option<Self> {
        let (key, rest) = frame.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (correlation_id, _) = rest.split_first_chunk()?;
        Some(Self {
            api: ApiKey::try_from(i16::from_be_bytes(*key)).ok()?,
            version: i16::from_be_bytes(*version),
            correlation_id: i32::from_be_bytes(*correlation_id),
        })
    }

    /// The header of the answer with `body` behind it.
    fn frame(&self, mut body: Vec<Bytes>) -> Outcome {
        let mut header = BytesMut::new();
        header.put_i32(self.correlation_id);
        if self.api.response_header_version(self.version) >= 1 {
            header.put_u8(0);
        }
        body.insert(0, header.freeze());
        Outcome::Send(body)
    }
}

/// Reads a request, has the scripts judge it, and answers it.
pub(crate) async fn respond(peer: &Peer, frame: Bytes) -> Outcome {
    let Some(opening) = Opening::read(&frame) else {
        return Outcome::HangUp("no request header, or of an unknown API".to_owned());
    };
    let offer = offered(&peer.shared.cluster().options).find(|(api, _, _)| *api == opening.api);
    match offer {
        Some((_, low, high)) if (low..=high).contains(&opening.version) => {}
        Some((ApiKey::ApiVersions, low, high)) => {
            return Opening { version: 0, ..opening }.frame(api_versions::unsupported(low, high));
        }
        _ => return Outcome::HangUp(format!("{:?} version {} is not offered", opening.api, opening.version)),
    }
    let (frame_len, mut body) = (frame.len(), frame);
    let header = RequestHeader::decode(&mut body, opening.api.request_header_version(opening.version));
    let Ok(header) = header else { return Outcome::HangUp("the request header cannot be read".to_owned()) };
    let client_id = header.client_id.as_deref();
    let verdict = judge(peer, &opening, client_id, &body);
    let call = Call { peer, version: opening.version, frame_len, client_id };
    obey(verdict, &opening, &call, body).await
}

fn judge(peer: &Peer, opening: &Opening, client_id: Option<&str>, body: &Bytes) -> Verdict {
    let earlier = peer.shared.count_request(peer.broker, opening.api);
    let mut rules = peer.shared.rules();
    if !rules.watches(opening.api) {
        return Verdict::Default;
    }
    rules.judge(&RequestInfo {
        broker: peer.broker,
        api: opening.api,
        version: opening.version,
        client_id: client_id.map(str::to_owned),
        body: body.clone(),
        earlier,
    })
}

async fn obey(verdict: Verdict, opening: &Opening, call: &Call<'_>, body: Bytes) -> Outcome {
    let honest = |refusal| run(opening.api, call, body, refusal);
    let answer = match verdict {
        Verdict::Default => honest(None).await,
        Verdict::AnswerError(code) => honest(Some(code)).await,
        Verdict::Stall(duration) => {
            tokio::time::sleep(duration).await;
            honest(None).await
        }
        Verdict::CutLink => Answer::HangUp("cut by a script".to_owned()),
        Verdict::LoseAnswer => {
            honest(None).await;
            Answer::HangUp("answer lost by a script".to_owned())
        }
        Verdict::Raw(bytes) => return Outcome::SendAsIs(bytes),
        Verdict::Body(bytes) => Answer::Body(vec![bytes]),
        Verdict::Edit(edit) => match honest(None).await {
            Answer::Body(chunks) => Answer::Body(vec![edit(chunks.concat()).into()]),
            other => other,
        },
    };
    match answer {
        Answer::Body(body) => opening.frame(body),
        Answer::Silence => Outcome::Silence,
        Answer::HangUp(reason) => Outcome::HangUp(format!("{:?}: {reason}", opening.api)),
    }
}

/// The code of a part's result.
pub(crate) fn code_of<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}

/// A string for a message.
pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}
