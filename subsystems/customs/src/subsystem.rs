//! The plug-in: which documents and operations the customs sub-system has, and who may do what.
//!
//! A document from the partner and an operation of this side meet in one place
//! (`apply`), so both sides keep certificates and declarations by the same rules. Every accepted
//! or refused business message is answered by a VAL message; text that cannot be read, or comes
//! from somebody who may not send it, is a refusal of the kernel instead.
//!
//! Invariants: a certificate comes only from a member with the role `certificate-issuer`; an
//! export declaration and a result only from the partner's customs service; nothing that was
//! decided is changed by a later document, which opens a task instead.
//!
//! Not here: transport, signatures, agreements and the permissions on tokens (the kernel).

mod acts;
mod amended;
mod amending;
mod answer;
mod apply;
mod assess;
mod assigned;
mod audit;
mod booking;
mod browse;
mod cargo;
mod claiming;
mod config;
mod decide;
mod exported;
mod four_eyes;
mod importing;
mod incoming;
mod interchanges;
mod invoices;
mod language;
mod ledgers;
mod listed;
mod lowered;
mod mirrors;
mod notices;
mod offers;
mod operate;
mod parking;
mod quotas;
mod rate_days;
mod rates;
mod rebalancing;
mod receive;
mod releasing;
mod replacing;
mod responses;
mod risks;
mod securing;
mod senders;
mod sequence;
mod show;
mod silence;
mod statements;
mod suspending;
mod tariffs;
mod telling;
mod timing;
mod transporting;
mod unseen;
mod verifying;
mod waiting;
mod xml;

pub(crate) use browse::{CURSOR_CHARS_MAX, PAGE_MAX};
pub use config::{COMPARE_SECONDS_MAX, COMPARE_SECONDS_MIN, CompareEvery, Config, OutOfBounds};

use std::sync::atomic::AtomicUsize;

use karvan_store::{Migration, Read};
use karvan_subsystem::interface::{Interface, Notices};
use karvan_subsystem::{
    Caller, Context, Document, DocumentType, Operation, Progress, Rejection, Subsystem,
};
use karvan_types::{MemberId, Timestamp};
use serde_json::Value;

use crate::api;
use crate::bulk;
use crate::certificate::{CERTIFICATES, DEBITS, UNSEEN};
use crate::claim::{ASSESSMENTS, CLAIM_ITEMS, CLAIM_REFERENCES, CLAIMS};
use crate::clocks::Clocks;
use crate::contact::{CONTACTS, OUTAGES, RECEIPTS};
use crate::decision::policy::Policy;
use crate::decision::{DECISIONS, UTILISATIONS};
use crate::decision::{overrides::OVERRIDES, security::SECURITIES};
use crate::export::{EXPORTS, LINKS};
use crate::invoice;
use crate::journal::{EVENTS, MESSAGES, PARKED, TASKS};
use crate::ledger::{CASES, COMPARISONS, PROGRESS, Terms};
use crate::matching::{Rules, RulesError};
use crate::mirror;
use crate::national;
use crate::paper::register;
use crate::rates as exchange;
use crate::risk::{record as risk, tally};
use crate::sharing::{Classes, INCIDENTS, RELEASED};
use crate::tariff::{quota, version};
use crate::timers::{BATCH_MAX, TIMERS};
use crate::transport::{self, TRANSPORTS};
use crate::verification::VERIFICATIONS;

/// The role, on a nation's list, of members that issue certificates of origin.
pub const ISSUER_ROLE: &str = "certificate-issuer";

/// The customs sub-system of one side.
pub struct Customs {
    config: Config,
    rules: Rules,
    policy: Policy,
    ledger_terms: Terms,
    classes: Classes,
    shelf: version::Shelf,
    clocks: Clocks,
    /// How many timers are taken at once; one after a failure.
    batch: AtomicUsize,
    profiles: risks::Shelf,
    mirror: mirror::Params,
}

