//! What the preference is worth for a claimed item, and whether there is one at all.
//!
//! The rates and amounts are those of `crate::tariff` and `crate::duty`; here they are put beside
//! the match: goods without a concession, and a general rate that is as low as the preferential
//! one, become differences like the others.

use karvan_types::{Amount, Date, Decimal, Digest, Instance, Quantity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claim::Claim;
use crate::duty::{self, Goods};
use crate::matching::{Findings, Match, Papers, Rule, Rules, stated_quantities};
use crate::messages::GoodsItem;
use crate::messages::text::date;
use crate::tariff::{Events, Explanation, ImporterClass, Query, RateDay, Status, Tariff, Winner};

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
    /// The rates that were used: which version of the tariff, and of which day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Basis>,
    /// What the item has of a quota, when the preference has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaShare>,
    /// In words.
    pub text: String,
    /// Every line with base, rate, amount and source, or the rates alone without a value.
    pub breakdown: Value,
}

/// Which rates a calculation rests on. With the digest it can be repeated at any later time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// Version of the tariff.
    pub version: String,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// The day whose rates apply.
    #[serde(with = "date")]
    pub day: Date,
    /// Whether that day is final; otherwise the day of filing stands in for one not known yet.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// What a claimed item has of a quota.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaShare {
    /// Key of the account: country, quota and first day of the period.
    pub account: String,
    /// What the item asks for.
    pub asked: Quantity,
    /// What it has; the rest pays the general rate.
    pub allocated: Quantity,
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
    /// The rates that were used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Basis>,
}

/// The question to the tariff about one claimed item.
struct Asked<'a> {
    tariff: &'a Tariff,
    query: Query<'a>,
    day: RateDay,
}

impl Asked<'_> {
    fn basis(&self) -> Basis {
        let RateDay { day, is_final } = self.day;
        let (version, digest) = (self.tariff.version.clone(), self.tariff.digest);
        Basis { version, digest, day, is_final }
    }
}

/// Returns the day whose rates apply to a claim. Arrival and payment are not in a declaration, so
/// a rule that needs them goes by the day of filing until they are known.
pub fn rate_day(tariff: &Tariff, claim: &Claim) -> RateDay {
    tariff.rate_date.rule.day(Events { filed: claim.filed, arrived: None, paid: None })
}

fn ask<'a>(
    tariff: &'a Tariff,
    partner: &'a Instance,
    claim: &Claim,
    item: &'a GoodsItem,
) -> Option<Asked<'a>> {
    let code = item.commodity.national_code()?;
    let code = code.get(..tariff.code_digits).unwrap_or(code);
    // Origin is a question of its own; here it is whether the partner's goods have a concession.
    let (origin, importer) = (partner.as_str(), claim.importer_class);
    let day = rate_day(tariff, claim);
    Some(Asked { tariff, query: Query { code, day: day.day, origin, importer }, day })
}

/// Returns the rates of a claimed item; nothing when its line has none.
pub fn explain<'a>(
    tariff: &'a Tariff,
    partner: &'a Instance,
    claim: &Claim,
    item: &'a GoodsItem,
) -> Option<Explanation<'a>> {
    let asked = ask(tariff, partner, claim, item)?;
    tariff.explain(asked.query).ok()
}

fn goods(item: &GoodsItem, value: &Amount) -> Goods {
    Goods::new(value.clone(), stated_quantities(item).cloned().collect())
}

/// Works out what the preference is worth, and adds to the match what the tariff says against it.
pub fn weigh(
    rules: &Rules,
    tariff: &Tariff,
    partner: Instance,
    claim: &Claim,
    item: &GoodsItem,
    matched: &mut Match,
) -> Option<Relief> {
    let asked = ask(tariff, &partner, claim, item)?;
    let code = asked.query.code.to_owned();
    let chapter = code.get(..2);
    let mut findings = Findings::new(rules, claim.filed, chapter);
    let value = item.customs_value.as_ref().map(|value| goods(item, value));
    let relief = relief(&asked, value.as_ref(), code.clone(), &mut findings);
    matched.differences.extend(findings.finish());
    matched.differences.sort_by_key(|difference| std::cmp::Reverse(difference.severity));
    Some(relief)
}

