//! The values of right operands: one type for each form, read strictly and written in one way.

use std::fmt;
use std::str::FromStr;

use karvan_types::{Instance, MemberId, Timestamp};

use super::terms::{Operand, Operator};

/// Longest purpose code, in bytes; it travels in a header field.
pub const PURPOSE_BYTES_MAX: usize = 64;
/// Longest value that is a free text, in bytes.
pub const VALUE_BYTES_MAX: usize = 1024;
/// Largest count: exact in every JSON implementation.
pub const COUNT_MAX: u64 = (1 << 53) - 1;

/// How much of a record is released. A level includes those below it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SharingLevel {
    /// Without values.
    L1,
    /// With values.
    L2,
    /// With all parties, and documents on request.
    L3,
}

const LEVELS: &[(&str, SharingLevel)] =
    &[("L1", SharingLevel::L1), ("L2", SharingLevel::L2), ("L3", SharingLevel::L3)];

/// Whether the person concerned consented.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Consent {
    /// There is a consent in force.
    Given,
    /// A law asks for the exchange; nobody is to be asked.
    NotNeeded,
    /// There is none.
    None,
}

const CONSENTS: &[(&str, Consent)] =
    &[("given", Consent::Given), ("not-needed", Consent::NotNeeded), ("none", Consent::None)];

/// A label of the Traffic Light Protocol 2.0, from least to most restricted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Tlp {
    /// For the world.
    Clear,
    /// For the community.
    Green,
    /// For the recipient's organisation and its clients, as they need to know.
    Amber,
    /// For the recipient's organisation only.
    AmberStrict,
    /// For the eyes of the recipient.
    Red,
}

const LABELS: &[(&str, Tlp)] = &[
    ("TLP:CLEAR", Tlp::Clear),
    ("TLP:GREEN", Tlp::Green),
    ("TLP:AMBER", Tlp::Amber),
    ("TLP:AMBER+STRICT", Tlp::AmberStrict),
    ("TLP:RED", Tlp::Red),
];

/// The time that a quota is for. It runs from a full second, minute, hour or day of UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Period {
    /// One second.
    Second,
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

const PERIODS: &[(&str, Period)] = &[
    ("second", Period::Second),
    ("minute", Period::Minute),
    ("hour", Period::Hour),
    ("day", Period::Day),
];

fn name<T: Copy + PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| *name)
}

fn named<T: Copy>(table: &[(&str, T)], text: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

impl SharingLevel {
    /// Returns the one with this name, as policies write it.
    pub fn from_name(name: &str) -> Option<Self> {
        named(LEVELS, name)
    }
}

impl fmt::Display for SharingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(LEVELS, *self))
    }
}

impl Consent {
    /// Returns the one with this name, as policies write it.
    pub fn from_name(name: &str) -> Option<Self> {
        named(CONSENTS, name)
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(CONSENTS, *self))
    }
}

impl Tlp {
    /// Returns the one with this name, as policies write it.
    pub fn from_name(name: &str) -> Option<Self> {
        named(LABELS, name)
    }
}

impl fmt::Display for Tlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(LABELS, *self))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(PERIODS, *self))
    }
}

/// A number of uses in a period, written `60/minute`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Quota {
    /// Uses, from 1.
    pub uses: u32,
    /// In which time.
    pub per: Period,
}

impl Quota {
    /// Reads `60/minute` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let (uses, per) = text.split_once('/')?;
        let uses = whole_number::<u32>(uses).filter(|uses| *uses > 0)?;
        Some(Self { uses, per: named(PERIODS, per)? })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.uses, self.per)
    }
}

/// A member, or all members of a nation.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Recipient {
    /// Every member of the nation.
    Nation(Instance),
    /// The member; under `isPartOf` its subsystems too.
    Member(MemberId),
}

impl Recipient {
    /// Returns whether the member is this one, or belongs to it.
    pub fn holds(&self, member: &MemberId) -> bool {
        match self {
            Self::Nation(instance) => member.instance() == *instance,
            Self::Member(whole) => member == whole || member.member() == *whole,
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nation(instance) => instance.fmt(f),
            Self::Member(member) => member.fmt(f),
        }
    }
}

/// One value of a right operand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Literal {
    /// A code or a free text: purpose, legal basis, operand of a profile.
    Text(String),
    /// A sharing level.
    Level(SharingLevel),
    /// A state of consent.
    Consent(Consent),
    /// A quota.
    Quota(Quota),
    /// A member or nation.
    Recipient(Recipient),
    /// A label.
    Tlp(Tlp),
    /// An instant.
    Instant(Timestamp),
    /// A number.
    Count(u64),
}

impl Literal {
    /// Reads the value of an operand; `None` when it has another form.
    pub(crate) fn read(operand: Operand, operator: Operator, text: &str) -> Option<Self> {
        Some(match operand {
            Operand::Purpose => Self::Text(purpose(text)?),
            Operand::LegalBasis => free_text(text)?,
            Operand::SharingLevel => Self::Level(named(LEVELS, text)?),
            Operand::Consent => Self::Consent(named(CONSENTS, text)?),
            Operand::Quota => Self::Quota(Quota::parse(text)?),
            Operand::Recipient => Self::Recipient(recipient(text, operator)?),
            Operand::Tlp => Self::Tlp(named(LABELS, text)?),
            Operand::DateTime => Self::Instant(text.parse().ok()?),
            Operand::Count => Self::Count(whole_number(text).filter(|count| *count <= COUNT_MAX)?),
        })
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Level(level) => level.fmt(f),
            Self::Consent(consent) => consent.fmt(f),
            Self::Quota(quota) => quota.fmt(f),
            Self::Recipient(recipient) => recipient.fmt(f),
            Self::Tlp(label) => label.fmt(f),
            Self::Instant(instant) => instant.fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

fn purpose(text: &str) -> Option<String> {
    let is_code = (1..=PURPOSE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    is_code.then(|| text.to_owned())
}

/// Reads a value that is compared as it is.
pub(crate) fn free_text(text: &str) -> Option<Literal> {
    let fits = !text.trim().is_empty() && text.len() <= VALUE_BYTES_MAX;
    fits.then(|| Literal::Text(text.to_owned()))
}

/// Reads digits without sign and leading zeros: one number has one spelling.
fn whole_number<N: FromStr>(text: &str) -> Option<N> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    if digits && plain { text.parse().ok() } else { None }
}

fn recipient(text: &str, operator: Operator) -> Option<Recipient> {
    match text.parse() {
        Ok(instance) if operator == Operator::IsPartOf => Some(Recipient::Nation(instance)),
        _ => text.parse().ok().map(Recipient::Member),
    }
}
