//! A node that speaks the Dataspace Protocol on loopback without TLS, to be judged by others.
//!
//! For the protocol's own kit it follows a script of steps (`tests/foreign/tck/tests.json`):
//!
//! `dsp_node --port 8282 --webhooks 8283 --script tests.json --authorization 'Bearer x'`
//!
//! For a connector of Eclipse EDC it offers `vehicle-register`, and is steered below `/control`:
//!
//! `dsp_node --port 8282 --public http://127.0.0.1:8282 --peer edc=http://127.0.0.1:9292/2025-1`

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use karvan_dataspace::Message as _;
use karvan_federation::{PK, World};
use karvan_negotiation::decide::{Decision, Standing};
use karvan_negotiation::identity::{FixedToken, MockClaims};
use karvan_negotiation::line::{BASE_PATH, PlainLine};
use karvan_negotiation::records::{Dataset, Kind, Process, Why};
use karvan_negotiation::{Engine, Error, Opening, http as dsp, script};
use karvan_store::Range;
use karvan_types::MemberId;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const DATASET: &str = "vehicle-register";
const LISTED_MAX: usize = 1_000;

fn argument(name: &str) -> Result<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).with_context(|| format!("name {name}"))
}

async fn serve(port: u16, routes: Router) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = argument("--port")?.parse()?;
    match argument("--script") {
        Ok(path) => follow(port, &path).await,
        Err(_) => exchange(port).await,
    }
}

/// Does what the kit's script says.
async fn follow(port: u16, path: &str) -> Result<()> {
    let webhooks = argument("--webhooks")?.parse()?;
    let table: script::Script = serde_json::from_slice(&std::fs::read(path)?)?;
    let world = World::new(1);
    let member = world.nation(PK).member.clone();
    let value = argument("--authorization")?;
    let participant = table.peer.clone();
    let station = world
        .start_with(PK, |settings| {
            settings.negotiation = table.config();
            settings.decide = Arc::new(table.clone());
            let line = PlainLine::new(format!("http://127.0.0.1:{port}{BASE_PATH}"));
            let identity = FixedToken { value, participant };
            settings.line = Box::new(|_| (Arc::new(identity), Arc::new(line)));
        })
        .await;
    script::seed(&station.engine, &table, &member).await?;
    let hooks = serve(webhooks, script::webhooks(&station.engine, &member));
    tokio::try_join!(serve(port, dsp::router(&station.engine)), hooks)?;
    Ok(())
}

/// What the control routes know.
struct Control {
    engine: Arc<Engine>,
    own: MemberId,
    peer: String,
    address: String,
}

type Shared = State<Arc<Control>>;
type Reply = Result<Json<Value>, (StatusCode, String)>;

fn refused(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.to_string())
}

/// Exchanges with a connector of Eclipse EDC.
async fn exchange(port: u16) -> Result<()> {
    let public = argument("--public")?;
    let peer = argument("--peer")?;
    let (peer, address) = peer.split_once('=').context("--peer is ID=ADDRESS")?;
    let world = World::new(1);
    let own = world.nation(PK).member.clone();
    let station = world
        .start_with(PK, |settings| {
            // It refuses what comes before it has read our last answer.
            settings.negotiation.first_delay = std::time::Duration::from_millis(300);
            settings.decide = Arc::new(Standing);
            let line = PlainLine::new(format!("{public}{BASE_PATH}"));
            settings.line = Box::new(|_| (Arc::new(MockClaims), Arc::new(line)));
        })
        .await;
    let constraint = json!({ "leftOperand": "urn:karvan:policy:v1:purpose", "operator": "eq",
                             "rightOperand": "border-control" });
    let offered = Dataset {
        id: DATASET.to_owned(),
        title: "vehicle register".to_owned(),
        description: None,
        provider: own.clone(),
        kind: Kind::Service { code: "vehicles".to_owned(), endpoints: Vec::new() },
        source: None,
        policy: json!({ "@type": "Offer", "@id": "offer-vehicles",
            "permission": [{ "action": "use", "constraint": [constraint] }] }),
        visible_to: vec!["*".to_owned()],
        formats: vec!["HttpData-PULL".to_owned()],
        auto_approve: true,
    };
    station.engine.publish(offered).await?;
    let engine = Arc::clone(&station.engine);
    let (peer, address) = (peer.to_owned(), address.to_owned());
    let control = Arc::new(Control { engine, own, peer, address });
    let routes = Router::new()
        .route("/control/catalog", get(catalog))
        .route("/control/request/{dataset}", post(request))
        .route("/control/list/{kind}", get(list))
        .route("/control/transfer/{agreement}", post(transfer))
        .route("/control/{verb}/{pid}", post(steer))
        .with_state(control);
    serve(port, routes.merge(dsp::router(&station.engine))).await
}

async fn peer_catalog(control: &Control) -> Result<karvan_dataspace::catalog::Catalog, Error> {
    control.engine.catalog_at(&control.own, &control.address, &control.peer).await
}

async fn catalog(State(control): Shared) -> Reply {
    Ok(Json(peer_catalog(&control).await.map_err(refused)?.to_value()))
}

async fn request(State(control): Shared, Path(id): Path<String>) -> Reply {
    let catalog = peer_catalog(&control).await.map_err(refused)?;
    let dataset = catalog.dataset(&id).ok_or_else(|| refused("no such dataset"))?;
    let offer = dataset.offers.first().ok_or_else(|| refused("no offer"))?;
    let opening = Opening {
        own: control.own.clone(),
        counterparty: control.peer.clone(),
        address: Some(control.address.clone()),
        dataset: id,
        kind: None,
        offer: offer.to_value(),
        replaces: None,
    };
    let process = control.engine.request(opening, "control").await.map_err(refused)?;
    Ok(Json(json!({ "negotiation": process.pid })))
}

async fn list(State(control): Shared, Path(kind): Path<String>) -> Reply {
    let range = Range::of("kind", vec![kind.as_str().into()], LISTED_MAX);
    let found: Result<Vec<Process>, karvan_store::Error> =
        control.engine.node().store().read(move |view| view.select(&range)).await;
    let row = |process: &Process| {
        json!({ (kind.clone()): process.pid, "peer_process": process.peer_pid,
                "state": process.stage.name(), "agreement": process.agreement })
    };
    Ok(Json(found.map_err(refused)?.iter().map(row).collect()))
}

async fn transfer(State(control): Shared, Path(agreement): Path<String>) -> Reply {
    let asked = control.engine.request_transfer(&agreement, "HttpData-PULL", None, "control");
    Ok(Json(json!({ "transfer": asked.await.map_err(refused)?.pid })))
}

async fn steer(State(control): Shared, Path((verb, pid)): Path<(String, String)>) -> Reply {
    let why = Why::new("control", "a person said so");
    let decision = match verb.as_str() {
        "suspend" => Decision::Suspend(why),
        "resume" => Decision::Start,
        _ => Decision::Terminate(why),
    };
    let process = control.engine.step(&pid, decision, "control").await.map_err(refused)?;
    Ok(Json(json!({ "transfer": process.pid, "state": process.stage.name() })))
}
