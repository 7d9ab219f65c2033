//! The facts that rules may speak about: their names, kinds and meaning, and their values.
//!
//! Invariant: a name stands for one kind for ever; a fact that is not known is left out and never
//! guessed.

use std::collections::BTreeMap;
use std::fmt;

use karvan_types::{Decimal, amount::decimal_text};
use serde::{Deserialize, Serialize};

/// Most texts of one fact that are kept.
pub const TEXTS_MAX: usize = 200;

/// Kind of a fact, which fixes how it may be tested.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A set of texts, such as codes or countries.
    Texts,
    /// An exact number.
    Number,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Meaning {
    /// Name, as rules write it.
    pub name: &'static str,
    /// Kind.
    pub kind: Kind,
    /// What it is, with its unit.
    pub about: &'static str,
}

const fn texts(name: &'static str, about: &'static str) -> Meaning {
    Meaning { name, kind: Kind::Texts, about }
}

const fn number(name: &'static str, about: &'static str) -> Meaning {
    Meaning { name, kind: Kind::Number, about }
}

/// Every fact.
pub const MEANINGS: &[Meaning] = &[
    texts("hs", "codes of the goods as declared for export, national digits included"),
    texts("origin", "countries of origin of the items"),
    texts("destination", "country of destination"),
    texts("terms", "terms of delivery, Incoterms"),
    texts("mode", "mode of transport at the border, UN/ECE Recommendation 19"),
    texts("route", "countries of routing, transport notice included"),
    texts("exporter", "tax number of the exporter"),
    texts("exporter.name", "name of the exporter, in capitals"),
    texts("consignee", "tax number of the consignee"),
    texts("consignee.name", "name of the consignee, in capitals"),
    number("items", "number of items"),
    number("gross-mass", "gross mass of the declaration in kg"),
    number("value", "value of the declaration, when all items are in one currency"),
    texts("currency", "currencies of the declaration"),
    number("versions", "versions of the export declaration; more than one means amended"),
    number("transport.notices", "transport notices received"),
    texts("containers", "containers of declaration and transport notice"),
    texts("containers.invalid", "container numbers without a right check digit (ISO 6346)"),
    texts("containers.parallel", "containers that another consignment on its way uses as well"),
    texts("containers.differ", "containers that only one of the papers names"),
    texts("seals.differ", "seals that only one of the papers names for a container they share"),
    number("certificates", "certificates of origin that the declaration quotes"),
    texts("certificates.missing", "quoted certificates that have not arrived"),
    texts("certificates.standing", "where the quoted certificates stand: issued, cancelled …"),
    number("consignee.age-days", "days since the first consignment for this consignee"),
    number("consignee.recent", "consignments for this consignee in the window, this one included"),
    number("exporter.age-days", "days since the first consignment of this exporter"),
    number("exporter.recent", "consignments of this exporter in the window, this one included"),
    number("consignee.findings", "checks with a finding at this consignee in the window"),
    number("exporter.findings", "checks with a finding at this exporter in the window"),
    number("consignee.denied", "items of which this importer was denied the preference"),
    number(
        "limit.just-under",
        "consignments for this consignee in the window just under the limit",
    ),
    number("unit-value.percent", "lowest value per kg, in percent of the median of own records"),
];

/// Returns what a name stands for.
pub fn meaning(name: &str) -> Option<&'static Meaning> {
    MEANINGS.iter().find(|meaning| meaning.name == name)
}

/// The value of a fact.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// Texts, sorted; empty means: known that there are none.
    Texts(Vec<String>),
    /// A number.
    Number(#[serde(with = "decimal_text")] Decimal),
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Texts(texts) if texts.is_empty() => f.write_str("none"),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
            Self::Number(number) => write!(f, "{}", number.normalize()),
        }
    }
}

/// What is known of a consignment.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, Fact>);

impl Facts {
    /// Sets a fact of texts; sorted, without repetitions, at most [`TEXTS_MAX`].
    pub fn texts<T: Into<String>>(&mut self, name: &str, texts: impl IntoIterator<Item = T>) {
        let mut texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        texts.sort();
        texts.dedup();
        texts.truncate(TEXTS_MAX);
        self.0.insert(name.to_owned(), Fact::Texts(texts));
    }

    /// Sets a fact that is a number.
    pub fn number(&mut self, name: &str, value: impl Into<Decimal>) {
        self.0.insert(name.to_owned(), Fact::Number(value.into()));
    }

    /// Returns a fact.
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// Returns all facts by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(name, fact)| (name.as_str(), fact))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        for (place, meaning) in MEANINGS.iter().enumerate() {
            let rest = MEANINGS.get(place + 1..).unwrap_or_default();
            assert!(rest.iter().all(|other| other.name != meaning.name), "{}", meaning.name);
            assert!(meaning.about.len() > 10, "{}", meaning.name);
        }
    }

    #[test]
    fn texts_are_sorted_and_bounded() {
        let mut facts = Facts::default();
        facts.texts("hs", ["b", "a", "b"]);
        assert_eq!(facts.get("hs").map(ToString::to_string).as_deref(), Some("a, b"));
        facts.texts("hs", (0..500).map(|n| format!("{n:03}")));
        assert!(matches!(facts.get("hs"), Some(Fact::Texts(texts)) if texts.len() == TEXTS_MAX));
    }
}
