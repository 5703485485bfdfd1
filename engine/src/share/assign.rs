//! Who runs what: the leader's decision, a function of what the members report. Pure.
//!
//! Sticky: what somebody has stays there unless the loads would differ too much. Incremental (KIP-429): what moves is
//! granted to nobody as long as its owner claims it; that one lets go, everybody joins again, and then it is granted. The
//! loads are bytes per second, and a little for each partition, which also costs something when it is idle.

use std::cmp::Reverse;
use std::sync::Arc;

use super::report::{Grant, Report};
use super::shards::{SHARDS, Shards};

/// A partition weighs as much as this many bytes per second, beside those it brings.
const PARTITION_WEIGHT: u64 = 4096;
/// Loads that differ by no more than this part of their average are left alone.
const TOLERANCE: u64 = 10;

/// What is known of the shards' weights: the last that anybody reported.
#[derive(Debug, Clone)]
pub(crate) struct Weights(Vec<u64>);

impl Default for Weights {
    fn default() -> Self {
        Self(vec![0; usize::from(SHARDS)])
    }
}

impl Weights {
    /// Takes a report over. Weights of shards that nobody has (their process died) stay what they were; those that
    /// somebody claims and does not tell of (just taken up, or without partitions now) fade.
    pub(crate) fn learn(&mut self, report: &Report) {
        if report.comes_back {
            return;
        }
        let before = self.clone();
        for shard in report.claims.iter() {
            self.set(shard, self.of(shard) / 2);
        }
        for load in report.loads.iter().filter(|load| report.claims.contains(load.shard)) {
            let partitions = u64::from(load.partitions);
            let measured = load.bytes_per_second.map(|rate| partitions * PARTITION_WEIGHT + u64::from(rate));
            // Not measured yet where it is now: it weighs what it did elsewhere, or what others do.
            let elsewhere = || Some(before.of(load.shard)).filter(|weight| *weight > 0);
            self.set(load.shard, measured.or_else(elsewhere).unwrap_or_else(|| partitions * before.usual()));
        }
    }

    /// What a shard with partitions weighs on average.
    fn usual(&self) -> u64 {
        let known = self.0.iter().filter(|weight| **weight > 0);
        let (sum, count) = known.fold((0u64, 0u64), |(sum, count), weight| (sum + weight, count + 1));
        sum.checked_div(count).unwrap_or(PARTITION_WEIGHT).max(PARTITION_WEIGHT)
    }

    fn set(&mut self, shard: u16, weight: u64) {
        if let Some(known) = self.0.get_mut(usize::from(shard)) {
            *known = weight;
        }
    }

    fn of(&self, shard: u16) -> u64 {
        self.0.get(usize::from(shard)).copied().unwrap_or(0)
    }
}

/// One who takes part.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) claims: Shards,
    /// What it claims it had once: what somebody else claims is not its any more.
    pub(crate) comes_back: bool,
    pub(crate) leads: bool,
}

/// What each member gets, in the order of `members`. At most `members_max` of them get anything.
pub(crate) fn assign(members: &[Member], weights: &Weights, members_max: Option<usize>) -> Vec<Grant> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by_key(|&index| members.get(index).map(|one| &one.id));
    let claimed = claims(members, &order);
    let seats = seats(members, order, members_max);
    let mut grants = vec![Grant { shards: Shards::NONE, leads: false }; members.len()];
    for (shard, seat) in place(&claimed, &seats, weights) {
        let owner = claimed.get(usize::from(shard)).copied().flatten();
        let granted = grants.get_mut(seat).filter(|_| owner.is_none_or(|owner| owner == seat));
        if let Some(grant) = granted {
            grant.shards.insert(shard);
        }
    }
    let leader = members.iter().position(|one| one.leads).or_else(|| seats.first().copied());
    if let Some(grant) = leader.and_then(|leader| grants.get_mut(leader)) {
        grant.leads = true;
    }
    grants
}

/// Who has each shard now. Should two say so, the first counts; the other is told to let go before anything moves.
fn claims(members: &[Member], order: &[usize]) -> Vec<Option<usize>> {
    let claimant = |shard: u16| {
        let claims = |index: &usize| members.get(*index).is_some_and(|one| one.claims.contains(shard));
        let comes_back = |index: &usize| members.get(*index).is_some_and(|one| one.comes_back);
        order.iter().copied().filter(claims).min_by_key(comes_back)
    };
    (0..SHARDS).map(claimant).collect()
}

