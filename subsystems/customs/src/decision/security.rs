//! Security for goods that are released before the decision, and what is settled by it.
//!
//! With a provisional release the importer pays the duty with the preference and secures what is
//! missing to the general rate. The final decision says what is due; the difference is taken from
//! the security, the rest of it is given back. A decision that is made again is settled against
//! what was paid on the earlier one in the same way.
//!
//! Invariants: exact decimals in one currency; what is taken from the security and what is given
//! back make up the security; what is paid, taken and collected, less what is refunded, is what is
//! due. Interest is not computed.
//!
//! Not here: duties (`crate::duty`), the officer's act (`crate::subsystem`).

use karvan_store::{Index, Range, Record, Table, Value};
use karvan_types::{Amount, Date, Decimal, ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

/// Length of a reference, in characters (an..35).
const REFERENCE_CHARS: std::ops::RangeInclusive<usize> = 3..=35;
/// Decimal places of an amount of security; both currencies have two.
const DECIMALS_MAX: u32 = 2;

/// What kind of security it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecurityKind {
    /// Money paid to customs.
    CashDeposit,
    /// A bank's promise to pay.
    BankGuarantee,
    /// An insurer's promise to pay.
    Insurance,
}

impl SecurityKind {
    /// Returns the words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::CashDeposit => "cash deposit",
            Self::BankGuarantee => "bank guarantee",
            Self::Insurance => "insurance",
        }
    }
}

/// A security as given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Security {
    /// Kind.
    pub kind: SecurityKind,
    /// Number of the receipt, guarantee or policy, an..35.
    pub reference: String,
    /// How much it covers, in the currency of the tariff.
    pub amount: Amount,
    /// Its last day; none for money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Date>,
}

/// A security cannot be accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The reference is too short, too long, or has other than printable ASCII characters.
    #[error("give the number of the {0} in 3 to 35 letters, digits and signs, without spaces")]
    Reference(&'static str),
    /// The amount is zero or finer than the currency.
    #[error("give the amount of the security with at most two decimals, more than zero")]
    Amount,
    /// It is in another currency than the duty.
    #[error("the security is in {0}; it must be in {1}, the currency of the duty")]
    Currency(String, String),
    /// It covers less than the difference.
    #[error(
        "the security of {0} is less than the {1} that the preference saves; ask for the whole \
         difference"
    )]
    TooLow(Amount, Amount),
    /// A guarantee without its last day.
    #[error("say until when the {0} is valid")]
    NoEnd(&'static str),
    /// Money does not expire.
    #[error("a cash deposit has no last day; leave it out")]
    EndOfMoney,
    /// It has ended.
    #[error("the {0} ended on {1}; ask for one that is still valid")]
    Ended(&'static str, Date),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Security {
    /// Checks whether it can secure `required` on a day.
    pub fn check(&self, required: &Amount, day: Date) -> Result<(), Error> {
        let words = self.kind.words();
        let is_printable = self.reference.bytes().all(|byte| byte.is_ascii_graphic());
        if !REFERENCE_CHARS.contains(&self.reference.len()) || !is_printable {
            return Err(Error::Reference(words));
        }
        let value = self.amount.value;
        if value <= Decimal::ZERO || value.normalize().scale() > DECIMALS_MAX {
            return Err(Error::Amount);
        }
        if self.amount.currency != required.currency {
            let (given, wanted) = (self.amount.currency.clone(), required.currency.clone());
            return Err(Error::Currency(given, wanted));
        }
        if value < required.value {
            return Err(Error::TooLow(self.amount.clone(), required.clone()));
        }
        match (self.kind, self.valid_until) {
            (SecurityKind::CashDeposit, Some(_)) => Err(Error::EndOfMoney),
            (SecurityKind::CashDeposit, None) => Ok(()),
            (_, None) => Err(Error::NoEnd(words)),
            (_, Some(end)) if end < day => Err(Error::Ended(words, end)),
            (_, Some(_)) => Ok(()),
        }
    }
}

/// Where a security stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldState {
    /// It secures a claim.
    Held,
    /// The final decision settled it.
    Settled,
    /// Another one took its place.
    Replaced,
}

