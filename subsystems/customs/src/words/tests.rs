use std::collections::BTreeSet;

use super::*;
use crate::decision::{Reason, Verdict};
use crate::matching::{Rule, Severity};

/// Returns the keys of a language with the places of each.
fn keys(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for (group, sentences) in &language.sentences().groups {
        for (name, sentence) in sentences {
            found.insert(format!("{group}.{name}"), places(sentence));
        }
    }
    found
}

fn places(sentence: &str) -> BTreeSet<String> {
    let parts = sentence.split('{').skip(1);
    parts.map(|part| part.split('}').next().expect("a name").to_owned()).collect()
}

#[test]
fn every_language_has_every_key_with_the_same_places() {
    let english = keys(Language::En);
    assert!(english.len() > 80, "only {} sentences", english.len());
    for language in Language::ALL {
        assert_eq!(keys(language), english, "{language}");
        assert!(!language.name().is_empty());
        for (key, sentence) in language.sentences().groups.values().flatten() {
            assert!(!sentence.trim().is_empty(), "{language} {key}");
            assert_eq!(sentence.matches('{').count(), sentence.matches('}').count(), "{key}");
        }
    }
}

#[test]
fn every_rule_reason_and_word_is_there_and_none_is_unused() {
    let english = keys(Language::En);
    let code = |value: serde_json::Value| value.as_str().expect("a code").to_owned();
    let mut expected: BTreeSet<String> =
        Rule::ALL.iter().map(|rule| format!("difference.{rule}")).collect();
    expected.extend(Reason::ALL.map(|reason| format!("reason.{}", reason.code())));
    for severity in
        [Severity::Info, Severity::Tolerated, Severity::Flag, Severity::Hold, Severity::Deny]
    {
        expected.insert(format!("severity.{}", code(serde_json::json!(severity))));
    }
    for verdict in
        [Verdict::Grant, Verdict::GrantInPart, Verdict::Deny, Verdict::Query, Verdict::GeneralRate]
    {
        expected.insert(format!("proposal.{}", code(serde_json::json!(verdict))));
    }
    let others = [
        "difference.certificate-unknown-near",
        "proposal.grant-for",
        "proposal.grant-in-part-for",
        "light.green",
        "light.amber",
        "light.red",
    ];
    expected.extend(others.map(str::to_owned));
    let fixed =
        |key: &&String| !["word.", "label.", "duty."].iter().any(|group| key.starts_with(group));
    let found: BTreeSet<String> = english.keys().filter(fixed).cloned().collect();
    assert_eq!(found, expected);
    for (key, places) in &english {
        let known: &[&str] = match key.split_once('.').map_or("", |(group, _)| group) {
            "difference" => &["certificate", "export", "claim", "limit", "basis"],
            "proposal" => &["quantity", "reason"],
            "duty" => &["general", "preferential", "saved"],
            "label" => {
                &["claimed", "balance", "field", "source", "item", "light", "state", "status"]
            }
            _ => &[],
        };
        assert!(places.iter().all(|place| known.contains(&place.as_str())), "{key}: {places:?}");
    }
}

#[test]
fn values_are_put_in_and_stay_values() {
    let say = |language: Language, claim| {
        language.say("difference.no-concession", &[("claim", claim), ("limit", "0")])
    };
    let text = say(Language::En, "7408.1900");
    assert!(text.starts_with("Tariff line 7408.1900 has no concession"), "{text}");
    assert!(say(Language::En, "{limit}").contains("line {limit} has"), "never read as a pattern");
    assert!(say(Language::En, "A\u{202e}B\u{200b}").contains("line AB has"), "controls are out");
    assert!(say(Language::En, "خیابان").contains("\u{2068}خیابان\u{2069}"), "isolated");
    let text = say(Language::Ur, "7408.1900");
    assert!(text.contains("\u{2068}7408.1900\u{2069}"), "{text}");
    let forged = say(Language::Ur, "1\u{2069}\u{2067}2");
    assert_eq!(forged.matches(END).count(), forged.matches(ISOLATE).count(), "balanced");
    assert_eq!(Language::En.say("difference.unheard", &[]), "difference.unheard");
    assert!(Language::Az.say("difference.no-concession", &[]).contains('…'));
}

#[test]
fn languages_are_named_by_their_codes() {
    for language in Language::ALL {
        assert_eq!(language.code().parse(), Ok(language));
    }
    let error = "fa".parse::<Language>().expect_err("not spoken here");
    assert!(error.to_string().contains("use en, az or ur"), "{error}");
    assert_eq!(Language::En.status(), Reading::Reviewed);
    assert_eq!(Language::Ur.status(), Reading::NeedsNativeReader);
    assert_eq!(Language::Ur.line("x"), "\u{2067}x\u{2069}");
    assert_eq!(Language::Az.line("x"), "x");
}
