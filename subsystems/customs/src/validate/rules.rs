//! Rules between the fields of one message.

mod certificate;
mod comparison;
mod declaration;
mod extension;
mod result;
mod transport;
mod verification;

use std::time::Duration;

pub(crate) use transport::is_locode;

use karvan_types::Timestamp;

use super::numbers::{Voen, normalise_ntn, voen};
use super::{Problems, Severity};
use crate::codes;
use crate::codes::editions::{EARLIER_EDITION, correlation};
use crate::messages::{
    ANSWER_TYPE_CODE, BALANCES_TYPE_CODE, CERTIFICATE_TYPE_CODE, COMMITMENT_TYPE_CODE,
    Classification, ClassificationKind, EXPORT_TYPE_CODE, FunctionCode, Header, IMPORT_TYPE_CODE,
    MIRROR_TYPE_CODE, Message, Party, QUERY_TYPE_CODE, SEQUENCE_TYPE_CODE, TRANSPORT_TYPE_CODE,
};

/// Most items of one document (WCO cardinality of 68A).
pub(super) const ITEMS_MAX: usize = 999;
/// Difference of clocks that is not worth a word.
const SKEW: Duration = Duration::from_mins(5);
/// A document dated later than this is refused.
const FUTURE_MAX: Duration = Duration::from_hours(24);
/// 2000-01-01T00:00:00Z: no document of this exchange is older.
const OLDEST: Timestamp = Timestamp::from_seconds(946_684_800);

/// Checks the rules of the message's type.
pub(super) fn check(message: &Message, now: Timestamp, problems: &mut Problems) {
    header(message, now, problems);
    extension::check(message, problems);
    match message {
        Message::Export(export) => declaration::export(export, now, problems),
        Message::Import(import) => declaration::import(import, now, problems),
        Message::Certificate(message) => certificate::check(message, problems),
        Message::Utilisation(message) => result::utilisation(message, now, problems),
        Message::Validation(message) => result::validation(message, problems),
        Message::Amendment(message) => result::amendment(message, problems),
        Message::Cancellation(message) => result::cancellation(message, problems),
        Message::Transport(message) => transport::check(message, now, problems),
        Message::Query(message) => verification::query(message, problems),
        Message::Response(message) => verification::response(message, now, problems),
        Message::Ledger(message) => comparison::ledger(message, now, problems),
        Message::Sequence(message) => comparison::sequence(message, now, problems),
        Message::Mirror(message) => comparison::mirror(message, problems),
        Message::Commitment(message) => comparison::commitment(message, now, problems),
    }
}

fn header(message: &Message, now: Timestamp, problems: &mut Problems) {
    use FunctionCode as F;
    let header = message.header();
    let (functions, type_code): (&[FunctionCode], Option<&str>) = match message {
        Message::Export(_) => (&[F::Original, F::Change, F::Replace], Some(EXPORT_TYPE_CODE)),
        Message::Import(_) => (&[F::Original, F::Change, F::Replace], Some(IMPORT_TYPE_CODE)),
        Message::Certificate(_) => {
            (&[F::Original, F::Change, F::Replace], Some(CERTIFICATE_TYPE_CODE))
        }
        Message::Utilisation(_) | Message::Validation(_) => (&[F::Original, F::Response], None),
        Message::Amendment(_) => (&[F::Change, F::Replace], None),
        Message::Cancellation(_) => (&[F::Cancellation], None),
        Message::Transport(_) => (&[F::Original], Some(TRANSPORT_TYPE_CODE)),
        Message::Query(_) => (&[F::Original], Some(QUERY_TYPE_CODE)),
        Message::Response(_) => (&[F::Response], Some(ANSWER_TYPE_CODE)),
        Message::Ledger(_) => (&[F::Original, F::Response], Some(BALANCES_TYPE_CODE)),
        Message::Sequence(_) => (&[F::Original], Some(SEQUENCE_TYPE_CODE)),
        Message::Mirror(_) => (&[F::Original], Some(MIRROR_TYPE_CODE)),
        Message::Commitment(_) => (&[F::Original], Some(COMMITMENT_TYPE_CODE)),
    };
    if !functions.contains(&header.function_code) {
        let allowed: Vec<_> = functions.iter().map(|function| function.code()).collect();
        let (found, allowed) = (header.function_code.code(), allowed.join(", "));
        let remedy = format!("function {found} does not suit this message; use one of {allowed}");
        problems.refuse("FunctionCode", "FUNCTION", remedy);
    }
    if let Some(expected) = type_code
        && header.type_code != expected
    {
        problems.refuse("TypeCode", "TYPE", format!("the type code must be {expected}"));
    }
    version(header, problems);
    instant("IssueDateTime", header.issue_date_time, now, problems);
}

fn version(header: &Header, problems: &mut Problems) {
    match (header.function_code, header.version_id) {
        (_, 0) => problems.refuse("VersionID", "VERSION", "versions are counted from 1"),
        (FunctionCode::Original, 2..) => problems.refuse(
            "VersionID",
            "VERSION",
            "an original is version 1; use function 4 or 5 for a later version",
        ),
        (FunctionCode::Change | FunctionCode::Replace, 1) => problems.refuse(
            "VersionID",
            "VERSION",
            "a change is version 2 or later; use function 9 for the first version",
        ),
        _ => {}
    }
}