/// Those who take part: where there may only be some, those who have most already.
fn seats(members: &[Member], order: Vec<usize>, members_max: Option<usize>) -> Vec<usize> {
    let mut seats = order;
    seats.sort_by_key(|&index| Reverse(members.get(index).map_or(0, |one| one.claims.len())));
    seats.truncate(members_max.unwrap_or(usize::MAX).max(1));
    seats
}

/// One who takes part, with what it shall have: weights with their shards, in order.
struct Seat {
    member: usize,
    load: u64,
    shards: Vec<(u64, u16)>,
}

impl Seat {
    fn put(&mut self, weight: u64, shard: u16) {
        let place = self.shards.partition_point(|one| *one < (weight, shard));
        self.shards.insert(place, (weight, shard));
        self.load += weight;
    }

    /// Takes out the heaviest shard that weighs no more than `limit`.
    fn take(&mut self, limit: u64) -> Option<(u64, u16)> {
        let behind = self.shards.partition_point(|(weight, _)| *weight <= limit);
        let taken = self.shards.remove(behind.checked_sub(1)?);
        self.load -= taken.0;
        Some(taken)
    }
}

/// Where each shard shall be in the end: those with partitions by their weights, the others by their number.
fn place(claimed: &[Option<usize>], seats: &[usize], weights: &Weights) -> Vec<(u16, usize)> {
    let (busy, idle): (Vec<u16>, Vec<u16>) = (0..SHARDS).partition(|shard| weights.of(*shard) > 0);
    let busy = level(busy.into_iter().map(|shard| (weights.of(shard), shard)), claimed, seats);
    let idle = level(idle.into_iter().map(|shard| (1, shard)), claimed, seats);
    let places = |seat: Seat| seat.shards.into_iter().map(move |(_, shard)| (shard, seat.member));
    busy.into_iter().chain(idle).flat_map(places).collect()
}

fn level(shards: impl Iterator<Item = (u64, u16)>, claimed: &[Option<usize>], seats: &[usize]) -> Vec<Seat> {
    let mut seats: Vec<Seat> =
        seats.iter().map(|&member| Seat { member, load: 0, shards: Vec::new() }).collect();
    let mut open = Vec::new();
    for (weight, shard) in shards {
        let owner = claimed.get(usize::from(shard)).copied().flatten();
        match seats.iter_mut().find(|seat| Some(seat.member) == owner) {
            Some(seat) => seat.put(weight, shard),
            None => open.push((weight, shard)),
        }
    }
    open.sort_by_key(|&(weight, shard)| (Reverse(weight), shard));
    for (weight, shard) in open {
        let least = seats.iter_mut().min_by_key(|seat| (seat.load, seat.shards.len()));
        least.into_iter().for_each(|seat| seat.put(weight, shard));
    }
    while move_one(&mut seats) {}
    seats
}

/// Moves one shard from who has most to who has least; `false` when the loads are near enough, or no shard would bring
/// them nearer. The sum of their squares falls with each move, so this ends.
fn move_one(seats: &mut [Seat]) -> bool {
    let total: u64 = seats.iter().map(|seat| seat.load).sum();
    let Some(average) = total.checked_div(seats.len() as u64) else { return false };
    let loads = || seats.iter().map(|seat| seat.load).enumerate();
    let most = loads().max_by_key(|&(index, load)| (load, Reverse(index)));
    let least = loads().min_by_key(|&(index, load)| (load, index));
    let (Some((from, most)), Some((to, least))) = (most, least) else { return false };
    let apart = most - least;
    if apart <= average / TOLERANCE {
        return false;
    }
    // Not beyond the average, so that nobody loses what others would then have to make up for.
    let limit = (most - average).min(average - least);
    let giver = seats.get_mut(from);
    let taken = giver.and_then(|seat| seat.take(limit).or_else(|| seat.take(apart / 2)));
    match (taken, seats.get_mut(to)) {
        (Some((weight, shard)), Some(seat)) => {
            seat.put(weight, shard);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
