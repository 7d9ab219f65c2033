//! Which papers name which invoice: the graph by which one invoice on many certificates is found.
//!
//! A link is kept for every certificate, export declaration and claim that was taken. It only says
//! where to look: a paper that was amended since may name the invoice no more, so whoever follows a
//! link looks at the paper.
//!
//! Not here: what a shared invoice means (`crate::matching`).

use karvan_store::{Error, Range, Read, Record, Table, Tx, Value};
use serde::{Deserialize, Serialize};

use crate::certificate::Certificate;
use crate::messages::{CertificateStatus, InvoiceReference, Party};

/// Most papers looked at for one invoice.
pub const PAPERS_MAX: usize = 200;
/// Most invoices of one paper that are linked.
pub const INVOICES_MAX: usize = 50;

/// What kind of paper names the invoice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A certificate of origin.
    Certificate,
    /// An export declaration.
    Export,
    /// A claim.
    Claim,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Export => "export",
            Self::Claim => "claim",
        }
    }
}

/// A paper names an invoice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InvoiceLink {
    /// The number without signs and spaces, in upper case.
    pub invoice: String,
    /// Kind of the paper.
    pub kind: Kind,
    /// Key of the paper.
    pub paper: String,
}

/// Where links are kept.
pub(crate) static INVOICES: Table = Table { name: "customs_invoice", columns: &[], indexes: &[] };

impl Record for InvoiceLink {
    const TABLE: &'static Table = &INVOICES;

    fn key(&self) -> Value {
        format!("{}{}", Self::place(&self.invoice, self.kind), self.paper).into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl InvoiceLink {
    /// Returns how the keys of the links of one kind of papers begin. There is no space in a number
    /// that is compared, so no other number's links stand among them.
    fn place(invoice: &str, kind: Kind) -> String {
        format!("{invoice} {} ", kind.name())
    }
}

/// Returns the number of an invoice as it is compared: letters and digits, in upper case.
pub fn plain(number: &str) -> String {
    number.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// Keeps which invoices a paper names.
pub(crate) fn link(
    tx: &mut dyn Tx,
    kind: Kind,
    paper: &str,
    invoices: &[InvoiceReference],
) -> Result<(), Error> {
    for reference in invoices.iter().take(INVOICES_MAX) {
        let invoice = plain(&reference.id);
        if !invoice.is_empty() {
            tx.save(&InvoiceLink { invoice, kind, paper: paper.to_owned() })?;
        }
    }
    Ok(())
}

/// Returns the keys of the papers of one kind that name an invoice.
pub fn papers(view: &dyn Read, kind: Kind, invoice: &str) -> Result<Vec<String>, Error> {
    let place = InvoiceLink::place(&plain(invoice), kind);
    // The character after the space ends the stretch.
    let end = format!("{}!", place.trim_end());
    let range = Range::all(PAPERS_MAX).from(place).before(end);
    let links: Vec<InvoiceLink> = view.select(&range)?;
    Ok(links.into_iter().map(|link| link.paper).collect())
}

/// Returns the numbers of other certificates in force, of the same exporter, that name one of the
/// invoices of this one.
pub fn shared_with(view: &dyn Read, certificate: &Certificate) -> Result<Vec<String>, Error> {
    let Some(content) = certificate.content() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for reference in content.invoices.iter().take(INVOICES_MAX) {
        for key in papers(view, Kind::Certificate, &reference.id)? {
            if key == certificate.id() {
                continue;
            }
            let Some(other) = view.find::<Certificate>(key)? else { continue };
            let number = &other.number.shown;
            if is_shared(certificate, &other, &reference.id) && !found.contains(number) {
                found.push(number.clone());
            }
        }
    }
    Ok(found)
}

fn is_shared(certificate: &Certificate, other: &Certificate, invoice: &str) -> bool {
    let in_force =
        matches!(other.standing(), CertificateStatus::Issued | CertificateStatus::Suspended);
    let replaces = |a: &Certificate, b: &Certificate| {
        a.replaces().is_some_and(|number| number.normal == b.number.normal)
    };
    let (Some(own), Some(content)) = (certificate.content(), other.content()) else { return false };
    in_force
        && other.country == certificate.country
        && !replaces(certificate, other)
        && !replaces(other, certificate)
        && content.invoices.iter().any(|named| plain(&named.id) == plain(invoice))
        && is_same_party(&own.exporter, &content.exporter)
}

/// Numbers of invoices are unique only within one firm.
fn is_same_party(a: &Party, b: &Party) -> bool {
    match (&a.id, &b.id) {
        (Some(a), Some(b)) => plain(a) == plain(b),
        _ => match (&a.name, &b.name) {
            (Some(a), Some(b)) => plain(a) == plain(b),
            _ => false,
        },
    }
}
