//! The shape of rates, duties, quotas and securities.
//!
//! Members of a measure are in the spelling of tariff files (`docs/use/tariff.md`).

use karvan_types::{Amount, Date, Quantity, Timestamp};
use schemars::JsonSchema;
use serde_json::Value;

/// A measure of the tariff: one rate of one duty for one code, from a day on.
#[derive(JsonSchema)]
#[schemars(rename = "Measure")]
pub(in crate::api) struct MeasureView {
    /// The duty, such as `CD`, `ACD`, `RD`, `ST`, `CUD`, `VAT`.
    pub(in crate::api) duty: String,
    /// `general`, or how the preference is made: `target-rate`, `percent-reduction`.
    pub(in crate::api) kind: String,
    /// Beginning of the codes that it covers; empty for all.
    pub(in crate::api) code: String,
    /// The rate in percent, a decimal; absent for a rate by quantity alone.
    pub(in crate::api) percent: Option<String>,
    /// First day.
    pub(in crate::api) from: Date,
    /// Last day, if one is set.
    pub(in crate::api) until: Option<Date>,
    /// The agreement that grants it.
    pub(in crate::api) agreement: Option<String>,
    /// The class of importer that it is for: `commercial` or `industrial`.
    pub(in crate::api) importer: Option<String>,
    /// Lowest and highest rate of customs duty that it goes with.
    pub(in crate::api) customs_duty_slab: Option<Vec<String>>,
    /// The quota that limits it.
    pub(in crate::api) quota: Option<String>,
    /// The source, by its id.
    pub(in crate::api) source: String,
    /// How sure it is: `official`, `reported`, `derived`, `analogue` or `assumed`.
    pub(in crate::api) status: String,
    /// Remark.
    pub(in crate::api) note: Option<String>,
    /// Its line in the tariff file.
    pub(in crate::api) line: u64,
}

/// A rate as it is used.
#[derive(JsonSchema)]
#[schemars(rename = "Rate")]
pub(in crate::api) struct RateView {
    /// In percent, a decimal; absent for a rate by quantity alone.
    pub(in crate::api) percent: Option<String>,
}

/// The rates of one duty.
#[derive(JsonSchema)]
#[schemars(rename = "RateLine")]
pub(in crate::api) struct RateLineView {
    /// The duty.
    pub(in crate::api) duty: String,
    /// The general rate in force on the day.
    pub(in crate::api) general: MeasureView,
    /// The general rate on the reference day of the concession.
    pub(in crate::api) reference: Option<MeasureView>,
    /// The measure that grants the preference.
    pub(in crate::api) preferential: Option<MeasureView>,
    /// The rate that the preference makes.
    pub(in crate::api) preferential_rate: Option<RateView>,
    /// The rate that is used when the preference is granted.
    pub(in crate::api) used_rate: Option<RateView>,
    /// Which rate that is: `preference`, `general`, `equal`, `no-preference` or `by-amount`.
    pub(in crate::api) winner: String,
}

/// A concession of the agreement.
#[derive(JsonSchema)]
#[schemars(rename = "Concession")]
pub(in crate::api) struct ConcessionView {
    /// The agreement.
    pub(in crate::api) agreement: String,
    /// Its number in the agreement's list.
    pub(in crate::api) number: u32,
    /// The goods as published.
    pub(in crate::api) description: String,
    /// The codes that the description is mapped to.
    pub(in crate::api) codes: Vec<String>,
    /// How sure the mapping is.
    pub(in crate::api) mapping: String,
    /// How sure the concession is.
    pub(in crate::api) status: String,
}