/// The shipped data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The rules of the match.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The parameters of the mirror.
    #[error(transparent)]
    Mirror(#[from] mirror::params::Error),
    /// The waits.
    #[error(transparent)]
    Clocks(#[from] crate::clocks::Error),
    /// How officers decide.
    #[error(transparent)]
    Policy(#[from] crate::decision::policy::Error),
    /// The terms of the ledger.
    #[error(transparent)]
    Ledger(#[from] crate::ledger::TermsError),
    /// The release classes.
    #[error(transparent)]
    Classes(#[from] crate::sharing::ClassesError),
}

impl SetupError {
    /// Returns the kind.
    pub fn kind(&self) -> karvan_types::ErrorKind {
        match self {
            Self::Rules(error) => error.kind(),
            Self::Clocks(error) => error.kind(),
            Self::Mirror(error) => error.kind(),
            Self::Policy(error) => error.kind(),
            Self::Ledger(error) => error.kind(),
            Self::Classes(error) => error.kind(),
        }
    }
}

impl Customs {
    /// Makes the sub-system with the shipped rules and tariffs.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        Ok(Self {
            config,
            rules: Rules::shipped()?,
            policy: Policy::shipped()?,
            ledger_terms: Terms::shipped()?,
            classes: Classes::shipped()?,
            shelf: version::Shelf::default(),
            clocks: Clocks::shipped()?,
            batch: AtomicUsize::new(BATCH_MAX),
            profiles: risks::Shelf::default(),
            mirror: mirror::Params::shipped()?,
        })
    }

    /// Sets other terms of the ledger than the shipped ones.
    #[must_use]
    pub fn with_ledger_terms(self, ledger_terms: Terms) -> Self {
        Self { ledger_terms, ..self }
    }

    /// Returns who is who.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns how long is waited for what.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        id: "customs-0001",
        creates: &[
            &CERTIFICATES,
            &DEBITS,
            &EXPORTS,
            &LINKS,
            &CLAIMS,
            &CLAIM_ITEMS,
            &ASSESSMENTS,
            &DECISIONS,
            &UTILISATIONS,
            &MESSAGES,
            &EVENTS,
            &PARKED,
            &TASKS,
        ],
    },
    Migration {
        id: "customs-0002",
        creates: &[
            &version::VERSIONS,
            &version::TEXTS,
            &quota::ACCOUNTS,
            &quota::REQUESTS,
            &quota::LINES,
        ],
    },
    Migration { id: "customs-0003", creates: &[&register::PAPERS] },
    Migration {
        id: "customs-0004",
        creates: &[&TIMERS, &RECEIPTS, &CONTACTS, &OUTAGES, &TRANSPORTS],
    },
    Migration { id: "customs-0005", creates: &[&CASES, &COMPARISONS, &PROGRESS] },
    Migration { id: "customs-0006", creates: &[&OVERRIDES, &SECURITIES, &VERIFICATIONS] },
    Migration { id: "customs-0010", creates: &[&RELEASED, &INCIDENTS] },
    Migration { id: "customs-0011", creates: &[&bulk::IMPORTS, &bulk::BATCHES, &bulk::WAITING] },
    Migration {
        id: "customs-0008",
        creates: &[
            &risk::SCORES,
            &risk::TRACES,
            &risk::HISTORY,
            &risk::CONTAINERS,
            &risk::NOTICES,
            &risk::PERIODS,
            &risk::PROFILES,
            &tally::TALLIES,
            &tally::DENIALS,
        ],
    },
    Migration { id: "customs-0009", creates: &[&mirror::flow::LINES, &mirror::compare::REPORTS] },
    Migration {
        id: "customs-0007",
        creates: &[&exchange::RATES, &exchange::TABLES, &invoice::INVOICES],
    },
    Migration { id: "customs-0013", creates: &[&national::RESPONSES, &national::INTERCHANGES] },
    Migration { id: "customs-0014", creates: &[&UNSEEN] },
    Migration { id: "customs-0015", creates: &[&national::ASSIGNED] },
    Migration { id: "customs-0016", creates: &[&transport::CARGO, &transport::NAMED] },
    Migration { id: "customs-0017", creates: &[&CLAIM_REFERENCES] },
];

