//! How a running flow ends its transactions, and makes sure that those of others have ended.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::error::ErrorCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use tracing::{debug, warn};

use super::{HandedOut, Running, moved, progress_of};
use crate::commit::ProgressStore;
use crate::control::StartError;
use crate::error::chain;
use crate::flow::drive::LaneSays;
use crate::flow::event::{Cause, Event};
use crate::ids::SourcePartition;
use crate::offsets::store::MapStore;
use crate::plan::{FlowPlan, TransactionPlan};
use crate::progress::Progress;
use crate::share::lease::Lease;
use crate::share::membership::Membership;
use crate::transaction::{Transaction, fence};

/// Why what was begun cannot be ended.
pub(super) const LOST: &str = "the coordinator gave this process up meanwhile";

/// How long former writers' transactional ids may take to be fenced, each.
const FENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// The transaction of a running flow.
pub(crate) struct Transacting {
    pub(crate) transaction: Arc<Transaction>,
    pub(crate) plan: TransactionPlan,
    /// What the lane says of it.
    pub(crate) says: mpsc::Receiver<LaneSays>,
}

impl Transacting {
    pub(super) fn name(&self) -> &Arc<str> {
        self.transaction.name()
    }

    /// When transactions are due to end.
    pub(super) fn boundary(&self) -> Interval {
        let mut boundary = interval(self.plan.interval);
        boundary.set_missed_tick_behavior(MissedTickBehavior::Delay);
        boundary
    }
}

/// The next thing that the lane says; never, where there are no transactions.
pub(super) async fn hear(transacting: &mut Option<Transacting>) -> LaneSays {
    let said = match transacting {
        Some(transacting) => transacting.says.recv().await,
        None => None,
    };
    match said {
        Some(said) => said,
        // A lane that has ended says no more; what follows from that comes another way.
        None => std::future::pending().await,
    }
}

pub(super) async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

impl Running {
    /// Ends the transaction, of which nothing is in flight any more, and begins the next.
    pub(super) async fn end_transaction(
        &mut self,
        said: LaneSays,
        member: &mut Membership,
    ) -> Result<(), Cause> {
        match said {
            LaneSays::Abort(cause) => return Err(cause),
            LaneSays::Closed { holds: false } => {}
            LaneSays::Closed { holds: true } => {
                self.commit(member).await?;
            }
        }
        let _ = self.events.send(Event::Reopen).await;
        Ok(())
    }

    /// The same before anything else is done.
    pub(super) async fn end_transaction_now(&mut self, member: &mut Membership) -> Result<(), Cause> {
        let _ = self.events.send(Event::Close).await;
        let patience = self.transacting.as_ref().map_or(Duration::ZERO, |one| one.plan.timeout);
        let said = timeout_at(Instant::now() + patience, hear(&mut self.transacting)).await;
        let said = said.map_err(|_| Cause::from("what is in flight was not answered in time"))?;
        self.end_transaction(said, member).await
    }

    /// Takes our transactional id from the progress of partitions that another process goes on with, where the transaction
    /// did not: that process would take it for one that may have something open, and fence us.
    pub(super) async fn disown(&mut self, partitions: &[HandedOut], own: &Arc<str>, lease: &Lease) {
        let written = partitions.iter().filter_map(|(status, _)| self.progress.get(&status.source));
        let ours = written.filter(|one| one.transactional_id.as_ref() == Some(own));
        let disowned = ours.map(|one| Progress { transactional_id: None, ..one.clone() }).collect();
        if lease.holds()
            && let Err(error) = self.progress.claim(disowned).await
        {
            warn!(flow = self.plan.name(), "{}; the next process will fence this one", chain(&error));
        }
    }

    /// After the lane has ended: what it sent counts if it could end in good order, and not at all otherwise.
    pub(super) async fn end_last_transaction(&mut self, member: &mut Membership) {
        let Some(transacting) = &mut self.transacting else { return };
        let mut last = None;
        while let Ok(said) = transacting.says.try_recv() {
            last = Some(said);
        }
        let ended = match last {
            Some(LaneSays::Closed { holds: true }) => self.commit(member).await,
            Some(LaneSays::Closed { holds: false }) => return,
            Some(LaneSays::Abort(cause)) => Err(cause),
            None => Err("it was stopped within a transaction of the source".into()),
        };
        let Err(cause) = ended else { return };
        let flow = self.plan.name();
        warn!(
            flow,
            "the last transaction is aborted: {cause}; the next start goes on where the one before it ended"
        );
        if let Some(transacting) = &self.transacting
            && let Err(error) = transacting.transaction.end(false).await
        {
            // Nothing was open, or the target aborts it itself in time.
            debug!(flow, "not aborted: {}", chain(&error));
        }
    }

