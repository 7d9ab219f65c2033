//! Two sides with a wire between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use karvan_customs::ledger::Terms;
use karvan_customs::messages::SharingLevel;
use karvan_customs::rates;
use karvan_customs::samples::{self, Actor, Consignment, Step};
use karvan_customs::subsystem::{Config, Customs, ISSUER_ROLE};
use karvan_store::{SqliteStore, Store};
use karvan_subsystem::testkit::Bench;
use karvan_subsystem::{Caller, News, Outgoing, Rejection, Subsystem as _};
use karvan_types::{Instance, MemberId, Timestamp};
use serde_json::Value;

/// Who acts for a member.
pub(crate) const OFFICER: &str = "officer-7";
/// Another person of the importing customs service.
pub(crate) const SECOND_OFFICER: &str = "officer-8";
/// Most strides in which time goes by.
const PASSES_MAX: u32 = 200;
/// Most documents that one step may set in motion.
const DELIVERIES_MAX: usize = 100;

pub(crate) fn member(text: &str) -> MemberId {
    text.parse().expect("a member id")
}

pub(crate) fn customs_of(nation: Instance) -> MemberId {
    member(if nation.as_str() == "AZ" { "AZ/GOV/SCC/customs" } else { "PK/GOV/FBR/customs" })
}

pub(crate) fn issuer_of(nation: Instance) -> MemberId {
    member(if nation.as_str() == "AZ" { "AZ/GOV/AAMCC/origin" } else { "PK/GOV/TDAP/origin" })
}

/// Imports the rates of the samples, on a thread of its own since tests are asynchronous.
fn import_rates(store: &Store, nation: Instance, now: Timestamp) {
    let Some(text) = samples::rates(nation) else { return };
    let store = store.clone();
    let importing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(store.write(move |tx| rates::import(tx, text, "samples", now).map(drop)))
    });
    importing.join().expect("no panic").expect("the rates of the samples are imported");
}

/// One nation's customs service on its own store.
pub(crate) struct Side {
    pub(crate) nation: Instance,
    pub(crate) bench: Bench,
    customs: Arc<Customs>,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Side {
    fn new(
        (nation, partner): (Instance, Instance),
        now: Timestamp,
        terms: &Terms,
        with_rates: bool,
    ) -> Self {
        let customs = Customs::new(Config {
            customs: customs_of(nation),
            issuers: vec![issuer_of(nation)],
            partner: customs_of(partner),
            agreement: "AZ-PK-PTA".to_owned(),
            sharing_level: SharingLevel::L2,
            go_live: "2025-01-01".parse().expect("a date"),
            compare_every_seconds: None,
            filed_late_days: None,
        })
        .expect("the shipped rules load")
        .with_ledger_terms(terms.clone());
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(folder.path(), customs.migrations()).expect("a store");
        let (customs, store) = (Arc::new(customs), Store::new(store));
        if with_rates {
            import_rates(&store, nation, now);
        }
        let bench = Bench::new(customs.clone(), store.clone(), now);
        Self { nation, bench, customs, store, _folder: folder }
    }

    /// The sub-system itself.
    pub(crate) fn customs(&self) -> &Customs {
        &self.customs
    }

    /// Its store.
    pub(crate) fn store(&self) -> Store {
        self.store.clone()
    }

    /// Another office of the same service on the same store.
    pub(crate) fn twin(&self) -> Bench {
        // A second later, so that both offices give different exchange ids.
        let now = self.bench.now.plus(Duration::from_secs(1));
        Bench::new(self.customs.clone(), self.store.clone(), now)
    }
}

/// Both sides. What one sends, the other gets before anything else happens.
pub(crate) struct Exchange {
    pub(crate) az: Side,
    pub(crate) pk: Side,
    /// Everything that was sent, in order.
    pub(crate) sent: Vec<Outgoing>,
    /// Whether what is sent is lost.
    pub(crate) is_cut: bool,
}

impl Exchange {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self::under(now, &Terms::shipped().expect("the shipped terms load"))
    }

    /// Both sides under other terms of the ledger.
    pub(crate) fn under(now: Timestamp, terms: &Terms) -> Self {
        Self::made(now, terms, true)
    }

    /// Both sides without exchange rates.
    pub(crate) fn without_rates(now: Timestamp) -> Self {
        Self::made(now, &Terms::shipped().expect("the shipped terms load"), false)
    }

    fn made(now: Timestamp, terms: &Terms, rates: bool) -> Self {
        let (az, pk) = ("AZ".parse().expect("AZ"), "PK".parse().expect("PK"));
        let side = |nations| Side::new(nations, now, terms, rates);
        let (az, pk) = (side((az, pk)), side((pk, az)));
        Self { az, pk, sent: Vec::new(), is_cut: false }
    }

