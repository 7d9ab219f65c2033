//! The bill of materials: what originates, what does not, and what is not known.
//!
//! Sums are intervals: the low end counts what certainly counts, the high end all that may. So a
//! comparison that holds at both ends holds whatever the missing facts are.

use karvan_types::Decimal;
use karvan_types::amount::RoundingStrategy;

use crate::origin::product::{Material, Product, WITHOUT_ORIGIN};
use crate::origin::rule::Base;
use crate::origin::set::{CumulationKind, RuleSet};
use crate::origin::step::{Missing, Verdict};
use crate::origin::words::{self as w, fact};

/// Decimals of a shown percentage.
const SHOWN_DECIMALS: u32 = 2;

/// Where a material stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// It originates in the country of production.
    Own,
    /// It originates in a country whose materials count.
    Partner,
    /// It does not originate.
    Foreign,
    /// A fact is missing.
    Unknown(Missing),
}

/// A material with its place in the list and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Used<'a> {
    pub(super) index: usize,
    pub(super) material: &'a Material,
    pub(super) standing: Standing,
}

/// A material that counts against a rule, or may.
#[derive(Clone, Debug)]
pub(super) struct Counted<'a> {
    pub(super) used: &'a Used<'a>,
    /// What would settle whether it counts; nothing when it certainly does.
    pub(super) open: Vec<Missing>,
}

/// All materials; `None` when the list is missing or empty.
pub(super) struct Materials<'a>(pub(super) Option<Vec<Used<'a>>>);

impl<'a> Materials<'a> {
    pub(super) fn of(set: &RuleSet, product: &'a Product) -> Self {
        // An empty list tells nothing: goods are made of something, or were wholly obtained.
        let list = product.materials.as_ref().filter(|list| !list.is_empty());
        Self(list.map(|list| {
            let used = |(index, material)| Used {
                index,
                material,
                standing: standing(set, product, index, material),
            };
            list.iter().enumerate().map(used).collect()
        }))
    }

    /// Returns whether all originate, what is missing, and whether some are a partner's.
    pub(super) fn all_originate(&self) -> (Verdict, Vec<Missing>, bool) {
        let Some(list) = &self.0 else {
            return (
                Verdict::CannotSay,
                vec![fact("/materials", &w::FACT_MATERIALS.say(&[]))],
                false,
            );
        };
        let mut missing = Vec::new();
        let mut partner = false;
        for used in list {
            match &used.standing {
                Standing::Own => {}
                Standing::Partner => partner = true,
                Standing::Foreign => return (Verdict::NotMet, Vec::new(), false),
                Standing::Unknown(fact) => missing.push(fact.clone()),
            }
        }
        let verdict = if missing.is_empty() { Verdict::Met } else { Verdict::CannotSay };
        // A material of unknown standing may turn out to be a partner's.
        let partner = partner || !missing.is_empty();
        (verdict, missing, partner)
    }

    /// Returns the materials without origin among those that fit, also those that may have none.
    pub(super) fn foreign(&self, fits: impl Fn(&Used<'_>) -> bool) -> Vec<Counted<'_>> {
        let list = self.0.iter().flatten().filter(|used| fits(used));
        list.filter_map(|used| match &used.standing {
            Standing::Own | Standing::Partner => None,
            Standing::Foreign => Some(Counted { used, open: Vec::new() }),
            Standing::Unknown(fact) => Some(Counted { used, open: vec![fact.clone()] }),
        })
        .collect()
    }

    /// Returns the materials that are not of this country, also those that may not be.
    pub(super) fn not_of(&self, country: &str) -> Vec<Counted<'_>> {
        let list = self.0.iter().flatten();
        list.filter_map(|used| match (&used.material.origin, &used.standing) {
            (Some(origin), _) if origin == country => None,
            (None, Standing::Unknown(fact)) => Some(Counted { used, open: vec![fact.clone()] }),
            _ => Some(Counted { used, open: Vec::new() }),
        })
        .collect()
    }

    /// Returns the originating materials, also those that may originate.
    pub(super) fn originating(&self) -> Vec<Counted<'_>> {
        let list = self.0.iter().flatten();
        list.filter_map(|used| match &used.standing {
            Standing::Own | Standing::Partner => Some(Counted { used, open: Vec::new() }),
            Standing::Foreign => None,
            Standing::Unknown(fact) => Some(Counted { used, open: vec![fact.clone()] }),
        })
        .collect()
    }
}

fn standing(set: &RuleSet, product: &Product, index: usize, material: &Material) -> Standing {
    let place = |field: &str| format!("/materials/{index}/{field}");
    let name = [("name", material.name.as_str())];
    let Some(origin) = material.origin.as_deref() else {
        return Standing::Unknown(fact(&place("origin"), &w::FACT_ORIGIN.say(&name)));
    };
    if WITHOUT_ORIGIN.contains(&origin) {
        return Standing::Foreign;
    }
    if origin == product.produced_in {
        return Standing::Own;
    }
    let is_party = set.parties.iter().any(|party| party == origin);
    let Some(cumulation) = &set.parameters.cumulation else {
        // Without parties and cumulation in the file, any country might count.
        let args = [("country", origin)];
        return Standing::Unknown(fact("", &w::FACT_CUMULATION.say(&args)));
    };
    let counts = match cumulation.kind {
        CumulationKind::None => false,
        CumulationKind::Bilateral => is_party,
        CumulationKind::Diagonal => {
            is_party || cumulation.countries.iter().any(|country| country == origin)
        }
    };
    if !counts {
        return Standing::Foreign;
    }
    if cumulation.proof_required && material.proof.is_none() {
        return Standing::Unknown(fact(&place("proof"), &w::FACT_PROOF.say(&name)));
    }
    Standing::Partner
}

