//! Who may send which document to whom.
//!
//! A cancellation and an amendment count as the document that they are about.
//!
//! A refusal here is an alarm for the operators of both sides: the node of the sender should not
//! have let it through.

use karvan_subsystem::{Document, Rejection};
use karvan_types::ErrorKind;

use super::answer::refuse;
use super::{Customs, ISSUER_ROLE};
use crate::messages::{DocumentType, Message};

/// Members of a nation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Who {
    /// Its customs service.
    Customs,
    /// A member with the role of an issuer.
    Issuer,
    /// Its customs service or an issuer.
    Either,
    /// Any member.
    Anyone,
}

/// What passes between the two nations: document, sender, recipient.
const RIGHTS: [(DocumentType, Who, Who); 11] = [
    (DocumentType::Certificate, Who::Issuer, Who::Customs),
    (DocumentType::Export, Who::Customs, Who::Customs),
    (DocumentType::Transport, Who::Customs, Who::Customs),
    (DocumentType::Utilisation, Who::Customs, Who::Anyone),
    (DocumentType::Validation, Who::Anyone, Who::Anyone),
    (DocumentType::Query, Who::Customs, Who::Either),
    (DocumentType::Response, Who::Either, Who::Customs),
    (DocumentType::Ledger, Who::Customs, Who::Customs),
    (DocumentType::Sequence, Who::Customs, Who::Customs),
    (DocumentType::Mirror, Who::Customs, Who::Customs),
    (DocumentType::Commitment, Who::Customs, Who::Customs),
];

/// Refuses a document that its sender may not send to this recipient. Returns whether the sender is
/// known to have the role that the document needs: a certificate of a member that is not known as
/// an issuer is kept until that is cleared up, since it may be the list that is out of date.
pub(super) fn check(
    customs: &Customs,
    document: &Document<'_>,
    message: &Message,
) -> Result<bool, Rejection> {
    let config = &customs.config;
    let (sender, recipient) = (document.sender, document.recipient);
    if sender.instance() != config.partner_nation() {
        let text = format!("{sender} does not belong to the partner of this exchange");
        return Err(refuse(ErrorKind::Forbidden, "wrong-sender", text));
    }
    let about = match message {
        Message::Cancellation(content) => content.document.document_type.as_str(),
        Message::Amendment(content) => content.document.document_type.as_str(),
        other => other.document_type().code(),
    };
    let right = RIGHTS.iter().find(|(kind, _, _)| kind.code() == about);
    let Some(&(_, from, to)) = right else {
        let kinds: Vec<_> = RIGHTS.iter().map(|(kind, _, _)| kind.code()).collect();
        let text = format!(
            "{about} documents are not exchanged; use {}, or CXL and AMD about them",
            kinds.join(", ")
        );
        return Err(refuse(ErrorKind::Invalid, "wrong-document", text));
    };
    let is_customs = *sender == config.partner;
    let is_issuer = document.sender_roles.iter().any(|role| role == ISSUER_ROLE);
    match from {
        Who::Customs if !is_customs => {
            let text = format!("only {} may send {about} documents here", config.partner);
            return Err(refuse(ErrorKind::Forbidden, "wrong-sender", text));
        }
        Who::Either if !is_customs && !is_issuer => {
            let text = format!("{sender} is neither a customs service nor an issuer");
            return Err(refuse(ErrorKind::Forbidden, "wrong-sender", text));
        }
        _ => {}
    }
    let fits = match to {
        Who::Customs => *recipient == config.customs,
        Who::Issuer => config.issuers.contains(recipient),
        Who::Either => *recipient == config.customs || config.issuers.contains(recipient),
        Who::Anyone => true,
    };
    if !fits {
        let text = format!("{about} documents are for {}, not for another member", config.customs);
        return Err(refuse(ErrorKind::Invalid, "wrong-recipient", text));
    }
    Ok(from != Who::Issuer || is_issuer)
}
