//! The calls of the pilot: either customs asks the other's systems, good answers and bad ones, and
//! each is proven.

use anyhow::Result;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Request};
use karvan_calls::bundle::verify::{Bodies, verify};
use karvan_types::limits::LIST_BYTES_MAX;
use serde::Serialize;
use serde_json::Value;

use super::desks::{Desks, wait_until};
use super::folder::Folder;
use super::nations::{AZ, Nation, PK};
use crate::client::{NodeArgs, authority, gateway};
use crate::files;

/// A call, and how it must end.
struct Demo {
    title: &'static str,
    from: &'static Nation,
    target: &'static str,
    status: u16,
    /// The X-Road error, when the exchange itself fails.
    error: Option<&'static str>,
}

const DEMOS: [Demo; 4] = [
    Demo {
        title: "Pakistan asks Azerbaijan whether a certificate was issued",
        from: &PK,
        target: "/r1/AZ/GOV/SCC/customs/certificates/AZPK-2026-00007",
        status: 200,
        error: None,
    },
    Demo {
        title: "Azerbaijan asks Pakistan for the rates of a tariff line",
        from: &AZ,
        target: "/r1/PK/GOV/FBR/customs/tariff/lines/7408.1100?date=2026-10-02&origin=AZ",
        status: 200,
        error: None,
    },
    Demo {
        title: "a system that answers with its own error",
        from: &PK,
        target: "/r1/AZ/GOV/SCC/customs/trouble/status/503",
        status: 503,
        error: None,
    },
    Demo {
        title: "a system that breaks off",
        from: &PK,
        target: "/r1/AZ/GOV/SCC/customs/trouble/broken",
        status: 500,
        error: Some("server.serverproxy.network_error"),
    },
];

/// What came of a call.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Called {
    pub(super) title: &'static str,
    pub(super) target: &'static str,
    pub(super) status: u16,
    pub(super) error: Option<String>,
    pub(super) exchange: String,
    /// How far the log entry has come at the calling node.
    pub(super) evidence: String,
    /// Whether the bundle verifies offline, with the bodies.
    pub(super) verified: bool,
    /// Whether status and error are the expected ones.
    pub(super) expected: bool,
}

impl Called {
    pub(super) fn good(&self) -> bool {
        self.expected && self.verified && self.evidence == "witnessed"
    }
}

/// Makes the calls, waits for their evidence and verifies it.
pub(super) fn play(folder: &Folder, desks: &Desks) -> Result<Vec<Called>> {
    let place = folder.bundles().join("calls");
    files::make_folder(&place)?;
    let mut told = Vec::new();
    for demo in &DEMOS {
        let (status, headers, body) = ask(folder, desks, demo)?;
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(ToOwned::to_owned)
        };
        let (error, exchange) = (text("x-road-error"), text("karvan-exchange-id"));
        told.push((demo, status, error, exchange.unwrap_or_default(), body));
    }
    let root = files::read(&folder.root(), LIST_BYTES_MAX as u64)?;
    let mut called = Vec::new();
    for (demo, status, error, exchange, body) in told {
        let evidence = await_evidence(desks, demo.from, &exchange)?;
        let mut bundle = Vec::new();
        let path = format!("/v1/messages/{exchange}/bundle");
        desks.of(demo.from, None)?.download(&path, &mut bundle)?;
        files::write(&place.join(format!("{exchange}.zip")), &bundle)?;
        // Of an exchange that failed the node's own words came, not the body that was signed.
        let answer = error.is_none().then_some(&*body);
        let report = verify(&bundle, Some(&root), Bodies { request: Some(&[]), answer });
        called.push(Called {
            title: demo.title,
            target: demo.target,
            expected: status == demo.status && error.as_deref() == demo.error,
            status,
            error,
            exchange,
            evidence,
            verified: report.holds(),
        });
    }
    Ok(called)
}

fn ask(folder: &Folder, desks: &Desks, demo: &Demo) -> Result<(u16, HeaderMap, Bytes)> {
    let args = NodeArgs {
        dir: Some(folder.home(demo.from).root().to_owned()),
        node: None,
        token_file: None,
        acting_as: None,
    };
    let authority = authority(&gateway(&args)?)?;
    let request = Request::get(demo.target)
        .header(HOST, &authority)
        .header("x-road-client", demo.from.customs()?.as_str())
        .body(Vec::new())?;
    let answer = desks.of(demo.from, None)?.send(&authority, request)?;
    let (head, body) = answer.into_parts();
    Ok((head.status.as_u16(), head.headers, body))
}

/// Waits until the other nation has cosigned the entry of a call.
fn await_evidence(desks: &Desks, from: &Nation, exchange: &str) -> Result<String> {
    let mut state = String::new();
    wait_until(&format!("the evidence of call {exchange}"), || {
        let shown = desks.of(from, None)?.get(&format!("/v1/messages/{exchange}"))?;
        let mut views = shown.as_array().into_iter().flatten();
        let own = views.find(|view| view["side"] == "client").unwrap_or(&Value::Null);
        own["evidence"]["state"].as_str().unwrap_or_default().clone_into(&mut state);
        Ok(state == "witnessed")
    })?;
    Ok(state)
}