    /// Offset maps and progress go into the transaction; then it counts, unless this process has been given up.
    async fn commit(&mut self, member: &mut Membership) -> Result<(), Cause> {
        let Some(transacting) = &self.transacting else { return Ok(()) };
        let (transaction, patience) = (Arc::clone(&transacting.transaction), transacting.plan.timeout);
        let here = self.handed_out();
        let all: Vec<HandedOut> = here.iter().chain(&self.letting_go).cloned().collect();
        // Where maps may not be written it goes on without them, as ever.
        if let Err(error) = self.keep(&all).await
            && !error.is_refused()
        {
            return Err(chain(&error).into());
        }
        let own = || Some(Arc::clone(transaction.name()));
        // Who goes on with what was let go of has nothing to fence.
        let going = moved(&self.letting_go).map(|one| (one, None));
        let all = moved(&here).map(|one| (one, own())).chain(going);
        let progress =
            all.map(|((status, id), name)| progress_of(status, *id, status.acknowledged(), name)).collect();
        self.progress.write(progress).await.map_err(|error| chain(&error))?;
        self.show(&transaction, member, Instant::now() + patience).await?;
        transaction.end(true).await.map_err(|error| Cause::from(chain(&error)))?;
        self.status.counters.add_transaction(true);
        Ok(())
    }

    /// Shows the group's coordinator that this process is a member, and has been since what is in the transaction became
    /// its own.
    async fn show(
        &self,
        transaction: &Transaction,
        member: &mut Membership,
        deadline: Instant,
    ) -> Result<(), Cause> {
        loop {
            let seated = member.seat.borrow_and_update().clone();
            let lost = member.share.borrow().losses != self.losses;
            if lost || seated.as_ref().is_some_and(|(_, losses)| *losses != self.losses) {
                return Err(LOST.into());
            }
            if let Some((seat, _)) = seated {
                match transaction.show(&seat, self.progress.topic()).await {
                    Ok(()) => return Ok(()),
                    // The group is in another generation already; it is heard of soon.
                    Err(error) if is_of_another_generation(&error) => {}
                    Err(error) => return Err(chain(&error).into()),
                }
            }
            let changed = timeout_at(deadline, member.seat.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return Err("the group's coordinator does not confirm that this process is a member".into());
            }
        }
    }
}

fn is_of_another_generation(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::IllegalGeneration
                | ErrorCode::UnknownMemberId
                | ErrorCode::FencedInstanceId
                | ErrorCode::RebalanceInProgress
        )
    )
}

/// Sees to it that nothing others began is undecided: what processes left open that wrote our partitions before is
/// aborted, of others the end is awaited. Then reads their progress and maps again. `own` is our own transactional id, if any.
pub(crate) async fn end_former(
    plan: &FlowPlan,
    target: &Cluster,
    (progress, maps): (&mut ProgressStore, &mut MapStore),
    own: Option<&Arc<str>>,
    is_ours: impl Fn(&SourcePartition) -> bool,
) -> Result<(), StartError> {
    let former: BTreeSet<Arc<str>> =
        progress.transactional_ids(is_ours).filter(|id| Some(*id) != own).cloned().collect();
    if former.is_empty() && own.is_none() {
        return Ok(());
    }
    for id in former {
        match fence(target, &id, FENCE_TIMEOUT).await {
            Ok(()) => debug!(flow = plan.name(), transactional_id = &*id, "a former writer is fenced"),
            Err(error) => warn!(
                flow = plan.name(),
                transactional_id = &*id,
                "what a former process may have left open cannot be aborted: {}; its end is awaited",
                chain(&error)
            ),
        }
    }
    progress.is_decided().await?;
    maps.is_decided().await?;
    progress.refresh(plan).await?;
    Ok(maps.refresh().await?)
}
