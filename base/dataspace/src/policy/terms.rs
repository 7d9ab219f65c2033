//! Every term that policies may use, with its meaning: tables of which code, errors and the
//! reference pages are made.
//!
//! | left operand | what it is about |
//! | --- | --- |
//! | `urn:karvan:policy:v1:purpose` | the purpose code that the caller states |
//! | `urn:karvan:policy:v1:legalBasis` | the legal basis that the caller states |
//! | `urn:karvan:policy:v1:sharingLevel` | how much of a record is released, L1 to L3 |
//! | `urn:karvan:policy:v1:consent` | whether the person concerned consented |
//! | `urn:karvan:policy:v1:quota` | uses within a second, minute, hour or day |
//! | `urn:karvan:policy:v1:recipient` | the member that gets the data |
//! | `urn:karvan:policy:v1:tlp` | the label of the data in the Traffic Light Protocol |
//! | `http://www.w3.org/ns/odrl/2/dateTime` | the instant of the act |
//! | `http://www.w3.org/ns/odrl/2/count` | uses over the whole life of the agreement |
//!
//! Value forms, operators, units and sources stand in [`OPERANDS`]; actions in [`ACTIONS`].
//!
//! Invariant: a term is an absolute IRI when it is written, because a JSON-LD peer drops any term
//! that the context of the protocol does not define. `use` is the only one that it defines.

use crate::names::term as compact;

/// What a constraint is about: the left operand.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operand {
    /// The purpose that the caller states.
    Purpose,
    /// The legal basis that the caller states.
    LegalBasis,
    /// How much of a record is released.
    SharingLevel,
    /// The consent of the person concerned.
    Consent,
    /// Uses within a period.
    Quota,
    /// Who gets the data.
    Recipient,
    /// The label of the data in the Traffic Light Protocol.
    Tlp,
    /// The instant of the act.
    DateTime,
    /// Uses over the whole life of the agreement.
    Count,
}

/// All that is to be said about an operand.
#[derive(Clone, Copy, Debug)]
pub struct OperandTerm {
    /// The operand.
    pub operand: Operand,
    /// The IRI that policies write.
    pub name: &'static str,
    /// How explanations call it.
    pub noun: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The form of its value, fit for "is not …".
    pub value: &'static str,
    /// A value.
    pub example: &'static str,
    /// The operators that make sense with it.
    pub operators: &'static [Operator],
    /// The unit of its value, or a dash.
    pub unit: &'static str,
    /// Where the term or its values are defined.
    pub source: &'static str,
}

/// How a constraint compares (ODRL Vocabulary, section 4.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gteq,
    /// Less.
    Lt,
    /// Less or equal.
    Lteq,
    /// Contains the value.
    HasPart,
    /// Is an instance of the value.
    IsA,
    /// Is the whole set of values.
    IsAllOf,
    /// Is one of the values.
    IsAnyOf,
    /// Is none of the values.
    IsNoneOf,
    /// Is the value or belongs to it.
    IsPartOf,
}

impl Operator {
    /// Every operator of the protocol with its name; `term-lteq` is a second spelling of `lteq`.
    pub const NAMES: &[(&'static str, Self)] = &[
        ("eq", Self::Eq),
        ("neq", Self::Neq),
        ("gt", Self::Gt),
        ("gteq", Self::Gteq),
        ("lt", Self::Lt),
        ("lteq", Self::Lteq),
        ("term-lteq", Self::Lteq),
        ("hasPart", Self::HasPart),
        ("isA", Self::IsA),
        ("isAllOf", Self::IsAllOf),
        ("isAnyOf", Self::IsAnyOf),
        ("isNoneOf", Self::IsNoneOf),
        ("isPartOf", Self::IsPartOf),
    ];

    /// Returns the name on the wire.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, known)| *known == self).map_or("eq", |(name, _)| *name)
    }

    /// Returns whether the right operand is a list.
    pub const fn takes_list(self) -> bool {
        matches!(self, Self::IsAllOf | Self::IsAnyOf | Self::IsNoneOf)
    }
}

/// Operators for values that are equal or not.
pub(crate) const NAMED: &[Operator] =
    &[Operator::Eq, Operator::Neq, Operator::IsAnyOf, Operator::IsNoneOf];
