//! Every message against its golden file, and the tables of kind and unkind input.

use karvan_dataspace::catalog::{
    AccessService, Catalog, CatalogError, CatalogRequest, DataService, Dataset, Distribution,
};
use karvan_dataspace::negotiation::{self, *};
use karvan_dataspace::policy::{Agreement, Offer, Wording};
use karvan_dataspace::transfer::{self, *};
use karvan_dataspace::version::{Auth, ProtocolVersion, Versions, VersionsError};
use karvan_dataspace::{Cause, Error, Message, Pids, Problem, Thread, from_slice, to_vec};
use karvan_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::shape;

fn text(text: &str) -> String {
    text.to_owned()
}

fn negotiation_pids() -> Pids {
    Pids { provider: text("p-90"), consumer: text("c-17") }
}

fn transfer_pids() -> Pids {
    Pids { provider: text("tp-1"), consumer: text("tc-1") }
}

fn wording(value: &Value) -> Wording {
    Wording::from_value(value).expect("a wording")
}

fn offer(id: &str) -> Offer {
    let wording = wording(&json!({"permission": [{"action": "use"}]}));
    Offer { id: text(id), target: None, assigner: None, assignee: None, wording }
}

fn targeted() -> Offer {
    Offer { target: Some(text("vehicle-register")), ..offer("offer-1") }
}

/// Reads and writes a golden file.
#[track_caller]
fn check<M: Message + PartialEq + std::fmt::Debug>(golden: &str, message: &M) {
    let read: M = from_slice(golden.as_bytes()).expect("the golden file can be read");
    assert_eq!(read, *message);
    let golden: Value = serde_json::from_str(golden).expect("JSON");
    let written: Value = serde_json::from_slice(&to_vec(message)).expect("JSON");
    assert_eq!(written, golden);
    shape::check(&written);
}

#[test]
fn catalog_messages() {
    check(
        include_str!("../../testdata/messages/CatalogRequestMessage.json"),
        &CatalogRequest {
            id: Some(text("urn:uuid:10000000-0000-7000-8000-000000000001")),
            filter: vec![json!({"keyword": "vehicles"})],
        },
    );
    check(include_str!("../../testdata/messages/Catalog.json"), &catalog());
    check(
        include_str!("../../testdata/messages/Dataset.json"),
        &Dataset {
            id: text("vehicle-register"),
            offers: vec![offer("offer-1")],
            distributions: vec![pull()],
            properties: Map::new(),
            problems: Vec::new(),
        },
    );
    let cause = Cause::new("not-found", "there is no dataset `CAT0103`");
    check(
        include_str!("../../testdata/messages/CatalogError.json"),
        &CatalogError { id: None, cause },
    );
}

fn pull() -> Distribution {
    Distribution {
        format: text("HttpData-PULL"),
        access_service: AccessService::Id(text("urn:karvan:pk:dsp")),
        offers: Vec::new(),
    }
}

fn catalog() -> Catalog {
    let service = |id: &str, url: &str, description: Option<&str>| DataService {
        id: text(id),
        endpoint_url: Some(text(url)),
        endpoint_description: description.map(text),
    };
    let constraint = json!({"leftOperand": "urn:karvan:policy:v1:purpose", "operator": "eq",
        "rightOperand": "border-control"});
    let permission = json!({"action": "use", "constraint": [constraint]});
    let constrained = json!({"profile": "urn:example:profile", "permission": [permission]});
    let forbidden = wording(&json!({"prohibition": [{"action": "use"}]}));
    let push = Distribution {
        format: text("HttpData-PUSH"),
        access_service: AccessService::Full(service(
            "urn:karvan:pk:push",
            "https://push.example/dsp/2025-1",
            None,
        )),
        offers: vec![Offer { wording: forbidden, ..offer("offer-2") }],
    };
    let title = json!("Vehicles registered in Pakistan");
    let url = "https://node.example/dsp/2025-1";
    Catalog {
        id: text("urn:karvan:pk:catalog"),
        participant_id: Some(text("urn:karvan:pk")),
        datasets: vec![Dataset {
            id: text("vehicle-register"),
            offers: vec![Offer { wording: wording(&constrained), ..offer("offer-1") }],
            distributions: vec![pull(), push],
            properties: Map::from_iter([(text("title"), title)]),
            problems: Vec::new(),
        }],
        services: vec![service("urn:karvan:pk:dsp", url, Some("dspace:connector"))],
        catalogs: vec![Catalog { id: text("urn:karvan:pk:catalog:customs"), ..Catalog::default() }],
        problems: Vec::new(),
    }
}

