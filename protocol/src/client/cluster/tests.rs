//! Clusters of small servers whose metadata the test decides.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::sleep;

use super::*;
use crate::client::by_leader::ask_leaders;
use crate::client::testing::{Script, cluster, options, script};
use crate::net::testing::Server;

#[tokio::test]
async fn bootstrap_servers_are_for_the_start_only() {
    let (script, starting) = (script(), script());
    let broker = script.broker(1).await;
    starting.brokers.lock().unwrap().insert(1, broker.address.clone());
    let bootstrap = starting.server().await;
    let cluster = cluster(&bootstrap);
    for generation in 1..=3 {
        assert_eq!(cluster.refresh(Topics::All).await.unwrap().generation, generation);
    }
    assert_eq!((starting.asked(), script.asked()), (1, 2));
}

#[tokio::test]
async fn bootstrap_servers_help_when_all_known_brokers_are_gone() {
    let script = script();
    let first = script.broker(1).await;
    let bootstrap = script.server().await;
    let cluster = cluster(&bootstrap);
    cluster.refresh(Topics::All).await.unwrap();
    drop(first);
    let second = script.broker(1).await;
    let metadata = cluster.refresh(Topics::All).await.unwrap();
    assert_eq!(metadata.brokers[&NodeId(1)].address, second.address);
    let connection = cluster.connection(NodeId(1), Purpose::General).await.unwrap();
    assert_eq!(connection.address(), &second.address);
}

#[tokio::test]
async fn callers_at_the_same_time_share_one_request() {
    let script = Arc::new(Script {
        delay: Duration::from_millis(100),
        cluster_id: Mutex::new("one".into()),
        ..Script::default()
    });
    let bootstrap = script.broker(1).await;
    let cluster = cluster(&bootstrap);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let cluster = cluster.clone();
        callers.spawn(async move { cluster.refresh(Topics::All).await.unwrap().generation });
    }
    while let Some(generation) = callers.join_next().await {
        assert_eq!(generation.unwrap(), 1);
    }
    assert_eq!(script.asked(), 1);
    assert_eq!(cluster.refresh_after(0, Topics::All).await.unwrap().generation, 1, "that is newer already");
    assert_eq!(cluster.refresh_after(1, Topics::All).await.unwrap().generation, 2);
}

#[tokio::test]
async fn connections_are_kept_by_broker_and_purpose() {
    let script = script();
    let bootstrap = script.broker(1).await;
    let cluster = cluster(&bootstrap);
    cluster.refresh(Topics::All).await.unwrap();
    let before = script.connections.load(Ordering::SeqCst);
    let purposes = [Purpose::General, Purpose::Fetch(0), Purpose::Fetch(1), Purpose::Produce(0)];
    let mut callers = tokio::task::JoinSet::new();
    for purpose in purposes.into_iter().cycle().take(20) {
        let cluster = cluster.clone();
        callers.spawn(async move { cluster.connection(NodeId(1), purpose).await.unwrap() });
    }
    let connections = callers.join_all().await;
    assert_eq!(connections.len(), 20);
    assert_eq!(script.connections.load(Ordering::SeqCst) - before, 4);
    let unknown = cluster.connection(NodeId(9), Purpose::General).await.unwrap_err();
    assert!(matches!(unknown, ClientError::UnknownNode { node: NodeId(9), .. }));
}

