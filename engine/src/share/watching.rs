//! Looking at a group while one waits to be let in. Knows nothing of what is shared in it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmirror_protocol::client::Cluster;
use kmirror_protocol::client::groups::classic_group;
use tokio::time::sleep;

use super::lease::Lease;

/// Looks at the group while we wait to be let in.
pub(super) struct Watching {
    pub(super) cluster: Cluster,
    pub(super) group: Arc<str>,
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) every: Duration,
    pub(super) session: Duration,
    pub(super) lease: Arc<Lease>,
    /// Nothing is ours yet.
    pub(super) begins: bool,
}

impl Watching {
    /// A member that waits for its join is not given up, so being listed is a sign of life. `first` hears once whether
    /// there is nobody else.
    pub(super) async fn run(mut self, first: impl Fn(bool)) -> Infallible {
        // Quick at first: the join may be on its way still.
        let mut pause = Duration::from_millis(5);
        loop {
            let sent = Instant::now();
            if let Ok(group) = classic_group(&self.cluster, &self.group).await
                && group.members.iter().any(|one| self.is_us(&one.id, one.instance_id.as_deref()))
            {
                self.lease.extend(sent + self.session);
                if std::mem::take(&mut self.begins) {
                    first(group.members.len() == 1);
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.every);
        }
    }

    fn is_us(&self, id: &str, instance: Option<&str>) -> bool {
        (!self.id.is_empty() && id == self.id)
            || (self.instance.is_some() && instance == self.instance.as_deref())
    }
}
