//! Cargo reports of carriers: what they do to the declarations that they name, at either side.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_customs::edifact::{self, CargoReport, Charset, Content, Directory, Envelope};
use karvan_customs::edifact::{FurtherConsignment, TransportDocument};
use karvan_customs::messages::{DocumentType, Message, Outcome, SharingLevel};
use karvan_customs::wco::Context;
use karvan_types::{ErrorKind, MemberId};
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::handed_in::{NOW, example, setting};

const NUMBER: &str = "AZ0017/110926/004411";
const UCR: &str = "6AZ1400057421-2026-0911";
const BILL: &str = "BAK-KHI-26-0092";

/// A report of the carrier about the example, which names nothing yet.
fn report(number: &str) -> CargoReport {
    let text = example("EXD").to_string();
    let Ok(Message::Export(export)) = Message::parse("EXD", text.as_bytes()) else {
        panic!("an export declaration")
    };
    let mut report = CargoReport::of(&export, NOW.parse().expect("an instant"));
    number.clone_into(&mut report.header.id);
    report.header.functional_reference_id = format!("CAR-{number}");
    report.declarations.clear();
    report.transport_document = None;
    report.shipment.ucr = None;
    report
}

fn interchange(report: &CargoReport, directory: Directory, reference: &str) -> String {
    let envelope = Envelope {
        charset: Charset::Y,
        sender: "CARRIER",
        recipient: "CUSTOMS",
        reference,
        prepared_at: NOW.parse().expect("an instant"),
    };
    let content = Content::Cargo(Box::new(report.clone()));
    let written = edifact::write(&content, directory, &envelope).expect("written");
    assert_eq!(written.losses, []);
    String::from_utf8(written.bytes).expect("UTF-8")
}

async fn hand_in(exchange: &mut Exchange, who: &MemberId, text: &str) -> Value {
    let input = json!({ "interchange": STANDARD.encode(text) });
    exchange.act(who, "interchange", input).await.expect("answered")
}

async fn declare(exchange: &mut Exchange, az: &MemberId) {
    let input = json!({ "declaration": example("EXD") });
    exchange.act(az, "submit", input).await.expect("declared");
}

async fn state(exchange: &mut Exchange, who: &MemberId) -> String {
    let shown = exchange.act(who, "show", json!({ "export": NUMBER })).await.expect("shown");
    shown["export"]["state"].as_str().unwrap_or_default().to_owned()
}

/// The answer to the carrier: outcome, and what is remarked.
fn answer(row: &Value) -> (Outcome, Vec<String>) {
    let bytes = STANDARD.decode(row["answer"].as_str().expect("an answer")).expect("base64");
    let context = Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: NOW.parse().expect("an instant"),
        subject: DocumentType::Export,
    };
    let mut received = edifact::receive(bytes.as_slice(), context).expect("an interchange");
    let content = received.messages.pop().expect("a message").content;
    let Content::Message(Message::Validation(validation)) = content else {
        panic!("a CUSRES with an outcome")
    };
    assert_eq!(validation.document.document_type, "TRN");
    (validation.outcome, validation.errors.into_iter().map(|error| error.rule).collect())
}

async fn open_tasks(exchange: &mut Exchange, who: &MemberId) -> Vec<String> {
    let listed = exchange.act(who, "list", json!({ "what": "tasks" })).await.expect("listed");
    let tasks = listed["rows"].as_array().expect("rows").clone();
    let open = tasks.iter().filter(|task| task["kind"] == "cargo-unmatched");
    open.map(|task| task["subject"].as_str().unwrap_or_default().to_owned()).collect()
}

fn named(number: &str, by: &str) -> CargoReport {
    let mut report = report(number);
    match by {
        "number" => report.declarations = vec![NUMBER.to_lowercase()],
        "reference" => {
            report.shipment.ucr = serde_json::from_value(json!({ "ID": UCR })).expect("a UCR");
        }
        _ => {
            let type_code = Some("705".to_owned());
            report.transport_document = Some(TransportDocument { type_code, id: BILL.to_owned() });
        }
    }
    report
}

