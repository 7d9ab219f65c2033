//! Verifications that are asked again: refused by everybody who was asked, or closed too early.

use karvan_subsystem::{Caller, Outgoing};
use karvan_types::{MemberId, json};
use serde_json::{Value, json};

use crate::verification::{CASE, CLAIM, Stage, answer, asking};

/// A validation of AZ or its issuer that refuses the query sent to it.
fn refusal(stage: &Stage, by: &MemberId, reference: &str) -> Outgoing {
    let name = by.as_str().replace('/', "-");
    let validation = json!({
        "FunctionCode": "11", "FunctionalReferenceID": format!("VAL-{name}"), "TypeCode": "962",
        "ID": format!("VAL-{name}"), "VersionID": 1, "IssueDateTime": "2026-10-05T09:00:00+04:00",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L2",
        "document": { "documentType": "QRY", "ID": CASE, "FunctionalReferenceID": reference },
        "outcome": "rejected",
        "Error": [{ "ValidationCode": "DATE", "Description": "the day is too near (a test)",
            "pointer": "dueDate" }],
    });
    Outgoing {
        sender: by.clone(),
        recipient: stage.pk.clone(),
        code: "VAL",
        content_type: "application/json",
        body: json::canonical(&validation).expect("canonical"),
    }
}

async fn case(stage: &mut Stage) -> Value {
    stage.pk("verifications", json!({ "verification": CASE })).await
}

/// Refuses the query of the verification as this member.
async fn refuse(stage: &mut Stage, by: &MemberId) {
    let shown = case(stage).await;
    let sent = shown["messages"].as_array().expect("messages").iter();
    let mut to_them = sent.filter(|message| message["recipient"] == by.as_str());
    let reference = to_them.next().expect("a query")["reference"].as_str().expect("a reference");
    let document = refusal(stage, by, reference);
    stage.exchange.hand_over(&document).await.expect("taken");
}

#[tokio::test]
async fn a_query_that_everybody_refuses_goes_back_to_the_officer() {
    let mut stage = Stage::new().await;
    let (az, pk, issuer) = (stage.az.clone(), stage.pk.clone(), stage.issuer.clone());
    stage.exchange.is_cut = true;
    stage.open().await;
    stage.exchange.is_cut = false;
    let again = json!({ "verification": CASE, "text": "the day was corrected (a test)" });
    let code = stage.refused(&pk, "verify-again", again.clone()).await;
    assert_eq!(code, "customs.verification-open", "it waits for its answer");

    refuse(&mut stage, &az).await;
    assert_eq!(case(&mut stage).await["state"], "sent", "the issuer may still answer");
    refuse(&mut stage, &issuer).await;
    let returned = case(&mut stage).await;
    assert_eq!(returned["state"], "opened");
    assert_eq!(returned["next"], json!([]), "nobody will answer, so nothing is waited for");
    assert!(!returned["suspends"].is_null(), "the doubt stands");
    let tasks = stage.tasks(&pk).await;
    assert!(tasks.contains(&"refused-by-partner".to_owned()), "{tasks:?}");

    let asked = stage.pk("verify-again", again).await;
    assert_eq!(
        (&asked["state"], &asked["text"]),
        (&json!("sent"), &json!("the day was corrected (a test)"))
    );
    let taken = case(&mut stage).await;
    assert_eq!(taken["state"], "received", "the partner took it up this time");
    assert!(!taken["next"].as_array().expect("a list").is_empty(), "the clocks run again");
    let tasks = stage.tasks(&pk).await;
    assert!(!tasks.contains(&"refused-by-partner".to_owned()), "{tasks:?}");
    assert_eq!(stage.tasks(&az).await, ["verification-asked"]);
}

#[tokio::test]
async fn a_closed_verification_is_taken_up_again_and_old_answers_count_no_more() {
    let mut stage = Stage::new().await;
    let az = stage.az.clone();
    stage.open().await;
    stage.issuer("answer", answer("confirmed")).await;
    let confirmed = stage.item().await;
    assert_eq!(confirmed["rules"], json!(["export-country", "verification-confirmed"]));
    let text = "the papers of the carrier were enough (a test)";
    stage.pk("conclude", json!({ "verification": CASE, "text": text })).await;

    let text = "the carrier showed another bill of lading (a test)";
    let again = json!({ "verification": CASE, "text": text, "questions": ["Which one is true?"] });
    stage.pk("verify-again", again).await;
    let found = case(&mut stage).await;
    assert_eq!((&found["state"], &found["open"]), (&json!("received"), &json!(true)));
    assert_eq!(
        (&found["closed"], &found["questions"][0]["text"]),
        (&Value::Null, &json!("Which one is true?"))
    );
    assert_eq!(found["answers"].as_array().map(Vec::len), Some(1), "nothing is forgotten");
    let item = stage.item().await;
    assert_eq!(item["rules"], json!(["export-country", "verification-open"]));
    assert_eq!(stage.tasks(&az).await, ["verification-asked"]);

    let refuted = answer("not-confirmed");
    stage.issuer("answer", refuted).await;
    let item = stage.item().await;
    assert_eq!(item["rules"], json!(["verification-refuted", "export-country"]), "{item}");
    assert_eq!(item["proposal"]["verdict"], "deny");
    let shown = stage.pk("show", json!({ "claim": CLAIM })).await;
    assert_eq!(shown["items"][0]["state"], "open", "an answer decides nothing");
    let unknown = json!({ "verification": "NOT-HERE", "text": "there is no such one" });
    let pk = stage.pk.clone();
    assert_eq!(stage.refused(&pk, "verify-again", unknown).await, "customs.no-verification");
}

#[tokio::test]
async fn a_query_that_comes_after_the_answer_of_another_asks_nothing_anew() {
    let mut stage = Stage::new().await;
    let (az, pk, issuer) = (stage.az.clone(), stage.pk.clone(), stage.issuer.clone());
    let officer = Caller {
        member: pk.clone(),
        user: "officer".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let bench = &mut stage.exchange.side(pk.instance()).bench;
    let (_, sent) = bench.operate(&officer, "verify", asking()).await.expect("opened");
    let (late, first): (Vec<_>, Vec<_>) = sent.into_iter().partition(|it| it.recipient == az);
    assert_eq!((late.len(), first.len()), (1, 1), "customs and the issuer are asked");
    stage.exchange.deliver(first).await;
    stage.issuer("answer", answer("confirmed")).await;

    stage.exchange.deliver(late).await;
    let asked = stage.exchange.act(&issuer, "verifications", json!({ "verification": CASE })).await;
    let asked = asked.expect("shown");
    assert_eq!((&asked["open"], &asked["state"]), (&json!(false), &json!("confirmed")), "{asked}");
    assert_eq!(stage.tasks(&az).await, Vec::<String>::new());
    assert_eq!(case(&mut stage).await["state"], "confirmed");
}