/// A sum of which parts are not known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Sum {
    /// What is certain.
    pub(super) low: Decimal,
    /// What is possible; no bound when `None`.
    pub(super) high: Option<Decimal>,
    /// What would narrow it.
    pub(super) missing: Vec<Missing>,
}

impl Sum {
    /// Adds up values or masses.
    pub(super) fn of(counted: &[Counted<'_>], base: Base) -> Self {
        let mut sum = Self { high: Some(Decimal::ZERO), ..Self::default() };
        for Counted { used, open } in counted {
            let (amount, field) = match base {
                Base::NetMass => (used.material.mass, "mass_kg"),
                Base::ExWorks | Base::Fob => (used.material.value, "value"),
            };
            let pointer = format!("/materials/{}/{field}", used.index);
            sum.add(
                amount,
                open,
                &pointer,
                &w::FACT_AMOUNT.say(&[("measure", base.measure()), ("name", &used.material.name)]),
            );
        }
        sum
    }

    /// Adds one amount that certainly counts when nothing is `open`.
    pub(super) fn add(
        &mut self,
        amount: Option<Decimal>,
        open: &[Missing],
        pointer: &str,
        what: &crate::origin::step::Sentence,
    ) {
        // Amounts have at most 22 digits and lists are bounded, so sums stay exact; saturation
        // only keeps a defect from being a panic.
        if let Some(amount) = amount {
            self.high = self.high.map(|high| high.saturating_add(amount));
            if open.is_empty() {
                self.low = self.low.saturating_add(amount);
            } else if !amount.is_zero() {
                self.missing.extend(open.iter().cloned());
            }
        } else {
            self.high = None;
            self.missing.extend(open.iter().cloned());
            self.missing.push(fact(pointer, what));
        }
    }

    /// Compares with `percent` of the base: met when at most that.
    pub(super) fn at_most(&self, percent: Decimal, base: Option<Decimal>) -> Verdict {
        if self.high == Some(Decimal::ZERO) {
            return Verdict::Met;
        }
        let Some(base) = base else { return Verdict::CannotSay };
        let limit = base.saturating_mul(percent);
        let scaled = |amount: Decimal| amount.saturating_mul(Decimal::ONE_HUNDRED);
        match self.high {
            Some(high) if scaled(high) <= limit => Verdict::Met,
            _ if scaled(self.low) > limit => Verdict::NotMet,
            _ => Verdict::CannotSay,
        }
    }

    /// Compares with `percent` of the base: met when at least that.
    pub(super) fn at_least(&self, percent: Decimal, base: Option<Decimal>) -> Verdict {
        let Some(base) = base else { return Verdict::CannotSay };
        let limit = base.saturating_mul(percent);
        let scaled = |amount: Decimal| amount.saturating_mul(Decimal::ONE_HUNDRED);
        match self.high {
            _ if scaled(self.low) >= limit => Verdict::Met,
            Some(high) if scaled(high) < limit => Verdict::NotMet,
            _ => Verdict::CannotSay,
        }
    }

    /// Shows the sum as a share of the base, or what is left of the base when `rest`.
    pub(super) fn shown(&self, base: Option<Decimal>, rest: bool) -> Option<String> {
        let base = base?;
        let percent = |amount: Decimal| {
            let share = amount.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(base)?;
            let share = if rest { Decimal::ONE_HUNDRED.checked_sub(share)? } else { share };
            let strategy = RoundingStrategy::MidpointAwayFromZero;
            Some(share.round_dp_with_strategy(SHOWN_DECIMALS, strategy).normalize())
        };
        let low = percent(self.low)?;
        let text = match self.high.map(percent) {
            Some(high) if high? == low => format!("{low} %"),
            Some(high) if rest => format!("{} to {low} %", high?),
            Some(high) => format!("{low} to {} %", high?),
            None if rest => format!("at most {low} %"),
            None => format!("at least {low} %"),
        };
        Some(text)
    }
}

/// Names materials in a sentence.
pub(super) fn names(counted: &[Counted<'_>]) -> String {
    /// Most materials named in a sentence.
    const NAMED_MAX: usize = 5;
    let shown = counted.iter().take(NAMED_MAX);
    let mut names: Vec<_> = shown
        .map(|counted| format!("{} ({})", counted.used.material.name, counted.used.material.code))
        .collect();
    if counted.len() > NAMED_MAX {
        names.push(format!("and {} more", counted.len() - NAMED_MAX));
    }
    names.join(", ")
}
