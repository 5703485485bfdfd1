//! What a seed's run is like: how large, which faults, and how often.

use std::sync::Arc;
use std::time::Duration;

use kmirror_engine::flow::lane::LaneOptions;
use kmirror_engine::plan::OnRefused;

use crate::dice::Dice;

/// Chances are in a thousand, for each turn of nature or each request.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    pub(crate) partitions: i32,
    pub(crate) brokers: u16,
    pub(crate) fetch_version: i16,
    pub(crate) produce_version: i16,
    pub(crate) options: LaneOptions,
    /// The longest a message travels, in milliseconds.
    pub(crate) delay_ms: u64,
    /// Bytes of a value at most.
    pub(crate) value_bytes: u64,
    /// Batches have holes.
    pub(crate) holes: u64,
    pub(crate) transactions: u64,
    pub(crate) cuts: u64,
    pub(crate) elections: u64,
    pub(crate) broker_stops: u64,
    pub(crate) expiry: u64,
    /// Unclean elections at the source.
    pub(crate) source_cut_off: u64,
    /// The same at the target.
    pub(crate) target_cut_off: u64,
    pub(crate) growth: u64,
    /// The target forgets silent producers, after silences that are long enough.
    pub(crate) silences: u64,
    pub(crate) crashes: u64,
    /// Requests that are refused, by request.
    pub(crate) refusals: u64,
    /// Questions beside the data path that fail.
    pub(crate) failed_questions: u64,
    /// The target cannot tell what it holds.
    pub(crate) target_is_dumb: bool,
    /// Times that no memory is free.
    pub(crate) no_memory: u64,
}

impl Weather {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut sometimes = |in_a_thousand: u64, most: u64| {
            let on = dice.chance(in_a_thousand);
            if on { dice.between(1, most) } else { 0 }
        };
        let holes = sometimes(400, 400);
        let transactions = sometimes(400, 500);
        let cuts = sometimes(700, 60);
        let elections = sometimes(600, 40);
        let broker_stops = sometimes(300, 20);
        let expiry = sometimes(200, 20);
        let source_cut_off = sometimes(120, 8);
        let target_cut_off = sometimes(100, 6);
        let growth = sometimes(300, 10);
        let silences = sometimes(150, 6);
        let crashes = sometimes(400, 20);
        let refusals = sometimes(600, 60);
        let failed_questions = sometimes(500, 300);
        let no_memory = sometimes(200, 400);
        let target_is_dumb = dice.chance(80);
        Self {
            partitions: dice.between(1, 4) as i32,
            brokers: dice.between(1, 3) as u16,
            fetch_version: dice.pick(&[17, 17, 13, 12, 11, 7]),
            produce_version: dice.pick(&[11, 9]),
            options: options(dice),
            delay_ms: dice.pick(&[1, 5, 20, 100, 400]),
            value_bytes: dice.pick(&[20, 200, 4000]),
            holes,
            transactions,
            cuts,
            elections,
            broker_stops,
            expiry,
            source_cut_off,
            target_cut_off,
            growth,
            silences,
            crashes,
            refusals,
            failed_questions,
            target_is_dumb,
            no_memory,
        }
    }

    /// No fault any more.
    pub(crate) fn clear(&mut self) {
        (self.cuts, self.elections, self.broker_stops, self.expiry, self.growth) = (0, 0, 0, 0, 0);
        (self.source_cut_off, self.target_cut_off, self.silences, self.crashes) = (0, 0, 0, 0);
        (self.refusals, self.failed_questions, self.no_memory) = (0, 0, 0);
    }
}

fn options(dice: &mut Dice) -> LaneOptions {
    let fetch_max_partition_bytes = dice.pick(&[1 << 10, 16 << 10, 256 << 10]);
    let fetch_max_bytes = dice.pick(&[4 << 10, 64 << 10, 1 << 20]);
    LaneOptions {
        fetch_max_wait: Duration::from_millis(500),
        fetch_min_bytes: 1,
        fetch_max_bytes,
        far_fetch_max_bytes: fetch_max_bytes,
        memory_bytes: 4 * fetch_max_bytes,
        fetch_max_partition_bytes,
        read_committed: dice.chance(400),
        rack: Arc::from(""),
        acks: -1,
        produce_timeout: Duration::from_secs(30),
        max_request_bytes: dice.pick(&[2 << 10, 16 << 10, 1 << 20]),
        max_in_flight: dice.pick(&[1, 2, 5, 20]),
        retry_backoff: Duration::from_millis(dice.pick(&[1, 10, 100])),
        retry_backoff_max: Duration::from_secs(1),
        stop_on_lost_records: false,
        on_refused: OnRefused { raises_limit: false, dead_letters: false },
        transaction: None,
    }
}
