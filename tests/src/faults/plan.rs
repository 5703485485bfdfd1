//! Pure: a seed decides which faults happen when. Knows no clock, no process, no cluster.
//!
//! Faults of one [`Lane`] never overlap, those of different lanes do. Of one cluster only one broker is in trouble at a
//! time and has a rest behind it, so that the majority is never gone for longer than a broker takes to catch up. After
//! each [`STORM`] comes a calm, or nobody could tell how long recovery takes.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::proxy::Way;

/// Brokers of each cluster.
pub const BROKERS: i32 = 3;
/// The broker of each cluster that has a disk of its own, which can be full.
pub const DISK_BROKER: i32 = 3;
/// Partitions added to one topic at most, in one run.
pub const GROWTH_MAX: i32 = 6;
/// How far a clock is off, in seconds.
pub const CLOCK_OFF: i64 = 20 * 60;

/// How long faults come without a pause.
pub const STORM: Duration = Duration::from_secs(45);
/// How long there is none then.
pub const CALM: Duration = Duration::from_secs(15);

/// How long a broker takes to serve again, and its replicas to catch up, as the plan reckons; the run waits for the
/// former, however long it takes.
const BROKER_REST: Range<u64> = 10_000..18_000;
const LINK_REST: Range<u64> = 4_000..12_000;
const TOPICS_REST: Range<u64> = 10_000..20_000;
const MIRROR_REST: Range<u64> = 6_000..16_000;
/// Longer than kmirror takes to look at the file again.
const PASSWORDS_REST: Range<u64> = 20_000..60_000;

/// One of the two clusters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Where the load goes.
    Source,
    /// What is judged.
    Target,
}

/// What happens to a broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokerFault {
    /// SIGKILL, later a start.
    Killed,
    /// SIGTERM, later a start.
    Stopped,
    /// SIGSTOP, later SIGCONT.
    Paused,
    /// One of its two disks takes no more; later there is room, and the broker is restarted.
    DiskFull,
    /// Restarted with a clock that is ahead or behind by [`CLOCK_OFF`], later with the right one.
    ClockOff {
        /// Into the future.
        ahead: bool,
    },
}

/// What happens to a link between kmirror and a broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// Connections end and are refused.
    Cut,
    /// Connections end, once.
    Reset,
    /// Each way takes so many milliseconds longer.
    Delayed(u64),
    /// So many bytes a second.
    Throttled(u32),
    /// Silence both ways.
    Held,
    /// Silence one way.
    HeldOneWay(Way),
    /// One way of the open connections ends, once.
    HalfClosed(Way),
}

/// What happens to a kmirror process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MirrorFault {
    /// SIGKILL, later a start.
    Killed,
    /// SIGTERM, later a start.
    Stopped,
    /// SIGSTOP for longer than the session, then SIGCONT.
    Paused,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A broker.
    Broker(Side, i32, BrokerFault),
    /// The links between kmirror and one broker, or all of them.
    Link(Side, Option<i32>, LinkFault),
    /// Leaders of all partitions move to other brokers.
    LeadersMove(Side),
    /// The source's topics get a partition more.
    PartitionAdded,
    /// A cluster has another password for kmirror, which hears of it later.
    PasswordChanged(Side),
    /// A kmirror process.
    Mirror(usize, MirrorFault),
}

/// A fault and its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// From the beginning of the run.
    pub at: Duration,
    /// Until it is healed; zero for what is over at once.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

/// Faults that come one after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lane {
    /// Brokers of a cluster.
    Brokers(Side),
    /// Links to a cluster.
    Links(Side),
    /// Leaders and partitions.
    Topics,
    /// What kmirror logs in with at a cluster.
    Passwords(Side),
    /// One kmirror process.
    Mirror(usize),
}

