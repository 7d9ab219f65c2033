//! Messages of EDIFACT interchanges among the records of an import.
//!
//! An interchange that says that it is a test (0035) is checked, and nothing of it is filed. The
//! reference of any other is used up with its first message that is taken or waits; from then on
//! only the same import may go on with the same interchange, whatever comes elsewhere under that
//! reference is refused with code 26 of data element 0085.
//!
//! Invariants: a reference is used up in the transaction that has the effect of the message.
//!
//! Not here: interchanges that come alone (`crate::subsystem::interchanges`).

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Digest, ErrorKind, Timestamp};

use crate::bulk::{Content, Line, Outcome, PLACE_CHARS_MAX, Taken, Whole};
use crate::edifact::{Header, Rule};
use crate::national::{Imported, Interchange, interchange_key};
use crate::subsystem::answer::refuse;
use crate::subsystem::operate::{invalid, signed_by};
use crate::subsystem::receive::refusals;
use crate::subsystem::{Customs, cargo};

/// The interchange to which a record belongs, and where it came from.
pub(super) struct Origin {
    header: Header,
    digest: Digest,
    imported: Imported,
}

impl Origin {
    /// Makes the origin of a record, which is an interchange of its own unless it is said to be
    /// part of a whole; `import` and `place` say where the record stands.
    pub(super) fn new(
        header: Header,
        whole: Option<&Whole>,
        content: &Content,
        (import, place): (&str, &str),
    ) -> Result<Self, Rejection> {
        let (place, digest) = match whole {
            Some(whole) => (whole.place.as_str(), whole.digest),
            None => (place, Digest::of(&content.bytes()?)),
        };
        let place = place.chars().take(PLACE_CHARS_MAX).collect();
        Ok(Self { header, digest, imported: Imported { import: import.to_owned(), place } })
    }

    /// Returns whether the interchange says that it is a test.
    pub(super) const fn is_test(&self) -> bool {
        self.header.is_test
    }

    fn find(&self, cx: &Context<'_>) -> Result<Option<Interchange>, Rejection> {
        Ok(cx.tx.find(interchange_key(&self.header.sender, &self.header.reference))?)
    }

    /// Returns the refusal of a reference that was used by anything but this interchange of this
    /// import.
    pub(super) fn used_before(&self, cx: &Context<'_>) -> Result<Option<Rejection>, Rejection> {
        let Some(before) = self.find(cx)? else { return Ok(None) };
        if before.digest == self.digest && before.imported.as_ref() == Some(&self.imported) {
            return Ok(None);
        }
        let rule = Rule::Duplicate(self.header.reference.clone());
        let text = format!(
            "interchange {} of {} was taken before, on {}, and is not processed again (code {} of \
             data element 0085); what is new must come under a reference of its own",
            self.header.reference,
            self.header.sender,
            before.at,
            rule.code()
        );
        Ok(Some(refuse(ErrorKind::Conflict, "interchange-reused", text)))
    }

    /// Remembers the interchange with the first of its messages that was taken or waits.
    pub(super) fn remember(&self, cx: &mut Context<'_>, caller: &Caller) -> Result<(), Rejection> {
        if self.find(cx)?.is_some() {
            return Ok(());
        }
        Ok(cx.tx.add(&Interchange {
            sender: self.header.sender.clone(),
            reference: self.header.reference.clone(),
            at: cx.now,
            by: signed_by(caller),
            digest: self.digest,
            imported: Some(self.imported.clone()),
        })?)
    }
}

/// Checks a message of a test by the rules that need nothing else.
pub(super) fn checked(customs: &Customs, taken: &Taken, now: Timestamp, line: Line) -> Line {
    let result = match taken {
        Taken::Message { message, .. } => {
            let errors = refusals(message, now);
            if errors.is_empty() { Ok(()) } else { Err(invalid(errors)) }
        }
        Taken::Cargo { report, .. } => cargo::transport(customs, now, report).map(|_| ()),
        Taken::Response { .. } | Taken::Decision(_) => Ok(()),
    };
    match result {
        Ok(()) => Line { outcome: Outcome::Checked, ..line },
        Err(refusal) => line.refused(refusal),
    }
}
