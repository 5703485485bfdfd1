//! The layouts of the responses that go through the message crate, as Kafka's schemas give them.
//! The tests compare each with what that crate writes, in every version.

use super::shape::{
    BOOL, BYTES, Field, INT8, INT16, INT32, INT32_LIST, INT64, TEXT, TEXTS, UUID, one, structs,
};

const THROTTLE_TIME_MS: Field = INT32;
const ERROR_CODE: Field = INT16;

pub(super) const API_VERSIONS: &[Field] = &[
    ERROR_CODE,
    structs(&[INT16, INT16, INT16]),
    THROTTLE_TIME_MS.since(1),
    structs(&[TEXT, INT16, INT16]).since(3).tagged(0),
    INT64.since(3).tagged(1),
    structs(&[TEXT, INT16, INT16]).since(3).tagged(2),
    BOOL.since(3).tagged(3),
];

pub(super) const SASL_HANDSHAKE: &[Field] = &[ERROR_CODE, TEXTS];

pub(super) const SASL_AUTHENTICATE: &[Field] = &[ERROR_CODE, TEXT, BYTES, INT64.since(1)];

pub(super) const METADATA: &[Field] = &[
    THROTTLE_TIME_MS.since(3),
    structs(&[INT32, TEXT, INT32, TEXT]),
    TEXT,
    INT32,
    structs(METADATA_TOPIC),
    INT32.since(8).until(10),
    ERROR_CODE.since(13),
];

const METADATA_TOPIC: &[Field] =
    &[ERROR_CODE, TEXT, UUID.since(10), BOOL, structs(METADATA_PARTITION), INT32.since(8)];

const METADATA_PARTITION: &[Field] =
    &[ERROR_CODE, INT32, INT32, INT32.since(7), INT32_LIST, INT32_LIST, INT32_LIST.since(5)];

pub(super) const LIST_OFFSETS: &[Field] = &[
    THROTTLE_TIME_MS.since(2),
    structs(&[TEXT, structs(&[INT32, ERROR_CODE, INT64, INT64, INT32.since(4)])]),
];

pub(super) const OFFSET_FOR_LEADER_EPOCH: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[TEXT, structs(&[ERROR_CODE, INT32, INT32, INT64])])];

pub(super) const INIT_PRODUCER_ID: &[Field] = &[THROTTLE_TIME_MS, ERROR_CODE, INT64, INT16];

pub(super) const ADD_PARTITIONS_TO_TXN: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[TEXT, structs(&[INT32, ERROR_CODE])])];

pub(super) const ADD_OFFSETS_TO_TXN: &[Field] = &[THROTTLE_TIME_MS, ERROR_CODE];

pub(super) const TXN_OFFSET_COMMIT: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[TEXT, structs(&[INT32, ERROR_CODE])])];

pub(super) const END_TXN: &[Field] = &[THROTTLE_TIME_MS, ERROR_CODE];

pub(super) const CREATE_TOPICS: &[Field] = &[
    THROTTLE_TIME_MS,
    structs(&[
        TEXT,
        UUID.since(7),
        ERROR_CODE,
        TEXT,
        ERROR_CODE.since(5).tagged(0),
        INT32.since(5),
        INT16.since(5),
        structs(&[TEXT, TEXT, BOOL, INT8, BOOL]).since(5),
    ]),
];

pub(super) const CREATE_PARTITIONS: &[Field] = &[THROTTLE_TIME_MS, structs(&[TEXT, ERROR_CODE, TEXT])];

pub(super) const DESCRIBE_CONFIGS: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[ERROR_CODE, TEXT, INT8, TEXT, structs(CONFIG)])];

const CONFIG: &[Field] =
    &[TEXT, TEXT, BOOL, INT8, BOOL, structs(&[TEXT, TEXT, INT8]).since(1), INT8.since(3), TEXT.since(3)];

pub(super) const INCREMENTAL_ALTER_CONFIGS: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[ERROR_CODE, TEXT, INT8, TEXT])];

pub(super) const DELETE_TOPICS: &[Field] = &[THROTTLE_TIME_MS, structs(&[TEXT, ERROR_CODE, TEXT.since(5)])];

pub(super) const DESCRIBE_ACLS: &[Field] =
    &[THROTTLE_TIME_MS, ERROR_CODE, TEXT, structs(&[INT8, TEXT, INT8, structs(&[TEXT, TEXT, INT8, INT8])])];

pub(super) const CREATE_ACLS: &[Field] = &[THROTTLE_TIME_MS, structs(&[ERROR_CODE, TEXT])];

pub(super) const DELETE_ACLS: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[ERROR_CODE, TEXT, structs(DELETED_ACL)])];

const DELETED_ACL: &[Field] = &[ERROR_CODE, TEXT, INT8, TEXT, INT8, TEXT, TEXT, INT8, INT8];

/// The kind of an entity and its name.
const QUOTA_ENTITY: Field = structs(&[TEXT, TEXT]);

/// The value of a limit is a floating-point number of eight bytes.
pub(super) const DESCRIBE_CLIENT_QUOTAS: &[Field] =
    &[THROTTLE_TIME_MS, ERROR_CODE, TEXT, structs(&[QUOTA_ENTITY, structs(&[TEXT, INT64])])];

