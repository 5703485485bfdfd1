//! The layouts of the responses that go through the message crate, as Kafka's schemas give them.
//! The tests compare each with what that crate writes, in every version.

use super::shape::{BOOL, Field, INT8, INT16, INT32, INT32_LIST, INT64, TEXT, UUID, structs};

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
