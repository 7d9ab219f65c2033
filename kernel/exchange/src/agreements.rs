//! Agreements that come and go while the node runs: durable and logged first, then in force.
//!
//! Invariants: what the book allows is in the store and in the evidence log's queue before; both
//! nodes log the same bytes for the same agreement and the same withdrawal; an agreement that was
//! withdrawn stays so after a restart, whichever way it came here. Of several withdrawals the one
//! with the earliest instant counts on both nodes, in whatever order they came.
//!
//! Not here: what an agreement says and who must sign it (`karvan_agreements`), how two sides come
//! to one (`kernel/negotiation`).

use karvan_agreements::signed::{self, SignedWithdrawal, Withdrawal};
use karvan_agreements::{AGREEMENTS_MAX, Agreement, AgreementBook};
use karvan_store::{Range, Record, Table, Tx, Value};
use karvan_subsystem::{Caller, Rejection};
use karvan_trust::document::{add_signature, sign_document, unverified_payload};
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{AgreementRef, Digest, ErrorKind, Instance, MemberId, Timestamp, json};
use serde::{Deserialize, Serialize};

use crate::node::Node;
use crate::records::{AGREEMENT, Envelope};
use crate::{Error, evidence};

/// Most statements that withdraw an agreement that is withdrawn already.
const LATER_WITHDRAWALS_MAX: usize = 64;

/// How an agreement came here.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// From the operator's folder; without its file it is not in force.
    File,
    /// Installed or negotiated while the node ran; kept in the store.
    Store,
}

/// An agreement as the node keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Agreed {
    /// Its name.
    pub name: AgreementRef,
    /// How it came here.
    pub source: Source,
    /// When.
    pub at: Timestamp,
    /// The signed document.
    pub document: String,
    /// Its end before time, if a party has withdrawn it: of several statements the first by their
    /// own instants.
    pub withdrawn: Option<Withdrawn>,
    /// Digests of the other statements that came, each in the log.
    pub later_withdrawals: Vec<Digest>,
}

/// A withdrawal as the node keeps it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Withdrawn {
    /// First instant at which the agreement allows nothing.
    pub at: Timestamp,
    /// Who withdrew it.
    pub by: MemberId,
    /// Why.
    pub reason: String,
    /// Digest of the statement's canonical text.
    pub digest: Digest,
    /// The nations that have signed the withdrawal.
    pub signed_by: Vec<Instance>,
    /// The signed statement.
    pub document: String,
}

impl Record for Agreed {
    const TABLE: &'static Table = &AGREEMENT;

    fn key(&self) -> Value {
        self.name.digest.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// What became of an agreement that was handed in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Its name.
    pub agreement: AgreementRef,
    /// Whether it is known to this node and signed by all.
    pub installed: bool,
    /// The nations that have still to sign.
    pub missing: Vec<Instance>,
    /// The document with the signatures so far.
    pub document: String,
}

fn refused(error: &karvan_agreements::Error) -> Rejection {
    Rejection::new(error.kind(), "agreement-refused", error.to_string())
}

fn text(document: &[u8]) -> Result<String, Rejection> {
    let text = std::str::from_utf8(document).map_err(|error| {
        Rejection::new(ErrorKind::Invalid, "agreement-refused", format!("no text: {error}"))
    })?;
    Ok(text.to_owned())
}

impl Node {
    /// Puts agreements from files in force, beside those that the store keeps, and logs each that
    /// is new. One that was read before and is missing now is no longer in force.
    pub async fn load_agreements(&self, files: AgreementBook) -> Result<(), Error> {
        let _one = self.0.agreeing.lock().await;
        let mut book = files;
        let now = self.now();
        let mut fresh = Vec::new();
        for entry in book.iter() {
            let document = String::from_utf8_lossy(&entry.document).into_owned();
            let (name, source) = (entry.name.clone(), Source::File);
            fresh.push(Agreed {
                name,
                source,
                at: now,
                document,
                withdrawn: None,
                later_withdrawals: Vec::new(),
            });
        }
        let known = self
            .store()
            .write(move |tx| -> Result<Vec<Agreed>, karvan_store::Error> {
                for agreed in fresh {
                    if tx.find::<Agreed>(agreed.key())?.is_none() {
                        log(tx, &agreed)?;
                    }
                }
                tx.select::<Agreed>(&Range::all(AGREEMENTS_MAX))
            })
            .await?;
        for agreed in known {
            let payload = unverified_payload(agreed.document.as_bytes(), LIST_BYTES_MAX)?;
            // It was verified when it came, with the lists of that time.
            let agreement: Agreement = json::from_slice(&payload).map_err(|error| {
                Error::Config(format!("the stored agreement {} is damaged: {error}", agreed.name))
            })?;
            if agreed.source == Source::Store {
                book.add(agreement, agreed.name.digest, agreed.document.into_bytes());
            }
            if let Some(withdrawn) = &agreed.withdrawn {
                book.withdraw(&agreed.name, withdrawn.at);
            }
        }
        self.agreements().replace(&book);
        Ok(())
    }