#[test]
fn negotiation_offers() {
    let parties = Offer {
        assigner: Some(text("urn:karvan:pk")),
        assignee: Some(text("urn:karvan:az")),
        ..targeted()
    };
    let initial = |address: &str| Thread::Initial { callback_address: text(address) };
    check(
        include_str!("../../testdata/messages/ContractRequestMessage.json"),
        &ContractRequest {
            id: Some(text("urn:uuid:10000000-0000-7000-8000-000000000002")),
            consumer_pid: text("c-17"),
            thread: initial("https://az.example/dsp/2025-1"),
            offer: parties,
        },
    );
    check(
        include_str!("../../testdata/messages/ContractRequestMessage-counter.json"),
        &ContractRequest {
            id: None,
            consumer_pid: text("c-17"),
            thread: Thread::Running { pid: text("p-90") },
            offer: Offer { assignee: Some(text("urn:karvan:az")), ..targeted() },
        },
    );
    let forbidden = wording(&json!({"prohibition": [{"action": "use"}]}));
    let assigner = Some(text("urn:karvan:pk"));
    check(
        include_str!("../../testdata/messages/ContractOfferMessage.json"),
        &ContractOffer {
            id: None,
            provider_pid: text("p-90"),
            thread: initial("https://pk.example/dsp/2025-1"),
            offer: Offer { assigner, wording: forbidden, ..targeted() },
        },
    );
    check(
        include_str!("../../testdata/messages/ContractOfferMessage-running.json"),
        &ContractOffer {
            id: None,
            provider_pid: text("p-90"),
            thread: Thread::Running { pid: text("c-17") },
            offer: targeted(),
        },
    );
}

#[test]
fn negotiation_messages() {
    let (id, pids) = (None, negotiation_pids());
    let agreement = Agreement {
        id: text("agr-5"),
        target: text("vehicle-register"),
        assigner: text("urn:karvan:pk"),
        assignee: text("urn:karvan:az"),
        timestamp: Some("2026-11-21T10:00:00Z".parse().expect("an instant")),
        wording: offer("").wording,
    };
    check(
        include_str!("../../testdata/messages/ContractAgreementMessage.json"),
        &ContractAgreement { id: id.clone(), pids: pids.clone(), agreement },
    );
    check(
        include_str!("../../testdata/messages/ContractAgreementVerificationMessage.json"),
        &ContractAgreementVerification { id: id.clone(), pids: pids.clone() },
    );
    let event = EventType::Accepted;
    check(
        include_str!("../../testdata/messages/ContractNegotiationEventMessage.json"),
        &ContractNegotiationEvent { id: id.clone(), pids: pids.clone(), event },
    );
    let cause = Cause::new("no-interest", "another offer was taken");
    check(
        include_str!("../../testdata/messages/ContractNegotiationTerminationMessage.json"),
        &ContractNegotiationTermination { id: id.clone(), pids: pids.clone(), cause },
    );
    let state = negotiation::State::Requested;
    check(
        include_str!("../../testdata/messages/ContractNegotiation.json"),
        &ContractNegotiation { id: id.clone(), pids: pids.clone(), state },
    );
    let cause = Cause::new("invalid-state", "verification is not allowed in OFFERED");
    check(
        include_str!("../../testdata/messages/ContractNegotiationError.json"),
        &ContractNegotiationError { id, pids, cause },
    );
}

