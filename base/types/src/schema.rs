//! JSON Schema (draft 2020-12) of the values that have one fixed text form.
//!
//! Structures in wire messages derive theirs; what is read by a parser of this crate says here what
//! that parser takes, so that a published description and the code cannot differ.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::amount::{DecimalText, FRACTION_DIGITS_MAX, INTEGER_DIGITS_MAX};
use crate::{Amount, Quantity, Timestamp};

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "Instant with offset (RFC 3339); kept in UTC with milliseconds.",
            "examples": ["2026-10-02T10:30:00+05:00"],
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for DecimalText {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern =
            format!("^[0-9]{{1,{INTEGER_DIGITS_MAX}}}(\\.[0-9]{{1,{FRACTION_DIGITS_MAX}}})?$");
        json_schema!({
            "type": "string",
            "pattern": pattern,
            "description": "A decimal number as text: no sign, exponent or grouping.",
            "examples": ["1234.56"],
        })
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An amount of money in one currency.",
            "properties": {
                "value": generator.subschema_for::<DecimalText>(),
                "currency": {
                    "type": "string",
                    "pattern": "^[A-Z]{3}$",
                    "description": "ISO 4217 alphabetic code.",
                    "examples": ["USD"],
                },
            },
            "required": ["value", "currency"],
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A quantity in one unit.",
            "properties": {
                "value": generator.subschema_for::<DecimalText>(),
                "unit": {
                    "type": "string",
                    "pattern": "^[A-Z0-9]{2,3}$",
                    "description": "UN/ECE Recommendation 20 code.",
                    "examples": ["KGM"],
                },
            },
            "required": ["value", "unit"],
            "additionalProperties": false,
        })
    }
}
