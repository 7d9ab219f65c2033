//! What the preference is worth for a claimed item, and whether there is one at all.
//!
//! The rates and amounts are those of `crate::tariff` and `crate::duty`; here they are put beside
//! the match: goods without a concession, a general rate that is as low as the preferential one,
//! and a duty that cannot be computed become differences like the others.
//!
//! Invariant: a preference without an amount is never proposed; why there is none is always told.

use karvan_store::{Error as StoreError, Read};
use karvan_types::amount::is_strict;
use karvan_types::{Amount, Date, Decimal, Digest, Instance, Quantity};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::claim::Claim;
use crate::codes::units;
use crate::duty::{self, Goods, Share};
use crate::matching::{Findings, Match, Papers, Rule, Rules, stated_quantities};
use crate::messages::text::date;
use crate::messages::{Decision, GoodsItem};
use crate::rates::{self, Converted, Unconverted};
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
    /// How the customs value was converted, when it is stated in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<Converted>,
    /// The rates that were used: which version of the tariff, and of which day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff: Option<Basis>,
    /// What the item has of a quota, when the preference has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaShare>,
    /// In words.
    pub text: String,
    /// Every line with base, rate, amount and source, or the rates alone without a value.
    pub breakdown: Breakdown,
}

/// A calculation as JSON text. It is kept and shown and never looked into, so no tree is made of
/// it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Breakdown(Box<RawValue>);

impl Breakdown {
    /// Writes a calculation down.
    fn of<T: Serialize>(found: &T) -> Self {
        serde_json::value::to_raw_value(found).map_or_else(|_| Self::none(), Self)
    }

    /// There is none.
    fn none() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl Eq for Breakdown {}

impl PartialEq for Breakdown {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
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

impl QuotaShare {
    /// Returns how much the item has in this unit; nothing when it does not measure the same.
    pub fn given_in(&self, unit: &str) -> Option<Decimal> {
        units::convert(&self.allocated, unit).ok().map(|converted| converted.quantity.value)
    }
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
    /// How the customs value was converted, when it is stated in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<Converted>,
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

/// Returns the day whose rates apply to a claim. A rule that needs the day of arrival or payment
/// goes by the day of filing until it is known.
pub fn rate_day(tariff: &Tariff, claim: &Claim) -> RateDay {
    tariff.rate_date.rule.day(Events {
        filed: claim.filed,
        arrived: claim.arrived,
        paid: claim.paid,
    })
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

/// A claimed item with its customs value in the currency of the tariff.
#[derive(Clone, Debug)]
pub struct Valued<'a> {
    /// The tariff of the importing country.
    pub tariff: &'a Tariff,
    /// The country in which the goods originate.
    pub partner: Instance,
    /// The claim.
    pub claim: &'a Claim,
    /// Its item.
    pub item: &'a GoodsItem,
    /// The customs value, converted where the claim states it in another currency.
    pub value: Result<Converted, Unvalued>,
}

/// There is no customs value that duty can be taken on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unvalued {
    /// The claim states none.
    #[error("the claim states no customs value; have it stated")]
    Missing,
    /// It is in another currency, and no rate of the day of filing is known.
    #[error(
        "the customs value is {stated}, and no exchange rate to {currency} is known for {day}; \
         import the rates, or have it stated in {currency}"
    )]
    NoRate {
        /// As stated.
        stated: Amount,
        /// Currency of the tariff.
        currency: String,
        /// The day of filing.
        day: Date,
    },
    /// It is in another currency, in whose amount it has too many digits.
    #[error("the customs value is too large: {0}")]
    TooLarge(Unconverted),
}

impl<'a> Valued<'a> {
    /// Values an item by the exchange rates of the day on which its claim was filed.
    pub fn new(
        view: &dyn Read,
        tariff: &'a Tariff,
        partner: Instance,
        claim: &'a Claim,
        item: &'a GoodsItem,
    ) -> Result<Self, StoreError> {
        let (currency, day) = (&tariff.currency, claim.filed);
        let value = match &item.customs_value {
            None => Err(Unvalued::Missing),
            Some(stated) => {
                let found = rates::convert(view, currency, stated, currency, day)?;
                let (stated, currency) = (stated.clone(), currency.clone());
                found.map_err(|error| match error {
                    Unconverted::NoRate { .. } => Unvalued::NoRate { stated, currency, day },
                    too_large @ Unconverted::TooLarge { .. } => Unvalued::TooLarge(too_large),
                })
            }
        };
        Ok(Self { tariff, partner, claim, item, value })
    }

    fn goods(&self) -> Result<Goods, Unvalued> {
        let value = self.value.as_ref().map_err(Clone::clone)?.amount.clone();
        Ok(Goods::new(value, stated_quantities(self.item).cloned().collect()))
    }

    fn converted(&self) -> Option<Converted> {
        self.value.as_ref().ok().filter(|value| !value.rates.is_empty()).cloned()
    }

    /// Works out what the preference is worth, and adds to the match what the tariff says against
    /// it, and that the duty cannot be computed where it cannot.
    pub fn weigh(&self, rules: &Rules, matched: &mut Match) -> Option<Relief> {
        let asked = ask(self.tariff, &self.partner, self.claim, self.item);
        let code = asked.as_ref().map(|asked| asked.query.code.to_owned());
        let chapter = code.as_ref().and_then(|code| code.get(..2));
        let mut findings = Findings::new(rules, self.claim.filed, chapter);
        let relief = asked.as_ref().map(|asked| self.relief(asked, &mut findings));
        if relief.is_none() {
            findings.add(Rule::DutyUnknown, Papers::new().basis(NO_CODE));
        }
        matched.differences.extend(findings.finish());
        matched.differences.sort_by_key(|difference| std::cmp::Reverse(difference.severity));
        relief
    }