    pub(crate) fn side(&mut self, nation: Instance) -> &mut Side {
        if self.az.nation == nation { &mut self.az } else { &mut self.pk }
    }

    /// Calls an operation and delivers what follows from it.
    pub(crate) async fn act(
        &mut self,
        member: &MemberId,
        operation: &str,
        input: Value,
    ) -> Result<Value, Rejection> {
        self.act_as((member, OFFICER), operation, input).await
    }

    /// Calls an operation as a person of a member and delivers what follows from it.
    pub(crate) async fn act_as(
        &mut self,
        (member, user): (&MemberId, &str),
        operation: &str,
        input: Value,
    ) -> Result<Value, Rejection> {
        let caller = Caller {
            member: member.clone(),
            user: user.to_owned(),
            permissions: vec!["*".to_owned()],
        };
        let side = self.side(member.instance());
        let reads = side.customs.operations().iter().any(|o| o.name == operation && !o.writes);
        let bench = &mut side.bench;
        bench.now = bench.now.plus(Duration::from_mins(1));
        if reads {
            return bench.query(&caller, operation, input).await;
        }
        let (output, outgoing) = bench.operate(&caller, operation, input).await?;
        self.deliver(outgoing).await;
        Ok(output)
    }

    /// Delivers documents and the answers to them until nothing is on the way.
    pub(crate) async fn deliver(&mut self, outgoing: Vec<Outgoing>) {
        if self.is_cut {
            return;
        }
        let mut wire = VecDeque::from(outgoing);
        for _ in 0..DELIVERIES_MAX {
            let Some(document) = wire.pop_front() else { return };
            let answers = self.hand_over(&document).await.expect("accepted by the kernel");
            self.receipt(&document).await;
            self.sent.push(document);
            wire.extend(answers);
        }
        panic!("the two sides never stop answering each other");
    }

    /// Brings the receipts of a document back to its sender.
    pub(crate) async fn receipt(&mut self, document: &Outgoing) {
        let by = format!("{}/node/main", document.recipient.instance()).parse().expect("a node");
        let bench = &mut self.side(document.sender.instance()).bench;
        for news in [News::Stored { by }, News::HandedOver] {
            bench.progressed(document, news).await.expect("taken up");
        }
    }

    /// Lets time go by on both sides, doing what falls due, in at most [`PASSES_MAX`] strides of an
    /// hour or more.
    pub(crate) async fn wait(&mut self, duration: Duration) {
        let strides = u32::try_from(duration.as_secs() / 3600).unwrap_or(PASSES_MAX);
        let strides = strides.clamp(1, PASSES_MAX);
        for _ in 0..strides {
            for nation in [self.az.nation, self.pk.nation] {
                let bench = &mut self.side(nation).bench;
                bench.now = bench.now.plus(duration / strides);
                let sent = bench.run_due().await.expect("what is due is done");
                self.deliver(sent).await;
            }
        }
    }

    /// Hands one document to the side of its recipient, from a sender with its usual roles.
    pub(crate) async fn hand_over(
        &mut self,
        document: &Outgoing,
    ) -> Result<Vec<Outgoing>, Rejection> {
        self.hand_over_as(document, None).await
    }

    /// Hands one document to the side of its recipient, from a sender with these roles.
    pub(crate) async fn hand_over_as(
        &mut self,
        document: &Outgoing,
        roles: Option<&[&str]>,
    ) -> Result<Vec<Outgoing>, Rejection> {
        let issuer = document.sender == issuer_of(document.sender.instance());
        let usual: &[&str] = if issuer { &[ISSUER_ROLE] } else { &[] };
        let roles = roles.unwrap_or(usual);
        let (sender, recipient) = (document.sender.clone(), document.recipient.clone());
        let bench = &mut self.side(recipient.instance()).bench;
        bench.receive(&sender, roles, &recipient, document.code, &document.body).await
    }

    /// Plays one step; returns its output or refusal.
    pub(crate) async fn play(
        &mut self,
        consignment: &Consignment,
        step: &Step,
    ) -> Result<Value, Rejection> {
        let actor = match step.actor {
            Actor::Issuer => issuer_of(consignment.from),
            Actor::ExportCustoms => customs_of(consignment.from),
            Actor::ImportCustoms | Actor::SecondOfficer => customs_of(consignment.to),
        };
        let user = if step.actor == Actor::SecondOfficer { SECOND_OFFICER } else { OFFICER };
        self.act_as((&actor, user), &step.operation, step.input.clone()).await
    }
}
