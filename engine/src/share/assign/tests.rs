//! Properties of the assignment: one owner each, few moves, loads near each other, the same answer every time.

use proptest::prelude::*;

use super::*;

fn member(id: &str, claims: Shards) -> Member {
    Member { id: id.into(), claims, comes_back: false, leads: false }
}

fn weights(loads: &[(u16, u64)]) -> Weights {
    let mut weights = Weights::default();
    loads.iter().for_each(|&(shard, weight)| weights.set(shard, weight));
    weights
}

/// Rounds as they go on real brokers: what was taken back is let go, then all join again.
fn settle(members: &mut [Member], weights: &Weights, members_max: Option<usize>) -> usize {
    for round in 0..4 {
        let grants = assign(members, weights, members_max);
        let lets_go = members.iter().zip(&grants).any(|(one, grant)| !one.claims.is_within(&grant.shards));
        for (index, grant) in grants.iter().enumerate() {
            for other in members.iter().enumerate().filter(|(other, _)| *other != index) {
                let both = other.1.claims.iter().any(|shard| grant.shards.contains(shard));
                assert!(!both, "granted while somebody else has it");
            }
        }
        members.iter_mut().zip(grants).for_each(|(one, grant)| {
            (one.claims, one.leads) = (grant.shards, grant.leads);
        });
        if !lets_go {
            return round;
        }
    }
    panic!("does not settle")
}

fn has_one_owner_each(members: &[Member]) {
    for shard in 0..SHARDS {
        let owners = members.iter().filter(|one| one.claims.contains(shard)).count();
        assert_eq!(owners, 1, "shard {shard}");
    }
    assert_eq!(members.iter().filter(|one| one.leads).count(), 1);
}

fn load(member: &Member, weights: &Weights) -> u64 {
    member.claims.iter().map(|shard| weights.of(shard)).sum()
}

#[test]
fn twelve_partitions_move_as_processes_come_and_go() {
    let weights = weights(&(100..112).map(|shard| (shard, PARTITION_WEIGHT + 1000)).collect::<Vec<_>>());
    let count = |member: &Member| member.claims.iter().filter(|shard| weights.of(*shard) > 0).count();
    let mut members = vec![member("a", Shards::ALL)];
    settle(&mut members, &weights, None);
    assert!(members[0].leads && members[0].claims == Shards::ALL);
    members.push(member("b", Shards::NONE));
    assert_eq!(settle(&mut members, &weights, None), 1, "what moves is let go first");
    assert_eq!(members.iter().map(count).collect::<Vec<_>>(), [6, 6]);
    members.push(member("c", Shards::NONE));
    let before = members.clone();
    settle(&mut members, &weights, None);
    assert_eq!(members.iter().map(count).collect::<Vec<_>>(), [4, 4, 4]);
    for (now, then) in members.iter().zip(&before).take(2) {
        assert!(now.claims.is_within(&then.claims), "who gives gets nothing");
    }
    let stay: Vec<Shards> = members.iter().map(|one| one.claims.clone()).collect();
    members.remove(0);
    assert_eq!(settle(&mut members, &weights, None), 0, "nobody has to let go");
    assert_eq!(members.iter().map(count).collect::<Vec<_>>(), [6, 6]);
    assert!(stay[1].is_within(&members[0].claims) && stay[2].is_within(&members[1].claims));
    has_one_owner_each(&members);
}

#[test]
fn bytes_count_and_not_partitions() {
    let mut loads: Vec<(u16, u64)> = (0..10).map(|shard| (shard, PARTITION_WEIGHT)).collect();
    loads.push((10, PARTITION_WEIGHT * 20));
    let weights = weights(&loads);
    let mut members = vec![member("a", Shards::ALL), member("b", Shards::NONE)];
    settle(&mut members, &weights, None);
    let busy = |member: &Member| member.claims.iter().filter(|shard| weights.of(*shard) > 0).count();
    let mut counts: Vec<usize> = members.iter().map(busy).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 10], "the heavy one is alone");
}