impl Fault {
    /// The lane it belongs to.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Broker(side, ..) => Lane::Brokers(*side),
            Self::Link(side, ..) => Lane::Links(*side),
            Self::LeadersMove(_) | Self::PartitionAdded => Lane::Topics,
            Self::PasswordChanged(side) => Lane::Passwords(*side),
            Self::Mirror(process, _) => Lane::Mirror(*process),
        }
    }

    /// What is counted together.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Broker(_, _, fault) => match fault {
                BrokerFault::Killed => "broker killed",
                BrokerFault::Stopped => "broker stopped",
                BrokerFault::Paused => "broker paused",
                BrokerFault::DiskFull => "disk full",
                BrokerFault::ClockOff { .. } => "clock off",
            },
            Self::Link(_, _, fault) => match fault {
                LinkFault::Cut => "link cut",
                LinkFault::Reset => "connections reset",
                LinkFault::Delayed(_) => "link delayed",
                LinkFault::Throttled(_) => "link throttled",
                LinkFault::Held => "link silent",
                LinkFault::HeldOneWay(_) => "link silent one way",
                LinkFault::HalfClosed(_) => "connections half-closed",
            },
            Self::LeadersMove(_) => "leaders moved",
            Self::PartitionAdded => "partition added",
            Self::PasswordChanged(_) => "password changed",
            Self::Mirror(_, fault) => match fault {
                MirrorFault::Killed => "kmirror killed",
                MirrorFault::Stopped => "kmirror stopped",
                MirrorFault::Paused => "kmirror paused",
            },
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Broker(side, broker, BrokerFault::ClockOff { ahead }) => {
                let way = if *ahead { "ahead" } else { "behind" };
                write!(f, "{kind}: {side} {broker}, {} min {way}", CLOCK_OFF / 60)
            }
            Self::Broker(side, broker, _) => write!(f, "{kind}: {side} {broker}"),
            Self::Link(side, broker, fault) => {
                match broker {
                    Some(broker) => write!(f, "{kind}: {side} {broker}")?,
                    None => write!(f, "{kind}: {side}, all")?,
                }
                match fault {
                    LinkFault::Delayed(millis) => write!(f, ", {millis} ms each way"),
                    LinkFault::Throttled(bytes) => write!(f, ", {} kB/s", bytes / 1000),
                    LinkFault::HeldOneWay(Way::Requests) | LinkFault::HalfClosed(Way::Requests) => {
                        f.write_str(", requests")
                    }
                    LinkFault::HeldOneWay(Way::Responses) | LinkFault::HalfClosed(Way::Responses) => {
                        f.write_str(", responses")
                    }
                    LinkFault::Cut | LinkFault::Reset | LinkFault::Held => Ok(()),
                }
            }
            Self::LeadersMove(side) | Self::PasswordChanged(side) => write!(f, "{kind}: {side}"),
            Self::PartitionAdded => f.write_str(kind),
            Self::Mirror(process, _) => write!(f, "{kind}: process {}", process + 1),
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.1} s  {}", self.at.as_secs_f64(), self.fault)?;
        if self.lasts.is_zero() { Ok(()) } else { write!(f, ", for {:.1} s", self.lasts.as_secs_f64()) }
    }
}

/// The faults of a run of that many seconds with that many kmirror processes, by time; all are healed when it ends.
#[must_use]
pub fn plan(seed: u64, length: Duration, processes: usize) -> Vec<Planned> {
    let mut lanes = vec![Lane::Topics];
    for side in [Side::Source, Side::Target] {
        lanes.extend([Lane::Brokers(side), Lane::Links(side), Lane::Passwords(side)]);
    }
    lanes.extend((0..processes).map(Lane::Mirror));
    let mut planned: Vec<Planned> =
        lanes.into_iter().flat_map(|lane| faults_of(lane, seed, length)).collect();
    planned.sort_by_key(|planned| (planned.at, planned.fault.lane()));
    planned
}

/// The faults of one lane, which depend on the seed and nothing that other lanes do.
fn faults_of(lane: Lane, seed: u64, length: Duration) -> Vec<Planned> {
    let mut dice = Dice::new(seed, lane_number(lane));
    let rest = match lane {
        Lane::Brokers(_) => BROKER_REST,
        Lane::Links(_) => LINK_REST,
        Lane::Topics => TOPICS_REST,
        Lane::Passwords(_) => PASSWORDS_REST,
        Lane::Mirror(_) => MIRROR_REST,
    };
    let mut planned = Vec::new();
    let mut added = 0;
    // The first comes soon, or short runs would see little.
    let mut at = Duration::from_millis(dice.within(1_000..rest.start));
    loop {
        let (mut fault, lasts) = one_fault(lane, &mut dice);
        if fault == Fault::PartitionAdded {
            // Spread over the whole run.
            if added < GROWTH_MAX && at * GROWTH_MAX.unsigned_abs() >= length * added.unsigned_abs() {
                added += 1;
            } else {
                fault = Fault::LeadersMove(Side::Target);
            }
        }
        let lasts = Duration::from_millis(lasts);
        at = not_in_a_calm(at, lasts, &mut dice);
        if at + lasts > length {
            return planned;
        }
        planned.push(Planned { at, lasts, fault });
        at += lasts + Duration::from_millis(dice.within(rest.clone()));
    }
}