/// A broker that accepts and hangs up is asked again ever more rarely.
#[tokio::test]
async fn reconnecting_is_held_back() {
    let script = script();
    let bootstrap = script.server().await;
    let hits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hits);
    let rude = Server::start(move |_peer| {
        count.fetch_add(1, Ordering::SeqCst);
        async {}
    })
    .await;
    script.brokers.lock().unwrap().insert(1, rude.address.clone());
    let cluster = cluster(&bootstrap);
    cluster.refresh(Topics::All).await.unwrap();
    let start = Instant::now();
    for _ in 0..4 {
        cluster.connection(NodeId(1), Purpose::General).await.unwrap_err();
    }
    // 50, 100 and 200 ms, each a fifth less at the least.
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
    assert_eq!(hits.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn connections_that_break_soon_count_as_failures() {
    let script = script();
    let bootstrap = script.server().await;
    let brief = Server::greeting(|_peer| async {}).await;
    script.brokers.lock().unwrap().insert(1, brief.address.clone());
    let cluster = cluster(&bootstrap);
    cluster.refresh(Topics::All).await.unwrap();
    let start = Instant::now();
    for _ in 0..4 {
        let connection = cluster.connection(NodeId(1), Purpose::General).await.unwrap();
        while connection.is_open() {
            sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_broker_of_another_cluster_is_ignored() {
    let (ours, theirs) = (script(), script());
    *theirs.cluster_id.lock().unwrap() = "two".into();
    let bootstrap = ours.server().await;
    let stranger = theirs.broker(5).await;
    ours.brokers.lock().unwrap().insert(1, stranger.address.clone());
    let cluster = cluster(&bootstrap);
    cluster.refresh(Topics::All).await.unwrap();
    let metadata = cluster.refresh(Topics::All).await.unwrap();
    assert_eq!(metadata.cluster_id.as_deref(), Some("one"));
    assert_eq!((theirs.asked(), ours.asked()), (1, 2));
}

#[tokio::test]
async fn servers_that_fail_are_named() {
    let nobody = Cluster::new(ClusterOptions::new("a", Vec::new()), None);
    assert!(matches!(nobody.refresh(Topics::All).await, Err(ClientError::NoBootstrap { .. })));
    let script = script();
    let gone = script.server().await;
    let mut options = options(&[&gone]);
    drop(gone);
    options.bootstrap.push(Address::new("127.0.0.1", 1));
    let error = Cluster::new(options.clone(), None).refresh(Topics::All).await.unwrap_err();
    for address in &options.bootstrap {
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
    assert!(matches!(error.net(), Some(NetError::Connect { .. })));
    let alive = script.broker(1).await;
    options.bootstrap.push(alive.address.clone());
    Cluster::new(options, None).refresh(Topics::All).await.unwrap();
}

fn partition(index: i32) -> ((Arc<str>, i32), ()) {
    (("t".into(), index), ())
}

/// Asks the leaders of partitions 0 and 1; a broker says that it leads what `leads` says.
async fn ask(cluster: &Cluster, leads: fn(&Address) -> bool) -> BTreeMap<i32, Result<(), ErrorCode>> {
    let answer = move |connection: Connection, questions: Vec<((Arc<str>, i32), ())>| async move {
        let leads = leads(connection.address());
        let code = if leads { ErrorCode::None } else { ErrorCode::NotLeaderOrFollower };
        Ok(questions.into_iter().map(|(partition, ())| (partition, code.ok())).collect())
    };
    let answers = ask_leaders(cluster, vec![partition(0), partition(1)], answer).await.unwrap();
    answers.into_iter().map(|((_, partition), answer)| (partition, answer)).collect()
}

#[tokio::test]
async fn partitions_that_moved_are_found() {
    let script = script();
    let bootstrap = script.broker(1).await;
    *script.leaders.lock().unwrap() = vec![1, 1];
    let cluster = cluster(&bootstrap);
    cluster.refresh(Topics::All).await.unwrap();
    let _second = script.broker(2).await;
    *script.leaders.lock().unwrap() = vec![2, 2];
    // The one we know says that it does not lead; whoever is asked next is another.
    static REFUSALS: AtomicUsize = AtomicUsize::new(0);
    let answers = ask(&cluster, |_| REFUSALS.fetch_add(1, Ordering::SeqCst) > 0).await;
    assert_eq!(answers, BTreeMap::from([(0, Ok(())), (1, Ok(()))]));
    assert_eq!(cluster.metadata().unwrap().leader("t", 0), Some(NodeId(2)));
}

#[tokio::test]
async fn a_leader_out_of_reach_does_not_hold_up_the_others() {
    let script = script();
    let bootstrap = script.broker(1).await;
    script.brokers.lock().unwrap().insert(2, Address::new("127.0.0.1", 1));
    *script.leaders.lock().unwrap() = vec![1, 2];
    let cluster = cluster(&bootstrap);
    let answers = ask(&cluster, |_| true).await;
    assert_eq!(answers, BTreeMap::from([(0, Ok(())), (1, Err(ErrorCode::NetworkException))]));
}

#[tokio::test]
async fn what_has_no_leader_and_what_is_not_there_is_told_apart() {
    let script = script();
    let bootstrap = script.broker(1).await;
    *script.leaders.lock().unwrap() = vec![-1];
    let answers = ask(&cluster(&bootstrap), |_| true).await;
    let expected = BTreeMap::from([
        (0, Err(ErrorCode::LeaderNotAvailable)),
        (1, Err(ErrorCode::UnknownTopicOrPartition)),
    ]);
    assert_eq!(answers, expected);
}
