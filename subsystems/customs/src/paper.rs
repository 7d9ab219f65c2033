//! The certificate of origin on paper: a page with a QR code that anybody can check offline.
//!
//! The code carries a compact JSON Web Signature ([`token`]): certificate number, country, dates,
//! the digest of the certificate's canonical text, and its place on the issuer's list of statuses
//! ([`status`], the IETF Token Status List). [`form`] draws the page, [`qr`] makes and reads the
//! code, [`check`] says in plain words what is proven and what is not. [`register`] keeps which
//! version of which certificate was printed under which place of the list.
//!
//! Invariants: a place on the list is never given twice; the same input makes the same bytes; what
//! cannot be checked is named, never passed over.
//!
//! Not here: signing and verifying. A compact signature is another spelling of the signed JSON
//! document of the kernel, which signs and verifies it; the caller lends both.

pub mod check;
pub mod form;
pub mod qr;
pub mod register;
pub mod status;
pub mod token;

mod error;
#[cfg(test)]
mod tests;

pub use error::Error;

/// The `typ` of a certificate's token (RFC 7515, section 4.1.9).
pub const TOKEN_TYP: &str = "karvan-coo+jws";
/// The `typ` of a list of statuses (draft-ietf-oauth-status-list, section 5.1).
pub const STATUS_TYP: &str = "statuslist+jwt";
/// What fictitious parties carry in their names; a certificate with one is printed as a sample.
pub const FICTITIOUS: &str = "(fictitious)";