/// Puts off what would not be healed before the next calm.
fn not_in_a_calm(at: Duration, lasts: Duration, dice: &mut Dice) -> Duration {
    let cycle = STORM + CALM;
    let number = u32::try_from(at.as_secs() / cycle.as_secs()).unwrap_or(u32::MAX);
    if at + lasts <= cycle * number + STORM {
        at
    } else {
        cycle * (number + 1) + Duration::from_millis(dice.within(100..4_000))
    }
}

fn lane_number(lane: Lane) -> u64 {
    match lane {
        Lane::Topics => 0,
        Lane::Brokers(Side::Source) => 1,
        Lane::Brokers(Side::Target) => 2,
        Lane::Links(Side::Source) => 3,
        Lane::Links(Side::Target) => 4,
        Lane::Mirror(process) => 5 + process as u64,
        Lane::Passwords(Side::Source) => 1_000,
        Lane::Passwords(Side::Target) => 1_001,
    }
}

/// A fault of that lane and how many milliseconds it lasts.
fn one_fault(lane: Lane, dice: &mut Dice) -> (Fault, u64) {
    match lane {
        Lane::Brokers(side) => {
            let broker = dice.broker();
            // Longer than a broker's session of 4 s, or shorter.
            match dice.within(0..12) {
                0..4 => (Fault::Broker(side, broker, BrokerFault::Killed), dice.within(500..8_000)),
                4..7 => (Fault::Broker(side, broker, BrokerFault::Stopped), dice.within(200..5_000)),
                7..9 => (Fault::Broker(side, broker, BrokerFault::Paused), dice.within(1_000..9_000)),
                9..11 => (Fault::Broker(side, DISK_BROKER, BrokerFault::DiskFull), dice.within(2_000..7_000)),
                _ => {
                    let ahead = dice.within(0..2) == 0;
                    (Fault::Broker(side, broker, BrokerFault::ClockOff { ahead }), dice.within(8_000..15_000))
                }
            }
        }
        Lane::Links(side) => {
            let broker = if dice.within(0..4) == 0 { None } else { Some(dice.broker()) };
            let (fault, lasts) = link_fault(dice);
            (Fault::Link(side, broker, fault), lasts)
        }
        Lane::Topics => match dice.within(0..5) {
            0 => (Fault::PartitionAdded, 0),
            1 | 2 => (Fault::LeadersMove(Side::Source), 0),
            _ => (Fault::LeadersMove(Side::Target), 0),
        },
        Lane::Passwords(side) => (Fault::PasswordChanged(side), dice.within(200..6_000)),
        Lane::Mirror(process) => match dice.within(0..8) {
            0..4 => (Fault::Mirror(process, MirrorFault::Killed), dice.within(0..3_000)),
            4..6 => (Fault::Mirror(process, MirrorFault::Stopped), dice.within(0..3_000)),
            // Longer than `session.timeout.ms`, 10 s.
            _ => (Fault::Mirror(process, MirrorFault::Paused), dice.within(11_000..14_000)),
        },
    }
}

fn link_fault(dice: &mut Dice) -> (LinkFault, u64) {
    let way = if dice.within(0..2) == 0 { Way::Requests } else { Way::Responses };
    match dice.within(0..10) {
        0 | 1 => (LinkFault::Cut, dice.within(200..5_000)),
        2 => (LinkFault::Reset, 0),
        3 => (LinkFault::Delayed(dice.within(20..400)), dice.within(2_000..8_000)),
        4 => {
            let bytes = u32::try_from(dice.within(20_000..400_000)).unwrap_or(u32::MAX);
            (LinkFault::Throttled(bytes), dice.within(2_000..8_000))
        }
        // Longer than a request may take, or shorter.
        5 | 6 => (LinkFault::Held, dice.within(500..9_000)),
        7 => (LinkFault::HeldOneWay(way), dice.within(500..9_000)),
        _ => (LinkFault::HalfClosed(way), 0),
    }
}