    /// Takes an agreement that all sides have signed; durable, logged and in force when it
    /// resolves. One that is known already is no error.
    pub async fn install_agreement(&self, document: &[u8]) -> Result<AgreementRef, Rejection> {
        let _one = self.0.agreeing.lock().await;
        let now = self.now();
        let opened = signed::open(document, &self.lists(), now);
        let (agreement, digest) = opened.map_err(|error| refused(&error))?;
        let name = agreement.name(digest);
        let agreed = Agreed {
            name: name.clone(),
            source: Source::Store,
            at: now,
            document: text(document)?,
            withdrawn: None,
            later_withdrawals: Vec::new(),
        };
        let stored = agreed.clone();
        self.store().write(move |tx| install(tx, &stored)).await?;
        let document = agreed.document.into_bytes();
        self.agreements().change(|book| {
            book.add(agreement.clone(), digest, document.clone());
        });
        tracing::info!(agreement = %name, "agreement in force");
        Ok(name)
    }

    /// Takes a signed withdrawal; durable, logged and in effect when it resolves. Taken again with
    /// more signatures, it is kept with them. Another statement about the same agreement is logged
    /// too; it replaces the one that is kept only when its own instant is earlier.
    pub async fn install_withdrawal(&self, document: &[u8]) -> Result<SignedWithdrawal, Rejection> {
        let _one = self.0.agreeing.lock().await;
        let now = self.now();
        let unknown = |text: String| Rejection::new(ErrorKind::NotFound, "agreement-unknown", text);
        let payload =
            unverified_payload(document, LIST_BYTES_MAX).map_err(|error| refused(&error.into()))?;
        let claimed: Withdrawal = json::from_slice(&payload).map_err(|error| {
            Rejection::new(ErrorKind::Invalid, "withdrawal", format!("no withdrawal: {error}"))
        })?;
        let book = self.agreements().book();
        let entry = book
            .get(&claimed.agreement)
            .ok_or_else(|| unknown(format!("agreement {} is not known here", claimed.agreement)))?;
        let opened = signed::open_withdrawal(document, &entry.agreement, &self.lists(), now)
            .map_err(|error| refused(&error))?;
        let withdrawn = Withdrawn {
            at: opened.withdrawal.at,
            by: opened.withdrawal.by.clone(),
            reason: opened.withdrawal.reason.clone(),
            digest: opened.digest,
            signed_by: opened.signed_by.iter().copied().collect(),
            document: text(document)?,
        };
        let name = claimed.agreement;
        let key = name.digest.to_string();
        let at = self
            .store()
            .write(move |tx| -> Result<Timestamp, Rejection> {
                let agreed = tx.find::<Agreed>(key)?;
                keep_withdrawal(tx, agreed.ok_or_else(not_stored)?, withdrawn)
            })
            .await?;
        self.agreements().change(|book| {
            book.withdraw(&name, at);
        });
        tracing::info!(agreement = %name, "agreement withdrawn");
        Ok(opened)
    }

    /// Signs a document of kind `typ` as a member, or adds its signature to one that the other side
    /// has signed.
    pub fn sign_as_member<T: Serialize>(
        &self,
        member: &MemberId,
        typ: &str,
        content: &T,
        signed: Option<&[u8]>,
    ) -> Result<Vec<u8>, Rejection> {
        let key = self.member_key(member)?;
        let document = match signed {
            None => sign_document(typ, content, std::slice::from_ref(&key), self.keys()),
            Some(document) => add_signature(document, typ, &key, self.keys()),
        };
        document.map_err(|error| refused(&error.into()))
    }

    /// Returns an agreement that this node keeps, with its withdrawal if there is one.
    pub async fn agreed(&self, digest: Digest) -> Result<Option<Agreed>, Rejection> {
        Ok(self.store().read(move |view| view.find::<Agreed>(digest.to_string())).await?)
    }

