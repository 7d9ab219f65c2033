//! Rules of origin as data, and an evaluator that explains its verdict step by step.
//!
//! A rule set is one JSON file per agreement: product rules for ranges of codes in a small
//! declarative form ([`Rule`]), and the agreement's general parameters ([`Parameters`]): wholly
//! obtained goods, cumulation, tolerance, minimal operations, direct consignment, issue and
//! validity of the certificate, third-party invoices. Each has a source and a [`Status`]. A
//! [`Product`] states facts: codes, materials, values, processes, route, certificate. [`evaluate`]
//! answers with a tree of [`Step`]s; [`published`] reads rule sets that others have published.
//!
//! Logic is three-valued: a fact that is missing makes a step undecided and is named, and a rule
//! that only a person can read makes it a question to a person. A verdict is given only when no
//! possible value of what is missing could change it.
//!
//! Invariants: numbers are exact decimals and limits are compared without rounding (INV-13); a
//! rule never stands in code (INV-14); every verdict carries the weakest status it rests on.
//!
//! Not here: the matching of claims (`crate::matching`), which may call [`evaluate`] or, for what a
//! certificate states without materials, [`statement`]; duty rates (`crate::tariff`). This module
//! reads no clock and no file.
//!
//! [`Status`]: crate::tariff::Status

mod codes;
mod error;
mod evaluate;
mod product;
pub mod published;
mod read;
mod rule;
mod set;
mod statement;
mod step;
mod words;

pub use codes::CodeRange;
pub use error::{Error, Problem};
pub(crate) use evaluate::plus_months;
pub use evaluate::{Report, conditions, evaluate};
pub use product::{Certificate, Material, Product, Transport};
pub use rule::{Allowance, Base, Level, Method, Rule};
pub use set::{
    Basis, Cumulation, CumulationKind, DirectConsignment, Entry, Finding, Found, Invoices, Issue,
    MinimalOperations, Parameters, RuleSet, ThirdPartyInvoice, Tolerance, Validity, WhollyObtained,
    built_in,
};
pub use statement::statement;
pub use step::{Missing, Sentence, Step, Verdict};

#[cfg(test)]
mod tests;