#[test]
fn transfer_messages() {
    let (id, pids) = (None, transfer_pids());
    check(
        include_str!("../../testdata/messages/TransferRequestMessage.json"),
        &TransferRequest {
            id: id.clone(),
            consumer_pid: text("tc-1"),
            agreement_id: text("agr-5"),
            format: text("HttpData-PUSH"),
            callback_address: text("https://az.example/dsp/2025-1"),
            data_address: Some(DataAddress {
                endpoint_type: text("https://w3id.org/idsa/v4.1/HTTP"),
                endpoint: Some(text("https://az.example/in/77")),
                properties: Vec::new(),
            }),
        },
    );
    let data_address = Some(DataAddress::http("https://pk.example/data/77", "open-sesame"));
    check(
        include_str!("../../testdata/messages/TransferStartMessage.json"),
        &TransferStart { id: id.clone(), pids: pids.clone(), data_address },
    );
    let cause = Cause::new("maintenance", "the register is being moved");
    check(
        include_str!("../../testdata/messages/TransferSuspensionMessage.json"),
        &TransferSuspension { id: id.clone(), pids: pids.clone(), cause },
    );
    check(
        include_str!("../../testdata/messages/TransferCompletionMessage.json"),
        &TransferCompletion { id: id.clone(), pids: pids.clone() },
    );
    let cause = Cause { code: Some(text("1")), reasons: Vec::new() };
    check(
        include_str!("../../testdata/messages/TransferTerminationMessage.json"),
        &TransferTermination { id: id.clone(), pids: pids.clone(), cause },
    );
    let state = transfer::State::Started;
    check(
        include_str!("../../testdata/messages/TransferProcess.json"),
        &TransferProcess { id: id.clone(), pids: pids.clone(), state },
    );
    let reasons = vec![json!("the completion is not allowed in SUSPENDED")];
    let cause = Cause { code: None, reasons };
    check(
        include_str!("../../testdata/messages/TransferError.json"),
        &TransferError { id, pids, cause },
    );
}

#[test]
fn version_messages() {
    let version = |version: &str| ProtocolVersion {
        version: text(version),
        path: format!("/{version}"),
        binding: text("HTTPS"),
        service_id: None,
        identifier_type: None,
        auth: None,
    };
    let ours = ProtocolVersion {
        service_id: Some(text("node-1")),
        identifier_type: Some(text("urn")),
        auth: Some(Auth {
            protocol: text("JWT"),
            version: text("1"),
            profile: vec![text("karvan")],
        }),
        ..version("2025-1")
    };
    let versions = Versions { protocol_versions: vec![version("2024-1"), ours.clone()] };
    assert_eq!(versions.spoken(), Some(&ours));
    check(include_str!("../../testdata/messages/Versions.json"), &versions);
    let cause = Cause { code: Some(text("overloaded")), reasons: Vec::new() };
    check(
        include_str!("../../testdata/messages/VersionsError.json"),
        &VersionsError { id: None, cause },
    );
}

#[test]
fn every_golden_file_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/messages");
    let source = include_str!("messages.rs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(source.contains(&format!("messages/{name}\"")), "{name} is read by no test");
        count += 1;
    }
    assert_eq!(count, 23);
}

/// Reads as the type of this name, and returns what is written of it.
pub(crate) fn reread(name: &str, given: &Value) -> Result<Value, Problem> {
    fn again<M: Message>(given: &Value) -> Result<Value, Problem> {
        M::from_value(given).map(|message| message.to_value())
    }
    match name {
        "CatalogRequestMessage" => again::<CatalogRequest>(given),
        "Catalog" => again::<Catalog>(given),
        "Dataset" => again::<Dataset>(given),
        "CatalogError" => again::<CatalogError>(given),
        "ContractRequestMessage" => again::<ContractRequest>(given),
        "ContractOfferMessage" => again::<ContractOffer>(given),
        "ContractAgreementMessage" => again::<ContractAgreement>(given),
        "ContractAgreementVerificationMessage" => again::<ContractAgreementVerification>(given),
        "ContractNegotiationEventMessage" => again::<ContractNegotiationEvent>(given),
        "ContractNegotiationTerminationMessage" => again::<ContractNegotiationTermination>(given),
        "ContractNegotiation" => again::<ContractNegotiation>(given),
        "ContractNegotiationError" => again::<ContractNegotiationError>(given),
        "TransferRequestMessage" => again::<TransferRequest>(given),
        "TransferStartMessage" => again::<TransferStart>(given),
        "TransferSuspensionMessage" => again::<TransferSuspension>(given),
        "TransferCompletionMessage" => again::<TransferCompletion>(given),
        "TransferTerminationMessage" => again::<TransferTermination>(given),
        "TransferProcess" => again::<TransferProcess>(given),
        "TransferError" => again::<TransferError>(given),
        "Versions" => again::<Versions>(given),
        "VersionsError" => again::<VersionsError>(given),
        _ => panic!("no message is called {name}"),
    }
}