/// Numbers that follow from a seed (`SplitMix64`, by Steele, Lea and Flood), so that no crate's next version changes a
/// plan.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, lane: u64) -> Self {
        let mut dice = Self(seed ^ lane.wrapping_mul(0xd134_2543_de82_ef95));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The modulus prefers small numbers by less than 2^-40 for ranges as small as these.
    fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start).max(1)
    }

    fn broker(&mut self) -> i32 {
        match self.within(0..3) {
            0 => 1,
            1 => 2,
            _ => BROKERS,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_seed_gives_one_plan_and_another_seed_another() {
        assert_eq!(plan(7, HOUR, 3), plan(7, HOUR, 3));
        assert_ne!(plan(7, HOUR, 3), plan(8, HOUR, 3));
    }

    /// Runs of the past can be tried again only as long as this holds.
    #[test]
    fn plans_stay_as_they_are() {
        let shown: Vec<String> =
            plan(1, Duration::from_secs(9), 1).iter().map(|planned| planned.to_string()).collect();
        let expected = [
            "    2.5 s  partition added",
            "    2.9 s  link silent one way: source 1, responses, for 0.5 s",
            "    3.9 s  connections half-closed: target, all, responses",
            "    5.2 s  kmirror stopped: process 1, for 2.1 s",
            "    6.4 s  password changed: source, for 2.3 s",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_further_process_leaves_the_other_faults_alone() {
        let others = |plan: Vec<Planned>| -> Vec<Planned> {
            plan.into_iter().filter(|planned| planned.fault.lane() != Lane::Mirror(2)).collect()
        };
        assert_eq!(others(plan(3, HOUR, 3)), plan(3, HOUR, 2));
    }

    #[test]
    fn an_hour_has_every_kind_of_fault() {
        let kinds =
            |seed| plan(seed, HOUR, 1).iter().map(|planned| planned.fault.kind()).collect::<BTreeSet<_>>();
        for seed in 0..20 {
            assert_eq!(kinds(seed).len(), 18, "{seed}: {:?}", kinds(seed));
        }
    }

    #[test]
    fn everything_is_healed_and_nothing_overlaps_in_its_lane() {
        for seed in 0..200 {
            let planned = plan(seed, Duration::from_secs(300), 3);
            let lanes: BTreeSet<Lane> = planned.iter().map(|planned| planned.fault.lane()).collect();
            assert_eq!(lanes.len(), 10);
            for lane in lanes {
                let mut until = Duration::ZERO;
                for planned in planned.iter().filter(|planned| planned.fault.lane() == lane) {
                    assert!(planned.at > until, "seed {seed}: {planned} begins before {until:?}");
                    until = planned.at + planned.lasts;
                }
                assert!(until <= Duration::from_secs(300));
            }
        }
    }

    #[test]
    fn in_a_calm_nothing_is_out_of_order() {
        for planned in plan(5, HOUR, 3) {
            let second = |time: Duration| time.as_millis() % (STORM + CALM).as_millis();
            let (begins, ends) = (second(planned.at), second(planned.at + planned.lasts));
            assert!(begins <= ends && ends <= STORM.as_millis(), "{planned}");
        }
    }

    #[test]
    fn a_cluster_gets_a_rest_before_its_next_broker_fails() {
        for seed in 0..200 {
            for side in [Side::Source, Side::Target] {
                let planned = plan(seed, HOUR, 1);
                let mut brokers = planned.iter().filter(|one| one.fault.lane() == Lane::Brokers(side));
                let mut before = *brokers.next().unwrap();
                for next in brokers {
                    assert!(next.at >= before.at + before.lasts + Duration::from_millis(BROKER_REST.start));
                    before = *next;
                }
            }
        }
    }

    #[test]
    fn partitions_do_not_grow_without_end() {
        let added = plan(1, HOUR * 10, 1).iter().filter(|one| one.fault == Fault::PartitionAdded).count();
        assert_eq!(added, usize::try_from(GROWTH_MAX).unwrap());
    }

    #[test]
    fn partitions_are_added_until_late_in_the_run() {
        for seed in 0..20 {
            let planned = plan(seed, HOUR, 2);
            let last = planned.iter().rfind(|one| one.fault == Fault::PartitionAdded).unwrap();
            assert!(last.at > HOUR / 2, "seed {seed}: {last}");
        }
    }
}
