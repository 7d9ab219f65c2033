//! Prints how many megabytes each format reads in a second of computing, on data that it makes
//! itself.
//!
//! `cargo run --release -p karvan-customs --example format_speed [items]`

use std::error::Error;
use std::io::{Write as _, stdout};
use std::sync::LazyLock;
use std::time::Instant;

use karvan_customs::edifact::{self, Charset, Content, Directory, Envelope};
use karvan_customs::messages::{ExportDeclaration, Message, SharingLevel};
use karvan_customs::{messages, uncefact, wco};
use karvan_types::Timestamp;

use crate::aim::Aim;

#[path = "shared/aim.rs"]
mod aim;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Items of the declaration that is read, unless given.
const ITEMS: usize = 2_000;
/// Least times that each text is read, and least seconds of computing that this takes.
const ROUNDS: u32 = 20;
const SECONDS: f64 = 0.5;
/// Megabytes of EDIFACT and XML that are to be read in a second.
const AIM: f64 = 50.0;

fn main() -> Result<(), Box<dyn Error>> {
    let items = std::env::args().nth(1).map_or(Ok(ITEMS), |text| text.parse())?;
    let export = declaration(items)?;
    let message = Message::Export(Box::new(export));
    let now = Timestamp::from_seconds(1_790_000_000);
    let context = wco::Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: now,
        subject: messages::DocumentType::Export,
    };
    let (sender, recipient, reference) = ("AZ", "PK", "1");
    let mut slowest = f64::MAX;
    for charset in [Charset::Y, Charset::C] {
        let envelope = Envelope { charset, sender, recipient, reference, prepared_at: now };
        let content = Content::Message(message.clone());
        let text = edifact::write(&content, Directory::D96B, &envelope)?.bytes;
        let name = format!("EDIFACT {}, segments", charset.identifier());
        measure(&name, text.len(), || {
            let mut reader = edifact::Reader::open(text.as_slice())?;
            let mut message = edifact::Message::default();
            let mut count = 0;
            while reader.next_message(&mut message)? {
                count += message.segments().count();
            }
            Ok(count)
        })?;
        let name = format!("EDIFACT {}, canonical", charset.identifier());
        slowest = slowest.min(measure(&name, text.len(), || {
            Ok(edifact::receive(text.as_slice(), context)?.messages.len())
        })?);
    }
    aim("EDIFACT", slowest);
    let xml = wco::write(&message)?.xml;
    let rate = measure("WCO XML, canonical", xml.len(), || {
        Ok(wco::import(xml.as_bytes(), context)?.not_carried_over.len())
    })?;
    aim("WCO XML", rate);
    let json = message.to_canonical()?;
    measure("JSON, canonical", json.len(), || {
        Ok(usize::from(Message::parse("EXD", &json)? == message))
    })?;
    let text = include_bytes!("../testdata/uncefact/COO.json");
    measure("UN/CEFACT certificate", text.len(), || {
        Ok(uncefact::import(text)?.certificate.items.len())
    })?;
    Ok(())
}

/// Returns the time that this process has computed, in seconds; what other processes do at the same
/// time does not count. Real time where the system does not tell.
#[expect(clippy::disallowed_methods, reason = "it is time that is measured")]
fn computed() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|first| first.parse::<f64>().ok());
    first.map_or_else(|| START.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

fn aim(what: &'static str, seen: f64) {
    Aim { what, seen, wanted: AIM, is_most: false, unit: "MB/s of computing" }.tell();
}

/// Reads a text many times, prints the mean rate in MB/s and returns it. The system counts in ticks
/// of some milliseconds, so a single round may take none.
fn measure(
    name: &str,
    bytes: usize,
    mut read: impl FnMut() -> Result<usize, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let (mut found, mut rounds, start) = (read()?, 0, computed());
    while rounds < ROUNDS || computed() - start < SECONDS {
        found = read()?;
        rounds += 1;
    }
    let rate = bytes as f64 * f64::from(rounds) / (computed() - start) / 1e6;
    writeln!(stdout(), "{name:28} {bytes:>9} bytes  {rate:>7.1} MB/s  ({found})")?;
    Ok(rate)
}

/// Makes a declaration of many items out of the example.
fn declaration(items: usize) -> Result<ExportDeclaration, Box<dyn Error>> {
    let text = include_bytes!("../testdata/messages/EXD.json");
    let Message::Export(mut export) = Message::parse("EXD", text)? else {
        return Err("the example is no export declaration".into());
    };
    // Every text is one of UNOC, so that both repertoires have the same work.
    export.exporter.name = Some("Khazar Kabel MMC, Köln".to_owned());
    export.exporter.address = None;
    let mut item = export.shipment.items.first().cloned().ok_or("the example has no item")?;
    "Copper wire rod, refined, 8 mm; Spulen für Köln".clone_into(&mut item.commodity.description);
    export.shipment.items = (1..=items)
        .map(|sequence| {
            let mut item = item.clone();
            item.sequence = u32::try_from(sequence).unwrap_or(u32::MAX);
            item
        })
        .collect();
    export.goods_item_quantity = u32::try_from(items)?;
    Ok(*export)
}