impl Subsystem for Customs {
    fn name(&self) -> &'static str {
        "customs"
    }

    fn migrations(&self) -> &'static [Migration] {
        MIGRATIONS
    }

    fn document_types(&self) -> &'static [DocumentType] {
        offers::DOCUMENTS
    }

    fn operations(&self) -> &'static [Operation] {
        offers::OPERATIONS
    }

    fn receive(&self, cx: &mut Context<'_>, document: &Document<'_>) -> Result<(), Rejection> {
        releasing::receive(self, cx, document)?;
        releasing::enforce(self, cx)
    }

    fn operate(
        &self,
        cx: &mut Context<'_>,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, Rejection> {
        let output = match operation {
            "submit" => operate::submit(self, cx, caller, input),
            "interchange" => interchanges::take(self, cx, caller, input),
            "certificate" => operate::certificate(self, cx, caller, input),
            "claim" => language::speaking(input, |input| claiming::claim(self, cx, caller, input)),
            "import" => importing::import(self, cx, caller, input),
            "decide" => decide::decide(self, cx, caller, input),
            "confirm" => four_eyes::confirm(self, cx, caller, input),
            "verify" => verifying::open(self, cx, caller, input),
            "verify-again" => verifying::again::ask(self, cx, caller, input),
            "answer" => verifying::asked::answer(self, cx, caller, input),
            "conclude" => verifying::conclude(self, cx, caller, input),
            "look" => language::speaking(input, |input| audit::look(self, cx, caller, input)),
            "event" => rate_days::report(self, cx, caller, input),
            "reopen" => decide::reopen(self, cx, caller, input),
            "paper" => register::print(cx, caller, input),
            "resolve" => operate::resolve(self, cx, caller, input),
            "unpark" => receive::unpark(self, cx, caller, input),
            "outage" => silence::declare(self, cx, caller, input),
            "compare" => sequence::compare_now(self, cx, caller),
            "ledger-compare" => statements::compare_now(self, cx, caller, input),
            "ledger-close" => ledgers::close(self, cx, caller, input),
            "ledger-suspend" => suspending::suspend(self, cx, caller, input),
            "tariff-import" => tariffs::import(self, cx, caller, input),
            "risk-score" => risks::rescore(self, cx, caller, input),
            "risk-import" => risks::profiles::import(self, cx, caller, input),
            "risk-commit" => risks::draws::commit(self, cx, caller, input),
            "risk-reveal" => risks::draws::reveal(self, cx, caller, input),
            "finding" => risks::finding(self, cx, caller, input),
            "rates-import" => rates::import(self, cx, caller, input),
            "mirror-report" => mirrors::send(self, cx, caller, input),
            other => Err(unknown_operation(other)),
        }?;
        releasing::enforce(self, cx)?;
        Ok(output)
    }

    fn progressed(&self, cx: &mut Context<'_>, progress: &Progress) -> Result<(), Rejection> {
        waiting::progressed(cx, progress)?;
        releasing::enforce(self, cx)
    }

    fn due(&self, view: &dyn Read, now: Timestamp) -> Result<bool, Rejection> {
        timing::due(self, view, now)
    }

    fn run_due(&self, cx: &mut Context<'_>) -> Result<(), Rejection> {
        timing::run_due(self, cx)?;
        releasing::enforce(self, cx)
    }

    fn put_off(&self, cx: &mut Context<'_>, cause: &Rejection) -> Result<(), Rejection> {
        timing::put_off(self, cx, cause)?;
        releasing::enforce(self, cx)
    }

    fn interface(&self) -> Option<&'static Interface> {
        Some(&api::INTERFACE)
    }

    fn notices(
        &self,
        view: &dyn Read,
        member: &MemberId,
        after: u64,
        limit: usize,
    ) -> Result<Notices, Rejection> {
        notices::notices(self, view, member, after, limit)
    }

    fn query(
        &self,
        view: &dyn Read,
        now: Timestamp,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, Rejection> {
        match operation {
            "show" => language::speaking(input, |input| show::show(self, view, now, input)),
            "timers" => silence::timers(self, view, now, input),
            "imports" => importing::show(view, caller, input),
            "list" => show::list(self, view, now, input),
            "reasons" => audit::reasons(input),
            "browse" => browse::browse(self, view, now, input),
            "verifications" => verifying::look(self, view, input),
            "statuses" => register::statuses(view, now, caller, input),
            "tariff" => tariffs::explain(self, view, now, input),
            "tariffs" => tariffs::versions(self, view, input),
            "ledger" => ledgers::look(self, view, now, input),
            "sharing" => releasing::show(self, view, now, input),
            "quota" => quotas::show(self, view, now, input),
            "risk" => risks::show(self, view, input),
            "risk-lanes" => risks::lanes(self, view, input),
            "risk-stats" => risks::statistics(view, input),
            "risk-profile" => risks::profiles::profile(self, view, input),
            "rates" => rates::show(self, view, now, input),
            "mirror-consignments" | "mirror-totals" | "mirror-candidates" => {
                mirrors::look(self, view, now, operation, input)
            }
            "mirror-compare" => mirrors::register(self, view, input),
            other => Err(unknown_operation(other)),
        }
    }
}

fn unknown_operation(name: &str) -> Rejection {
    let names: Vec<_> = offers::OPERATIONS.iter().map(|operation| operation.name).collect();
    let shown: String = name.chars().take(40).collect();
    Rejection::new(
        karvan_types::ErrorKind::NotFound,
        "customs.unknown-operation",
        format!("`{shown}` is no operation of customs; use one of {}", names.join(", ")),
    )
}
