use karvan_store::{Migration, Range, SqliteStore, Store, Tx};
use karvan_types::{Date, ErrorKind, Timestamp};
use proptest::prelude::*;

use super::*;

static MIGRATION: [Migration; 1] =
    [Migration { id: "quota-test-0001", creates: &[&ACCOUNTS, &REQUESTS, &LINES] }];

const AT: Timestamp = Timestamp::from_seconds(1_780_000_000);
const DAY: Date = Date::constant(2026, 5, 1);

fn quota(quantity: i64) -> Quota {
    Quota {
        id: "rice".to_owned(),
        agreement: "X".to_owned(),
        quantity: quantity.into(),
        unit: "TNE".to_owned(),
        from: Date::constant(2026, 1, 1),
        until: Date::constant(2026, 12, 31),
        source: "s".to_owned(),
        status: Status::Assumed,
        note: None,
    }
}

/// Runs work in one transaction of a fresh store.
async fn with_store<T: Send + 'static>(work: impl FnOnce(&mut dyn Tx) -> T + Send + 'static) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(SqliteStore::open(folder.path(), &MIGRATION).expect("a store"));
    store.write(move |tx| Ok::<_, karvan_store::Error>(work(tx))).await.expect("written")
}

/// One act on a quota: who, and how much in all; zero gives everything back.
type Act = (u8, i64);

fn play(tx: &mut dyn Tx, quota: &Quota, (who, asked): Act) -> Vec<(String, Decimal)> {
    let claim_item = format!("{who}");
    let asking = Asking { claim_item: &claim_item, asked: asked.into(), day: DAY };
    let served = if asked == 0 {
        release(tx, &claim_item, AT)
    } else {
        request(tx, "AZ", quota, asking, AT)
    };
    let served = served.expect("accepted");
    served.into_iter().map(|served| (served.claim_item, served.more)).collect()
}

/// What each request has, in order of acceptance, as `who:has/asked`, and the balance.
fn state(tx: &mut dyn Tx, quota: &Quota) -> String {
    let key = quota.account("AZ");
    let requests = of_account(tx, &key).expect("read");
    let mut words: Vec<_> =
        requests.iter().map(|r| format!("{}:{}/{}", r.claim_item, r.allocated, r.asked)).collect();
    let account: Option<Account> = tx.find(key.as_str()).expect("read");
    words.push(format!("left {}", account.map_or(quota.quantity, |account| account.balance())));
    words.join(" ")
}

async fn check(quantity: i64, acts: &'static [Act], expected: &'static str) {
    let found = with_store(move |tx| {
        let quota = quota(quantity);
        for act in acts {
            play(tx, &quota, *act);
        }
        state(tx, &quota)
    })
    .await;
    assert_eq!(found, expected, "{acts:?}");
}

#[tokio::test]
async fn the_first_accepted_is_the_first_served() {
    check(100, &[(1, 60)], "1:60/60 left 40").await;
    check(100, &[(1, 60), (2, 60)], "1:60/60 2:40/60 left 0").await;
    check(100, &[(1, 60), (2, 60), (3, 10)], "1:60/60 2:40/60 3:0/10 left 0").await;
    // The last tonne, asked for twice.
    check(1, &[(1, 1), (2, 1)], "1:1/1 2:0/1 left 0").await;
    // The same declaration again changes nothing.
    check(100, &[(1, 60), (1, 60)], "1:60/60 left 40").await;
}

#[tokio::test]
async fn what_comes_back_is_carried_back_and_reopens_the_quota() {
    check(100, &[(1, 60), (1, 0)], "left 100").await;
    check(100, &[(1, 60), (2, 60), (1, 0)], "2:60/60 left 40").await;
    check(100, &[(1, 60), (2, 60), (3, 30), (1, 50)], "1:50/50 2:50/60 3:0/30 left 0").await;
    check(100, &[(1, 60), (2, 60), (3, 30), (2, 0)], "1:60/60 3:30/30 left 10").await;
    // More than before is a new request behind all others; less is taken from the newest first.
    check(100, &[(1, 10), (2, 80), (1, 40)], "1:10/10 2:80/80 1:10/30 left 0").await;
    check(100, &[(1, 10), (2, 80), (1, 40), (1, 5)], "1:5/5 2:80/80 left 15").await;
}

#[tokio::test]
async fn another_size_of_the_quota_takes_nothing_away() {
    let found = with_store(|tx| {
        let small = quota(100);
        play(tx, &small, (1, 90));
        play(tx, &small, (2, 40));
        let served = serve(tx, "AZ", &quota(120), AT).expect("served");
        assert_eq!(served, [Served { claim_item: "2".to_owned(), more: 20.into() }]);
        let smaller = quota(50);
        assert_eq!(serve(tx, "AZ", &smaller, AT).expect("served"), []);
        state(tx, &smaller)
    })
    .await;
    assert_eq!(found, "1:90/90 2:30/40 left 0");
}

#[tokio::test]
async fn refusals_name_the_remedy() {
    let quota = quota(100);
    for (asked, day, reason, kind) in [
        (0, DAY, "state the quantity", ErrorKind::Invalid),
        (1, Date::constant(2027, 1, 1), "runs from 2026-01-01 to 2026-12-31", ErrorKind::Conflict),
        (1, Date::constant(2025, 12, 31), "take the general rate", ErrorKind::Conflict),
    ] {
        let quota = quota.clone();
        let error = with_store(move |tx| {
            let asking = Asking { claim_item: "1", asked: Decimal::from(asked), day };
            request(tx, "AZ", &quota, asking, AT).expect_err("refused")
        })
        .await;
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.kind(), kind);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// After any acts: what is given and what is left make the quota to the last gram, nothing is
    /// below zero, each request has what the order of acceptance alone gives it, and the journal
    /// adds up to the account.
    #[test]
    fn the_ledger_is_the_allocation_in_order(
        quantity in 1_i64..200,
        acts in prop::collection::vec((0_u8..6, 0_i64..80), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (requests, account, lines) = runtime.block_on(with_store(move |tx| {
            let quota = quota(quantity);
            for act in acts {
                play(tx, &quota, act);
            }
            let key = quota.account("AZ");
            let account: Option<Account> = tx.find(key.as_str()).expect("read");
            let lines: Vec<Line> = tx.select(&Range::all(10_000)).expect("read");
            (of_account(tx, &key).expect("read"), account, lines)
        }));
        // Without an account nothing was ever asked for.
        let Some(account) = account else { return Ok(()) };
        let asked: Vec<_> = requests.iter().map(|request| request.asked).collect();
        let given: Vec<_> = requests.iter().map(|request| request.allocated).collect();
        prop_assert_eq!(&given, &allocate(quantity.into(), &asked));
        let sum: Decimal = given.iter().sum();
        prop_assert!(given.iter().all(|given| *given >= Decimal::ZERO));
        prop_assert_eq!(sum, account.allocated);
        prop_assert_eq!(sum + account.balance(), Decimal::from(quantity));
        let journal: Decimal = lines.iter().map(|line| match line.kind {
            LineKind::Allocation => line.quantity.value,
            LineKind::Return => -line.quantity.value,
            LineKind::Request | LineKind::Limit => Decimal::ZERO,
        }).sum();
        prop_assert_eq!(journal, sum);
        prop_assert!(lines.iter().all(|line| line.balance >= Decimal::ZERO));
    }
}
