//! The task that is in a flow's group: joins, shows that it lives, tells the flow what it may run.
//!
//! A start must not wait for the group: brokers hold up the first join of an empty one (`group.initial.rebalance.delay.ms`,
//! 3 s). So the join is sent first and then the group looked at. Who sees nobody but itself begins at once with
//! everything; of two that start in the same instant at most one does, since each looks after it has joined: should the
//! first not see the second yet, then the second sees the first. The coordinator makes the first to join its leader, so
//! that it is also the one who shares out, and knows what it has begun.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kmirror_protocol::client::groups::{
    ClassicGroup, GroupMember, Joined, MemberError, Membership as Application, Seat, classic_group,
};
use kmirror_protocol::client::{ClientError, Cluster};
use kmirror_protocol::wire::error::ErrorCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::assign::{Member, Weights, assign};
use super::home::{home, is_gone};
use super::lease::Lease;
use super::report::{Grant, Report, ShardLoad};
use super::shards::Shards;
use super::watching::Watching;
use super::{PROTOCOL, PROTOCOL_TYPE};
use crate::clients::cluster;
use crate::error::chain;
use crate::plan::{ClientPlan, FlowPlan};
use crate::status::FlowStatus;

/// The pause before a group that others are in is tried again.
const FOREIGN_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause between attempts to reach the coordinator.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long after something moved it is looked whether the loads have come apart: soon, as they are not known at first...
const LEVEL_FIRST: Duration = Duration::from_secs(15);
/// ... and each time twice as long as before, up to this.
const LEVEL_LAST: Duration = Duration::from_secs(300);
/// The pause before the next attempt when the leader had nothing to say to us.
const PAUSE_UNSAID: Duration = Duration::from_millis(200);
/// How long leaving may take: the session ends by itself otherwise.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// How much longer than the rebalance timeout an answer may take.
const JOIN_SLACK: Duration = Duration::from_secs(10);

/// What a process may run of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// Whether anything has been said yet.
    pub(crate) is_known: bool,
    /// Partitions of these shards.
    pub(crate) shards: Shards,
    /// How often everything was taken away without a chance to let go of it in good order.
    pub(crate) losses: u32,
}

/// As whom this process speaks in the group, and how often it had lost everything when it sat down: what was begun in an
/// earlier seat is not shown by a later one if something was lost between them.
pub(crate) type Seated = Option<(Seat, u32)>;

/// What the flow tells.
#[derive(Debug, Clone)]
struct Held {
    /// What it has, until it has let go of it.
    shards: Shards,
    loads: Vec<ShardLoad>,
}

/// A flow's place in its group. Dropping it leaves the group.
pub(crate) struct Membership {
    /// What may be run.
    pub(crate) share: watch::Receiver<Share>,
    /// Until when.
    pub(crate) lease: Arc<Lease>,
    /// The place in the group as it is now.
    pub(crate) seat: watch::Receiver<Seated>,
    held: watch::Sender<Held>,
    leave: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave.cancel();
    }
}

impl Membership {
    /// Joins the flow's group, and tries until it is in.
    pub(crate) fn start(plan: &Arc<FlowPlan>, status: &Arc<FlowStatus>) -> Self {
        let leave = CancellationToken::new();
        let (share, shares) = watch::channel(Share { is_known: false, shards: Shards::NONE, losses: 0 });
        let (held, helds) = watch::channel(Held { shards: Shards::NONE, loads: Vec::new() });
        let lease = Arc::new(Lease::new());
        let (seated, seat) = watch::channel(None);
        let task = Task::new(plan, status, Arc::clone(&lease), (share, seated), helds);
        let task = tokio::spawn(task.run(leave.clone()));
        Self { share: shares, lease, seat, held, leave, task }
    }

    /// Waits until it is known what may be run.
    pub(crate) async fn begin(&mut self) -> Share {
        if self.share.wait_for(|share| share.is_known).await.is_err() {
            // The task ends with the membership only.
            std::future::pending::<()>().await;
        }
        self.share.borrow_and_update().clone()
    }

    /// Tells what it costs.
    pub(crate) fn costs(&self, loads: Vec<ShardLoad>) {
        self.held.send_modify(|held| held.loads = loads);
    }