/// The rates of a code on a day.
#[derive(JsonSchema)]
#[schemars(rename = "RatesOfCode")]
pub(in crate::api) struct RatesOfCodeView {
    /// The code.
    pub(in crate::api) code: String,
    /// What the code stands for.
    pub(in crate::api) description: Option<String>,
    /// Importing country.
    pub(in crate::api) country: String,
    /// Country of origin.
    pub(in crate::api) origin: Option<String>,
    /// The day.
    pub(in crate::api) day: Date,
    /// Class of importer.
    pub(in crate::api) importer: Option<String>,
    /// Version of the tariff.
    pub(in crate::api) version: String,
    /// SHA-256 of its file.
    pub(in crate::api) digest: String,
    /// The concession that covers the code, if one does.
    pub(in crate::api) concession: Option<ConcessionView>,
    /// Duty by duty.
    pub(in crate::api) rates: Vec<RateLineView>,
}

/// A source of rates.
#[derive(JsonSchema)]
#[schemars(rename = "Source")]
pub(in crate::api) struct SourceView {
    /// Its id, as measures name it.
    pub(in crate::api) id: String,
    /// What it is.
    pub(in crate::api) title: String,
}

/// Which rates a calculation rests on.
#[derive(JsonSchema)]
#[schemars(rename = "TariffBasis")]
pub(in crate::api) struct BasisView {
    /// Version of the tariff.
    pub(in crate::api) version: String,
    /// SHA-256 of its file.
    pub(in crate::api) digest: String,
    /// The day whose rates apply.
    pub(in crate::api) day: Date,
    /// Whether that day is final; otherwise the day of filing stands in for it.
    #[schemars(rename = "final")]
    pub(in crate::api) is_final: bool,
}

/// A customs value that is stated in another currency than that of the tariff.
#[derive(JsonSchema)]
#[schemars(rename = "ConvertedValue")]
pub(in crate::api) struct ConvertedView {
    /// As stated.
    pub(in crate::api) stated: Amount,
    /// In the currency of the tariff.
    pub(in crate::api) amount: Amount,
    /// The day whose exchange rates were taken, that of filing.
    pub(in crate::api) day: Date,
    /// The exchange rates.
    pub(in crate::api) rates: Vec<UsedRateView>,
}

/// An exchange rate in use: so many `units` of `currency` are worth `value` of `base`.
#[derive(JsonSchema)]
#[schemars(rename = "UsedExchangeRate")]
pub(in crate::api) struct UsedRateView {
    /// The foreign currency.
    pub(in crate::api) currency: String,
    /// How many units of it, a decimal.
    pub(in crate::api) units: String,
    /// What they are worth, a decimal.
    pub(in crate::api) value: String,
    /// The currency of the table.
    pub(in crate::api) base: String,
    /// First day of the rate.
    pub(in crate::api) from: Date,
    /// How sure the rate is: `official`, `reported` or `assumed`.
    pub(in crate::api) status: String,
    /// From where it is known.
    pub(in crate::api) source: String,
}

/// What a claimed item has of a quota.
#[derive(JsonSchema)]
#[schemars(rename = "QuotaShare")]
pub(in crate::api) struct QuotaShareView {
    /// The account.
    pub(in crate::api) account: String,
    /// What the item asks for.
    pub(in crate::api) asked: Quantity,
    /// What it has; the rest pays the general rate.
    pub(in crate::api) allocated: Quantity,
}

/// What the preference is worth for an item.
#[derive(JsonSchema)]
#[schemars(rename = "Relief")]
pub(in crate::api) struct ReliefView {
    /// The code by which it was computed.
    pub(in crate::api) code: Option<String>,
    /// Whether a concession covers it.
    pub(in crate::api) covered: Option<bool>,
    /// All duties and taxes at the general rate.
    pub(in crate::api) general: Option<Amount>,
    /// All duties and taxes with the preference.
    pub(in crate::api) preferential: Option<Amount>,
    /// The difference.
    pub(in crate::api) saved: Option<Amount>,
    /// The least sure status among the rates used; nobody pays on an assumed one.
    pub(in crate::api) status: Option<String>,
    /// How the customs value was converted, when it is stated in another currency.
    pub(in crate::api) converted: Option<ConvertedView>,
    /// The rates that were used.
    pub(in crate::api) tariff: Option<BasisView>,
    /// What the item has of a quota, when the preference has one.
    pub(in crate::api) quota: Option<QuotaShareView>,
    /// In words.
    pub(in crate::api) text: Option<String>,
    /// Every line with base, rate, amount and source, or the rates alone without a value. Free,
    /// because its lines are those of the duties that the tariff of the day has; `karvan customs
    /// tariff explain --json` shows the same.
    pub(in crate::api) breakdown: Option<serde_json::Map<String, Value>>,
}

