//! What the preference is worth for a claimed item, and whether there is one at all.
//!
//! The rates and amounts are those of `crate::tariff` and `crate::duty`; here they are put beside
//! the match: goods without a concession, and a general rate that is as low as the preferential
//! one, become differences like the others.

use karvan_types::amount::RoundingStrategy;
use karvan_types::{Amount, Decimal, Instance, Quantity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claim::Claim;
use crate::duty;
use crate::matching::{Findings, Match, Papers, Rule, Rules};
use crate::messages::GoodsItem;
use crate::tariff::{self, Explanation, ImporterClass, Query, Status, Tariff, Winner};

/// What the preference is worth for one item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Relief {
    /// Tariff code of the importing country.
    pub code: String,
    /// Whether the tariff line has a concession on the day of the claim.
    pub covered: bool,
    /// All duties and taxes at the general rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub general: Option<Amount>,
    /// All duties and taxes with the preference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferential: Option<Amount>,
    /// The difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Amount>,
    /// The least sure status among the rates used; nobody pays on an assumed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// In words.
    pub text: String,
    /// Every line with base, rate, amount and source, or the rates alone without a value.
    pub breakdown: Value,
}

/// What is to be paid after a decision.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payable {
    /// All duties and taxes to be paid.
    pub payable: Amount,
    /// What they would be without the preference.
    pub without_preference: Amount,
    /// The difference.
    pub saved: Amount,
    /// The least sure status among the rates used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The question to the tariff about one claimed item.
struct Asked<'a> {
    tariff: &'static Tariff,
    query: Query<'a>,
}

fn ask<'a>(
    nation: Instance,
    partner: &'a Instance,
    claim: &Claim,
    item: &'a GoodsItem,
) -> Option<Asked<'a>> {
    let tariff = tariff::of(nation.as_str())?;
    let code = item.commodity.national_code()?;
    let code = code.get(..tariff.code_digits).unwrap_or(code);
    // Origin is a question of its own; here it is whether the partner's goods have a concession.
    let (origin, importer) = (partner.as_str(), claim.importer_class);
    Some(Asked { tariff, query: Query { code, day: claim.filed, origin, importer } })
}

/// Works out what the preference is worth, and adds to the match what the tariff says against it.
pub fn weigh(
    rules: &Rules,
    nation: Instance,
    partner: Instance,
    claim: &Claim,
    item: &GoodsItem,
    matched: &mut Match,
) -> Option<Relief> {
    let asked = ask(nation, &partner, claim, item)?;
    let code = asked.query.code.to_owned();
    let chapter = code.get(..2);
    let mut findings = Findings::new(rules, claim.filed, chapter);
    let relief = relief(&asked, item.customs_value.as_ref(), code.clone(), &mut findings);
    matched.differences.extend(findings.finish());
    matched.differences.sort_by_key(|difference| std::cmp::Reverse(difference.severity));
    Some(relief)
}

fn relief(
    asked: &Asked<'_>,
    value: Option<&Amount>,
    code: String,
    findings: &mut Findings<'_>,
) -> Relief {
    let explanation = match asked.tariff.explain(asked.query) {
        Ok(explanation) => explanation,
        Err(error) => {
            let covered = is_conceded(asked);
            if !covered {
                findings.add(Rule::NoConcession, Papers::new().claim(dotted(&code)));
            }
            return Relief { text: error.to_string(), ..bare(code, covered, Value::Null) };
        }
    };
    let covered = explanation.rates.iter().any(|line| line.winner != Winner::NoPreference);
    if !covered {
        findings.add(Rule::NoConcession, Papers::new().claim(dotted(&code)));
    } else if !explanation.has_advantage() {
        findings.add(Rule::GeneralRateNotHigher, Papers::new().claim(dotted(&code)));
    }
    let rates = serde_json::to_value(&explanation).unwrap_or_default();
    let Some(value) = value else {
        let text = "The claim states no customs value, so only the rates can be shown.".to_owned();
        return Relief { text, ..bare(code, covered, rates) };
    };
    match duty::assess(asked.tariff, asked.query, value) {
        Ok(found) => {
            let amount = |value| Some(Amount { value, currency: asked.tariff.currency.clone() });
            Relief {
                general: amount(found.total_general),
                preferential: amount(found.total_preferential),
                saved: amount(found.saved),
                status: found.status,
                text: in_words(&found, &explanation),
                ..bare(code, covered, serde_json::to_value(&found).unwrap_or_default())
            }
        }
        Err(error) => Relief { text: error.to_string(), ..bare(code, covered, rates) },
    }
}