    /// Takes an agreement for its caller: a draft, or a document that the other side has signed.
    /// Adds the signature of the caller's member when its nation's is missing, and installs the
    /// agreement when none is missing any more.
    pub(crate) async fn agree(&self, caller: &Caller, body: &[u8]) -> Result<Outcome, Rejection> {
        let invalid = |text: String| Rejection::new(ErrorKind::Invalid, "agreement-refused", text);
        let signed = unverified_payload(body, LIST_BYTES_MAX).ok();
        let payload = match &signed {
            Some(payload) => payload.clone(),
            None => json::parse(body)
                .and_then(|draft| json::canonical(&draft))
                .map_err(|error| invalid(format!("no agreement: {error}")))?,
        };
        let agreement: Agreement =
            json::from_slice(&payload).map_err(|e| invalid(format!("no agreement: {e}")))?;
        agreement.check().map_err(|error| refused(&error))?;
        let (now, typ) = (self.now(), signed::AGREEMENT_TYP);
        let signers = match &signed {
            Some(_) => {
                let verified = signed::verify(body, &self.lists(), now);
                verified.map_err(|error| refused(&error))?.signers
            }
            None => Vec::new(),
        };
        let mut missing = signed::unsigned(&agreement, &signers);
        let own = caller.member.instance();
        let mut document = body.to_vec();
        if missing.contains(&own) {
            let parties = agreement.parties();
            let party = parties.iter().find(|party| party.member() == caller.member.member());
            let party = party.ok_or_else(|| {
                let text = format!("{} is no party to the agreement", caller.member);
                Rejection::new(ErrorKind::Forbidden, "not-a-party", text)
            })?;
            let known = signed.as_ref().map(|_| body);
            document = self.sign_as_member(party, typ, &agreement, known)?;
            missing.retain(|nation| *nation != own);
        }
        if missing.is_empty() {
            self.install_agreement(&document).await?;
        }
        let canonical = json::canonical(&agreement).map_err(|error| invalid(error.to_string()))?;
        Ok(Outcome {
            agreement: agreement.name(Digest::of(&canonical)),
            installed: missing.is_empty(),
            missing,
            document: text(&document)?,
        })
    }
}

fn log(tx: &mut dyn Tx, agreed: &Agreed) -> Result<(), karvan_store::Error> {
    evidence::record(tx, evidence::AGREEMENT, agreed.name.digest)?;
    tx.save(agreed)
}

/// Returns what the agreement says that a document names, which must be in force and cover it.
pub(crate) fn terms<'a>(
    book: &'a AgreementBook,
    envelope: &Envelope,
    now: Timestamp,
) -> Result<&'a Agreement, Rejection> {
    let Envelope { agreement, sender, recipient, code, .. } = envelope;
    Ok(&book.check_document(agreement, sender, recipient, code, now)?.entry.agreement)
}

fn not_stored() -> Rejection {
    let text = "the agreement is not in the store";
    Rejection::new(ErrorKind::NotFound, "agreement-unknown", text)
}

/// Logs a statement that is new, and keeps the one that ends the agreement first; returns when.
fn keep_withdrawal(
    tx: &mut dyn Tx,
    mut agreed: Agreed,
    new: Withdrawn,
) -> Result<Timestamp, Rejection> {
    let known = agreed.withdrawn.as_ref().is_some_and(|kept| kept.digest == new.digest)
        || agreed.later_withdrawals.contains(&new.digest);
    if !known {
        if agreed.later_withdrawals.len() >= LATER_WITHDRAWALS_MAX {
            let text = "the agreement was withdrawn often enough; it is over";
            return Err(Rejection::new(ErrorKind::Conflict, "agreement-withdrawn", text));
        }
        evidence::record(tx, evidence::WITHDRAWAL, new.digest)?;
    }
    let first =
        match agreed.withdrawn.take() {
            None => new,
            Some(kept) if kept.digest == new.digest => {
                if new.signed_by.len() > kept.signed_by.len() { new } else { kept }
            }
            Some(kept) => {
                // Digests decide between two of one instant, so that both nodes keep the same.
                let (first, later) = if (new.at, new.digest) < (kept.at, kept.digest) {
                    (new, kept.digest)
                } else {
                    (kept, new.digest)
                };
                agreed
                    .later_withdrawals
                    .retain(|digest| *digest != first.digest && *digest != later);
                agreed.later_withdrawals.push(later);
                first
            }
        };
    let at = first.at;
    agreed.withdrawn = Some(first);
    tx.save(&agreed)?;
    Ok(at)
}

fn install(tx: &mut dyn Tx, agreed: &Agreed) -> Result<(), Rejection> {
    if let Some(mut known) = tx.find::<Agreed>(agreed.key())? {
        // Its file may go; from now on the store keeps it.
        if known.source == Source::File {
            known.source = Source::Store;
            tx.save(&known)?;
        }
        return Ok(());
    }
    let others = tx.select::<Agreed>(&Range::all(AGREEMENTS_MAX))?;
    if others.len() >= AGREEMENTS_MAX {
        let text = format!("this node keeps at most {AGREEMENTS_MAX} agreements");
        return Err(Rejection::new(ErrorKind::TooLarge, "agreements-full", text));
    }
    let name = &agreed.name;
    if others.iter().any(|other| other.name.id == name.id && other.name.version == name.version) {
        let text = format!(
            "another text is agreed as {} version {}; count the version up",
            name.id, name.version
        );
        return Err(Rejection::new(ErrorKind::Conflict, "agreement-exists", text));
    }
    log(tx, agreed)?;
    Ok(())
}