/// The types of all messages, each beginning with the words of its golden file's name.
pub(crate) const TYPES: &[&str] = &[
    "CatalogRequestMessage",
    "Catalog",
    "Dataset",
    "CatalogError",
    "ContractRequestMessage",
    "ContractOfferMessage",
    "ContractAgreementMessage",
    "ContractAgreementVerificationMessage",
    "ContractNegotiationEventMessage",
    "ContractNegotiationTerminationMessage",
    "ContractNegotiation",
    "ContractNegotiationError",
    "TransferRequestMessage",
    "TransferStartMessage",
    "TransferSuspensionMessage",
    "TransferCompletionMessage",
    "TransferTerminationMessage",
    "TransferProcess",
    "TransferError",
    "Versions",
    "VersionsError",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lenient {
    name: String,
    r#type: String,
    given: Value,
    meant: Value,
}

#[test]
fn kind_input_is_understood() {
    let cases: Vec<Lenient> =
        serde_json::from_str(include_str!("../../testdata/lenient_messages.json")).expect("cases");
    assert!(cases.len() >= 12);
    for case in cases {
        let written = reread(&case.r#type, &case.given);
        assert_eq!(written.as_ref(), Ok(&case.meant), "{}", case.name);
        assert_eq!(reread(&case.r#type, &case.meant).as_ref(), Ok(&case.meant), "{}", case.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    name: String,
    r#type: String,
    given: Value,
    pointer: String,
    rule: String,
    remedy: String,
}

#[test]
fn bad_input_is_refused_with_its_remedy() {
    let cases: Vec<Bad> =
        serde_json::from_str(include_str!("../../testdata/bad_messages.json")).expect("cases");
    assert!(cases.len() >= 24);
    for case in cases {
        let problem = reread(&case.r#type, &case.given).expect_err(&case.name);
        assert_eq!((problem.pointer, problem.rule), (case.pointer, case.rule), "{}", case.name);
        assert!(problem.remedy.contains(&case.remedy), "{}: {}", case.name, problem.remedy);
    }
}

#[test]
fn a_bad_entry_of_a_catalog_does_not_hide_the_rest() {
    let cases: Vec<Lenient> =
        serde_json::from_str(include_str!("../../testdata/lenient_messages.json")).expect("cases");
    let case = cases.into_iter().find(|case| case.r#type == "Catalog").expect("a catalog");
    let catalog = Catalog::from_value(&case.given).expect("readable");
    let problems: Vec<_> = catalog.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "`/dcat:dataset/1/hasPolicy` is required; add the member `hasPolicy`",
            "`/dcat:dataset/0/odrl:hasPolicy/1/@id` is required; add the member `@id`",
        ]
    );
    let kept = catalog.dataset("d-1").and_then(|dataset| dataset.offer("o-1")).expect("kept");
    assert_eq!(kept.target.as_deref(), Some("dropped in a catalog"));
}

#[test]
fn bodies_are_bounded_and_strict() {
    let check = |body: &[u8], kind: ErrorKind, text: &str| {
        let error = from_slice::<ContractNegotiation>(body).expect_err(text);
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    };
    let long = vec![b' '; karvan_dataspace::message::MESSAGE_BYTES_MAX + 1];
    check(&long, ErrorKind::TooLarge, "1048577 bytes; a ContractNegotiation has at most 1048576");
    check(b"{\"a\":1,\"a\":2}", ErrorKind::Invalid, "not strict JSON");
    check(b"[]", ErrorKind::Invalid, "must be an object");
    assert!(matches!(from_slice::<Versions>(b"{"), Err(Error::Json(_))));
}

#[test]
fn a_token_is_never_shown() {
    let address = DataAddress::http("https://pk.example/data/77", "open-sesame");
    assert_eq!(address.property("authorization"), Some("open-sesame"));
    assert!(!format!("{address:?}").contains("sesame"));
    let only_property = DataAddress { endpoint: None, ..address };
    assert_eq!(only_property.url(), Some("https://pk.example/data/77"));
}

#[test]
fn reasons_of_any_shape_are_sentences() {
    let reasons = vec![json!("a"), json!({"message": "b"}), json!({"@value": "c"}), json!([1])];
    let cause = Cause { code: None, reasons };
    assert_eq!(cause.sentences(), ["a", "b", "c", "[1]"]);
}
