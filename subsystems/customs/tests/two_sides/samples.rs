//! Every shipped sample reaches exactly its expected outcome.

use karvan_customs::samples::{Consignment, generate, shipped};
use serde_json::Value;

use crate::exchange::Exchange;

async fn check(exchange: &mut Exchange, consignment: &Consignment) -> Result<(), String> {
    for (number, step) in (1..).zip(&consignment.steps) {
        let found = exchange.play(consignment, step).await;
        let compared = step.check(found.as_ref().map_err(|refusal| refusal.code.as_str()));
        compared.map_err(|trouble| {
            let words = match &found {
                Err(refusal) => format!("{} {:?}", refusal.text, refusal.pointers),
                Ok(output) => serde_json::to_string_pretty(output).unwrap_or_default(),
            };
            let (id, operation) = (&consignment.id, &step.operation);
            format!("{id}, step {number} ({operation}): {trouble}\n{words}")
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn every_shipped_sample_reaches_its_outcome() {
    let mut troubles = Vec::new();
    for consignment in shipped() {
        let mut exchange = Exchange::new(consignment.today);
        if let Err(trouble) = check(&mut exchange, &consignment).await {
            troubles.push(trouble);
        }
    }
    assert!(troubles.is_empty(), "{}", troubles.join("\n\n"));
}

/// The documents that a newcomer hands in by hand are as good as those of the first sample.
#[tokio::test]
async fn the_first_documents_of_a_newcomer_are_granted() {
    let mut consignment = shipped().into_iter().next().expect("the first sample");
    let names = ["certificate", "declaration", "claim"];
    for (step, name) in consignment.steps.iter_mut().zip(names) {
        let path = format!("{}/samples/first/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let document = std::fs::read(path).expect("a document");
        step.input[name] = serde_json::from_slice(&document).expect("JSON");
    }
    consignment.steps.truncate(4);
    let renamed = |value: &Value| -> Value {
        let text = value.to_string();
        let text = text.replace("-2026-00001", "-2026-09001").replace("-HC-00001", "-HC-09001");
        serde_json::from_str(&text).expect("JSON")
    };
    for step in &mut consignment.steps {
        (step.input, step.expect) = (renamed(&step.input), step.expect.as_ref().map(renamed));
    }
    let mut exchange = Exchange::new(consignment.today);
    check(&mut exchange, &consignment).await.expect("granted");
}

#[tokio::test]
async fn generated_consignments_share_one_exchange() {
    let all = generate(25, 2026);
    let mut exchange = Exchange::new(all.first().expect("some").today);
    for consignment in &all {
        check(&mut exchange, consignment).await.expect("its outcome");
    }
}
