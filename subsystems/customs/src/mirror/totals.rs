//! Totals per code of six digits, month and currency: both sides, the gap, and what explains it.
//!
//! Both sides are brought to one basis, with freight and insurance ([`Params::with_freight`]). The
//! gap is the import side less the export side; it is the exact sum of four parts: goods that were
//! announced and are not here, goods that were not announced, goods that the two sides count in
//! different months, and differences between papers of the same consignment.

use std::collections::{BTreeMap, BTreeSet};

use karvan_types::Decimal;
use serde::{Deserialize, Serialize};

use super::flow::Line;
use super::linked::Linked;
use super::params::Params;
use super::{VALUE_PLACES, rounded, signed_text};

/// The figures of one side.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// Number of declared items.
    pub items: u32,
    /// Number of declarations.
    pub declarations: u32,
    /// Net mass in kg, of the items that state it.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub net_mass: Decimal,
    /// Value as declared, of the items that state it.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub value: Decimal,
    /// The same with freight and insurance.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub value_cif: Decimal,
    /// Items whose value is not shared.
    pub without_value: u32,
}

/// What makes up a gap. Positive: more was declared for import.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parts {
    /// Announced and without an import declaration yet; zero or negative.
    #[serde(with = "signed_text")]
    pub not_arrived: Decimal,
    /// Imported and without an export declaration; zero or positive.
    #[serde(with = "signed_text")]
    pub not_announced: Decimal,
    /// Counted by the two sides in different months.
    #[serde(with = "signed_text")]
    pub other_month: Decimal,
    /// The rest: different values, codes or quantities on papers of the same consignments.
    #[serde(with = "signed_text")]
    pub same_consignment: Decimal,
}

/// The figures of one code, month and currency.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Total {
    /// The month, `YYYY-MM`.
    pub month: String,
    /// Six digits of the Harmonized System.
    pub hs6: String,
    /// The currency; nothing for items without a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What was declared for export.
    pub exported: Side,
    /// What was declared for import.
    pub imported: Side,
    /// Import side less export side, both with freight and insurance.
    #[serde(with = "signed_text")]
    pub gap: Decimal,
    /// The gap in percent of the export side, one decimal; nothing when that is zero.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional_signed")]
    pub gap_percent: Option<Decimal>,
    /// Whether the gap, without goods that were counted in another month, is worth a look.
    pub outside: bool,
    /// What the gap is made of.
    pub parts: Parts,
}

type Key = (String, String, Option<String>);

#[derive(Default)]
struct Working {
    exported: Side,
    imported: Side,
    documents: [BTreeSet<String>; 2],
    parts: Parts,
}

/// Computes the totals of the lines, ordered by month, code and currency.
pub fn totals(exports: &Linked, imports: &Linked, params: &Params) -> Vec<Total> {
    let mut rows: BTreeMap<Key, Working> = BTreeMap::new();
    for (linked, is_import) in [(exports, false), (imports, true)] {
        for line in &linked.lines {
            let currency = line.value.as_ref().map(|value| value.currency.clone());
            let row = rows.entry((line.month(), line.hs6.clone(), currency)).or_default();
            add(row, line, linked.of(line), params, is_import);
        }
    }
    rows.into_iter().map(|(key, row)| finish(key, row, params)).collect()
}

fn add(row: &mut Working, line: &Line, others: &[Line], params: &Params, is_import: bool) {
    let [exported, imported] = &mut row.documents;
    let (side, documents) =
        if is_import { (&mut row.imported, imported) } else { (&mut row.exported, exported) };
    documents.insert(line.document.clone());
    side.declarations = u32::try_from(documents.len()).unwrap_or(u32::MAX);
    side.items += 1;
    side.net_mass += line.net_mass.unwrap_or_default();
    let Some(value) = &line.value else {
        side.without_value += 1;
        return;
    };
    let cif = params.with_freight(line).unwrap_or(value.value);
    side.value += value.value;
    side.value_cif += cif;
    let month = line.month();
    let in_month = others.iter().any(|other| other.month() == month);
    let amount = if is_import { cif } else { -cif };
    let part = match (others.is_empty(), in_month, is_import) {
        (true, _, true) => &mut row.parts.not_announced,
        (true, _, false) => &mut row.parts.not_arrived,
        (false, false, _) => &mut row.parts.other_month,
        (false, true, _) => &mut row.parts.same_consignment,
    };
    *part += amount;
}

fn finish((month, hs6, currency): Key, row: Working, params: &Params) -> Total {
    let gap = row.imported.value_cif - row.exported.value_cif;
    let gap_percent = (gap * Decimal::ONE_HUNDRED)
        .checked_div(row.exported.value_cif)
        .map(|percent| rounded(percent, 1));
    let day = format!("{month}-01").parse().ok();
    let limit = day.and_then(|day| params.look(day)).map(|row| row.value.gap_percent);
    // Goods that the two sides count in different months are no reason to look.
    let rest = gap - row.parts.other_month;
    let share = (rest * Decimal::ONE_HUNDRED).checked_div(row.exported.value_cif);
    let outside = match (limit, share) {
        (Some(limit), Some(share)) => share.abs() > limit,
        _ => !rest.is_zero(),
    };
    let gap = rounded(gap, VALUE_PLACES);
    let (exported, imported, parts) = (row.exported, row.imported, row.parts);
    Total { month, hs6, currency, exported, imported, gap, gap_percent, outside, parts }
}