    /// Tells what the flow has now, and what it costs.
    pub(crate) fn has(&self, shards: Shards, loads: Vec<ShardLoad>) {
        self.held.send_replace(Held { shards, loads });
    }

    /// Leaves the group: others get what was ours.
    pub(crate) async fn leave(&mut self) {
        self.leave.cancel();
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }
}

struct Task {
    plan: Arc<FlowPlan>,
    flow: String,
    group: Arc<str>,
    status: Arc<FlowStatus>,
    member: GroupMember,
    prompt: Cluster,
    lease: Arc<Lease>,
    share: watch::Sender<Share>,
    seat: watch::Sender<Seated>,
    held: watch::Receiver<Held>,
    home: String,
    /// What the group says that the process of this name had before.
    had: Shards,
    leads: bool,
    weights: Weights,
    level_after: Duration,
    /// What was said last of a failure.
    told: Option<String>,
}

impl Task {
    fn new(
        plan: &Arc<FlowPlan>,
        status: &Arc<FlowStatus>,
        lease: Arc<Lease>,
        (share, seat): (watch::Sender<Share>, watch::Sender<Seated>),
        held: watch::Receiver<Held>,
    ) -> Self {
        let options = &plan.share;
        let client = |request_timeout| {
            let client_id = plan.name();
            let client = ClientPlan { request_timeout, client_id, ..plan.target_admin.clone() };
            cluster(&plan.target, &client, 1, None)
        };
        let prompt = client(options.session_timeout);
        let patient = client(options.rebalance_timeout + JOIN_SLACK);
        let group: Arc<str> = options.group.as_str().into();
        let application = Application {
            group: Arc::clone(&group),
            protocol_type: PROTOCOL_TYPE.into(),
            protocol: PROTOCOL.into(),
            instance_id: options.instance_id.as_deref().map(Arc::from),
            session_timeout: options.session_timeout,
            rebalance_timeout: options.rebalance_timeout,
        };
        Self {
            flow: plan.name(),
            plan: Arc::clone(plan),
            group,
            status: Arc::clone(status),
            member: GroupMember::new(application, patient, prompt.clone()),
            prompt,
            lease,
            share,
            seat,
            held,
            home: home(),
            had: Shards::NONE,
            leads: false,
            weights: Weights::default(),
            level_after: LEVEL_FIRST,
            told: None,
        }
    }

    async fn run(mut self, leave: CancellationToken) {
        tokio::select! {
            () = leave.cancelled() => {}
            () = self.stay() => {}
        }
        self.status.set_leads(false);
        // An instance comes back within its session and finds its place (KIP-345).
        if self.plan.share.instance_id.is_none() {
            let left = timeout(LEAVE_WITHIN, self.member.leave()).await;
            debug!(flow = self.flow, group = &*self.group, ?left, "left");
        }
    }

    /// Goes from generation to generation.
    async fn stay(&mut self) {
        let mut backoff = self.prompt.backoff();
        loop {
            let Err(error) = self.generation().await else { continue };
            match error {
                MemberError::Rebalance => backoff.reset(),
                MemberError::Lost(code) => self.lose(&code.to_string()),
                MemberError::Foreign => {
                    self.tell_foreign().await;
                    sleep(FOREIGN_PAUSE).await;
                }
                MemberError::Client(error) => {
                    self.tell_failure(&error);
                    sleep(backoff.failed().min(PAUSE_MAX)).await;
                }
            }
        }
    }

    /// One generation: joins it and stays in it.
    async fn generation(&mut self) -> Result<(), MemberError> {
        if self.member.id().is_empty() {
            self.look_who_was_there().await;
        }
        let metadata = self.report().encode();
        self.member.introduce(&metadata).await?;
        let joined = self.join(&metadata).await?;
        let losses = self.share.borrow().losses;
        self.seat.send_replace(self.member.seat().map(|seat| (seat, losses)));
        let grants = self.share_out(joined);
        let sent = Instant::now();
        let granted = self.member.sync(grants).await?;
        self.is_alive(sent);
        let Some(grant) = Grant::decode(&granted) else {
            // An assignment that was made before we came, or none: the next generation brings one.
            sleep(PAUSE_UNSAID).await;
            return Err(MemberError::Rebalance);
        };
        self.take(grant);
        self.live().await
    }

