//! What can be wrong with a paper, its code or its list.

use karvan_types::{ErrorKind, json};

/// A paper cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no compact signature.
    #[error("this is no signed token: {0}; give the text of the QR code, three parts with dots")]
    Token(&'static str),
    /// The signed content does not fit.
    #[error("the signed content is not as it must be: {0}")]
    Content(#[from] json::Error),
    /// The token does not fit into a code that a phone can read.
    #[error(
        "the token has {bytes} bytes, a QR code of version {version} holds at most {bytes_max}; \
         use a shorter address of the status list"
    )]
    TooLong {
        /// Length of the token.
        bytes: usize,
        /// What fits.
        bytes_max: usize,
        /// The largest version allowed.
        version: u8,
    },
    /// The address of the status list cannot be used.
    #[error("the address of the status list must be https:// with at most {0} characters")]
    Address(usize),
    /// The list of statuses is damaged.
    #[error("the list of statuses cannot be read: {0}; fetch it again")]
    List(&'static str),
    /// The image holds no readable code.
    #[error(
        "{0}; give a sharp PNG or JPEG image of the whole code, or the text of the code itself"
    )]
    Image(&'static str),
    /// A PDF file is no image.
    #[error(
        "this is a PDF file; make an image of its page, such as with `pdftoppm -r 200 -png \
         paper.pdf page`, or give the text of the code itself"
    )]
    Pdf,
    /// The page could not be drawn.
    #[error("the page cannot be drawn: {0}; this is a defect in Karvan")]
    Drawing(&'static str),
    /// The certificate has more than fits on paper.
    #[error("the certificate needs more than {0} pages; split it into several certificates")]
    Pages(usize),
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. } | Self::Pages(_) => ErrorKind::TooLarge,
            Self::Drawing(_) => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }
}
