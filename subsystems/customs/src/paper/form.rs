//! The certificate of origin as pages of A4 (PDF/A-2b), in English and a national language.
//!
//! Boxes are numbered as on the form of the Pakistan-China agreement, the nearest one published;
//! the layout of form AZ-PK itself is not public. The first page has the parties, the goods, the
//! issuer and the code; goods that do not fit there, and whatever does not fit into a box, go to
//! further pages. Every page bears number, digest and page count.
//!
//! Invariants: the same input makes the same bytes (no clock, no random ids); nothing of the
//! certificate is left out silently: a letter that the typefaces lack is printed as a box and
//! reported.
//!
//! Not here: the token's content (`super::token`).

mod canvas;
mod content;
mod labels;
mod pages;
#[cfg(test)]
mod tests;
mod text;

use karvan_types::{Digest, MemberId};
use krilla::configure::{Archival, ConfigurationBuilder};
use krilla::metadata::{DateTime, Metadata};
use krilla::{Document, SerializeSettings};

use super::Error;
use super::qr::Code;
use crate::messages::CertificateOfOrigin;
use crate::words::Language;
use content::Content;
use text::Types;

/// Most pages of one certificate.
pub const PAGES_MAX: usize = 50;

/// What is printed.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// The certificate.
    pub certificate: &'a CertificateOfOrigin,
    /// The member whose key signed the token.
    pub issuer: &'a MemberId,
    /// Digest of the certificate's canonical text.
    pub digest: Digest,
    /// The token.
    pub token: &'a str,
    /// Print it as a sample.
    pub sample: bool,
    /// The language that stands beside English; English itself when none does.
    pub beside: Language,
}

/// A printed certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pdf {
    /// The file.
    pub bytes: Vec<u8>,
    /// Number of pages.
    pub pages: usize,
    /// Version of the QR code, 1 to 20.
    pub code_version: u8,
    /// Letters that the typefaces lack, printed as a box.
    pub missing: Vec<char>,
}

/// Draws the pages.
pub fn pdf(form: &Form<'_>) -> Result<Pdf, Error> {
    let code = Code::new(form.token)?;
    let types = Types::new()?;
    let content = Content::new(form, &types);
    let plan = pages::plan(&content, &types)?;
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_B)
        .finish()
        .map_err(|_| Error::Drawing("PDF/A-2b is not known"))?;
    let settings = SerializeSettings { configuration, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    // The day of issue: the time of printing would make every print differ.
    let issued = form.certificate.header.issue_date_time.utc_date();
    let part = |number: i8| u8::try_from(number).unwrap_or_default();
    let date = DateTime::new(u16::try_from(issued.year()).unwrap_or_default())
        .month(part(issued.month()))
        .day(part(issued.day()));
    let title = format!("{} {}", labels::TITLE.en, form.certificate.header.id);
    let metadata = Metadata::new()
        .title(title)
        .creator("Karvan".to_owned())
        .language("en".to_owned())
        .creation_date(date)
        .document_id(form.digest.to_string());
    document.set_metadata(metadata);
    pages::draw(&mut document, &plan, &content, &code, &types)?;
    let bytes = document.finish().map_err(|_| Error::Drawing("the PDF does not validate"))?;
    let missing = content.missing.into_iter().collect();
    Ok(Pdf { bytes, pages: plan.len(), code_version: code.version, missing })
}
