//! Examples of what officers and issuers ask of each other, and of what is watched.

use std::collections::BTreeMap;

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Outgoing;
use karvan_types::{MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, OFFICER, SECOND_OFFICER, customs_of, issuer_of};

const CLAIM: &str = "KAPE-HC-00014-02-10-2026";
const CASE: &str = "KAPE-HC-00014-02-10-2026-1-V1";
const TEXT: &str = "the bill of lading begins in Jebel Ali";

type Recorded = BTreeMap<&'static str, Value>;

/// A claim for goods that were sent on from a third country.
struct Stage {
    exchange: Exchange,
    sample: Consignment,
    exporter: MemberId,
    importer: MemberId,
    issuer: MemberId,
}

impl Stage {
    async fn new() -> Self {
        let sample = shipped().into_iter().find(|c| c.id == "override-indirect-route");
        let sample = sample.expect("a sample");
        let mut exchange = Exchange::new(sample.today);
        for step in sample.steps.iter().take(3) {
            exchange.play(&sample, step).await.expect("played");
        }
        let (from, to) = (sample.from, sample.to);
        let (exporter, importer) = (customs_of(from), customs_of(to));
        Self { exchange, exporter, importer, issuer: issuer_of(from), sample }
    }

    async fn act(&mut self, who: (&MemberId, &str), operation: &str, input: Value) -> Value {
        let done = self.exchange.act_as(who, operation, input).await;
        done.unwrap_or_else(|refusal| {
            panic!("{operation}: {} {:?}", refusal.text, refusal.pointers)
        })
    }

    /// Does what an officer of the importing side asks.
    async fn officer(&mut self, operation: &str, input: Value) -> Value {
        let importer = self.importer.clone();
        self.act((&importer, OFFICER), operation, input).await
    }

    /// What was handed in first: certificate and declaration.
    fn papers(&self) -> (&Value, &Value) {
        let [certificate, declaration, ..] = self.sample.steps.as_slice() else {
            panic!("a sample has steps");
        };
        (&certificate.input["certificate"], &declaration.input["declaration"])
    }
}

/// Takes down all of it.
pub(super) async fn record(recorded: &mut Recorded) {
    verification(recorded).await;
    second_officer(recorded).await;
    travelling(recorded).await;
    incident(recorded).await;
}

/// Puts the parts of a path into a body, as the kernel does.
fn with(body: &Value, parts: Value) -> Value {
    let (Value::Object(body), Value::Object(parts)) = (body.clone(), parts) else {
        panic!("objects");
    };
    body.into_iter().chain(parts).collect::<serde_json::Map<_, _>>().into()
}

async fn verification(recorded: &mut Recorded) {
    let mut stage = Stage::new().await;
    let request = json!({
        "reasons": ["direct-transport"], "text": TEXT,
        "questions": ["Did the goods stay under customs control on the way?"],
    });
    let input = with(&request, json!({ "claim": CLAIM, "item": 1 }));
    recorded.insert("verification-opened", stage.officer("verify", input).await);
    recorded.insert("verification-request", request);
    let answer = json!({
        "outcome": "confirmed", "text": "the whole way was checked with the carrier",
        "answers": [{ "number": 1, "text": "yes, sealed by customs all the way" }],
    });
    let issuer = stage.issuer.clone();
    let input = with(&answer, json!({ "verification": CASE }));
    let answered = stage.act((&issuer, OFFICER), "answer", input).await;
    recorded.insert("verification-answered", answered);
    recorded.insert("answer-request", answer);
    let list = json!({ "what": "verifications" });
    recorded.insert("verifications", stage.officer("browse", list).await);
    let one = json!({ "verification": CASE });
    recorded.insert("verification", stage.officer("verifications", one).await);
    stage.officer("decide", json!({ "claim": CLAIM, "decision": "grant" })).await;
    let text = "the importer handed in the transport document";
    let closed = stage.officer("conclude", json!({ "verification": CASE, "text": text })).await;
    recorded.insert("verification-concluded", closed);
    let text = "the carrier showed another bill of lading";
    let again = json!({ "verification": CASE, "text": text });
    recorded.insert("verification-reopened", stage.officer("verify-again", again).await);
}

async fn second_officer(recorded: &mut Recorded) {
    let mut stage = Stage::new().await;
    let text = "through bill of lading, transit under customs control";
    let proposal = json!({ "claim": CLAIM, "item": 1, "decision": "grant",
        "reason": "cleared-up", "text": text, "propose": true });
    stage.officer("decide", proposal).await;
    let request = json!({ "answer": "confirm" });
    let importer = stage.importer.clone();
    let input = with(&request, json!({ "claim": CLAIM, "item": 1 }));
    let confirmed = stage.act((&importer, SECOND_OFFICER), "confirm", input).await;
    recorded.insert("confirmed", confirmed);
    recorded.insert("confirmation-request", request);
    let certificate = stage.papers().0["ID"].clone();
    let suspend = json!({ "certificate": certificate, "text": TEXT });
    stage.officer("ledger-suspend", suspend).await;
    let list = json!({ "what": "cases" });
    recorded.insert("ledger-cases", stage.officer("browse", list).await);
    let ucr = stage.papers().1["GoodsShipment"]["UCR"]["ID"].clone();
    recorded.insert("risk", stage.officer("risk", json!({ "consignment": ucr })).await);
}