fn bare(code: String, covered: bool, breakdown: Value) -> Relief {
    Relief {
        code,
        covered,
        general: None,
        preferential: None,
        saved: None,
        status: None,
        text: String::new(),
        breakdown,
    }
}

/// Whether any duty of the line has a concession, when the general rates are not known.
fn is_conceded(asked: &Asked<'_>) -> bool {
    let Query { code, day, origin, .. } = asked.query;
    asked.tariff.measures().any(|measure| {
        let agreement = measure.agreement.as_ref();
        let granted = agreement.and_then(|id| asked.tariff.agreements.iter().find(|a| a.id == *id));
        code.starts_with(&measure.code)
            && granted.is_some_and(|agreement| agreement.origin == origin)
            && measure.from <= day
            && measure.until.is_none_or(|until| day <= until)
    })
}

/// Writes a national code as people read it: `7408.1100`.
fn dotted(code: &str) -> String {
    match (code.get(..4), code.get(4..)) {
        (Some(heading), Some(rest)) if !rest.is_empty() => format!("{heading}.{rest}"),
        _ => code.to_owned(),
    }
}

fn in_words(found: &duty::Assessment, rates: &Explanation) -> String {
    let currency = &found.value.currency;
    let mut text = format!(
        "Without preference {} {currency} are due, with it {} {currency}; it saves {} {currency}.",
        found.total_general, found.total_preferential, found.saved
    );
    for line in &rates.rates {
        let Some(preferential) = line.preferential_percent else { continue };
        let (duty, general) = (line.duty, line.general.percent.normalize());
        let preferential = preferential.normalize();
        let said = match line.winner {
            Winner::Preference => format!(" {duty}: {preferential} % instead of {general} %."),
            Winner::Equal => format!(" {duty}: {general} % either way."),
            Winner::General => format!(
                " {duty}: the general rate of {general} % is below the preferential one of \
                 {preferential} % and is used."
            ),
            Winner::NoPreference => continue,
        };
        text.push_str(&said);
    }
    if found.status == Some(Status::Assumed) {
        text.push_str(" At least one rate is assumed, so nobody may collect money on it.");
    }
    text
}

/// Returns the share of the goods that earns the preference: all that is granted when it is not
/// known how much was claimed.
pub fn share(grants: bool, granted: Option<&Quantity>, claimed: Option<&Quantity>) -> Decimal {
    match (granted, claimed) {
        _ if !grants => Decimal::ZERO,
        (Some(granted), Some(claimed)) if !claimed.value.is_zero() => {
            (granted.value / claimed.value).min(Decimal::ONE)
        }
        _ => Decimal::ONE,
    }
}

/// Works out what is to be paid when this share of the goods earns the preference.
pub fn payable(
    nation: Instance,
    partner: Instance,
    claim: &Claim,
    item: &GoodsItem,
    share: Decimal,
) -> Option<Payable> {
    let asked = ask(nation, &partner, claim, item)?;
    let value = item.customs_value.as_ref()?;
    let part =
        (value.value * share).round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let amount = |value| Amount { value, currency: asked.tariff.currency.clone() };
    let of = |value: Decimal| {
        let value = Amount { value, currency: value_currency(item) };
        duty::assess(asked.tariff, asked.query, &value).ok()
    };
    let (whole, preferred, rest) = (of(value.value)?, of(part)?, of(value.value - part)?);
    let payable = preferred.total_preferential + rest.total_general;
    Some(Payable {
        payable: amount(payable),
        without_preference: amount(whole.total_general),
        // Rounding of the two parts may add a unit; a preference never costs anything.
        saved: amount((whole.total_general - payable).max(Decimal::ZERO)),
        status: whole.status,
    })
}

fn value_currency(item: &GoodsItem) -> String {
    item.customs_value.as_ref().map(|value| value.currency.clone()).unwrap_or_default()
}

/// The kind of importer that is assumed when a claim does not say.
pub const DEFAULT_IMPORTER: ImporterClass = ImporterClass::Commercial;
