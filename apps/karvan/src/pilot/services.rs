//! The services of the pilot: which systems the nodes offer, and who may call them how.
//!
//! Set anew at each start, since the systems listen on another port each time. Both customs' own
//! systems may call without TLS and token: nothing leaves this machine, and it lets a person try
//! with plain curl. The agreement that allows the calls is `nations::agreements`.

use anyhow::Result;
use karvan_types::MemberId;
use serde_json::json;

use super::desks::Desks;
use super::nations::{AZ, Nation, PK};
use super::providers::Providers;

/// How long the system that is slow may take before its node gives up, in milliseconds.
const SLOW_TIMEOUT_MS: u64 = 5_000;
/// How long any other system may take, in milliseconds.
const TIMEOUT_MS: u64 = 30_000;

/// A service of the pilot.
struct Offer {
    nation: &'static Nation,
    code: &'static str,
    timeout_ms: u64,
}

const OFFERS: [Offer; 3] = [
    Offer { nation: &AZ, code: "certificates", timeout_ms: TIMEOUT_MS },
    Offer { nation: &PK, code: "tariff", timeout_ms: TIMEOUT_MS },
    Offer { nation: &AZ, code: "trouble", timeout_ms: SLOW_TIMEOUT_MS },
];

/// Tells both nodes about the services and their clients.
pub(super) fn set(desks: &Desks, providers: &Providers) -> Result<()> {
    for offer in &OFFERS {
        let member = offer.nation.customs()?;
        let service = json!({
            "member": member,
            "code": offer.code,
            "baseUrl": providers.url(offer.code),
            "timeoutMs": offer.timeout_ms,
        });
        let path = format!("/v1/services/{member}/{}", offer.code);
        desks.of(offer.nation, None)?.put(&path, &service)?;
    }
    for nation in [&AZ, &PK] {
        let subsystem: MemberId = nation.customs()?;
        let client = json!({ "subsystem": subsystem, "plainHttp": true });
        desks.of(nation, None)?.put(&format!("/v1/clients/{subsystem}"), &client)?;
    }
    Ok(())
}