pub(super) const ALTER_CLIENT_QUOTAS: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[ERROR_CODE, TEXT, QUOTA_ENTITY])];

pub(super) const DESCRIBE_USER_SCRAM_CREDENTIALS: &[Field] =
    &[THROTTLE_TIME_MS, ERROR_CODE, TEXT, structs(&[TEXT, ERROR_CODE, TEXT, structs(&[INT8, INT32])])];

pub(super) const DESCRIBE_CLUSTER: &[Field] = &[
    THROTTLE_TIME_MS,
    ERROR_CODE,
    TEXT,
    INT8.since(1),
    TEXT,
    INT32,
    structs(&[INT32, TEXT, INT32, TEXT, BOOL.since(2)]),
    INT32,
];

pub(super) const DESCRIBE_PRODUCERS: &[Field] =
    &[THROTTLE_TIME_MS, structs(&[TEXT, structs(&[INT32, ERROR_CODE, TEXT, structs(PRODUCER)])])];

const PRODUCER: &[Field] = &[INT64, INT32, INT32, INT64, INT32, INT64];

pub(super) const FIND_COORDINATOR: &[Field] = &[
    THROTTLE_TIME_MS,
    ERROR_CODE.until(3),
    TEXT.until(3),
    INT32.until(3),
    TEXT.until(3),
    INT32.until(3),
    structs(&[TEXT, INT32, TEXT, INT32, ERROR_CODE, TEXT]).since(4),
];

pub(super) const JOIN_GROUP: &[Field] = &[
    THROTTLE_TIME_MS,
    ERROR_CODE,
    INT32,
    TEXT.since(7),
    TEXT,
    TEXT,
    BOOL.since(9),
    TEXT,
    structs(&[TEXT, TEXT.since(5), BYTES]),
];

pub(super) const SYNC_GROUP: &[Field] = &[THROTTLE_TIME_MS, ERROR_CODE, TEXT.since(5), TEXT.since(5), BYTES];

pub(super) const HEARTBEAT: &[Field] = &[THROTTLE_TIME_MS, ERROR_CODE];

pub(super) const LEAVE_GROUP: &[Field] =
    &[THROTTLE_TIME_MS, ERROR_CODE, structs(&[TEXT, TEXT, ERROR_CODE]).since(3)];

pub(super) const LIST_GROUPS: &[Field] =
    &[THROTTLE_TIME_MS.since(1), ERROR_CODE, structs(&[TEXT, TEXT, TEXT.since(4), TEXT.since(5)])];

pub(super) const DESCRIBE_GROUPS: &[Field] = &[
    THROTTLE_TIME_MS.since(1),
    structs(&[
        ERROR_CODE,
        TEXT.since(6),
        TEXT,
        TEXT,
        TEXT,
        TEXT,
        structs(&[TEXT, TEXT.since(4), TEXT, TEXT, BYTES, BYTES]),
        INT32.since(3),
    ]),
];

const ASSIGNMENT: &[Field] = &[structs(&[UUID, TEXT, INT32_LIST])];

const CONSUMER_GROUP_MEMBER: &[Field] =
    &[TEXT, TEXT, TEXT, INT32, TEXT, TEXT, TEXTS, TEXT, one(ASSIGNMENT), one(ASSIGNMENT), INT8.since(1)];

pub(super) const CONSUMER_GROUP_DESCRIBE: &[Field] = &[
    THROTTLE_TIME_MS,
    structs(&[ERROR_CODE, TEXT, TEXT, TEXT, INT32, INT32, TEXT, structs(CONSUMER_GROUP_MEMBER), INT32]),
];

pub(super) const SHARE_GROUP_DESCRIBE: &[Field] = &[
    THROTTLE_TIME_MS,
    structs(&[ERROR_CODE, TEXT, TEXT, TEXT, INT32, INT32, TEXT, structs(SHARE_GROUP_MEMBER), INT32]),
];

const SHARE_GROUP_MEMBER: &[Field] = &[TEXT, TEXT, INT32, TEXT, TEXT, TEXTS, one(ASSIGNMENT)];

const COMMITTED: &[Field] = &[INT32, INT64, INT32.since(5), TEXT, ERROR_CODE];

pub(super) const OFFSET_FETCH: &[Field] = &[
    THROTTLE_TIME_MS.since(3),
    structs(&[TEXT, structs(COMMITTED)]).until(7),
    ERROR_CODE.until(7),
    structs(&[TEXT, structs(&[TEXT, structs(COMMITTED)]), ERROR_CODE]).since(8),
];

pub(super) const OFFSET_COMMIT: &[Field] =
    &[THROTTLE_TIME_MS.since(3), structs(&[TEXT, structs(&[INT32, ERROR_CODE])])];

pub(super) const DESCRIBE_SHARE_GROUP_OFFSETS: &[Field] = &[
    THROTTLE_TIME_MS,
    structs(&[
        TEXT,
        structs(&[TEXT, UUID, structs(&[INT32, INT64, INT32, ERROR_CODE, TEXT])]),
        ERROR_CODE,
        TEXT,
    ]),
];

pub(super) const ALTER_SHARE_GROUP_OFFSETS: &[Field] =
    &[THROTTLE_TIME_MS, ERROR_CODE, TEXT, structs(&[TEXT, UUID, structs(&[INT32, ERROR_CODE, TEXT])])];
