//! Words that stand where a name should, and what they mean where the form allows them.
//!
//! The boxes of certificates of origin allow three: a producer who is the exporter, a producer who
//! is told to customs upon request, and a consignee who is not named because the goods travel to
//! order. Each is read as a code; anywhere else such a word is no name.

use serde::Serialize;
use serde_json::Value;

/// What a placeholder means.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placeholder {
    /// The party is the exporter.
    SameAsExporter,
    /// The party is told to customs when they ask.
    OnRequest,
    /// Whoever holds the transport document receives the goods.
    ToOrder,
    /// Nothing at all.
    Nothing,
}

/// Words as people write them, without signs and in upper case.
const WORDS: [(&str, Placeholder); 19] = [
    ("SAME", Placeholder::SameAsExporter),
    ("SAME AS EXPORTER", Placeholder::SameAsExporter),
    ("SAME AS ABOVE", Placeholder::SameAsExporter),
    ("EYNIDIR", Placeholder::SameAsExporter),
    ("AVAILABLE TO CUSTOMS UPON REQUEST", Placeholder::OnRequest),
    ("AVAILABLE UPON REQUEST", Placeholder::OnRequest),
    ("UPON REQUEST", Placeholder::OnRequest),
    ("CONFIDENTIAL", Placeholder::OnRequest),
    ("TO ORDER", Placeholder::ToOrder),
    ("TO THE ORDER", Placeholder::ToOrder),
    ("ORDER", Placeholder::ToOrder),
    ("N A", Placeholder::Nothing),
    ("NA", Placeholder::Nothing),
    ("NIL", Placeholder::Nothing),
    ("NONE", Placeholder::Nothing),
    ("UNKNOWN", Placeholder::Nothing),
    ("TBA", Placeholder::Nothing),
    ("XXX", Placeholder::Nothing),
    ("YOXDUR", Placeholder::Nothing),
];

impl Placeholder {
    /// Returns what a text stands for when it is no name.
    pub fn of(text: &str) -> Option<Self> {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_uppercase)
            .collect();
        let plain = words.join(" ");
        if plain.is_empty() {
            return Some(Self::Nothing);
        }
        // The name of the bank, or of whoever gives the order, may follow.
        if plain.starts_with("TO THE ORDER OF ") || plain.starts_with("TO ORDER OF ") {
            return Some(Self::ToOrder);
        }
        WORDS.iter().find(|(word, _)| *word == plain).map(|(_, meaning)| *meaning)
    }

    /// Returns the code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SameAsExporter => "same-as-exporter",
            Self::OnRequest => "on-request",
            Self::ToOrder => "to-order",
            Self::Nothing => "nothing",
        }
    }

    /// Returns whether a field may hold it: `path` without occurrence numbers.
    pub fn is_allowed_in(self, path: &str) -> bool {
        match self {
            Self::SameAsExporter | Self::OnRequest => path.ends_with("producer/Name"),
            Self::ToOrder => path.ends_with("Consignee/Name"),
            Self::Nothing => false,
        }
    }
}

/// A placeholder that was read as a code.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Found {
    /// Path of the field in element names.
    pub pointer: String,
    /// As written.
    pub text: String,
    /// What it means.
    pub code: Placeholder,
}

/// Lists the placeholders of a message that stand where they may.
pub fn found(message: &Value) -> Vec<Found> {
    let mut list = Vec::new();
    walk(message, "", &mut list);
    list
}

fn walk(value: &Value, path: &str, list: &mut Vec<Found>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                walk(member, &below, list);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, path, list)),
        Value::String(text) if path.ends_with("/Name") => {
            if let Some(code) = Placeholder::of(text).filter(|code| code.is_allowed_in(path)) {
                list.push(Found { pointer: path.to_owned(), text: text.clone(), code });
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names() {
        for (text, expected) in [
            ("SAME", Some(Placeholder::SameAsExporter)),
            (" same. ", Some(Placeholder::SameAsExporter)),
            ("n/a", Some(Placeholder::Nothing)),
            ("-", Some(Placeholder::Nothing)),
            ("To order of Sample Bank", Some(Placeholder::ToOrder)),
            ("Available to Customs upon request", Some(Placeholder::OnRequest)),
            ("Same Day Traders (fictitious)", None),
            ("Order of Merit Traders (fictitious)", None),
            ("Indus Sample Imports (fictitious)", None),
        ] {
            assert_eq!(Placeholder::of(text), expected, "{text}");
        }
    }

    #[test]
    fn only_where_the_form_allows_it() {
        let allowed = |meaning: Placeholder, path| meaning.is_allowed_in(path);
        assert!(allowed(Placeholder::SameAsExporter, "producer/Name"));
        assert!(!allowed(Placeholder::SameAsExporter, "Exporter/Name"));
        assert!(allowed(Placeholder::ToOrder, "GoodsShipment/Consignee/Name"));
        assert!(!allowed(Placeholder::ToOrder, "GoodsShipment/Importer/Name"));
        assert!(!allowed(Placeholder::Nothing, "producer/Name"));
    }
}
