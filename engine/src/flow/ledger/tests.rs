//! The ledger against what it promises, for any order of events.

use proptest::prelude::*;

use super::*;

/// The offset map's business, not the ledger's.
const RUNS: Runs = Runs { first_record: SourceOffset(0), breaks: Vec::new() };

fn offset(value: i64) -> SourceOffset {
    SourceOffset(value)
}

fn three_batches() -> (Ledger, Vec<Ticket>) {
    let mut ledger = Ledger::new(offset(100), 0);
    let tickets = (0..3)
        .map(|k| ledger.send(offset(100 + 10 * k), offset(110 + 10 * k), 10 * k as i32, 10, RUNS).unwrap())
        .collect();
    (ledger, tickets)
}

#[test]
fn a_target_that_was_seen_to_be_shorter_assigns_offsets_again() {
    let (mut ledger, tickets) = three_batches();
    ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
    let (given, last) = (TargetOffset(20), TargetOffset(59));
    ledger.see_end(TargetOffset(60));
    assert_eq!(
        ledger.acknowledge(tickets[2], Some(given)),
        Err(LedgerError::TargetWentBackwards { given, last })
    );
    ledger.see_end(given);
    assert!(ledger.acknowledge(tickets[1], Some(given)).unwrap());
}

#[test]
fn progress_waits_for_the_oldest() {
    let (mut ledger, tickets) = three_batches();
    assert!(!ledger.acknowledge(tickets[1], None).unwrap());
    assert_eq!(ledger.acknowledged_next(), offset(100));
    assert!(ledger.acknowledge(tickets[0], None).unwrap());
    assert_eq!(ledger.acknowledged_next(), offset(120));
    assert_eq!(ledger.acknowledge(tickets[0], None), Err(LedgerError::UnknownTicket));
}

#[test]
fn a_skip_behind_an_outstanding_batch_waits_for_it() {
    let mut ledger = Ledger::new(offset(0), 0);
    let ticket = ledger.send(offset(0), offset(5), 0, 5, RUNS).unwrap();
    ledger.skip(offset(6)).unwrap();
    assert_eq!(ledger.acknowledged_next(), offset(0));
    ledger.acknowledge(ticket, Some(TargetOffset(0))).unwrap();
    assert_eq!(ledger.acknowledged_next(), offset(6));
    assert!(ledger.is_idle());
}

#[test]
fn target_offsets_must_grow() {
    let (mut ledger, tickets) = three_batches();
    ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
    let error = ledger.acknowledge(tickets[1], Some(TargetOffset(59))).unwrap_err();
    assert_eq!(error, LedgerError::TargetWentBackwards { given: TargetOffset(59), last: TargetOffset(59) });
}

#[test]
fn settles_at_a_batch_end_inside_a_batch_and_before_the_first() {
    let (mut ledger, _) = three_batches();
    assert_eq!(ledger.settle(Some(19), None), Resume::Exactly { source: offset(120), sequence: 20 });
    let (mut ledger, _) = three_batches();
    assert_eq!(ledger.settle(Some(14), None), Resume::Exactly { source: offset(115), sequence: 15 });
    let (mut ledger, _) = three_batches();
    assert_eq!(ledger.settle(None, None), Resume::Exactly { source: offset(100), sequence: 0 });
    assert_eq!(ledger.acknowledged_next(), offset(100));
    assert!(ledger.is_idle());
}

#[test]
fn what_fills_the_log_to_its_end_has_its_place_there() {
    let places = |ledger: &mut Ledger| -> Vec<Option<i64>> {
        let base = |one: Settled| match one {
            Settled::Landed(landed) => Some(landed.base.map(|base| base.0)),
            _ => None,
        };
        ledger.take_settled().filter_map(base).collect()
    };
    let (mut ledger, tickets) = three_batches();
    ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
    ledger.settle(Some(24), Some(TargetOffset(75)));
    assert_eq!(places(&mut ledger), [Some(50), Some(60), Some(70)]);
    // Somebody else's record is there, too.
    let (mut ledger, tickets) = three_batches();
    ledger.acknowledge(tickets[0], Some(TargetOffset(50))).unwrap();
    ledger.settle(Some(24), Some(TargetOffset(76)));
    assert_eq!(places(&mut ledger), [Some(50), None, None]);
    let (mut ledger, _) = three_batches();
    ledger.settle(Some(29), Some(TargetOffset(30)));
    assert_eq!(places(&mut ledger), [Some(0), Some(10), Some(20)]);
}

#[test]
fn what_is_acknowledged_behind_a_hole_is_sent_again() {
    let (mut ledger, tickets) = three_batches();
    ledger.acknowledge(tickets[1], None).unwrap();
    assert_eq!(ledger.abandon(), Resume::Uncertain { source: offset(100), duplicates: 30 });
}

