//! What all connections of a cluster share: its state behind a lock, the scripts, the counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_protocol::messages::ApiKey;

use crate::control::Rules;
use crate::state::Cluster;

/// One per sandbox. The locks are taken for short synchronous sections, one at a time.
pub(crate) struct Shared {
    cluster: Mutex<Cluster>,
    rules: Mutex<Rules>,
    requests: Mutex<BTreeMap<(i32, i16), u64>>,
    /// What time it is, once somebody told; [`NOT_TOLD`] until then.
    time_ms: AtomicI64,
}

const NOT_TOLD: i64 = i64::MIN;

impl Shared {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self {
            cluster: Mutex::new(cluster),
            rules: Mutex::default(),
            requests: Mutex::default(),
            time_ms: AtomicI64::new(NOT_TOLD),
        }
    }

    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.cluster)
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }

    /// Milliseconds since 1970, as in records: of the system's clock, unless another time was told.
    pub(crate) fn now_ms(&self) -> i64 {
        let told = self.time_ms.load(Ordering::Relaxed);
        if told != NOT_TOLD {
            return told;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn tell_time(&self, now_ms: i64) {
        self.time_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Counts a request; answers how many of the API the cluster has had before.
    pub(crate) fn count_request(&self, broker: i32, api: ApiKey) -> u64 {
        let mut requests = lock(&self.requests);
        let earlier = requests.iter().filter(|((_, of), _)| *of == api as i16).map(|(_, count)| count).sum();
        *requests.entry((broker, api as i16)).or_default() += 1;
        earlier
    }

    /// Requests of `api` so far, at `broker` or at all of them.
    pub(crate) fn requests(&self, broker: Option<i32>, api: ApiKey) -> u64 {
        let wanted = |at: i32, of: i16| of == api as i16 && broker.is_none_or(|broker| broker == at);
        lock(&self.requests).iter().filter(|((at, of), _)| wanted(*at, *of)).map(|(_, count)| count).sum()
    }
}

/// A panic in one request does not take the cluster down: its state is whole between statements of an operation.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
