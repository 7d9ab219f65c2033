//! A node that speaks the Dataspace Protocol on loopback, for the protocol's own kit: it follows
//! a script of steps (`tests/foreign/tck/tests.json`).
//!
//! `dsp_node --port 8282 --webhooks 8283 --script tests.json --authorization 'Bearer x'`

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use karvan_federation::{PK, World};
use karvan_negotiation::identity::{FixedToken, participant_of};
use karvan_negotiation::line::{BASE_PATH, PlainLine};
use karvan_negotiation::{http, script};
use tokio::net::TcpListener;

fn argument(name: &str) -> Result<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).with_context(|| format!("name {name}"))
}

async fn serve(port: u16, routes: axum::Router) -> Result<()> {
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
    let (port, webhooks) = (argument("--port")?.parse()?, argument("--webhooks")?.parse()?);
    let text = std::fs::read(argument("--script")?)?;
    let table: script::Script = serde_json::from_slice(&text)?;
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
    eprintln!("participant {}", participant_of(&member));
    let hooks = serve(webhooks, script::webhooks(&station.engine, &member));
    tokio::try_join!(serve(port, http::router(&station.engine)), hooks)?;
    Ok(())
}
