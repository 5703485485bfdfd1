//! `kmirror run`: starts a mirror, waits for its end or for a signal, and turns the outcome into an exit code.

use std::time::{Duration, Instant};

use kmirror_engine::Mirror;
use kmirror_engine::plan::Plan;
use kmirror_engine::status::{PartitionState, Status};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::exit::Exit;
use crate::progress::Progress;
use crate::reload::Reload;
use crate::summary::summary;

/// How often the status is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A mirror gives up when each of its flows failed to start and this time is over: the file or the clusters are wrong.
/// A first attempt that is still at work is left alone: thousands of topics take a while to create. Once a flow has
/// started, it is retried for ever. Where it is certificates or logins, it gives up at once.
const START_WITHIN: Duration = Duration::from_secs(15);
/// A run until synced ends as incomplete when for so long nothing moved and something is in trouble.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What ends a run.
enum End {
    Synced,
    Incomplete,
    Signal,
    Code(Exit),
}

/// Runs a plan until it is synced (if `until_synced`) or until a signal.
///
/// Where there is a file to read again, SIGHUP does it, and a change of the files with its secrets.
pub(crate) async fn run(plan: Plan, until_synced: bool, reload: Option<&Reload>) -> Exit {
    let caught = Signals::new().and_then(|signals| Ok((signals, Again::new(reload)?)));
    let (mut signals, mut again) = match caught {
        Ok(caught) => caught,
        Err(error) => {
            error!("signals cannot be caught: {error}");
            return Exit::StartFailed;
        }
    };
    let started = Instant::now();
    let mut mirror = match Mirror::start(plan) {
        Ok(mirror) => mirror,
        Err(error) => {
            error!("threads cannot be started: {error}");
            return Exit::StartFailed;
        }
    };
    let end = loop {
        tokio::select! {
            end = watch(&mut mirror, until_synced, &mut signals) => break end,
            reload = again.next() => reload.apply(&mirror),
        }
    };
    let status = mirror.status().clone();
    if let End::Signal = end {
        info!(
            "stopping: waiting for what is in flight, then writing progress (a second signal stops at once)"
        );
    }
    mirror.begin_stop();
    loop {
        tokio::select! {
            _ = mirror.ended() => break,
            // The last writes need a password that is replaced just now, too.
            reload = again.next() => reload.apply(&mirror),
            () = signals.next() => {
                warn!("stopped at once: what was in flight is mirrored again by the next run");
                return Exit::Interrupted;
            }
        }
    }
    match end {
        End::Synced => {
            eprint!("{}", summary(&status, started.elapsed()));
            Exit::Success
        }
        End::Incomplete => {
            eprint!("{}", summary(&status, started.elapsed()));
            error!("not everything was mirrored: see the reasons above");
            Exit::Incomplete
        }
        End::Signal if until_synced => {
            eprint!("{}", summary(&status, started.elapsed()));
            Exit::Interrupted
        }
        End::Signal => Exit::Success,
        End::Code(exit) => exit,
    }
}

async fn watch(mirror: &mut Mirror, until_synced: bool, signals: &mut Signals) -> End {
    let status = mirror.status().clone();
    tokio::select! {
        () = signals.next() => End::Signal,
        refusal = mirror.refused() => {
            error!("{refusal}");
            End::Code(Exit::Refused)
        }
        end = look(&status, until_synced) => end,
    }
}

/// Looks at the status until the run is over.
async fn look(status: &Status, until_synced: bool) -> End {
    if !wait_for_start(status).await {
        return End::Code(Exit::StartFailed);
    }
    if !until_synced {
        return std::future::pending().await;
    }
    let mut progress = Progress::start();
    let mut stuck = Stuck::new();
    let end = loop {
        progress.show(status);
        if status.is_synced() {
            break End::Synced;
        }
        if stuck.look(status) {
            break End::Incomplete;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    progress.finish();
    end
}

async fn wait_for_start(status: &Status) -> bool {
    if status.flows.is_empty() {
        // Heartbeats alone.
        return true;
    }
    let started = Instant::now();
    // One that other processes keep waiting has started, too.
    while !status.flows.iter().any(|flow| flow.is_discovered() || flow.is_waiting()) {
        let all_failed = status.flows.iter().all(|flow| !flow.trouble().is_empty());
        let all_denied = status.flows.iter().all(|flow| flow.is_denied());
        if all_denied || (all_failed && started.elapsed() > START_WITHIN) {
            for flow in &status.flows {
                for (about, what) in flow.trouble() {
                    error!("{about}: {what}");
                }
            }
            if !all_denied {
                error!("no flow could be started within {} s", START_WITHIN.as_secs());
            }
            return false;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    true
}

/// Notices that a run will not be synced by itself.
struct Stuck {
    done: u64,
    since: Instant,
}

impl Stuck {
    fn new() -> Self {
        Self { done: 0, since: Instant::now() }
    }

    fn look(&mut self, status: &Status) -> bool {
        let partitions = || status.flows.iter().flat_map(|flow| flow.partitions());
        let stopped = |state| state == PartitionState::Stopped;
        let discovered = status.flows.iter().all(|flow| flow.is_discovered());
        let trouble = status.flows.iter().any(|flow| !flow.trouble().is_empty());
        let decided = partitions().all(|one| one.is_synced() || stopped(one.state()));
        if discovered && !trouble && decided {
            return true;
        }
        let totals = crate::summary::totals(status);
        if totals.done != self.done || totals.troubled == 0 {
            *self = Self { done: totals.done, since: Instant::now() };
        }
        self.since.elapsed() >= STUCK_AFTER
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP, and files beside the configuration that change, where that means something; else SIGHUP ends the process as
/// usual.
struct Again<'a>(Option<(Signal, &'a Reload)>);

impl<'a> Again<'a> {
    fn new(reload: Option<&'a Reload>) -> std::io::Result<Self> {
        Ok(Self(match reload {
            Some(reload) => Some((signal(SignalKind::hangup())?, reload)),
            None => None,
        }))
    }

    async fn next(&mut self) -> &'a Reload {
        let Some((signal, reload)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = signal.recv() => {}
            () = reload.changed() => info!("a file with secrets has changed: the configuration is read again"),
        }
        reload
    }
}
