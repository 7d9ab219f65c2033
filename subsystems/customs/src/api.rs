//! What agencies' systems may ask of customs over HTTP, as a table; the kernel serves it.
//!
//! Endpoints (`endpoints`) call the same operations as the command line, so a program can do what
//! a person can, by the same rules. Bodies are the canonical messages; their schemas are derived
//! from the types that the parser fills (`schemas`), with the lengths and code lists of the table
//! that validation uses.
//!
//! Not here: HTTP, tokens, keys of idempotency, the inbox and its leases (the kernel).

mod endpoints;
mod examples;
mod problems;
mod schemas;
mod views;

use std::fmt::Write as _;

use karvan_subsystem::interface::{Group, Interface};

/// Where the interface begins.
pub const BASE: &str = "/api/customs/v1";

/// The interface of customs.
pub static INTERFACE: Interface = Interface {
    version: 1,
    title: "Karvan customs: certificates, declarations and claims",
    about: ABOUT,
    groups: GROUPS,
    endpoints: &endpoints::ENDPOINTS,
    schemas: schemas::schemas,
    example: examples::example,
    source,
    say: problems::say,
};

const ABOUT: &str = "\
For the systems of customs services and of issuers of certificates of origin. What is handed in \
here is checked, stored, signed and sent to the partner in one act: once you have the answer it \
survives any crash. The partner's validation, the officer's decision and everything else that \
happens later is told by the inbox or by a webhook.

Bodies are the canonical messages: names in `PascalCase` are element names of the WCO Data Model, \
names in `camelCase` are Karvan's own. Amounts and quantities are decimal text, never numbers. \
Unknown names are refused.

Refusals are problems (RFC 9457). Each field that breaks a rule is named by a JSON Pointer with \
the rule, what to change, and where the rule is written.

Use a sandbox first: `karvan pilot` starts two nodes with sample consignments on your machine.";

const GROUPS: &[Group] = &[
    Group { name: "Certificates", about: "Certificates of origin and the ledger of their use." },
    Group { name: "Export declarations", about: "What the exporting side accepted for export." },
    Group { name: "Claims", about: "Import declarations that claim a preference, and decisions." },
    Group { name: "Verifications", about: "Questions to issuers, their deadlines and answers." },
    Group { name: "Consignments", about: "All that is known of one consignment." },
    Group { name: "Tasks", about: "What an officer must look at." },
    Group { name: "Tariff", about: "Rates with their source and status, and quotas." },
    Group { name: "National systems", about: "Messages in XML and EDIFACT, taken as they are." },
    Group { name: "Waits", about: "What is waited for, and outages of the partner." },
];

/// Returns the path of what a line of the journal is about; nothing when it has none.
pub(crate) fn path_of(what: &str, key: &str) -> Option<String> {
    let (folder, number) = match what {
        "certificate" => ("certificates", key.split_once(':').map_or(key, |(_, number)| number)),
        "export" => ("export-declarations", key.split_once(':').map_or(key, |(_, number)| number)),
        "claim" => ("claims", key),
        _ => return None,
    };
    let mut path = format!("{BASE}/{folder}/");
    for byte in number.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    (!number.is_empty()).then_some(path)
}

/// Returns where a rule of validation is written.
fn source(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "COUNTRY" => "ISO 3166-1",
        "CURRENCY" => "ISO 4217",
        "INCOTERM" => "Incoterms 2020",
        "LOCODE" => "UN/LOCODE (UN/ECE Recommendation 16)",
        "MODE" => "UN/ECE Recommendation 19",
        "PACKAGE" => "UN/ECE Recommendation 21",
        "UNIT" | "QUANTITY" => "UN/ECE Recommendation 20",
        "CODE" | "EDITION" => "Harmonized System 2022",
        "CONTAIN" => "ISO 6346",
        "TAXID" => "check digits of the national tax numbers",
        "FUNCTION" | "VERSION" => "UN/EDIFACT 1225, and the order of versions",
        "TYPE" => "UN/EDIFACT 1001",
        "LENGTH" | "EMPTY" | "FORMAT" | "DECIMALS" | "SEQUENCE" | "ITEMS" => "WCO Data Model",
        "HIDDEN" | "CONFUSE" => "Unicode Standard Annex 9 and Technical Standard 39",
        "SHARING" => "the agreement's level of sharing",
        "RVC" | "ORIGIN" | "ROUTE" => "the agreement's rules of origin",
        _ => return None,
    })
}