#[tokio::test]
async fn a_cargo_report_moves_the_declaration_that_it_names_at_both_sides() {
    for (by, directory) in
        [("number", Directory::D96B), ("reference", Directory::D09A), ("document", Directory::D96B)]
    {
        let (mut exchange, az, pk) = setting();
        declare(&mut exchange, &az).await;
        let text = interchange(&named("M-1", by), directory, "C1");
        let taken = hand_in(&mut exchange, &az, &text).await;
        assert_eq!(taken["refused"], json!([]), "{by}: {taken}");
        let row = &taken["messages"][0];
        assert_eq!((&row["document"], &row["event"]), (&json!("CARGO"), &json!("departed")));
        assert_eq!(row["exports"], json!([format!("AZ:{NUMBER}")]), "{by}");
        assert_eq!(answer(row), (Outcome::Accepted, vec![]), "{by}");
        let sent = exchange.sent.iter().filter(|sent| sent.code == "TRN").count();
        assert_eq!(sent, 1, "{by}");
        for who in [&az, &pk] {
            assert_eq!(state(&mut exchange, who).await, "departed", "{by} {who}");
        }
        // Under another interchange it changes nothing more, under the same one it is refused.
        let text = interchange(&named("M-1", by), directory, "C2");
        let again = hand_in(&mut exchange, &az, &text).await;
        assert_eq!(again["messages"][0]["duplicate"], true, "{again}");
        assert_eq!(hand_in(&mut exchange, &az, &text).await["refused"][0]["code"], "26");
        assert_eq!(exchange.sent.iter().filter(|sent| sent.code == "TRN").count(), 1);

        // The importing side hears of the arrival from the carrier there, and tells the other one.
        let mut arrival = named("M-2", by);
        arrival.arrival_date_time = Some("2026-10-01T06:00:00Z".parse().expect("an instant"));
        let text = interchange(&arrival, directory, "C3");
        let taken = hand_in(&mut exchange, &pk, &text).await;
        assert_eq!(taken["messages"][0]["event"], "arrived", "{taken}");
        for who in [&pk, &az] {
            assert_eq!(state(&mut exchange, who).await, "arrived", "{by} {who}");
        }
        let told: Vec<_> = exchange.sent.iter().filter(|sent| sent.code == "TRN").collect();
        assert_eq!((told.len(), &told[1].sender), (2, &pk), "{by}");
        // It is accepted there, and nobody waits any more for goods that are here.
        for who in [&pk, &az] {
            let shown = exchange.act(who, "show", json!({ "export": NUMBER })).await;
            let shown = shown.expect("shown");
            let messages = shown["messages"].as_array().expect("messages").iter();
            let reports: Vec<_> = messages.filter(|row| row["code"] == "TRN").collect();
            assert_eq!(reports.len(), 2, "{by} {who}: {reports:#?}");
            assert!(reports.iter().all(|row| row["state"] == "accepted"), "{reports:#?}");
        }
        exchange.wait(std::time::Duration::from_hours(24 * 60)).await;
        let tasks = exchange.act(&az, "list", json!({ "what": "tasks" })).await.expect("listed");
        assert!(!tasks.to_string().contains("never-arrived"), "{by}: {tasks}");
        // Again, by another interchange, it is told once.
        let text = interchange(&arrival, directory, "C4");
        let again = hand_in(&mut exchange, &pk, &text).await;
        assert_eq!(again["messages"][0]["duplicate"], true, "{again}");
        assert_eq!(exchange.sent.iter().filter(|sent| sent.code == "TRN").count(), 2);
    }
}

#[tokio::test]
async fn what_names_nothing_known_makes_a_task_and_is_matched_later() {
    for by in ["number", "reference", "document"] {
        let (mut exchange, az, pk) = setting();
        let text = interchange(&named("M-1", by), Directory::D96B, "C1");
        let mut shown = Vec::new();
        for who in [&az, &pk] {
            let taken = hand_in(&mut exchange, who, &text).await;
            let row = &taken["messages"][0];
            assert_eq!(row["exports"], json!([]), "{by}");
            assert_eq!(answer(row), (Outcome::Accepted, vec!["WAITS".to_owned()]), "{by}");
            shown.push(row["waitsFor"].clone());
            assert_eq!(open_tasks(&mut exchange, who).await, ["cargo M-1"], "{by} {who}");
        }
        assert!(shown[0].as_array().is_some_and(|names| names.len() == 1), "{shown:?}");
        declare(&mut exchange, &az).await;
        for who in [&az, &pk] {
            assert_eq!(open_tasks(&mut exchange, who).await, Vec::<String>::new(), "{by} {who}");
            assert_eq!(state(&mut exchange, who).await, "departed", "{by} {who}");
        }
    }
}

#[tokio::test]
async fn every_consignment_of_a_journey_is_matched_or_waits() {
    let (mut exchange, az, _) = setting();
    declare(&mut exchange, &az).await;
    let mut journey = named("M-1", "reference");
    let further = |sequence, declarations| FurtherConsignment {
        sequence: Some(sequence),
        transport_document: Some(TransportDocument { type_code: None, id: "B-2".to_owned() }),
        ucr: None,
        declarations,
        loading_location: None,
        unloading_location: None,
        exporter: None,
        consignee: None,
        items: journey.shipment.items.clone(),
    };
    journey.further = vec![further(2, vec!["OTHER".to_owned()]), further(3, Vec::new())];
    let text = interchange(&journey, Directory::D09A, "C1");
    let taken = hand_in(&mut exchange, &az, &text).await;
    let row = &taken["messages"][0];
    assert_eq!(row["exports"], json!([format!("AZ:{NUMBER}")]), "{taken}");
    assert_eq!(row["waitsFor"], json!(["declaration OTHER", "document B-2"]));
    let mut other = example("EXD");
    (other["ID"], other["FunctionalReferenceID"]) = (json!("other"), json!("R-2"));
    other["GoodsShipment"]["UCR"]["ID"] = json!("6AZ1400057421-2026-0912");
    exchange.act(&az, "submit", json!({ "declaration": other })).await.expect("declared");
    let reports = exchange.sent.iter().filter(|sent| sent.code == "TRN");
    let named: Vec<Value> = reports
        .map(|sent| serde_json::from_slice::<Value>(&sent.body).expect("JSON")["exports"].clone())
        .collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert_eq!(named[1][0]["ID"], "other");
    assert_eq!(open_tasks(&mut exchange, &az).await, ["cargo M-1"], "B-2 still waits");
}

