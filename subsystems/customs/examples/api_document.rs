//! Prints the OpenAPI document of the customs interface, or with `--page` its page for people.

use std::io::Write as _;

use karvan_customs::messages::SharingLevel;
use karvan_customs::subsystem::{Config, Customs};
use karvan_subsystem::openapi;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let customs = Customs::new(Config {
        customs: "PK/GOV/FBR/customs".parse()?,
        issuers: Vec::new(),
        partner: "AZ/GOV/SCC/customs".parse()?,
        agreement: "AZ-PK-PTA".to_owned(),
        sharing_level: SharingLevel::L2,
        go_live: "2025-01-01".parse()?,
        compare_every_seconds: None,
        filed_late_days: None,
    })?;
    let document = openapi::document(&customs).ok_or("customs has an interface")?;
    let text = match std::env::args().nth(1).as_deref() {
        Some("--page") => openapi::page(&document),
        _ => format!("{}\n", serde_json::to_string_pretty(&document)?),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