/// Refuses instants that cannot be true.
fn instant(pointer: &str, at: Timestamp, now: Timestamp, problems: &mut Problems) {
    let ahead = at.since(now);
    if ahead > FUTURE_MAX {
        problems.refuse(pointer, "DATE", format!("{at} is in the future; correct the date"));
    } else if ahead > SKEW {
        problems.flag(pointer, "DATE", format!("{at} is ahead of the receiver's clock"));
    } else if at < OLDEST {
        problems.refuse(pointer, "DATE", format!("{at} is before the year 2000; correct it"));
    }
}

/// Checks that items are numbered 1, 2, 3 and so on and that there is a bearable number of them.
fn sequence(pointer: &str, numbers: impl ExactSizeIterator<Item = u32>, problems: &mut Problems) {
    if numbers.len() == 0 {
        problems.refuse(pointer, "ITEMS", "there is no item; give at least one");
    }
    if numbers.len() > ITEMS_MAX {
        let remedy = format!("there are more than {ITEMS_MAX} items; split the document");
        problems.refuse(pointer, "ITEMS", remedy);
    }
    if let Some((found, expected)) = numbers.zip(1..).find(|(found, expected)| found != expected) {
        problems.refuse(
            &format!("{pointer}[{expected}]/SequenceNumeric"),
            "SEQUENCE",
            format!("item number {found} stands where {expected} belongs; count from 1 in order"),
        );
    }
}

/// Checks the commodity codes of one item.
fn classifications(pointer: &str, list: &[Classification], problems: &mut Problems) {
    if list.is_empty() {
        let remedy = "there is no commodity code; give at least the six digits of HS 2022";
        problems.refuse(&format!("{pointer}/Classification"), "HS", remedy);
    }
    for (entry, number) in list.iter().zip(1..) {
        let pointer = format!("{pointer}/Classification[{number}]/ID");
        classification(&pointer, entry, problems);
        // Codes of different editions may differ for the same goods.
        let same = |other: &Classification| {
            other.edition.unwrap_or(codes::HS_EDITION) != entry.edition.unwrap_or(codes::HS_EDITION)
                || other.id.get(..6) == entry.id.get(..6)
        };
        if list.first().is_some_and(|first| !same(first)) {
            let remedy = "the codes of one item begin with different six digits; correct one";
            problems.refuse(&pointer, "HS", remedy);
        }
    }
}

fn classification(pointer: &str, entry: &Classification, problems: &mut Problems) {
    let (name, lengths) = match entry.kind {
        ClassificationKind::HarmonizedSystem => ("an HS code has 6 digits", 6..=6),
        ClassificationKind::PakistanTariff => ("a PCT code has 8 digits", 8..=8),
        ClassificationKind::AzerbaijanNomenclature => ("an XIF MN code has 10 digits", 10..=10),
        ClassificationKind::OtherNational => ("a national code has 6 to 18 digits", 6..=18),
    };
    let code: String = entry.id.chars().take(18).collect();
    let is_code = lengths.contains(&entry.id.len()) && entry.id.bytes().all(|b| b.is_ascii_digit());
    if !is_code {
        let remedy = format!("`{code}` is not valid: {name}, without dots or spaces");
        return problems.refuse(pointer, "CODE", remedy);
    }
    let six = entry.id.get(..6).unwrap_or_default();
    let edition = entry.edition.unwrap_or(codes::HS_EDITION);
    let is_known = match edition {
        codes::HS_EDITION => codes::hs(six).is_some(),
        EARLIER_EDITION => !correlation().newer(six).is_empty(),
        _ => true,
    };
    if !is_known {
        let remedy = format!("the first six digits of `{code}` are not in HS {edition}");
        problems.refuse(pointer, "HS", remedy);
    } else if edition == EARLIER_EDITION {
        let remedy = format!("the code follows HS {edition}; it is compared by correlation");
        problems.notice(pointer, "EDITION", remedy);
    } else if edition != codes::HS_EDITION {
        let remedy = format!(
            "the code follows edition {edition}; HS {EARLIER_EDITION} and HS {} can be checked",
            codes::HS_EDITION
        );
        problems.flag(pointer, "EDITION", remedy);
    }
}

/// Checks that a party can be told from others, and its tax number by the rules of its country.
fn party(pointer: &str, party: &Party, country: Option<&str>, problems: &mut Problems) {
    if party.id.is_none() && party.name.is_none() {
        let remedy = "the party has neither a name nor a number; give at least one";
        problems.refuse(pointer, "PARTY", remedy);
    }
    let own = party.address.as_ref().and_then(|address| address.country_code.as_deref());
    let Some(id) = party.id.as_deref() else { return };
    let pointer = format!("{pointer}/ID");
    match own.or(country) {
        Some("AZ") => match voen(id) {
            Voen::Valid => {}
            Voen::WrongCheckDigit => {
                problems.flag(&pointer, "TAXID", format!("the check digit of VÖEN {id} is wrong"));
            }
            Voen::LostLeadingZero => problems.flag(
                &pointer,
                "TAXID",
                format!("VÖEN {id} has lost its leading zero; write 0{id}"),
            ),
            Voen::Malformed => {
                let remedy = "a VÖEN has ten digits, the last of them 1 or 2";
                problems.refuse(&pointer, "TAXID", remedy);
            }
        },
        Some("PK") => match normalise_ntn(id) {
            Some(digits) if digits == id => {}
            Some(digits) => {
                let remedy = format!("the NTN is read as {digits}");
                problems.push(&pointer, "TAXID", remedy, Severity::Notice);
            }
            None => {
                let remedy = "an NTN has 7 digits and may have a dash and a check digit, a CNIC 13";
                problems.flag(&pointer, "TAXID", remedy);
            }
        },
        _ => {}
    }
}