fn relief(
    asked: &Asked<'_>,
    goods: Option<&Goods>,
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
            let text = error.to_string();
            return Relief { text, ..bare(asked, code, covered, Value::Null) };
        }
    };
    let covered = explanation.rates.iter().any(|line| line.winner != Winner::NoPreference);
    let assessed = goods.map(|goods| duty::assess(asked.tariff, asked.query, goods));
    let has_advantage = match &assessed {
        Some(Ok(found)) => found.lines.iter().any(|line| line.winner == Winner::Preference),
        _ => explanation.has_advantage(),
    };
    if !covered {
        findings.add(Rule::NoConcession, Papers::new().claim(dotted(&code)));
    } else if !has_advantage {
        findings.add(Rule::GeneralRateNotHigher, Papers::new().claim(dotted(&code)));
    }
    let rates = || serde_json::to_value(&explanation).unwrap_or_default();
    match assessed {
        None => {
            let text = "The claim states no customs value, so only the rates can be shown.";
            Relief { text: text.to_owned(), ..bare(asked, code, covered, rates()) }
        }
        Some(Ok(found)) => {
            let amount = |value| Some(Amount { value, currency: asked.tariff.currency.clone() });
            Relief {
                general: amount(found.total_general),
                preferential: amount(found.total_preferential),
                saved: amount(found.saved),
                status: found.status,
                text: in_words(&found),
                ..bare(asked, code, covered, serde_json::to_value(&found).unwrap_or_default())
            }
        }
        Some(Err(error)) => {
            Relief { text: error.to_string(), ..bare(asked, code, covered, rates()) }
        }
    }
}

fn bare(asked: &Asked<'_>, code: String, covered: bool, breakdown: Value) -> Relief {
    Relief {
        code,
        covered,
        general: None,
        preferential: None,
        saved: None,
        status: None,
        tariff: Some(asked.basis()),
        quota: None,
        text: String::new(),
        breakdown,
    }
}

/// Whether any duty of the line has a concession, when the general rates are not known.
fn is_conceded(asked: &Asked<'_>) -> bool {
    let Query { code, day, origin, .. } = asked.query;
    asked.tariff.measures().iter().any(|measure| {
        let agreement = measure.agreement.as_ref();
        let granted = agreement.and_then(|id| asked.tariff.agreement(id));
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

fn in_words(found: &duty::Assessment<'_>) -> String {
    let currency = &found.value.currency;
    let mut text = format!(
        "Without preference {} {currency} are due, with it {} {currency}; it saves {} {currency}.",
        found.total_general, found.total_preferential, found.saved
    );
    for line in &found.lines {
        let Some(preferential) = line.concession_rate else { continue };
        let (duty, general) = (line.duty, line.general.rate);
        let said = match line.winner {
            Winner::Preference => format!(" {duty}: {preferential} instead of {general}."),
            Winner::Equal => format!(" {duty}: {general} either way."),
            Winner::General => format!(
                " {duty}: the general rate of {general} is below the preferential one of \
                 {preferential} and is used."
            ),
            Winner::NoPreference | Winner::ByAmount => continue,
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
    tariff: &Tariff,
    partner: Instance,
    claim: &Claim,
    item: &GoodsItem,
    share: Decimal,
) -> Option<Payable> {
    let asked = ask(tariff, &partner, claim, item)?;
    let goods = goods(item, item.customs_value.as_ref()?);
    let amount = |value| Amount { value, currency: tariff.currency.clone() };
    let of = |goods: &Goods| duty::assess(tariff, asked.query, goods).ok();
    let (part, rest) = goods.divide(share);
    let (whole, preferred, rest) = (of(&goods)?, of(&part)?, of(&rest)?);
    let payable = preferred.total_preferential + rest.total_general;
    Some(Payable {
        payable: amount(payable),
        without_preference: amount(whole.total_general),
        // Rounding of the two parts may add a unit; a preference never costs anything.
        saved: amount((whole.total_general - payable).max(Decimal::ZERO)),
        status: whole.status,
        tariff: Some(asked.basis()),
    })
}

/// The kind of importer that is assumed when a claim does not say.
pub const DEFAULT_IMPORTER: ImporterClass = ImporterClass::Commercial;