/// Operators for steps of a scale.
const SCALE: &[Operator] = &[
    Operator::Eq,
    Operator::Neq,
    Operator::Lt,
    Operator::Lteq,
    Operator::Gt,
    Operator::Gteq,
    Operator::IsAnyOf,
    Operator::IsNoneOf,
];
/// Operators for members.
const MEMBERS: &[Operator] =
    &[Operator::Eq, Operator::Neq, Operator::IsAnyOf, Operator::IsNoneOf, Operator::IsPartOf];
/// Operators for instants: two of them are never equal in practice.
const INSTANTS: &[Operator] = &[Operator::Lt, Operator::Lteq, Operator::Gt, Operator::Gteq];

/// The operands that are understood without a profile.
pub const OPERANDS: &[OperandTerm] = &[
    OperandTerm {
        operand: Operand::Purpose,
        name: "urn:karvan:policy:v1:purpose",
        noun: "the purpose",
        meaning: "The purpose code that the caller states with the exchange.",
        value: "a purpose code: 1 to 64 letters, digits, dots, underscores or hyphens",
        example: "customs-risk-analysis",
        operators: NAMED,
        unit: "-",
        source: "Karvan; the code is that of the agreement",
    },
    OperandTerm {
        operand: Operand::LegalBasis,
        name: "urn:karvan:policy:v1:legalBasis",
        noun: "the legal basis",
        meaning: "The law or treaty that the caller states as its right to the data.",
        value: "a text of 1 to 1024 bytes",
        example: "Customs Act 1969, section 139",
        operators: NAMED,
        unit: "-",
        source: "Karvan; ISO/IEC TS 27560:2023 calls it lawful basis",
    },
    OperandTerm {
        operand: Operand::SharingLevel,
        name: "urn:karvan:policy:v1:sharingLevel",
        noun: "the sharing level",
        meaning: "How much of a record is released: L1 without values, L2 with values, L3 with \
                  all parties and documents. A level includes those below it.",
        value: "a sharing level: L1, L2 or L3",
        example: "L2",
        operators: SCALE,
        unit: "level",
        source: "Karvan",
    },
    OperandTerm {
        operand: Operand::Consent,
        name: "urn:karvan:policy:v1:consent",
        noun: "the consent",
        meaning: "Whether the person concerned consented: given, not-needed (a law asks for the \
                  exchange), or none.",
        value: "a state of consent: given, not-needed or none",
        example: "given",
        operators: NAMED,
        unit: "-",
        source: "Karvan; ISO/IEC TS 27560:2023 for the record of a consent",
    },
    OperandTerm {
        operand: Operand::Quota,
        name: "urn:karvan:policy:v1:quota",
        noun: "the number of uses",
        meaning: "Uses within the running period, this one included.",
        value: "a quota: a number from 1 to 4294967295, a slash, and second, minute, hour or day",
        example: "60/minute",
        operators: &[Operator::Lteq],
        unit: "uses per period",
        source: "Karvan",
    },
    OperandTerm {
        operand: Operand::Recipient,
        name: "urn:karvan:policy:v1:recipient",
        noun: "the recipient",
        meaning: "The member that gets the data; the caller, unless it states another.",
        value: "a member, such as PK/GOV/FBR/customs; with isPartOf also a nation, such as PK",
        example: "PK/GOV/FBR",
        operators: MEMBERS,
        unit: "-",
        source: "X-Road identifiers",
    },
    OperandTerm {
        operand: Operand::Tlp,
        name: "urn:karvan:policy:v1:tlp",
        noun: "the label",
        meaning: "The label of the data in the Traffic Light Protocol, from CLEAR (least) to RED \
                  (most restricted).",
        value: "a label: TLP:CLEAR, TLP:GREEN, TLP:AMBER, TLP:AMBER+STRICT or TLP:RED",
        example: "TLP:AMBER",
        operators: SCALE,
        unit: "label",
        source: "FIRST Traffic Light Protocol 2.0",
    },
    OperandTerm {
        operand: Operand::DateTime,
        name: "http://www.w3.org/ns/odrl/2/dateTime",
        noun: "the time",
        meaning: "The instant of the act.",
        value: "an instant with offset (RFC 3339)",
        example: "2027-01-01T00:00:00Z",
        operators: INSTANTS,
        unit: "UTC, milliseconds",
        source: "ODRL Vocabulary 2.2, section 4.5, dateTime",
    },
    OperandTerm {
        operand: Operand::Count,
        name: "http://www.w3.org/ns/odrl/2/count",
        noun: "the number of uses",
        meaning: "Uses over the whole life of the agreement, this one included.",
        value: "a whole number from 0 to 9007199254740991",
        example: "1000",
        operators: &[Operator::Lt, Operator::Lteq],
        unit: "uses",
        source: "ODRL Vocabulary 2.2, section 4.5, count",
    },
];

