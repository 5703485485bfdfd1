//! Work that several want at once is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Runs at most one piece of work a key at a time; all who ask for it meanwhile get its result.
///
/// The work runs in a task of its own: whoever gives up waiting does not end it for the others.
#[derive(Debug)]
pub(super) struct Flights<K, T> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Waits for the work of this key, which `start` begins if it is not under way. `None` if it panicked.
    pub(super) async fn join<F>(&self, key: K, start: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut result = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            match under_way.get(&key) {
                Some(result) => result.clone(),
                None => {
                    let (sender, result) = watch::channel(None);
                    under_way.insert(key.clone(), result.clone());
                    let landing = Landing { under_way: Arc::clone(&self.under_way), key };
                    let work = start();
                    tokio::spawn(async move {
                        let value = work.await;
                        drop(landing);
                        sender.send_replace(Some(value));
                    });
                    result
                }
            }
        };
        // Fails when the sender is gone without a value, that is, when the work panicked.
        let value = result.wait_for(Option::is_some).await.ok()?;
        value.clone()
    }
}

/// Takes the key out again, whether the work ended well or not: whoever asks after the result is there wants
/// newer.
struct Landing<K: Eq + Hash, T> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_come_meanwhile_share_the_work() {
        let flights = Arc::new(Flights::default());
        let runs = Arc::new(AtomicU32::new(0));
        let ask = |key: &'static str| {
            let (flights, runs) = (Arc::clone(&flights), Arc::clone(&runs));
            tokio::spawn(async move {
                let work = || async move {
                    sleep(Duration::from_secs(1)).await;
                    runs.fetch_add(1, Ordering::SeqCst)
                };
                flights.join(key, work).await.unwrap()
            })
        };
        let (a, b, other) = (ask("a"), ask("a"), ask("b"));
        let (a, b, other) = (a.await.unwrap(), b.await.unwrap(), other.await.unwrap());
        assert_eq!(a, b);
        assert_ne!(a, other);
        assert_eq!(ask("a").await.unwrap(), 2, "what is over is done anew");
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_does_not_end_the_work() {
        let flights = Arc::new(Flights::default());
        let slow = || async {
            sleep(Duration::from_secs(1)).await;
            7
        };
        let first = tokio::time::timeout(Duration::from_millis(10), flights.join((), slow)).await;
        assert!(first.is_err());
        assert_eq!(flights.join((), || async { 8 }).await, Some(7));
    }
}
