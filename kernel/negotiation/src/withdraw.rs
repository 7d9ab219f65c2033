//! Ending an agreement before its time: signed by one side, acknowledged by the other.
//!
//! The member that ends it signs a statement (`karvan-withdrawal+jws`); its node closes at once and
//! sends the statement until the other side's node has signed it too. Both log the same bytes.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::{Method, StatusCode};
use karvan_agreements::signed::{WITHDRAWAL_TYP, Withdrawal};
use karvan_dataspace::negotiation::State;
use karvan_store::{Range, Tx};
use karvan_trust::document::unverified_payload;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{AgreementRef, ErrorKind, MemberId, NodeId, json};

use crate::Error;
use crate::courier::WITHDRAWAL_PREFIX;
use crate::engine::{AGREEMENT_PROCESSES_MAX, Engine};
use crate::http::{json as answer, read};
use crate::identity::participant_of;
use crate::line::BASE_PATH;
use crate::records::{Direction, Message, Process, Sending, Stage};
use crate::terms::odrl_id;

/// Where withdrawals are sent.
pub(crate) const PATH: &str = "/karvan/v1/withdrawals";

impl Engine {
    /// Ends an agreement in the name of a member that is a party; closed here when it resolves, at
    /// the other side as soon as it can be reached.
    pub async fn withdraw(
        self: &Arc<Self>,
        name: &AgreementRef,
        by: &MemberId,
        reason: &str,
        replaced_by: Option<AgreementRef>,
    ) -> Result<(), Error> {
        let book = self.node.agreements().book();
        let entry = book.get(name).ok_or_else(|| Error::unknown("agreement", &name.to_string()))?;
        let parties = entry.agreement.parties();
        let own = parties.iter().find(|party| party.member() == by.member()).ok_or_else(|| {
            Error::new(ErrorKind::Forbidden, "not-a-party", format!("{by} is no party to {name}"))
        })?;
        let now = self.node.now();
        let reason = reason.to_owned();
        let withdrawal =
            Withdrawal { agreement: name.clone(), by: own.clone(), at: now, reason, replaced_by };
        let document = self.node.sign_as_member(own, WITHDRAWAL_TYP, &withdrawal, None)?;
        self.node.install_withdrawal(&document).await?;
        let body = String::from_utf8(document).map_err(|error| {
            Error::new(ErrorKind::Internal, "signing-failed", error.to_string())
        })?;
        let others = parties.iter().filter(|party| self.node.member_key(party).is_err());
        let mut rows = Vec::new();
        for party in others {
            rows.push(self.row(name, own, party, &body)?);
        }
        self.node
            .store()
            .write(move |tx: &mut dyn Tx| -> Result<(), Error> {
                for mut row in rows {
                    row.leaf = Self::log(tx, row.body.as_bytes(), None, &row.salt)?;
                    row.number = tx.next("dataspace-message")?;
                    tx.add(&row)?;
                }
                Ok(())
            })
            .await?;
        self.wake.notify_one();
        Ok(())
    }

    fn row(
        &self,
        name: &AgreementRef,
        own: &MemberId,
        party: &MemberId,
        body: &str,
    ) -> Result<Message, Error> {
        let (now, to) = (self.node.now(), participant_of(party));
        let address = self.line.address_of(&to)?;
        Ok(Message {
            number: 0,
            process: format!("{WITHDRAWAL_PREFIX}{}", name.digest),
            direction: Direction::Out,
            id: None,
            kind: "Withdrawal".to_owned(),
            from: participant_of(own),
            to,
            address: address.strip_suffix(BASE_PATH).unwrap_or(&address).to_owned(),
            path: PATH.to_owned(),
            body: body.to_owned(),
            headers: Vec::new(),
            signed: None,
            salt: self.new_id(now),
            leaf: karvan_exchange::records::LeafRef {
                kind: String::new(),
                index: 0,
                entry: String::new(),
            },
            by: None,
            stage: None,
            moves: 0,
            at: now,
            delivered_at: None,
            sending: Some(Sending { due_at: now, attempts: 0, before: None }),
            trouble: None,
        })
    }

    /// Takes a withdrawal of the other side, and signs that it is known here.
    async fn take_withdrawal(&self, document: &[u8]) -> Result<Vec<u8>, Error> {
        self.open_replacement(document).await?;
        let opened = self.node.install_withdrawal(document).await?;
        let withdrawal = opened.withdrawal;
        let book = self.node.agreements().book();
        let entry = book.get(&withdrawal.agreement);
        let parties = entry.map(|entry| entry.agreement.parties()).unwrap_or_default();
        let own = parties.iter().find(|party| self.node.member_key(party).is_ok());
        let own = own.ok_or_else(|| Error::unknown("party of this node", "withdrawal"))?;
        let signed = self.node.sign_as_member(own, WITHDRAWAL_TYP, &withdrawal, Some(document))?;
        self.node.install_withdrawal(&signed).await?;
        Ok(signed)
    }
}

impl Engine {
    /// Puts the agreement in force that takes the place of the withdrawn one, when both sides have
    /// signed it: the end of the old one may overtake the last message about the new one.
    async fn open_replacement(&self, document: &[u8]) -> Result<(), Error> {
        let payload = unverified_payload(document, LIST_BYTES_MAX).unwrap_or_default();
        let withdrawal = json::from_slice::<Withdrawal>(&payload).ok();
        let Some(new) = withdrawal.and_then(|withdrawal| withdrawal.replaced_by) else {
            return Ok(());
        };
        let agreement = odrl_id(&new.id, new.version);
        let range = Range::of("agreement", vec![agreement.into()], AGREEMENT_PROCESSES_MAX);
        let known = self.node.store().read(move |view| view.select::<Process>(&range)).await?;
        let verified = Stage::Negotiation(State::Verified);
        for process in known.into_iter().filter(|process| process.stage == verified) {
            self.put_in_force(&process.pid).await?;
        }
        Ok(())
    }
}

/// Answers a withdrawal.
pub(crate) async fn serve(
    engine: &Arc<Engine>,
    from: Option<NodeId>,
    request: Request,
) -> Response {
    let outcome = async {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Err(Error::unknown("method", head.method.as_str()));
        }
        // Whoever brings it: what counts is who has signed it.
        engine.identity.authenticate(from.as_ref(), &head.headers)?;
        let body = read(body).await?;
        engine.take_withdrawal(&body).await
    };
    match outcome.await {
        Ok(signed) => answer(StatusCode::OK, signed),
        Err(error) => {
            let body = serde_json::json!({ "code": error.code(), "detail": error.to_string() });
            answer(error.status(), json::canonical(&body).unwrap_or_default())
        }
    }
}