impl HeldState {
    /// Returns the stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Settled => "settled",
            Self::Replaced => "replaced",
        }
    }
}

/// A security that was taken for a claimed item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The claimed item, `claim#item`.
    pub claim_item: String,
    /// The decision that took it.
    pub number: u32,
    /// The security.
    pub security: Security,
    /// What it had to cover at least.
    pub required: Amount,
    /// What was paid beside it: the duty with the preference.
    pub paid: Amount,
    /// Where it stands.
    pub state: HeldState,
    /// Who took it.
    pub officer: String,
    /// When.
    pub at: Timestamp,
}

/// Where securities are kept.
pub(crate) static SECURITIES: Table = Table {
    name: "customs_security",
    columns: &["claim_item", "state", "reference"],
    indexes: &[
        Index { name: "by_claim_item", columns: &["claim_item"], unique: false },
        Index { name: "by_state", columns: &["state"], unique: false },
        Index { name: "by_reference", columns: &["reference", "state"], unique: false },
    ],
};

impl Record for Held {
    const TABLE: &'static Table = &SECURITIES;

    fn key(&self) -> Value {
        format!("{}#{:05}", self.claim_item, self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.claim_item.as_str().into(),
            self.state.name().into(),
            self.security.reference.as_str().into(),
        ]
    }
}

/// Most securities looked at for one claimed item or reference.
pub(crate) const HELD_MAX: usize = 100;

impl Held {
    /// Returns the range of the securities of a claimed item, oldest first.
    pub fn of_item(claim_item: &str) -> Range {
        Range::of("by_claim_item", vec![claim_item.into()], HELD_MAX)
    }
}

/// What a decision settles, all in the currency of the duty.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settlement {
    /// What is due under the new decision.
    pub due: Amount,
    /// What was paid under the earlier one.
    pub paid: Amount,
    /// What is taken from the security.
    pub from_security: Amount,
    /// What of the security is given back.
    pub give_back: Amount,
    /// What the importer still has to pay.
    pub collect: Amount,
    /// What the importer gets back of what was paid.
    pub refund: Amount,
    /// Always that it is not computed.
    pub interest: String,
}

/// Settles what is due against what was paid and secured; nothing when currencies differ.
pub fn settle(due: &Amount, paid: &Amount, secured: Option<&Amount>) -> Option<Settlement> {
    let currency = &due.currency;
    if paid.currency != *currency || secured.is_some_and(|amount| amount.currency != *currency) {
        return None;
    }
    let secured = secured.map_or(Decimal::ZERO, |amount| amount.value);
    let missing = (due.value - paid.value).max(Decimal::ZERO);
    let from_security = missing.min(secured);
    let amount = |value: Decimal| Amount { value, currency: currency.clone() };
    Some(Settlement {
        due: due.clone(),
        paid: paid.clone(),
        from_security: amount(from_security),
        give_back: amount(secured - from_security),
        collect: amount(missing - from_security),
        refund: amount((paid.value - due.value).max(Decimal::ZERO)),
        interest: "not computed".to_owned(),
    })
}

impl Settlement {
    /// Whether anybody has to pay anything.
    pub fn is_even(&self) -> bool {
        [&self.from_security, &self.give_back, &self.collect, &self.refund]
            .iter()
            .all(|amount| amount.value.is_zero())
    }