#[tokio::test]
async fn a_report_that_says_too_little_is_refused_with_its_reason() {
    let (mut exchange, az, _) = setting();
    declare(&mut exchange, &az).await;
    let mut quiet = named("M-1", "number");
    if let Some(consignment) = &mut quiet.shipment.consignment {
        consignment.departure_date_time = None;
    }
    let mut nowhere = named("M-2", "number");
    if let Some(consignment) = &mut nowhere.shipment.consignment {
        consignment.unloading_location = None;
    }
    let changed = interchange(&named("M-3", "number"), Directory::D96B, "C3");
    for (text, words) in [
        (interchange(&quiet, Directory::D96B, "C1"), "DTM+178"),
        (interchange(&nowhere, Directory::D96B, "C2"), "LOC+11"),
        (changed.replacen("+M-3+9'", "+M-3+4'", 1), "function 9"),
    ] {
        let taken = hand_in(&mut exchange, &az, &text).await;
        let refused = &taken["refused"][0];
        assert_eq!(refused["code"], "13", "{taken}");
        assert!(refused["error"].as_str().is_some_and(|error| error.contains(words)), "{taken}");
    }
    // The same number with another content contradicts what is stored.
    let text = interchange(&named("M-1", "number"), Directory::D96B, "C4");
    hand_in(&mut exchange, &az, &text).await;
    let text = text.replacen("C4", "C5", 2).replacen("CSQU3054383", "MSKU0000008", 1);
    let input = json!({ "interchange": STANDARD.encode(text) });
    let refusal = exchange.act(&az, "interchange", input).await.expect_err("another content");
    assert_eq!((refusal.kind, &*refusal.code), (ErrorKind::Conflict, "customs.reference-reused"));
}

/// What the agreement does not let out is kept at this side; an arrival before any other news is
/// taken all the same; goods of this side do not arrive in its own country.
#[tokio::test]
async fn an_arrival_is_told_where_it_may_and_where_it_can_be() {
    let arrival = |at: &str| {
        let mut report = named("M-2", "number");
        report.arrival_date_time = Some("2026-10-01T06:00:00Z".parse().expect("an instant"));
        if let Some(place) =
            report.shipment.consignment.as_mut().and_then(|c| c.unloading_location.as_mut())
        {
            place.id = Some(at.to_owned());
        }
        interchange(&report, Directory::D96B, "C1")
    };
    for (place, is_agreed, there) in
        [("PKKHI", true, "arrived"), ("PKKHI", false, "announced"), ("IRBND", true, "announced")]
    {
        let (mut exchange, az, pk) = setting();
        declare(&mut exchange, &az).await;
        if !is_agreed {
            exchange.pk.bench.not_agreed = vec!["TRN"];
        }
        let taken = hand_in(&mut exchange, &pk, &arrival(place)).await;
        assert_eq!(taken["messages"][0]["event"], "arrived", "{taken}");
        assert_eq!(state(&mut exchange, &pk).await, "arrived", "{place} {is_agreed}");
        assert_eq!(state(&mut exchange, &az).await, there, "{place} {is_agreed}");
    }
    // Customs there tell it by themselves as well.
    let (mut exchange, az, pk) = setting();
    declare(&mut exchange, &az).await;
    let mut report = example("TRN");
    report["event"] = json!("arrived");
    report["eventDateTime"] = json!("2026-09-20T11:00:00+05:00");
    report["exports"] = json!([{ "documentType": "EXD", "ID": NUMBER }]);
    exchange.act(&pk, "submit", json!({ "declaration": report })).await.expect("told");
    for who in [&pk, &az] {
        assert_eq!(state(&mut exchange, who).await, "arrived", "{who}");
    }
    let (mut exchange, az, _) = setting();
    declare(&mut exchange, &az).await;
    let input = json!({ "interchange": STANDARD.encode(arrival("AZBAK")) });
    let refusal = exchange.act(&az, "interchange", input).await.expect_err("not abroad");
    assert_eq!(refusal.code, "customs.cargo-no-route", "{}", refusal.text);
}