#[test]
fn no_more_take_part_than_allowed() {
    let weights = weights(&[(1, 5000), (2, 5000), (3, 5000)]);
    let mut members = vec![member("a", Shards::NONE), member("b", Shards::ALL), member("c", Shards::NONE)];
    settle(&mut members, &weights, Some(2));
    assert_eq!(members.iter().filter(|one| !one.claims.is_empty()).count(), 2);
    has_one_owner_each(&members);
    let settled: Vec<Shards> = members.iter().map(|one| one.claims.clone()).collect();
    settle(&mut members, &weights, Some(2));
    assert_eq!(settled, members.iter().map(|one| one.claims.clone()).collect::<Vec<_>>(), "they stay");
}

#[test]
fn who_comes_back_gets_what_it_had_and_nobody_has_now() {
    let shards = |range: std::ops::Range<u16>| range.collect::<Shards>();
    let weights = weights(&(0..12).map(|shard| (shard, PARTITION_WEIGHT + 1000)).collect::<Vec<_>>());
    let back = |id: &str, claims| Member { comes_back: true, ..member(id, claims) };
    let granted = |members: &[Member]| {
        let grants = assign(members, &weights, Some(2)).into_iter();
        grants
            .map(|one| one.shards.iter().filter(|shard| *shard < 12).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let (others, had) = (shards(0..6), shards(6..12));
    // Who waits goes on waiting.
    let members = [back("a", had.clone()), member("b", others), member("c", Shards::NONE)];
    assert_eq!(granted(&members), [(6..12).collect(), (0..6).collect(), vec![]]);
    // What another one has by now it lets go of first, if it does at all.
    let members = [back("a", had), member("b", Shards::ALL)];
    assert_eq!(granted(&members), [vec![], (0..6).collect::<Vec<_>>()]);
}

#[test]
fn two_who_claim_the_same_do_not_both_keep_it() {
    let mut members = vec![member("b", Shards::ALL), member("a", Shards::ALL)];
    let grants = assign(&members, &Weights::default(), None);
    assert!(grants[0].shards.is_empty(), "it lets go of all, and gets its part in the next round");
    members.iter_mut().zip(grants).for_each(|(one, grant)| one.claims = grant.shards);
    settle(&mut members, &Weights::default(), None);
    has_one_owner_each(&members);
}

fn any_members() -> impl Strategy<Value = (Vec<Member>, Weights, Option<usize>)> {
    let loads = prop::collection::vec((0..SHARDS, 1u64..10_000_000), 0..60);
    let owners = prop::collection::vec(0usize..8, usize::from(SHARDS));
    (1usize..7, owners, loads, prop::option::of(1usize..8)).prop_map(|(count, owners, loads, members_max)| {
        let claims = |index: usize| {
            (0..SHARDS).filter(|shard| owners.get(usize::from(*shard)) == Some(&index)).collect()
        };
        let members = (0..count).map(|index| member(&format!("m{index}"), claims(index))).collect();
        (members, weights(&loads), members_max)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn all_is_had_by_one_and_loads_are_near((mut members, weights, members_max) in any_members()) {
        let before = members.clone();
        let again = assign(&members, &weights, members_max);
        prop_assert_eq!(&again, &assign(&members, &weights, members_max), "the same every time");
        settle(&mut members, &weights, members_max);
        has_one_owner_each(&members);
        let seated: Vec<&Member> = members.iter().filter(|one| !one.claims.is_empty()).collect();
        prop_assert!(seated.len() <= members_max.unwrap_or(usize::MAX));
        let most = seated.iter().max_by_key(|one| load(one, &weights)).unwrap();
        let (high, low) = (load(most, &weights), seated.iter().map(|one| load(one, &weights)).min().unwrap());
        let average = seated.iter().map(|one| load(one, &weights)).sum::<u64>() / seated.len() as u64;
        let lightest = most.claims.iter().map(|shard| weights.of(shard)).filter(|weight| *weight > 0).min();
        prop_assert!(high - low <= (average / TOLERANCE).max(2 * lightest.unwrap_or(0)), "{high} {low}");
        // Once settled, nothing moves any more.
        let settled: Vec<Shards> = members.iter().map(|one| one.claims.clone()).collect();
        prop_assert_eq!(settle(&mut members, &weights, members_max), 0);
        prop_assert_eq!(settled, members.iter().map(|one| one.claims.clone()).collect::<Vec<_>>());
        prop_assert_eq!(before.len(), members.len());
    }
}