    /// Joins, and looks meanwhile who is in the group: others may take their time to let go of what they were told to.
    async fn join(&mut self, metadata: &Bytes) -> Result<Joined, MemberError> {
        let (id, instance) = (self.member.id().to_owned(), self.plan.share.instance_id.clone());
        let watching = Watching {
            cluster: self.prompt.clone(),
            group: Arc::clone(&self.group),
            id,
            instance,
            every: self.plan.share.heartbeat_interval,
            session: self.plan.share.session_timeout,
            lease: Arc::clone(&self.lease),
            begins: self.share.borrow().shards.is_empty(),
        };
        let (share, status, flow) = (&self.share, &self.status, &self.flow);
        tokio::select! {
            joined = self.member.join(metadata) => joined,
            never = watching.run(|alone| {
                if alone {
                    info!(flow, "nobody else mirrors it");
                    share.send_modify(|share| (share.is_known, share.shards) = (true, Shards::ALL));
                    status.set_leads(true);
                }
            }) => match never {},
        }
    }

    /// A member that was killed stays in the group until its session ends, unless it is known to be gone. One with a name
    /// may come back: what it had is kept for it.
    async fn look_who_was_there(&mut self) {
        self.had = Shards::NONE;
        let Ok(group) = classic_group(&self.prompt, &self.group).await else { return };
        for member in group.members.iter().filter(|_| &*group.protocol_type == PROTOCOL_TYPE) {
            if let Some(name) = &member.instance_id {
                let is_ours = self.plan.share.instance_id.as_deref() == Some(name);
                if let Some(grant) = Grant::decode(&member.assignment).filter(|_| is_ours) {
                    self.had = grant.shards;
                }
                continue;
            }
            let dead = Report::decode(&member.metadata).is_some_and(|report| is_gone(&report.home));
            if dead && self.member.dismiss(&member.id).await.is_ok() {
                info!(
                    flow = self.flow,
                    group = &*self.group,
                    member = &*member.id,
                    "a killed process is out"
                );
            }
        }
    }

    /// What the leader has to say: who gets what.
    fn share_out(&mut self, joined: Joined) -> Vec<(Arc<str>, Bytes)> {
        let Some(members) = joined.members else { return Vec::new() };
        let own = self.report();
        let mut taking_part = Vec::with_capacity(members.len());
        for (id, metadata) in members {
            // Of ourselves we know better what it is now.
            let report = if *id == *self.member.id() { Some(own.clone()) } else { Report::decode(&metadata) };
            let Some(report) = report else { continue };
            self.weights.learn(&report);
            let Report { claims, comes_back, leads, .. } = report;
            taking_part.push(Member { id, claims, comes_back, leads });
        }
        let grants = assign(&taking_part, &self.weights, self.plan.share.members_max);
        debug!(flow = self.flow, members = taking_part.len(), "shared out");
        taking_part.into_iter().zip(grants).map(|(one, grant)| (one.id, grant.encode())).collect()
    }

    /// What we say of ourselves. What was granted and what is still held is claimed, so that nobody else gets it.
    fn report(&self) -> Report {
        let held = self.held.borrow();
        let share = self.share.borrow();
        let is_in = !self.member.id().is_empty() && share.is_known;
        let claims = if is_in { share.shards.with(&held.shards) } else { self.had.clone() };
        let (home, loads) = (self.home.clone(), held.loads.clone());
        Report { claims, comes_back: !is_in, leads: is_in && self.leads, home, loads }
    }

    fn take(&mut self, grant: Grant) {
        if self.told.take().is_some() || !self.share.borrow().is_known {
            info!(flow = self.flow, group = &*self.group, shards = grant.shards.len(), "member of the group");
        }
        self.status.set_trouble(&Arc::clone(&self.group), None);
        self.leads = grant.leads;
        self.status.set_leads(grant.leads);
        if self.share.send_if_modified(|share| {
            let changed = !share.is_known || share.shards != grant.shards;
            (share.is_known, share.shards) = (true, grant.shards);
            changed
        }) {
            self.level_after = LEVEL_FIRST;
        }
    }