    fn relief(&self, asked: &Asked<'_>, findings: &mut Findings<'_>) -> Relief {
        let code = asked.query.code;
        let shown = dotted(code);
        let unknown = |why: &dyn ToString| Papers::new().claim(&shown).basis(why.to_string());
        let explanation = match asked.tariff.explain(asked.query) {
            Ok(explanation) => explanation,
            Err(error) => {
                let covered = is_conceded(asked);
                if covered {
                    findings.add(Rule::DutyUnknown, unknown(&error));
                } else {
                    findings.add(Rule::NoConcession, Papers::new().claim(&shown));
                }
                let text = error.to_string();
                return Relief { text, ..bare(asked, covered, Breakdown::none()) };
            }
        };
        let covered = explanation.rates.iter().any(|line| line.winner != Winner::NoPreference);
        let goods = self.goods();
        let assessed = goods.map(|goods| duty::assess(asked.tariff, asked.query, &goods));
        let has_advantage = match &assessed {
            Ok(Ok(found)) => found.lines.iter().any(|line| line.winner == Winner::Preference),
            _ => explanation.has_advantage(),
        };
        if !covered {
            findings.add(Rule::NoConcession, Papers::new().claim(&shown));
        } else if !has_advantage {
            findings.add(Rule::GeneralRateNotHigher, Papers::new().claim(&shown));
        }
        let why = match assessed {
            Ok(Ok(found)) => return self.computed(asked, covered, &found),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if covered && has_advantage {
            findings.add(Rule::DutyUnknown, unknown(&why));
        }
        let text = format!("Only the rates can be shown: {why}.");
        let rates = Breakdown::of(&explanation);
        Relief { text, ..bare(asked, covered, rates) }
    }

    fn computed(&self, asked: &Asked<'_>, covered: bool, found: &duty::Assessment<'_>) -> Relief {
        let amount = |value| Some(Amount { value, currency: self.tariff.currency.clone() });
        let converted = self.converted();
        let by = converted
            .as_ref()
            .map(|found| format!(" {} are {} by {}.", found.stated, found.amount, found.basis()));
        Relief {
            general: amount(found.total_general),
            preferential: amount(found.total_preferential),
            saved: amount(found.saved),
            status: found.status,
            text: in_words(found) + &by.unwrap_or_default(),
            converted,
            ..bare(asked, covered, Breakdown::of(found))
        }
    }

    /// Works out what is to be paid when this share of the goods earns the preference.
    pub fn payable(&self, share: Share) -> Result<Payable, Unpayable> {
        let asked = ask(self.tariff, &self.partner, self.claim, self.item);
        let asked = asked.ok_or(Unpayable::NoCode)?;
        let goods = self.goods()?;
        let amount = |value| Amount { value, currency: self.tariff.currency.clone() };
        let of = |goods: &Goods| duty::assess(self.tariff, asked.query, goods);
        let too_large = || duty::Error::TooLarge(goods.value.clone());
        let (part, rest) = goods.divide(share).ok_or_else(too_large)?;
        let (whole, preferred, rest) = (of(&goods)?, of(&part)?, of(&rest)?);
        let payable = preferred.total_preferential.checked_add(rest.total_general);
        let payable = payable.filter(|payable| is_strict(*payable)).ok_or_else(too_large)?;
        Ok(Payable {
            payable: amount(payable),
            without_preference: amount(whole.total_general),
            // Rounding of the two parts may add a unit; a preference never costs anything.
            saved: amount((whole.total_general - payable).max(Decimal::ZERO)),
            converted: self.converted(),
            status: whole.status,
            tariff: Some(asked.basis()),
        })
    }
}

const NO_CODE: &str = "the claim states no tariff code; have it stated";

/// What is to be paid cannot be computed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unpayable {
    /// The item has no tariff code.
    #[error("{NO_CODE}")]
    NoCode,
    /// There is no customs value in the currency of the tariff.
    #[error(transparent)]
    Value(#[from] Unvalued),
    /// A duty cannot be computed.
    #[error(transparent)]
    Duty(#[from] duty::Error),
}

fn bare(asked: &Asked<'_>, covered: bool, breakdown: Breakdown) -> Relief {
    Relief {
        code: asked.query.code.to_owned(),
        covered,
        general: None,
        preferential: None,
        saved: None,
        status: None,
        converted: None,
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
            && granted.is_some_and(|agreement| agreement.grants(origin, day))
            && measure.is_valid_on(day)
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

/// Returns the share of the goods that earns the preference: what is granted of the quantity of the
/// goods, and nothing when it is not known how much they are.
///
/// An officer who grants everything in a unit that the claim does not state has measured the goods;
/// that counts for all of them when it is near to what their mass or value lets expect.
pub fn share(decision: Decision, granted: Option<&Quantity>, matched: &Match) -> Share {
    let (Some(granted), Some(goods)) = (granted, &matched.goods) else { return Share::NONE };
    if !decision.grants() || granted.unit != goods.unit {
        return Share::NONE;
    }
    let measured = matched.find(Rule::UnitNotConvertible);
    if let Some(found) = measured.filter(|_| decision == Decision::Granted) {
        let below = found.limit.as_ref().and_then(|limit| limit.parse::<Decimal>().ok());
        let near = Decimal::ONE_HUNDRED - below.unwrap_or_default();
        if Share::of(granted.value, goods.value).is_at_least(near, Decimal::ONE_HUNDRED) {
            return Share::ALL;
        }
    }
    Share::of(granted.value, goods.value)
}

/// The kind of importer that is assumed when a claim does not say.
pub const DEFAULT_IMPORTER: ImporterClass = ImporterClass::Commercial;
