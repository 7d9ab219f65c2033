//! A node that speaks the Dataspace Protocol on loopback, for the protocol's own kit: it follows
//! a script of steps (`tests/foreign/tck/tests.json`).
//!
//! `dsp_node --port 8282 --webhooks 8283 --script tests.json --authorization 'Bearer x'`

use std::sync::Arc;

use anyhow::Result;
use karvan_federation::loopback::{Options, serve};
use karvan_federation::{PK, World};
use karvan_negotiation::identity::{FixedToken, participant_of};
use karvan_negotiation::line::{BASE_PATH, PlainLine};
use karvan_negotiation::{http, script};

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::read(&["--port", "--webhooks", "--script", "--authorization"])?;
    let (port, webhooks) = (options.port("--port")?, options.port("--webhooks")?);
    let text = std::fs::read(options.get("--script")?)?;
    let table: script::Script = serde_json::from_slice(&text)?;
    let value = options.get("--authorization")?.to_owned();
    let world = World::new(1);
    let member = world.nation(PK).member.clone();
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
    eprintln!("participant {}", participant_of(&member));
    let hooks = serve(webhooks, script::webhooks(&station.engine, &member));
    tokio::try_join!(serve(port, http::router(&station.engine)), hooks)?;
    Ok(())
}
