//! A node that speaks the Dataspace Protocol on loopback with Eclipse EDC connectors, whose mock
//! identity it shares (`tests/foreign/edc`). `karvan --dir HOME` speaks to it.
//!
//! `edc_node --port 8282 --public http://127.0.0.1:8282 --peer ID=URL --home HOME`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use karvan_federation::loopback::{Options, refuse_material, serve};
use karvan_federation::{PK, Station, World, token};
use karvan_negotiation::identity::MockClaims;
use karvan_negotiation::line::{BASE_PATH, PlainLine};
use karvan_negotiation::records::{Dataset, Kind};
use karvan_negotiation::{Config, http};
use karvan_types::MemberId;
use serde_json::json;

/// The dataset that `interop.py` looks for, and the purpose under which it is offered.
const DATASET: &str = "vehicle-register";
const PURPOSE: &str = "border-control";
/// The connector must have read our answer before our next message comes.
const FIRST_DELAY: Duration = Duration::from_millis(200);

fn dataset(provider: &MemberId) -> Dataset {
    Dataset {
        id: DATASET.to_owned(),
        title: "Vehicle register".to_owned(),
        description: None,
        provider: provider.clone(),
        kind: Kind::Service { code: "vehicles".to_owned(), endpoints: Vec::new() },
        source: None,
        policy: json!({
            "@type": "Offer", "@id": "offer-vehicle-register",
            "permission": [{ "action": "use", "constraint": [{
                "leftOperand": "urn:karvan:policy:v1:purpose",
                "operator": "eq", "rightOperand": PURPOSE,
            }] }],
        }),
        visible_to: vec!["*".to_owned()],
        formats: vec!["HttpData-PULL".to_owned()],
        auto_approve: true,
    }
}

/// Writes what the command line looks for in a node's folder: the address and a token.
fn welcome(home: &Path, station: &Station, member: &MemberId) -> Result<()> {
    let ready = json!({
        "node": station.node.id(), "peer": station.local(), "pid": std::process::id(),
        "local": format!("http://{}", station.local()),
    });
    let files = [
        (home.join("data"), "ready.json", ready.to_string()),
        (home.join("tokens"), "operator.token", token(member)),
    ];
    for (folder, name, text) in files {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read(&["--port", "--public", "--peer", "--home"])?;
    let port = options.port("--port")?;
    let (peer, address) = options.get("--peer")?.split_once('=').context("--peer is ID=URL")?;
    let line = PlainLine::new(format!("{}{BASE_PATH}", options.get("--public")?));
    let line = line.with_peer(peer, address);
    let home = Path::new(options.get("--home")?);
    refuse_material(home)?;
    let world = World::new(1);
    let member = world.nation(PK).member.clone();
    let station = world
        .start_with(PK, |settings| {
            settings.negotiation = Config { first_delay: FIRST_DELAY, ..Config::default() };
            settings.line = Box::new(|_| (Arc::new(MockClaims), Arc::new(line)));
        })
        .await;
    station.engine.publish(dataset(&member)).await?;
    welcome(home, &station, &member)?;
    serve(port, http::router(&station.engine)).await
}