/// What is to be paid after a decision.
#[derive(JsonSchema)]
#[schemars(rename = "Payable", rename_all = "camelCase")]
pub(in crate::api) struct PayableView {
    /// All duties and taxes to be paid.
    pub(in crate::api) payable: Amount,
    /// What they would be without the preference.
    pub(in crate::api) without_preference: Amount,
    /// The difference.
    pub(in crate::api) saved: Amount,
    /// The least sure status among the rates used.
    pub(in crate::api) status: Option<String>,
    /// How the customs value was converted, when it is stated in another currency.
    pub(in crate::api) converted: Option<ConvertedView>,
    /// The rates that were used.
    pub(in crate::api) tariff: Option<BasisView>,
}

/// A security under which goods are released.
#[derive(JsonSchema)]
#[schemars(rename = "Security", rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct SecurityView {
    /// What kind it is.
    #[schemars(extend("enum" = ["cash-deposit", "bank-guarantee", "insurance"]))]
    pub(in crate::api) kind: String,
    /// Number of the receipt, guarantee or policy, 3 to 35 letters, digits and signs.
    #[schemars(length(min = 3, max = 35))]
    pub(in crate::api) reference: String,
    /// How much it covers, in the currency of the tariff.
    pub(in crate::api) amount: Amount,
    /// Its last day; none for money.
    pub(in crate::api) valid_until: Option<Date>,
}

/// What a decision settles, all in the currency of the duty.
#[derive(JsonSchema)]
#[schemars(rename = "Settlement", rename_all = "camelCase")]
pub(in crate::api) struct SettlementView {
    /// What is due under the new decision.
    pub(in crate::api) due: Amount,
    /// What was paid under the earlier one.
    pub(in crate::api) paid: Amount,
    /// What is taken from the security.
    pub(in crate::api) from_security: Amount,
    /// What of the security is given back.
    pub(in crate::api) give_back: Amount,
    /// What the importer still has to pay.
    pub(in crate::api) collect: Amount,
    /// What the importer gets back of what was paid.
    pub(in crate::api) refund: Amount,
    /// Says that interest is not computed.
    pub(in crate::api) interest: String,
}

/// A quota as the tariff has it.
#[derive(JsonSchema)]
#[schemars(rename = "Quota")]
pub(in crate::api) struct QuotaTermsView {
    /// Its number.
    pub(in crate::api) id: String,
    /// The agreement that sets it.
    pub(in crate::api) agreement: Option<String>,
    /// How much, a decimal in `unit`.
    pub(in crate::api) quantity: String,
    /// The unit (UN/ECE Recommendation 20).
    pub(in crate::api) unit: String,
    /// First day of the period.
    pub(in crate::api) from: Option<Date>,
    /// Last day of the period.
    pub(in crate::api) until: Option<Date>,
    /// The source, by its id.
    pub(in crate::api) source: Option<String>,
    /// How sure it is.
    pub(in crate::api) status: Option<String>,
    /// Remark.
    pub(in crate::api) note: Option<String>,
}

/// Who asked for how much of a quota.
#[derive(JsonSchema)]
#[schemars(rename = "QuotaRequest")]
pub(in crate::api) struct QuotaRequestView {
    /// Place in the order of acceptance.
    pub(in crate::api) number: u64,
    /// How much it asks for, a decimal in the unit of the quota.
    pub(in crate::api) asked: String,
    /// How much it has.
    pub(in crate::api) allocated: String,
    /// When it was accepted.
    pub(in crate::api) at: Timestamp,
}