    /// Shows that we live until something changes.
    async fn live(&mut self) -> Result<(), MemberError> {
        let every = self.plan.share.heartbeat_interval;
        let patience = self.plan.share.session_timeout / 3;
        let begun = Instant::now();
        let mut pause = every;
        loop {
            let letting_go = !self.held.borrow().shards.is_within(&self.share.borrow().shards);
            tokio::select! {
                () = sleep(pause) => {}
                () = let_go(&mut self.held, &self.share), if letting_go => return Err(MemberError::Rebalance),
            }
            let sent = Instant::now();
            match self.member.heartbeat(patience).await {
                Ok(()) => self.is_alive(sent),
                // Still a member: the others join already.
                Err(MemberError::Rebalance) => {
                    self.is_alive(sent);
                    return Err(MemberError::Rebalance);
                }
                Err(MemberError::Client(error)) => {
                    debug!(flow = self.flow, "no heartbeat: {}", chain(&error));
                    pause = every.min(Duration::from_millis(100));
                    continue;
                }
                Err(error) => return Err(error),
            }
            pause = every;
            if self.leads && begun.elapsed() >= self.level_after {
                self.level_after = (self.level_after * 2).min(LEVEL_LAST);
                return Err(MemberError::Rebalance);
            }
        }
    }

    fn is_alive(&self, sent: Instant) {
        self.lease.extend(sent + self.plan.share.session_timeout);
    }

    /// The coordinator gave us up: what was ours may be somebody else's by now.
    fn lose(&mut self, why: &str) {
        let known = self.share.borrow().is_known;
        let losses = self.share.borrow().losses.wrapping_add(u32::from(known));
        self.lease.end(losses);
        self.seat.send_replace(None);
        self.leads = false;
        self.status.set_leads(false);
        if known {
            warn!(
                flow = self.flow,
                group = &*self.group,
                "the coordinator gave this process up ({why}), nothing is mirrored until it is in the group again"
            );
            self.share.send_modify(|share| {
                share.shards = Shards::NONE;
                share.losses = losses;
            });
        }
    }

    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            warn!(flow = self.flow, "{text}; will be tried again");
            self.status.set_trouble(&Arc::clone(&self.group), Some(text.as_str().into()));
            self.told = Some(text);
        }
    }

    fn tell_failure(&mut self, error: &ClientError) {
        let (group, target) = (&self.group, &self.plan.target);
        match error.code() {
            // The flow cannot reach the cluster either, and says so.
            None => debug!(flow = self.flow, group = &**group, "not joined: {}", chain(error)),
            Some(ErrorCode::GroupAuthorizationFailed) => self.tell(format!(
                "not mirrored: the right READ for group {group} is missing on cluster {target}; the processes of a flow \
                 share it in that group"
            )),
            Some(_) => self.tell(format!("not mirrored: group {group} cannot be joined: {}", chain(error))),
        }
    }

    async fn tell_foreign(&mut self) {
        let described = classic_group(&self.prompt, &self.group).await.ok();
        let who = described.as_ref().map_or_else(|| "another program".to_owned(), who_is_in);
        let text = format!(
            "not mirrored: group {} on cluster {} is in use by {who}, and two mirrors of one flow would copy everything \
             twice. Stop that one, or take the flow out of this file",
            self.group, self.plan.target
        );
        self.tell(text);
    }
}

/// Who keeps us out.
fn who_is_in(group: &ClassicGroup) -> String {
    let program = match &*group.protocol_type {
        "connect" => "a MirrorMaker 2 (protocol type connect)".to_owned(),
        other => format!("members with protocol type {other}"),
    };
    match group.members.first() {
        Some(one) => {
            format!("{program}, client id {}, at {}", one.client_id, one.host.trim_start_matches('/'))
        }
        None => program,
    }
}

/// Waits until the flow has nothing any more that it may not have.
async fn let_go(held: &mut watch::Receiver<Held>, share: &watch::Sender<Share>) {
    let _ = held.wait_for(|held| held.shards.is_within(&share.borrow().shards)).await;
}
