//! Refusals of the provider's node: signed and logged like answers.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use karvan_exchange::client::{Body, full};
use karvan_exchange::wire::{Link, link_of};
use karvan_store::Error;
use karvan_subsystem::Rejection;
use karvan_types::{NodeId, Timestamp};
use karvan_xroad::{Spelling, header};

use crate::evidence;
use crate::gateway::{Begun, Inner, Story};
use crate::metrics::{self, Record};
use crate::records::{Call, Outcome};
use crate::wire::{self, CallField, Refusal};

impl Inner {
    /// Refuses a verified call: signed, stored unless the id is taken, logged.
    pub(super) async fn refuse(
        self: &Arc<Self>,
        refusal: Refusal,
        (call, begun): (Option<Call>, Option<Begun>),
        link: &Link,
        head: bool,
    ) -> Response<Body> {
        let now = self.node.now();
        let signed = match self.sign_refusal(&refusal, link, head, now) {
            Ok(signed) => signed,
            Err(rejection) => return unsigned(&rejection),
        };
        let (status, half) = (refusal.status(), signed.half);
        // The system may have acted, so the call ends as it is: unanswered. What comes again under
        // its id is refused, whatever became of the first.
        let unanswered = refusal.sent && begun.is_some();
        let change = move |call: &mut Call| {
            call.cause = Some(refusal.rejection);
            if unanswered {
                return;
            }
            call.outcome = Outcome::Refused;
            call.status = Some(status);
            call.response = Some(half);
        };
        let ended = match (begun, call) {
            (Some(begun), _) => begun.end(change).await,
            (None, Some(mut call)) => {
                change(&mut call);
                self.node.store().write(move |tx| evidence::refuse(tx, call)).await
            }
            // Its end could not be written, which is why it is refused.
            (None, None) => Ok(()),
        };
        if let Err(error) = ended {
            tracing::error!("a refusal could not be logged: {error}");
        }
        signed.response
    }

    /// Refuses what proves nothing: signed and logged, not stored.
    pub(super) async fn refuse_unread(
        &self,
        from: &NodeId,
        head: &Parts,
        refusal: &Refusal,
        now: Timestamp,
    ) -> Response<Body> {
        let said = |name| wire::text(&head.headers, name);
        tracing::warn!(
            peer.id = %from,
            exchange.id = said("karvan-exchange-id"),
            message.id = said(header::ID),
            client = said(header::CLIENT),
            refusal.code = refusal.rejection.code,
            "call refused: {}", refusal.rejection.text
        );
        let salt = wire::text(&head.headers, "karvan-call");
        let salt = salt.and_then(|field| CallField::read(field).ok()?.salt);
        let link = Link { salt: salt.unwrap_or_default().to_owned(), ..link_of(head) };
        let is_head = head.method == http::Method::HEAD;
        let fault = refusal.code.text(Spelling::Snake);
        // Who asked is not proven, so nobody but the node is named.
        self.metrics.observe(&Record {
            peer: Some(from),
            method: head.method.as_str(),
            status: refusal.status(),
            fault: Some((&fault, &refusal.rejection.text)),
            ..Story::new(now).record(metrics::Side::Provider, None, now)
        });
        let signed = match self.sign_refusal(refusal, &link, is_head, now) {
            Ok(signed) => signed,
            Err(rejection) => return unsigned(&rejection),
        };
        let statement = evidence::refusal_statement(&link.salt, &signed.half);
        let logged: Result<_, Error> = self
            .node
            .store()
            .write(move |tx| karvan_exchange::evidence::record(tx, evidence::REFUSAL, statement))
            .await;
        if let Err(error) = logged {
            tracing::error!("a refusal could not be logged: {error}");
        }
        signed.response
    }
}

/// Answers when not even a refusal can be signed.
fn unsigned(rejection: &Rejection) -> Response<Body> {
    tracing::error!("a refusal could not be signed: {rejection}");
    let mut bare = Response::new(full("this node cannot sign answers now\n"));
    *bare.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    bare.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    bare
}
