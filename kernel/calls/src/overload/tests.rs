use super::*;

const START: Timestamp = Timestamp::from_seconds(1_790_000_000);

fn gate(running_max: usize, waiting_max: usize, share_max: usize) -> Arc<Gate> {
    Gate::new(Bounds { running_max, waiting_max, share_max })
}

fn provider(name: &str) -> MemberId {
    format!("AZ/GOV/SCC/{name}").parse().expect("a member")
}

fn enter(
    gate: &Arc<Gate>,
    name: &str,
    millis: u64,
) -> tokio::task::JoinHandle<Result<Permit, Overloaded>> {
    let (gate, provider) = (Arc::clone(gate), provider(name));
    let now = START.plus(Duration::from_millis(millis));
    tokio::spawn(async move { gate.enter(&provider, now).await })
}

/// Lets all tasks run until they wait.
async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn running_and_waiting_calls_are_bounded() {
    let gate = gate(2, 1, 9);
    let first = enter(&gate, "a", 0).await.expect("ran").expect("a place");
    let _second = enter(&gate, "a", 0).await.expect("ran").expect("a place");
    let waiting = enter(&gate, "a", 0);
    settle().await;
    assert_eq!(gate.load(), (2, 1));
    let refused = enter(&gate, "a", 0).await.expect("ran").expect_err("no place");
    assert_eq!((refused.reason, refused.retry_after), (Reason::Full, RETRY_AFTER));
    assert_eq!(Rejection::from(refused).kind, ErrorKind::Overloaded);
    drop(first);
    let third = waiting.await.expect("ran").expect("the place of the first");
    assert_eq!(gate.load(), (2, 0));
    drop(third);
    assert_eq!(gate.load(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_burst_may_wait_and_overload_may_not() {
    let gate = gate(1, 9, 9);
    let _running = enter(&gate, "a", 0).await.expect("ran").expect("a place");
    let waited = async |arrives: u64| {
        let before = tokio::time::Instant::now();
        let refused = enter(&gate, "a", arrives).await.expect("ran").expect_err("no place");
        assert_eq!(refused.reason, Reason::Waited);
        before.elapsed()
    };
    assert_eq!(waited(0).await, INTERVAL);
    // Somebody always waits from here on: 101 ms later the queue stands.
    let standing = [enter(&gate, "a", 1_000), enter(&gate, "a", 1_000)];
    settle().await;
    assert_eq!(waited(1_101).await, TARGET);
    for waiter in standing {
        assert!(waiter.await.expect("ran").is_err());
    }
    assert_eq!(gate.load(), (1, 0));
    assert_eq!(waited(9_000).await, INTERVAL, "the queue was empty in between");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_goes_first_in_a_burst_and_the_newest_in_overload() {
    for (newest_arrives, newest_first) in [(50, false), (200, true)] {
        let gate = gate(1, 9, 9);
        let running = enter(&gate, "a", 0).await.expect("ran").expect("a place");
        let older = enter(&gate, "a", 0);
        settle().await;
        let newer = enter(&gate, "a", newest_arrives);
        settle().await;
        drop(running);
        settle().await;
        assert_eq!((older.is_finished(), newer.is_finished()), (!newest_first, newest_first));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_has_its_share_and_no_more() {
    let gate = gate(9, 9, 2);
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(enter(&gate, "hangs", 0).await.expect("ran").expect("a place"));
    }
    let refused = enter(&gate, "hangs", 0).await.expect("ran").expect_err("no share");
    assert_eq!(refused.reason, Reason::Share);
    assert!(enter(&gate, "other", 0).await.expect("ran").is_ok());
    held.pop();
    assert!(enter(&gate, "hangs", 0).await.expect("ran").is_ok());
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_leave_nothing_behind() {
    let gate = gate(1, 9, 9);
    let running = enter(&gate, "a", 0).await.expect("ran").expect("a place");
    let gone = enter(&gate, "a", 0);
    let called_and_gone = enter(&gate, "a", 0);
    let stays = enter(&gate, "a", 0);
    settle().await;
    gone.abort();
    settle().await;
    assert_eq!(gate.load(), (1, 2));
    // The call reaches a task that ends before it looks.
    drop(running);
    called_and_gone.abort();
    let permit = stays.await.expect("ran").expect("the place of both");
    assert_eq!(gate.load(), (1, 0));
    drop(permit);
    assert_eq!((gate.load(), gate.lock().share(&provider("a"))), ((0, 0), 0));
}
