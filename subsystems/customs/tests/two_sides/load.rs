//! Two offices, each on a thread of its own, that ask for ten thousand debits of one certificate,
//! while the results travel to the other side.
//!
//! The debits go through the ledger itself, one transaction each; the whole decision, with match
//! and duty, is under two officers at once in `crate::ledger`. Results travel a hundred to a
//! message, as one declaration of a hundred items would.

use std::sync::mpsc;
use std::thread;

use karvan_customs::certificate::{Certificate, Debit, Entry, LedgerError, debit};
use karvan_store::{Range, Store};
use karvan_subsystem::Outgoing;
use karvan_types::{Decimal, MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};
use crate::ledger::{CERTIFICATE, start};

/// Decisions of each of the two offices.
const DECISIONS: usize = 5_000;
/// Items of one declaration, and of one result.
const ITEMS: usize = 100;
/// Most kilograms of one debit; on average all decisions ask for a third more than there is.
const KILOGRAMS_MAX: u64 = 7;
const KEY: &str = "AZ:AZPK202600007";

/// A debit that was made: claim, item, kilograms.
type Made = (String, usize, u64);

/// Asks for debits until its decisions are used up; tells those that were made.
fn office(store: &Store, name: &'static str, made: &mpsc::SyncSender<Made>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (mut random, mut refused) = (name.len() as u64, 0);
    for number in 0..DECISIONS {
        // A linear congruential generator (Knuth, MMIX): the same debits in every run.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let kilograms = 1 + (random >> 33) % KILOGRAMS_MAX;
        let (claim, item) = (format!("{name}-{}", number / ITEMS), number % ITEMS + 1);
        let claim_item = format!("{claim}#{item:05}");
        let debited = runtime.block_on(store.write(move |tx| {
            let mut certificate: Certificate = tx.find(KEY)?.expect("the certificate");
            let at = "2026-10-06T08:00:00Z".parse().expect("an instant");
            let officer = name.to_owned();
            let entry = Entry { item: 1, claim_item, decision: 1, officer, at };
            debit(tx, &mut certificate, entry, kilograms.into())
        }));
        match debited {
            Ok(left) => {
                assert!(left.value >= Decimal::ZERO, "{left}");
                made.send((claim, item, kilograms)).expect("somebody listens");
            }
            Err(LedgerError::Exceeds { asked, balance }) => {
                assert!(asked.value > balance.value);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    refused
}

/// The result of the decisions about some items of one declaration.
fn result(claim: &str, number: usize, items: &[(usize, u64)]) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(item, kilograms)| {
            json!({
                "SequenceNumeric": item, "certificateItem": 1, "decision": "granted",
                "WriteOff": {
                    "QuantityQuantity": { "value": kilograms.to_string(), "unit": "KGM" },
                },
            })
        })
        .collect();
    json!({
        "FunctionCode": "11", "FunctionalReferenceID": format!("PK-UTL-{number}"),
        "TypeCode": "961", "ID": format!("UTL-{number}"), "VersionID": 1,
        "IssueDateTime": "2026-10-05T09:00:00+05:00", "agreementID": "AZ-PK-PTA",
        "sharingLevel": "L2", "certificate": { "documentType": "COO", "ID": CERTIFICATE },
        "claim": { "documentType": "IMP", "ID": claim }, "decisionDate": "2026-10-05",
        "officerID": "load", "items": items,
    })
}

/// Delivers what was debited to the exporting side, a declaration at a time.
async fn follow(exchange: &mut Exchange, made: mpsc::Receiver<Made>) -> usize {
    let (az, pk) = (customs_of("AZ".parse().expect("AZ")), customs_of("PK".parse().expect("PK")));
    let mut waiting: Vec<(String, Vec<(usize, u64)>)> = Vec::new();
    let (mut sent, mut results) = (0, 0);
    let mut deliver = async |exchange: &mut Exchange, claim: &str, items: &[(usize, u64)]| {
        results += 1;
        sent += items.len();
        let body = json::canonical(&result(claim, results, items)).expect("canonical");
        let content_type = "application/json";
        let (sender, recipient) = (pk.clone(), az.clone());
        let document = Outgoing { sender, recipient, code: "UTL", content_type, body };
        let answers = exchange.hand_over(&document).await.expect("taken");
        let answer: Value = json::from_slice(&answers[0].body).expect("a validation");
        assert_eq!(answer["outcome"], "accepted", "{answer}");
    };
    while let Ok((claim, item, kilograms)) = made.recv() {
        // Declarations of the two offices come mixed; one is complete when its office goes on.
        let office = claim.split('-').next().unwrap_or_default().to_owned();
        let place = waiting.iter().position(|(open, _)| open.starts_with(&office));
        match place {
            Some(place) if waiting[place].0 == claim => waiting[place].1.push((item, kilograms)),
            Some(place) => {
                let (done, items) = waiting.remove(place);
                deliver(exchange, &done, &items).await;
                waiting.push((claim, vec![(item, kilograms)]));
            }
            None => waiting.push((claim, vec![(item, kilograms)])),
        }
    }
    for (claim, items) in waiting {
        deliver(exchange, &claim, &items).await;
    }
    sent
}

async fn counted(exchange: &mut Exchange, who: &MemberId) -> (Value, Value, Value) {
    let shown =
        exchange.act(who, "ledger", json!({ "certificate": CERTIFICATE, "limit": 1 })).await;
    let shown = shown.expect("shown");
    let item = &shown["certificate"]["items"][0];
    (item["debited"].clone(), item["balance"].clone(), shown["debitsInAll"].clone())
}

#[tokio::test]
async fn two_offices_ask_ten_thousand_times() {
    let (mut exchange, pk, _) = start().await;
    let az = customs_of("AZ".parse().expect("AZ"));
    let (sender, made) = mpsc::sync_channel(1024);
    let offices = ["karachi", "lahore"].map(|name| {
        let (store, sender) = (exchange.pk.store(), sender.clone());
        thread::spawn(move || office(&store, name, &sender))
    });
    drop(sender);
    let followed = follow(&mut exchange, made).await;
    let refused: usize = offices.map(|office| office.join().expect("no panic")).iter().sum();
    assert_eq!(followed + refused, 2 * DECISIONS, "every request was answered");
    assert!(refused > 0, "more was asked for than there is");
    let ours = counted(&mut exchange, &pk).await;
    assert_eq!(ours, counted(&mut exchange, &az).await, "both sides hold the same");
    assert_eq!(ours, (json!("30000"), json!("0"), json!(followed)));
    // The journals say the same as the balances, line by line, and the comparison agrees.
    for who in [&pk, &az] {
        let store = exchange.side(who.instance()).store();
        let lines = store.read(|view| view.select::<Debit>(&Range::all(4 * DECISIONS))).await;
        let lines: Vec<Debit> = lines.expect("a journal");
        assert_eq!(lines.len(), followed);
        assert!(lines.iter().all(|line| line.balance >= Decimal::ZERO));
        let sum: Decimal = lines.iter().map(|line| line.quantity.value).sum();
        assert_eq!(sum, 30_000.into());
        exchange
            .act(who, "ledger-compare", json!({ "certificate": CERTIFICATE }))
            .await
            .expect("sent");
    }
    for who in [&pk, &az] {
        let done =
            exchange.act(who, "ledger", json!({ "comparisons": true })).await.expect("shown");
        assert_eq!(done["rows"][0]["differing"], 0, "{done}");
        let cases = exchange.act(who, "ledger", json!({ "cases": "open" })).await.expect("shown");
        assert_eq!(cases["count"], 0, "{cases}");
    }
}
