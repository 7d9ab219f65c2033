//! A part of a message while its segments come in.
//!
//! Names are those of the tables, so none is copied, and the few members of a part lie side by side
//! where a search is a short walk. A finished part becomes the canonical one through serde, whose
//! rules hold for it as for JSON.
//!
//! Not here: which segment makes which part (`super::take`).

use serde::de::value::{Error, MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// A value or a part with members.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Part {
    /// Nothing was said.
    #[default]
    Absent,
    /// A text.
    Text(String),
    /// A whole number.
    Number(u32),
    /// Members by name.
    Members(Vec<(&'static str, Part)>),
    /// Occurrences in order.
    List(Vec<Part>),
}

impl Part {
    /// Returns whether nothing was said.
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns the text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value at a path of names; the part itself at an empty one.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        names(path).try_fold(self, |part, name| match part {
            Self::Members(members) => {
                members.iter().find(|(known, _)| *known == name).map(|(_, part)| part)
            }
            _ => None,
        })
    }

    /// Returns the place at a path of names and makes it where it is missing; `None` when a value
    /// that has no members is in the way.
    pub(super) fn place(&mut self, path: &'static str) -> Option<&mut Self> {
        names(path).try_fold(self, |part, name| {
            if part.is_absent() {
                *part = Self::Members(Vec::new());
            }
            let Self::Members(members) = part else { return None };
            let index = members.iter().position(|(known, _)| *known == name);
            let index = index.unwrap_or_else(|| {
                members.push((name, Self::Absent));
                members.len() - 1
            });
            members.get_mut(index).map(|(_, part)| part)
        })
    }

    /// Adds an occurrence to a list, which is made where nothing is.
    pub(super) fn push(&mut self, occurrence: Self) {
        match self {
            Self::List(list) => list.push(occurrence),
            other => *other = Self::List(vec![occurrence]),
        }
    }
}

/// Returns the names of a path. A set of signs is looked for sign by sign, which is quicker on
/// texts as short as these than the search for one.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split(['/']).filter(|name| !name.is_empty())
}

impl IntoDeserializer<'_, Error> for Part {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Part {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Absent => visitor.visit_unit(),
            Self::Text(text) => visitor.visit_string(text),
            Self::Number(number) => visitor.visit_u32(number),
            Self::Members(members) => {
                let mut map = MapDeserializer::new(members.into_iter());
                let value = visitor.visit_map(&mut map)?;
                map.end().map(|()| value)
            }
            Self::List(list) => {
                let mut sequence = SeqDeserializer::new(list.into_iter());
                let value = visitor.visit_seq(&mut sequence)?;
                sequence.end().map(|()| value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_absent() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => {
                StringDeserializer::new(text).deserialize_enum(name, variants, visitor)
            }
            other => other.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use karvan_types::{Amount, Date};
    use serde::Deserialize;

    use super::*;
    use crate::messages::{GoodsShipment, Seal};

    #[test]
    fn places_are_made_where_they_are_missing() {
        let mut part = Part::Absent;
        *part.place("a/b").expect("a place") = Part::Number(1);
        assert_eq!((part.at("a/b"), part.at("a/c")), (Some(&Part::Number(1)), None));
        assert_eq!(part.at(""), Some(&part));
        assert_eq!(part.place("a/b/c"), None);
        part.place("a/list").expect("a place").push(Part::Text("x".to_owned()));
        part.place("a/list").expect("a place").push(Part::Text("y".to_owned()));
        assert!(matches!(part.at("a/list"), Some(Part::List(list)) if list.len() == 2));
    }

    #[test]
    fn a_part_follows_the_rules_of_its_type() {
        let text = |text: &str| Part::Text(text.to_owned());
        let amount = |value: &str, name| {
            let members = vec![("value", text(value)), (name, text("USD"))];
            Amount::deserialize(Part::Members(members)).map_err(|error| error.to_string())
        };
        assert_eq!(amount("1.50", "currency").expect("an amount").to_string(), "1.50 USD");
        for (value, name, rule) in
            [("1,5", "currency", "not a plain decimal"), ("1", "unit", "unknown field `unit`")]
        {
            let error = amount(value, name).expect_err(rule);
            assert!(error.contains(rule), "{error}");
        }
        let items = || ("GovernmentAgencyGoodsItem", Part::List(Vec::new()));
        let exit = ("ExitDateTime", text("2026-10-02T06:00:00Z"));
        let shipment = GoodsShipment::deserialize(Part::Members(vec![items(), exit]));
        assert!(shipment.expect("a shipment").exit_date_time.is_some());
        for part in [Part::Absent, Part::Number(7), Part::List(Vec::new()), text("x")] {
            assert!(GoodsShipment::deserialize(part.clone()).is_err(), "{part:?}");
        }
        let seal = Seal::deserialize(Part::Members(vec![("ID", Part::Number(7))]));
        assert!(seal.expect_err("no text").to_string().contains("expected a string"));
        let day: Result<Option<Date>, _> = Option::deserialize(Part::Absent);
        assert_eq!(day.expect("nothing"), None);
    }
}
