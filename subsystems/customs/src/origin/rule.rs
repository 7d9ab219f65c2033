//! Product rules in a small declarative form, and their words.
//!
//! In JSON a rule is an object with one member, whose name says which rule it is:
//! `wholly_obtained`, `materials_wholly_obtained`, `change`, `max_share`, `content`, `process`,
//! `all`, `any` and `text`. `docs/use/origin.md` shows each. A `text` is what no machine can read;
//! a person must.

mod load;

use karvan_types::Decimal;

pub(super) use load::{base as read_base, rule as read};

use super::codes::{CodeRange, join};
use super::set::RuleSet;
use super::step::Sentence;
use super::words as w;

/// A product rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule {
    /// The goods themselves are wholly obtained.
    WhollyObtained,
    /// All materials of these codes are wholly obtained.
    MaterialsWhollyObtained(Vec<CodeRange>),
    /// Materials without origin are classified elsewhere than the goods.
    Change {
        /// At which level the codes differ.
        level: Level,
        /// Codes that materials without origin may not have in any case.
        except: Vec<CodeRange>,
        /// Materials that may be used nevertheless, up to a share.
        allow: Vec<Allowance>,
    },
    /// Materials without origin make up at most a share.
    MaxShare {
        /// Only materials of these codes count; all when empty.
        codes: Vec<CodeRange>,
        /// Most percent.
        percent: Decimal,
        /// Of what.
        of: Base,
    },
    /// The originating content reaches a share.
    Content {
        /// How it is computed.
        method: Method,
        /// Fewest percent.
        percent: Decimal,
        /// Of what.
        of: Base,
    },
    /// A process is carried out where the goods are produced.
    Process(String),
    /// All of these.
    All(Vec<Rule>),
    /// One of these.
    Any(Vec<Rule>),
    /// Words that no machine can read.
    Text(String),
}

/// How far codes must differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Not at all: materials of any heading.
    Any,
    /// The first two digits.
    Chapter,
    /// The first four digits.
    Heading,
    /// The first six digits.
    Subheading,
}

impl Level {
    /// Returns how many digits are compared.
    pub const fn digits(self) -> usize {
        match self {
            Self::Any => 0,
            Self::Chapter => 2,
            Self::Heading => 4,
            Self::Subheading => 6,
        }
    }
}

/// Materials that may keep the classification of the goods, up to a share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// Codes of the materials; `None` for those classified like the goods.
    pub codes: Option<Vec<CodeRange>>,
    /// Most percent.
    pub percent: Decimal,
    /// Of what.
    pub of: Base,
}

/// What a share is a share of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base {
    /// The ex-works price.
    ExWorks,
    /// The free-on-board value.
    Fob,
    /// The net mass of the goods.
    NetMass,
}

impl Base {
    /// Returns its name in a sentence.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::ExWorks => "ex-works price",
            Self::Fob => "free-on-board value",
            Self::NetMass => "net mass",
        }
    }

    /// Returns its member of the product file.
    pub(super) const fn pointer(self) -> &'static str {
        match self {
            Self::ExWorks => "/price/ex_works",
            Self::Fob => "/price/fob",
            Self::NetMass => "/net_mass_kg",
        }
    }

    /// Returns what is added up of each material.
    pub(super) const fn measure(self) -> &'static str {
        if matches!(self, Self::NetMass) { "mass" } else { "value" }
    }
}

/// How an originating content is computed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// (base − materials without origin) ÷ base.
    BuildDown,
    /// (originating materials + labour + overhead + profit) ÷ base.
    BuildUp,
}

impl Rule {
    /// Returns whether no part of the rule needs a person to read it.
    pub fn is_machine_readable(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::All(rules) | Self::Any(rules) => rules.iter().all(Self::is_machine_readable),
            _ => true,
        }
    }

    /// Returns whether some part of the rule can be evaluated.
    pub fn has_machine_part(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::has_machine_part),
            _ => true,
        }
    }

    /// Returns the rules that it consists of.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::All(rules) | Self::Any(rules) => rules,
            _ => &[],
        }
    }

    /// Says the rule in words; the set knows the words for processes.
    pub fn sentence(&self, set: &RuleSet) -> Sentence {
        match self {
            Self::WhollyObtained => Sentence::new(w::RULE_WHOLLY, &[]),
            Self::MaterialsWhollyObtained(codes) => {
                Sentence::new(w::RULE_MATERIALS_WHOLLY, &[("codes", &join(codes))])
            }
            Self::Change { level, except, allow } => change(*level, except, allow),
            Self::MaxShare { codes, percent, of } => {
                let which =
                    if codes.is_empty() { String::new() } else { format!(" of {}", join(codes)) };
                let args = [
                    ("measure", of.measure()),
                    ("which", &which),
                    ("percent", &percent.to_string()),
                    ("base", of.words()),
                ];
                Sentence::new(w::RULE_MAX_SHARE, &args)
            }
            Self::Content { method, percent, of } => {
                let phrase = match method {
                    Method::BuildDown => w::RULE_BUILD_DOWN,
                    Method::BuildUp => w::RULE_BUILD_UP,
                };
                Sentence::new(phrase, &[("percent", &percent.to_string()), ("base", of.words())])
            }
            Self::Process(process) => {
                let words = set.processes.get(process).map_or(process.as_str(), String::as_str);
                Sentence::new(w::RULE_PROCESS, &[("process", words), ("name", process)])
            }
            Self::All(_) => Sentence::new(w::RULE_ALL, &[]),
            Self::Any(_) => Sentence::new(w::RULE_ANY, &[]),
            Self::Text(text) => Sentence::new(w::RULE_TEXT, &[("text", text)]),
        }
    }
}

fn change(level: Level, except: &[CodeRange], allow: &[Allowance]) -> Sentence {
    let mut tail = String::new();
    if !except.is_empty() {
        tail = format!(", and none is of {}", join(except));
    }
    for allowance in allow {
        let which = match &allowance.codes {
            None => "classified like the goods".to_owned(),
            Some(codes) => format!("of {}", join(codes)),
        };
        let (percent, base) = (allowance.percent, allowance.of.words());
        tail = format!("{tail}; those {which} may make up {percent} % of the {base}");
    }
    let phrase = match level {
        Level::Any => w::RULE_ANY_HEADING,
        Level::Chapter => w::RULE_CHAPTER,
        Level::Heading => w::RULE_HEADING,
        Level::Subheading => w::RULE_SUBHEADING,
    };
    Sentence::new(phrase, &[("tail", &tail)])
}
