//! Serde forms of values that have several spellings elsewhere and one here.

/// A date written `YYYY-MM-DD` and in no other way.
pub(crate) mod date {
    use karvan_types::Date;
    use karvan_types::time::date_hint;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn parse(text: &str) -> Option<Date> {
        text.parse::<Date>().ok().filter(|date| date.to_string() == text)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Date, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            let hint = date_hint(&shown);
            D::Error::custom(format!("`{shown}` is not a calendar date written YYYY-MM-DD{hint}"))
        })
    }
}

/// A date that may be absent.
pub(crate) mod optional_date {
    use karvan_types::Date;
    use serde::{Deserializer, Serializer};

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference to the field"
    )]
    pub(crate) fn serialize<S: Serializer>(
        date: &Option<Date>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match date {
            Some(date) => super::date::serialize(date, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Date>, D::Error> {
        super::date::deserialize(deserializer).map(Some)
    }
}

/// A strict decimal that may be absent.
pub(crate) mod optional_decimal {
    use karvan_types::amount::{Decimal, decimal_text};
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => decimal_text::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Decimal>, D::Error> {
        decimal_text::deserialize(deserializer).map(Some)
    }
}
