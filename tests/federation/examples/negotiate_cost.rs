//! What a negotiation between two nodes costs when the rules decide: median and spread over mutual
//! TLS with durable state, and the time for the first page of a catalog of 10,000 datasets.
//!
//! `cargo run --release -p karvan-federation --example negotiate_cost`

use std::time::Duration;

use karvan_federation::{AZ, PK, World, until};
use karvan_negotiation::identity::{Participant, participant_of};
use karvan_negotiation::records::{Dataset, Kind, Shown};
use karvan_negotiation::{Opening, catalog};
use serde_json::json;
use tokio::time::Instant;

const ROUNDS: usize = 30;
const DATASETS: usize = 10_000;

fn dataset(world: &World, id: &str) -> Dataset {
    Dataset {
        id: id.to_owned(),
        title: id.to_owned(),
        description: None,
        provider: world.nation(AZ).member.clone(),
        kind: Kind::Service { code: id.to_owned(), endpoints: Vec::new() },
        source: None,
        policy: json!({ "@type": "Offer", "@id": format!("offer-{id}"),
                        "permission": [{ "action": "use" }] }),
        visible_to: vec!["*".to_owned()],
        formats: vec!["Karvan-CALL".to_owned()],
        auto_approve: true,
    }
}

#[tokio::main]
async fn main() {
    let world = World::new(1);
    let [az, pk] = world.start_both().await;
    az.engine.publish(dataset(&world, "measured")).await.expect("publishes");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let (own, provider) = (&world.nation(PK).member, &world.nation(AZ).member);
        let shown = pk.engine.peer_dataset(own, &participant_of(provider), "measured").await;
        let shown = shown.expect("shown");
        let opening = Opening {
            own: own.clone(),
            counterparty: participant_of(provider),
            address: None,
            dataset: "measured".to_owned(),
            kind: catalog::kind_of(&shown),
            offer: shown.offers[0].to_value(),
            replaces: None,
        };
        let asked = pk.engine.request(opening, "measure").await.expect("asks");
        until("the agreement", async || {
            let process = pk.engine.process(&asked.pid).await.expect("reads")?;
            process.concluded.is_some().then_some(()).filter(|()| process.stage.is_final())
        })
        .await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or(Duration::ZERO);
    println!("negotiation, catalog to in force at both: median {:?}, p90 {:?}", at(50), at(90));
    println!("(it is looked at every 20 ms, so a figure is up to 20 ms too long)");

    let rows: Vec<_> = (0..DATASETS).map(|n| dataset(&world, &format!("D{n:05}"))).collect();
    let written = az.node.store().write(move |tx| -> Result<(), karvan_store::Error> {
        for dataset in rows {
            tx.save(&Shown { audience: "*".to_owned(), dataset: dataset.id.clone() })?;
            tx.save(&dataset)?;
        }
        Ok(())
    });
    written.await.expect("writes");
    let anybody = Participant { id: "*".to_owned(), node: None };
    let begin = Instant::now();
    let page =
        az.engine.catalog_page(&anybody, None, catalog::Stretch::default()).await.expect("reads");
    let (rows, shown) = (page.rows, page.datasets.len());
    println!("first page of {DATASETS}: {shown} datasets, {rows} rows, {:?}", begin.elapsed());
    az.stop().await;
    pk.stop().await;
}
