//! A script in the place of people: what the protocol's own kit wants a connector to do, as data.
//!
//! The script says for a dataset or agreement: in this state, at this visit, take this step. It
//! also says what the connector must hold beforehand, and two webhooks make it a consumer. All
//! else, from routes to the outbox, is what runs between nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use karvan_dataspace::negotiation;
use karvan_types::MemberId;
use serde::Deserialize;
use serde_json::json;

use crate::Error;
use crate::decide::{Decide, Decision};
use crate::engine::{Config, Engine, Opening};
use crate::feeds::PULL;
use crate::records::{Dataset, Kind, Process, Side, Stage, Why};

/// What a connector under test does.
#[derive(Clone, Debug, Deserialize)]
pub struct Script {
    /// The kit's participant id.
    pub peer: String,
    /// How transfers travel.
    pub format: String,
    /// How long a step waits, in milliseconds.
    pub delay_ms: u64,
    /// The tests.
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Clone, Debug, Deserialize)]
pub struct Test {
    /// Its id.
    pub id: String,
    /// Our role.
    pub role: Option<Side>,
    /// `negotiation` or `transfer`.
    pub process: Option<String>,
    /// The dataset of a negotiation.
    pub dataset: Option<String>,
    /// The offer of that dataset.
    pub offer: Option<String>,
    /// The agreement of a transfer.
    pub agreement: Option<String>,
    /// What we do.
    #[serde(default)]
    pub actions: Vec<Action>,
}

/// One step.
#[derive(Clone, Debug, Deserialize)]
pub struct Action {
    /// In which state.
    pub state: String,
    /// At which visit.
    pub visit: u32,
    /// What to do.
    pub action: Step,
}

/// What to do.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Offer.
    Offer,
    /// Ask again.
    Counter,
    /// Agree.
    Agree,
    /// Accept.
    Accept,
    /// Verify.
    Verify,
    /// Finalize.
    Finalize,
    /// Start or resume.
    Start,
    /// Suspend.
    Suspend,
    /// Complete.
    Complete,
    /// Terminate.
    Terminate,
}

impl Step {
    fn decision(self) -> Decision {
        let why = || Why::new("script", "the script says so");
        match self {
            Self::Offer => Decision::Offer(None),
            Self::Counter => Decision::Counter(None),
            Self::Agree => Decision::Agree,
            Self::Accept => Decision::Accept,
            Self::Verify => Decision::Verify,
            Self::Finalize => Decision::Finalize,
            Self::Start => Decision::Start,
            Self::Suspend => Decision::Suspend(why()),
            Self::Complete => Decision::Complete,
            Self::Terminate => Decision::Terminate(why()),
        }
    }
}

impl Script {
    /// Returns the settings with which the kit can keep up.
    pub fn config(&self) -> Config {
        Config {
            first_delay: Duration::from_millis(self.delay_ms),
            retry_first: Duration::from_millis(300),
            retry_for: Duration::from_secs(5),
            ..Config::default()
        }
    }

    fn test_of(&self, process: &Process) -> Option<&Test> {
        self.tests.iter().find(|test| {
            let key = match process.stage {
                Stage::Negotiation(_) => test.dataset.as_ref() == Some(&process.dataset),
                Stage::Transfer(_) => {
                    test.agreement.is_some() && test.agreement == process.agreement
                }
            };
            key && test.role == Some(process.side)
        })
    }
}

impl Decide for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn pushes(&self) -> bool {
        false
    }

    fn decide(&self, process: &Process, _: Option<&Dataset>, visit: u32) -> Decision {
        let actions = self.test_of(process).map(|test| test.actions.as_slice()).unwrap_or_default();
        let state = process.stage.name();
        let found = actions.iter().find(|action| action.state == state && action.visit == visit);
        found.map_or(Decision::Nothing, |action| action.action.decision())
    }
}

/// Puts what the script needs into the node's records: datasets, and agreements with the kit.
pub async fn seed(engine: &Arc<Engine>, script: &Script, own: &MemberId) -> Result<(), Error> {
    for test in &script.tests {
        let id = test.dataset.as_deref().filter(|_| test.role != Some(Side::Consumer));
        if let Some(id) = id {
            let offer = test.offer.clone().unwrap_or_else(|| format!("offer{id}"));
            engine.publish(dataset(id, &offer, own)).await?;
        }
        if let (Some(agreement), Some(side)) = (&test.agreement, test.role) {
            let address = Some(String::new());
            let mut process = engine.blank(own, script.peer.clone(), address, side)?;
            process.stage = Stage::Negotiation(negotiation::State::Finalized);
            process.agreement = Some(agreement.clone());
            SEED_DATASET.clone_into(&mut process.dataset);
            engine.node().store().write(move |tx| tx.save(&process)).await?;
        }
    }
    engine.publish(dataset(SEED_DATASET, "offer-seed", own)).await
}

/// The dataset of the agreements that are there from the beginning.
const SEED_DATASET: &str = "AAA-seed";

fn dataset(id: &str, offer: &str, own: &MemberId) -> Dataset {
    Dataset {
        id: id.to_owned(),
        title: id.to_owned(),
        description: None,
        provider: own.clone(),
        kind: Kind::Service { code: "test".to_owned(), endpoints: Vec::new() },
        source: None,
        policy: json!({ "@type": "Offer", "@id": offer, "permission": [{ "action": "use" }] }),
        visible_to: vec!["*".to_owned()],
        formats: vec![PULL.to_owned()],
        auto_approve: false,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartNegotiation {
    provider_id: String,
    offer_id: String,
    dataset_id: String,
    connector_address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartTransfer {
    agreement_id: String,
    format: String,
    connector_address: String,
}

type Shared = State<(Arc<Engine>, MemberId)>;

/// Makes the webhooks by which the kit makes us a consumer: `POST /negotiations`, `/transfers`.
pub fn webhooks(engine: &Arc<Engine>, own: &MemberId) -> Router {
    Router::new()
        .route("/negotiations", post(negotiate))
        .route("/transfers", post(transfer))
        .with_state((Arc::clone(engine), own.clone()))
}

async fn negotiate(State((engine, own)): Shared, Json(start): Json<StartNegotiation>) -> Response {
    let permission = json!([{ "action": "use" }]);
    let opening = Opening {
        own,
        counterparty: start.provider_id,
        address: Some(trimmed(&start.connector_address)),
        dataset: start.dataset_id,
        kind: None,
        offer: json!({ "@type": "Offer", "@id": start.offer_id, "permission": permission }),
        replaces: None,
    };
    answer(engine.request(opening, "script").await)
}

async fn transfer(State((engine, _)): Shared, Json(start): Json<StartTransfer>) -> Response {
    let address = Some(trimmed(&start.connector_address));
    let asked =
        engine.request_transfer(&start.agreement_id, &start.format, address, "script").await;
    answer(asked)
}

fn trimmed(address: &str) -> String {
    address.trim_end_matches('/').to_owned()
}

fn answer(outcome: Result<Process, Error>) -> Response {
    match outcome {
        Ok(process) => Json(json!({ "pid": process.pid })).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}
