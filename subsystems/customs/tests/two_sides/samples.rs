//! Every shipped sample reaches exactly its expected outcome.

use karvan_customs::samples::{Consignment, generate, shipped};

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

#[tokio::test]
async fn generated_consignments_share_one_exchange() {
    let all = generate(25, 2026);
    let mut exchange = Exchange::new(all.first().expect("some").today);
    for consignment in &all {
        check(&mut exchange, consignment).await.expect("its outcome");
    }
}