/// An amendment of a document of ours.
fn amendment(code: &str, of: &Value, change: &Value) -> Value {
    json!({
        "FunctionCode": "4", "FunctionalReferenceID": format!("AZ-AMD-{code}-1"),
        "TypeCode": "COR", "ID": of["ID"], "VersionID": 2,
        "IssueDateTime": "2026-10-05T08:30:00+04:00", "agreementID": of["agreementID"],
        "sharingLevel": of["sharingLevel"],
        "document": { "documentType": code, "ID": of["ID"], "VersionID": 1 },
        "StatementDescription": "corrected after a check of the papers",
        "Amendment": [{ "ChangeReasonCode": "25", "Pointer": [
            { "SequenceNumeric": 1, "DocumentSectionCode": "42A" },
            { "DocumentSectionCode": "67A" },
            { "DocumentSectionCode": "22B", "TagID": "090" },
        ] }],
        "values": [change],
    })
}

async fn travelling(recorded: &mut Recorded) {
    let mut stage = Stage::new().await;
    let (certificate, declaration) = stage.papers();
    let path = "GovernmentAgencyGoodsItem[1]/quantity/value";
    let mut of_certificate =
        amendment("COO", certificate, &json!({ "path": path, "value": "12000" }));
    of_certificate["Amendment"] = json!([{ "ChangeReasonCode": "25" }]);
    let path = "GoodsShipment/TradeTerms/ConditionCode";
    let of_export = amendment("EXD", declaration, &json!({ "path": path, "value": "FOB" }));
    let at = "2026-10-05T07:40:00+04:00";
    let report = json!({
        "FunctionCode": "9", "FunctionalReferenceID": "AZ-TRN-1", "TypeCode": "44",
        "ID": "AZ-TRN-1", "VersionID": 1, "IssueDateTime": at,
        "agreementID": declaration["agreementID"], "sharingLevel": "L1",
        "event": "departed", "eventDateTime": at,
        "exports": [{ "documentType": "EXD", "ID": declaration["ID"] }],
        "BorderTransportMeans": { "ModeCode": "3", "ID": "90-XX-001" },
        "route": [
            { "SequenceNumeric": 1, "Location": { "ID": "AZBAK" }, "DepartureDateTime": at },
            { "SequenceNumeric": 2, "Location": { "ID": "PKKHI" } },
        ],
    });
    let (exporter, issuer) = (stage.exporter.clone(), stage.issuer.clone());
    let two = json!({ "amendment": of_export, "transport": report });
    let refusal = stage.exchange.act(&exporter, "submit", two).await.expect_err("two at once");
    assert_eq!(refusal.code, "customs.bad-input");
    let wrong = json!({ "amendment": of_certificate });
    let refusal = stage.exchange.act(&exporter, "submit", wrong).await.expect_err("a certificate");
    assert_eq!(refusal.code, "customs.bad-input");
    for (name, answer, who, operation, member, body) in [
        ("AMD", "certificate-amended", &issuer, "certificate", "amendment", of_certificate),
        ("export-AMD", "export-amended", &exporter, "submit", "amendment", of_export),
        ("TRN", "transport-reported", &exporter, "submit", "transport", report),
    ] {
        let output = stage.act((who, OFFICER), operation, json!({ member: body })).await;
        recorded.insert(answer, output);
        recorded.insert(name, body);
    }
    let export = json!({ "export": recorded["export-AMD"]["ID"] });
    let shown = stage.officer("show", export).await;
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(2), "the partner has it: {shown}");
    let mut history = shown["history"].as_array().expect("a history").iter();
    let departed = |line: &Value| line["text"].as_str().is_some_and(|t| t.contains("departed"));
    assert!(history.any(departed), "{shown}");
}

/// A certificate that reaches the other side with more than the agreement lets out.
async fn incident(recorded: &mut Recorded) {
    let mut stage = Stage::new().await;
    let mut exchange = Exchange::new(stage.sample.today);
    exchange.pk.bench.sharing_level = Some("L1".to_owned());
    let body = json::canonical(stage.papers().0).expect("canonical");
    let (sender, recipient) = (stage.issuer.clone(), stage.importer.clone());
    let content_type = "application/json";
    let document = Outgoing { sender, recipient, code: "COO", content_type, body };
    exchange.hand_over(&document).await.expect("taken");
    stage.exchange = exchange;
    let found = stage.officer("browse", json!({ "what": "incidents" })).await;
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(1), "{found}");
    recorded.insert("sharing-incidents", found);
}
