//! Properties of the readers of customs: what is accepted is written and read again as the same,
//! or the difference is listed; lists of losses keep their bound.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_customs::edifact::{Charset, Content, Directory, Envelope, Received};
use karvan_customs::formats::{self, Document, Format, LOSSES_MAX, Loss, Target};
use karvan_customs::messages::{DocumentType, Message, SharingLevel};
use karvan_customs::paper::check::{self, Question, Signed};
use karvan_customs::paper::qr::read_image;
use karvan_customs::paper::token::{TOKEN_CHARS_MAX, compact, expand};
use karvan_customs::wco::Context;
use karvan_customs::{edifact, uncefact};
use karvan_types::Timestamp;

/// An instant at which every message is read; part of no property.
const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// What the receiver knows.
pub(crate) fn context() -> Context<'static> {
    Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: NOW,
        subject: DocumentType::Export,
    }
}

/// How interchanges are written; every character has a place.
pub(crate) fn envelope() -> Envelope<'static> {
    let (sender, recipient, reference) = ("AZ", "PK", "1");
    Envelope { charset: Charset::Y, sender, recipient, reference, prepared_at: NOW }
}

/// Each message that is taken is written in both directories. What is lost by writing is listed,
/// and lost once: the second writing is whole.
pub fn edifact(bytes: &[u8]) {
    let Ok(Received { messages, control }) = edifact::receive(bytes, context()) else { return };
    let answer = control.write(&envelope());
    if let Ok(answer) = answer {
        let mut reader = edifact::Reader::open(answer.as_slice()).expect("an answer is read");
        assert!(reader.next_message(&mut edifact::Message::default()).expect("CONTRL"));
    }
    for imported in messages {
        assert!(imported.not_carried_over.len() <= LOSSES_MAX);
        for directory in Directory::ALL {
            edifact_again(&imported.content, directory);
        }
    }
}

fn edifact_again(content: &Content, directory: Directory) {
    // A required value may be too wide for one directory.
    let Ok(written) = edifact::write(content, directory, &envelope()) else { return };
    let read = |bytes: &[u8]| {
        let mut received = edifact::receive(bytes, context()).expect("what was written is read");
        assert!(received.control.is_clean(), "{:?}", received.control.verdicts);
        received.messages.pop().expect("a message").content
    };
    let back = read(&written.bytes);
    if written.losses.is_empty() {
        assert_eq!(&back, content);
    }
    let again = edifact::write(&back, directory, &envelope()).expect("written again");
    assert_eq!(read(&again.bytes), back, "{:?}", again.losses);
}

/// A declaration, amendment or response comes back from XML as it was read, or with its losses
/// listed.
pub fn wco(bytes: &[u8]) {
    round(bytes, Format::Wco, &Target::Wco);
}

/// An image is read within its bounds, or refused.
pub fn image(bytes: &[u8]) {
    if let Ok(texts) = read_image(bytes) {
        assert!(!texts.is_empty());
    }
}

/// A certificate comes back as it was read.
pub fn certificate(bytes: &[u8]) {
    let Ok(imported) = uncefact::import(bytes) else { return };
    assert!(imported.not_carried_over.len() <= LOSSES_MAX);
    round(bytes, Format::Coo, &Target::Coo);
}

fn round(bytes: &[u8], format: Format, target: &Target<'_>) {
    let Ok(contents) = formats::read(bytes, format, context()) else { return };
    for read in contents.documents {
        assert!(read.not_carried_over.len() <= LOSSES_MAX);
        let Ok((text, losses)) = formats::write(&read.document, target) else { continue };
        let back = one(&text, format);
        // The receiver supplies these, the same ones each time.
        let ours = |loss: &Loss| ["agreementID", "sharingLevel"].contains(&loss.field.as_str());
        if losses.iter().all(ours) {
            assert_eq!(back, read.document);
        }
        let (again, _) = formats::write(&back, target).expect("written again");
        assert_eq!(one(&again, format), back);
    }
}

fn one(text: &[u8], format: Format) -> Document {
    let contents = formats::read(text, format, context()).expect("what was written is read");
    contents.documents.into_iter().next().expect("a document").document
}

/// A message that is read is written canonically, read again equal, and written as the same bytes.
pub fn json(bytes: &[u8]) {
    let Ok(contents) = formats::read(bytes, Format::Json, context()) else { return };
    for read in contents.documents {
        let Document::Message(message) = read.document else { continue };
        let text = message.to_canonical().expect("a canonical form");
        let code = message.document_type().code();
        let back = Message::parse(code, &text).expect("a canonical message is read");
        assert_eq!(back, message);
        assert_eq!(back.to_canonical().expect("a canonical form"), text);
        // Whatever it says, it is judged, and written in the formats that have it or refused.
        let _ = karvan_customs::validate::validate(&back, NOW);
        let document = Document::Message(back);
        for target in [Target::Wco, Target::Edifact(Directory::D96B, envelope()), Target::Coo] {
            let _ = formats::write(&document, &target);
        }
    }
}

/// A token is one text of its three parts; whatever is claimed in it, there is a report.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(document) = expand(text, TOKEN_CHARS_MAX) {
        assert!(text.trim().len() <= TOKEN_CHARS_MAX);
        assert_eq!(compact(&document).expect("a document of one signature"), text.trim());
    }
    let question =
        Question { token: text, status: None, certificate: None, sample_allowed: true, now: NOW };
    let report = check::check(&question, &|document, _| believed(document));
    assert!(!report.findings.is_empty());
}

/// Believes every signature, so that the claims behind it are reached.
fn believed(document: &[u8]) -> Result<Signed, String> {
    let text = compact(document).map_err(|error| error.to_string())?;
    let payload = text.split('.').nth(1).unwrap_or_default();
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|error| error.to_string())?;
    let member = "AZ/GOV/AACMC".parse().map_err(|_| "no member".to_owned())?;
    let (key, name) = ("key".to_owned(), "Issuer (fictitious)".to_owned());
    let (not_before, not_after) = (Timestamp::from_seconds(0), Timestamp::from_seconds(1 << 40));
    Ok(Signed {
        payload,
        key,
        member,
        name,
        is_issuer: true,
        not_before,
        not_after,
        list_ends: not_after,
    })
}