    /// Says what is to be done; `security` is what was held, if anything.
    pub fn in_words(&self, security: Option<&Security>) -> String {
        let mut acts = Vec::new();
        let is_some = |amount: &Amount| !amount.value.is_zero();
        if let Some(security) = security {
            let of = format!("{} {}", security.kind.words(), security.reference);
            if is_some(&self.from_security) {
                acts.push(format!("take {} from the {of}", self.from_security));
            }
            if is_some(&self.give_back) && security.kind == SecurityKind::CashDeposit {
                acts.push(format!("pay {} of the {of} back", self.give_back));
            } else if is_some(&self.give_back) {
                acts.push(format!("release the {of} for {}", self.give_back));
            }
        }
        if is_some(&self.collect) {
            acts.push(format!("collect {}", self.collect));
        }
        if is_some(&self.refund) {
            acts.push(format!("refund {}", self.refund));
        }
        let acts = if acts.is_empty() { "nothing to pay".to_owned() } else { acts.join("; ") };
        format!("{acts} (due {}, paid {}; interest is not computed)", self.due, self.paid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rupees(text: &str) -> Amount {
        Amount { value: text.parse().expect("a number"), currency: "PKR".to_owned() }
    }

    fn check_settled(due: &str, paid: &str, secured: Option<&str>, expected: [&str; 4]) {
        let secured = secured.map(rupees);
        let found = settle(&rupees(due), &rupees(paid), secured.as_ref()).expect("one currency");
        let amounts = [&found.from_security, &found.give_back, &found.collect, &found.refund];
        assert_eq!(amounts, [0, 1, 2, 3].map(|n| rupees(expected[n])).each_ref());
    }

    #[test]
    fn a_security_is_taken_or_given_back() {
        // Confirmed, refuted, half, too little security, no security, and the other way round.
        check_settled("100", "100", Some("50"), ["0", "50", "0", "0"]);
        check_settled("150", "100", Some("50"), ["50", "0", "0", "0"]);
        check_settled("125.55", "100", Some("50"), ["25.55", "24.45", "0", "0"]);
        check_settled("160", "100", Some("50"), ["50", "0", "10", "0"]);
        check_settled("150", "100", None, ["0", "0", "50", "0"]);
        check_settled("100", "150", None, ["0", "0", "0", "50"]);
        check_settled("90", "100", Some("50"), ["0", "50", "0", "10"]);
        let manat = Amount { currency: "AZN".to_owned(), ..rupees("1") };
        assert_eq!(settle(&rupees("1"), &manat, None), None);
        assert_eq!(settle(&rupees("1"), &rupees("1"), Some(&manat)), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_invented(due in 0_i64..1_000_000, paid in 0_i64..1_000_000,
            secured in 0_i64..1_000_000) {
            let amount = |value| Amount { value: Decimal::new(value, 2), currency: "PKR".into() };
            let (due, paid, secured) = (amount(due), amount(paid), amount(secured));
            let found = settle(&due, &paid, Some(&secured)).expect("one currency");
            prop_assert_eq!(found.from_security.value + found.give_back.value, secured.value);
            let settled = paid.value + found.from_security.value + found.collect.value
                - found.refund.value;
            prop_assert_eq!(settled, due.value);
            prop_assert!(found.collect.value.is_zero() || found.give_back.value.is_zero());
        }
    }

    #[test]
    fn a_security_that_would_not_pay_is_refused() {
        let day = Date::constant(2026, 10, 2);
        let guarantee = Security {
            kind: SecurityKind::BankGuarantee,
            reference: "BG/2026-0001".to_owned(),
            amount: rupees("500.00"),
            valid_until: Some(Date::constant(2027, 4, 2)),
        };
        let required = rupees("500");
        assert_eq!(guarantee.check(&required, day), Ok(()));
        let cash = Security { kind: SecurityKind::CashDeposit, ..guarantee.clone() };
        for (security, expected) in [
            (Security { amount: rupees("499.99"), ..guarantee.clone() }, "whole difference"),
            (Security { amount: rupees("0"), ..guarantee.clone() }, "more than zero"),
            (Security { amount: rupees("500.001"), ..guarantee.clone() }, "two decimals"),
            (
                Security {
                    amount: Amount { currency: "AZN".into(), ..rupees("900") },
                    ..guarantee.clone()
                },
                "must be in PKR",
            ),
            (Security { reference: "B G".into(), ..guarantee.clone() }, "without spaces"),
            (Security { reference: "B".into(), ..guarantee.clone() }, "3 to 35"),
            (Security { reference: "\u{202e}BG1".into(), ..guarantee.clone() }, "letters"),
            (Security { valid_until: None, ..guarantee.clone() }, "until when"),
            (
                Security { valid_until: Some(Date::constant(2026, 10, 1)), ..guarantee.clone() },
                "still valid",
            ),
            (cash.clone(), "no last day"),
        ] {
            let error = security.check(&required, day).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(Security { valid_until: None, ..cash }.check(&required, day), Ok(()));
    }
}