impl Operand {
    /// Returns the row of the table.
    pub fn term(self) -> &'static OperandTerm {
        const FIRST: &OperandTerm = &OPERANDS[0];
        OPERANDS.iter().find(|term| term.operand == self).unwrap_or(FIRST)
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Action {
    /// Any use; the other actions of permissions and prohibitions are kinds of it.
    #[default]
    Use,
    /// Passing the data on to third parties.
    Distribute,
    /// Making new data of it.
    Derive,
    /// Destroying all copies.
    Delete,
    /// Telling the assigner of each use.
    Inform,
    /// Naming the source.
    Attribute,
    /// Removing what leads to a person.
    Anonymize,
}

/// All that is to be said about an action.
#[derive(Clone, Copy, Debug)]
pub struct ActionTerm {
    /// The action.
    pub action: Action,
    /// The name that policies write.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// How a duty to do it is put to the holder; empty when it is no duty.
    pub duty: &'static str,
    /// Where it is defined.
    pub source: &'static str,
}

/// The actions that are understood without a profile.
pub const ACTIONS: &[ActionTerm] = &[
    ActionTerm {
        action: Action::Use,
        name: "use",
        meaning: "Any use of the data.",
        duty: "",
        source: "ODRL Vocabulary 2.2, section 3.6.1",
    },
    ActionTerm {
        action: Action::Distribute,
        name: "http://www.w3.org/ns/odrl/2/distribute",
        meaning: "Passing the data on to third parties. A kind of use.",
        duty: "",
        source: "ODRL Vocabulary 2.2, section 4.4",
    },
    ActionTerm {
        action: Action::Derive,
        name: "http://www.w3.org/ns/odrl/2/derive",
        meaning: "Making new data of it. A kind of use.",
        duty: "",
        source: "ODRL Vocabulary 2.2, section 4.4",
    },
    ActionTerm {
        action: Action::Delete,
        name: "http://www.w3.org/ns/odrl/2/delete",
        meaning: "Destroying all copies after use.",
        duty: "delete all copies of the data",
        source: "ODRL Vocabulary 2.2, section 4.4",
    },
    ActionTerm {
        action: Action::Inform,
        name: "http://www.w3.org/ns/odrl/2/inform",
        meaning: "Telling the assigner of each use.",
        duty: "inform the assigner of each use",
        source: "ODRL Vocabulary 2.2, section 4.4",
    },
    ActionTerm {
        action: Action::Attribute,
        name: "http://www.w3.org/ns/odrl/2/attribute",
        meaning: "Naming the source wherever the data is shown.",
        duty: "name the source of the data",
        source: "ODRL Vocabulary 2.2, section 4.4",
    },
    ActionTerm {
        action: Action::Anonymize,
        name: "http://www.w3.org/ns/odrl/2/anonymize",
        meaning: "Removing all that leads to a person.",
        duty: "remove all that leads to a person",
        source: "ODRL Vocabulary 2.2, section 4.4",
    },
];

impl Action {
    /// Returns the row of the table.
    pub fn term(self) -> &'static ActionTerm {
        const FIRST: &ActionTerm = &ACTIONS[0];
        ACTIONS.iter().find(|term| term.action == self).unwrap_or(FIRST)
    }

    /// Returns the one with this name, in any of its spellings.
    pub fn from_name(name: &str) -> Option<Self> {
        let same = |known: &&ActionTerm| compact(known.name) == compact(name);
        ACTIONS.iter().find(same).map(|known| known.action)
    }

    /// Returns whether it is something to be done in return, rather than something to be allowed.
    pub fn is_duty(self) -> bool {
        !self.term().duty.is_empty()
    }
}