#[test]
fn tells_a_target_that_lost_acknowledged_records() {
    let mut ledger = Ledger::new(offset(0), 0);
    let ticket = ledger.send(offset(0), offset(10), 0, 10, RUNS).unwrap();
    ledger.acknowledge(ticket, None).unwrap();
    ledger.send(offset(10), offset(20), 10, 10, RUNS).unwrap();
    assert_eq!(ledger.settle(Some(4), None), Resume::TargetLost { source: offset(10), records: 5 });
}

#[test]
fn tells_a_target_that_holds_more_than_was_sent() {
    let mut ledger = Ledger::new(offset(100), 7);
    let ahead = |source, sequence, records| Resume::Ahead { source: offset(source), sequence, records };
    assert_eq!(ledger.settle(Some(6), None), Resume::Exactly { source: offset(100), sequence: 7 });
    assert_eq!(ledger.settle(Some(11), None), ahead(100, 7, 5));
    let runs = Runs::dense(offset(100));
    ledger.take_in(Landed { runs, records: 5, next: offset(106), base: None });
    assert_eq!((ledger.acknowledged_next(), ledger.acknowledged_sequence()), (offset(106), 12));
    ledger.send(offset(106), offset(110), 12, 4, RUNS).unwrap();
    assert_eq!(ledger.settle(Some(17), None), ahead(110, 16, 2));
    assert!(ledger.is_idle());
}

#[test]
fn a_position_inside_a_batch_with_gaps_is_not_guessed() {
    let mut ledger = Ledger::new(offset(0), 0);
    ledger.send(offset(0), offset(100), 0, 10, RUNS).unwrap();
    assert_eq!(ledger.settle(Some(3), None), Resume::Uncertain { source: offset(0), duplicates: 4 });
}

#[test]
fn sequences_wrap() {
    assert_eq!(sequence_distance(i32::MAX, 0), 1);
    assert_eq!(sequence_distance(0, i32::MAX), -1);
    let mut ledger = Ledger::new(offset(0), i32::MAX - 1);
    ledger.send(offset(0), offset(4), i32::MAX - 1, 4, RUNS).unwrap();
    assert_eq!(ledger.settle(Some(1), None), Resume::Exactly { source: offset(4), sequence: 2 });
}

proptest! {
    /// Any order of acknowledgements gives a contiguous, monotonic prefix that equals the naive one.
    #[test]
    fn any_order_of_acknowledgements(lengths in prop::collection::vec(1i64..50, 1..40), order in any::<u64>()) {
        let mut ledger = Ledger::new(offset(0), 0);
        let mut ends = Vec::new();
        let mut at = 0;
        for length in &lengths {
            let ticket = ledger.send(offset(at), offset(at + length), at as i32, *length as i32, RUNS).unwrap();
            at += length;
            ends.push((ticket, at));
        }
        let mut done = vec![false; ends.len()];
        let mut left: Vec<usize> = (0..ends.len()).collect();
        let mut random = order;
        let mut last = 0;
        while !left.is_empty() {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = left.swap_remove((random >> 33) as usize % left.len());
            ledger.acknowledge(ends[pick].0, None).unwrap();
            done[pick] = true;
            let naive = done.iter().take_while(|done| **done).count();
            let expected = if naive == 0 { 0 } else { ends[naive - 1].1 };
            prop_assert_eq!(ledger.acknowledged_next(), offset(expected));
            prop_assert!(expected >= last);
            last = expected;
        }
        prop_assert!(ledger.is_idle());
    }

    /// Whatever prefix of dense batches the target appended, settling finds the first record it lacks.
    #[test]
    fn settling_is_exact(lengths in prop::collection::vec(1i32..50, 1..20), appended in 0i32..1000, start in any::<u16>()) {
        let start_sequence = i32::MAX - i32::from(start / 64);
        let mut ledger = Ledger::new(offset(1_000), start_sequence);
        let (mut at, mut sequence) = (1_000, start_sequence);
        for length in &lengths {
            ledger.send(offset(at), offset(at + i64::from(*length)), sequence, *length, RUNS).unwrap();
            at += i64::from(*length);
            sequence = add_sequence(sequence, *length);
        }
        let total: i32 = lengths.iter().sum();
        let appended = appended.min(total);
        let expected_sequence = if appended == 0 { start_sequence } else { add_sequence(start_sequence, appended) };
        let last = (appended > 0).then(|| add_sequence(start_sequence, appended - 1));
        let resume = ledger.settle(last, None);
        prop_assert_eq!(resume, Resume::Exactly { source: offset(1_000 + i64::from(appended)), sequence: expected_sequence });
    }
}
