//! The canonical messages that the two customs services exchange, as strict JSON.
//!
//! A message is one JSON object. Names in `PascalCase` are element names of the WCO Data Model and
//! carry their WCO id in brackets in the documentation; names in `camelCase` are Karvan's own.
//! Amounts and quantities are objects with a decimal string; instants are RFC 3339 with offset;
//! dates are `YYYY-MM-DD`. What is signed is the canonical form (RFC 8785).
//!
//! Invariants: unknown and duplicate names are refused at every level; a document type code names
//! exactly one message type; writing and reading again gives an equal message.
//!
//! Not here: rules on the content (`crate::validate`), reading WCO XML (`crate::wco`).

mod certificate;
mod commitment;
mod comparison;
mod declaration;
mod extension;
pub(crate) mod fit;
mod parts;
mod result;
pub(crate) mod text;
mod transport;
mod verification;

pub use certificate::{
    CertificateFlag, CertificateItem, CertificateOfOrigin, CertificateStatus, OriginCriterion,
};
pub use commitment::DrawCommitment;
pub use comparison::{
    LedgerBalance, LedgerBalances, MirrorReport, MirrorTotal, Page, SentMessage, SentMessageState,
    SequenceReport, StreamReport, TradeFlow, UnmatchedConsignment, UnmatchedReason,
};
pub use declaration::{
    ChargeDeduction, Commodity, CustomsValuation, DutyTaxFee, ExportDeclaration, GoodsItem,
    GoodsMeasure, GoodsShipment, GovernmentProcedure, ImportClaim, InvoiceLine, Payment,
    TradeTerms,
};
pub use extension::{EXTENSIONS_MAX, Extension};
pub use fit::Misfit;
pub use parts::{
    AdditionalDocument, Address, Classification, ClassificationKind, Consignment, Country,
    CountryId, FunctionCode, Header, InvoiceReference, Location, Origin, Packaging, Party,
    PreviousDocument, Seal, SharingLevel, TransportEquipment, TransportMeans, Ucr, WriteOff,
};
pub use result::{
    AmendedValue, Amendment, AmendmentReason, Cancellation, Decision, DocumentReference,
    LedgerDebit, Outcome, Pointer, UtilisationItem, UtilisationResult, Validation, ValidationError,
};

pub use transport::{RoutePlace, TransportEvent, TransportReport};
pub use verification::{
    QueryItem, QueryReason, Question, VerificationOutcome, VerificationQuery, VerificationResponse,
    VerifiedItem,
};

use std::fmt;

use karvan_types::{ErrorKind, json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// UN/EDIFACT 1001 code of a preferential certificate of origin, in `TypeCode` `D006`.
pub const CERTIFICATE_TYPE_CODE: &str = "864";
/// UN/EDIFACT 1001 code of an export declaration.
pub const EXPORT_TYPE_CODE: &str = "830";
/// UN/EDIFACT 1001 code of an import declaration.
pub const IMPORT_TYPE_CODE: &str = "929";
/// UN/EDIFACT 1001 code of a transport status report, of `TRN`.
pub const TRANSPORT_TYPE_CODE: &str = "44";
/// UN/EDIFACT 1001 code of a query, of `QRY`.
pub const QUERY_TYPE_CODE: &str = "21";
/// UN/EDIFACT 1001 code of a response to a query, of `RSP`.
pub const ANSWER_TYPE_CODE: &str = "22";
/// UN/EDIFACT 1001 code of a confirmation of balances, of `LDG`.
pub const BALANCES_TYPE_CODE: &str = "182";
/// UN/EDIFACT 1001 code of a status report, of `SEQ`.
pub const SEQUENCE_TYPE_CODE: &str = "287";
/// UN/EDIFACT 1001 code of statistical data, of `REC`.
pub const MIRROR_TYPE_CODE: &str = "74";
/// Code of a commitment, of `CMT`; UN/EDIFACT 1001 has none, so it is one for mutual use.
pub const COMMITMENT_TYPE_CODE: &str = "ZCM";

/// Which message a document is; its code is the document type in the envelope.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DocumentType {
    /// Export declaration.
    Export,
    /// Certificate of origin.
    Certificate,
    /// Import claim.
    Import,
    /// Utilisation result.
    Utilisation,
    /// Validation: accepted, or rejected with pointers.
    Validation,
    /// Amendment of an earlier document.
    Amendment,
    /// Cancellation of an earlier document.
    Cancellation,
    /// Transport report: where declared goods are on their way.
    Transport,
    /// Verification query.
    Query,
    /// Answer to a verification query.
    Response,
    /// Balances of certificates.
    Ledger,
    /// What was sent in a period, and what is missing.
    Sequence,
    /// Figures and unmatched consignments of a month.
    Mirror,
    /// Commitment to random checks of a coming period.
    Commitment,
}

impl DocumentType {
    /// Every document type of the customs sub-system.
    pub const ALL: [Self; 14] = [
        Self::Export,
        Self::Certificate,
        Self::Import,
        Self::Utilisation,
        Self::Validation,
        Self::Amendment,
        Self::Cancellation,
        Self::Transport,
        Self::Query,
        Self::Response,
        Self::Ledger,
        Self::Sequence,
        Self::Mirror,
        Self::Commitment,
    ];

    /// Returns the three-letter code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Export => ExportDeclaration::DOCUMENT_TYPE,
            Self::Certificate => CertificateOfOrigin::DOCUMENT_TYPE,
            Self::Import => ImportClaim::DOCUMENT_TYPE,
            Self::Utilisation => UtilisationResult::DOCUMENT_TYPE,
            Self::Validation => Validation::DOCUMENT_TYPE,
            Self::Amendment => Amendment::DOCUMENT_TYPE,
            Self::Cancellation => Cancellation::DOCUMENT_TYPE,
            Self::Transport => TransportReport::DOCUMENT_TYPE,
            Self::Query => VerificationQuery::DOCUMENT_TYPE,
            Self::Response => VerificationResponse::DOCUMENT_TYPE,
            Self::Ledger => LedgerBalances::DOCUMENT_TYPE,
            Self::Sequence => SequenceReport::DOCUMENT_TYPE,
            Self::Mirror => MirrorReport::DOCUMENT_TYPE,
            Self::Commitment => DrawCommitment::DOCUMENT_TYPE,
        }
    }

    /// Returns the type with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One message of the customs sub-system.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// EXD.
    Export(Box<ExportDeclaration>),
    /// COO.
    Certificate(Box<CertificateOfOrigin>),
    /// IMP.
    Import(Box<ImportClaim>),
    /// UTL.
    Utilisation(Box<UtilisationResult>),
    /// VAL.
    Validation(Box<Validation>),
    /// AMD.
    Amendment(Box<Amendment>),
    /// CXL.
    Cancellation(Box<Cancellation>),
    /// TRN.
    Transport(Box<TransportReport>),
    /// QRY.
    Query(Box<VerificationQuery>),
    /// RSP.
    Response(Box<VerificationResponse>),
    /// LDG.
    Ledger(Box<LedgerBalances>),
    /// SEQ.
    Sequence(Box<SequenceReport>),
    /// REC.
    Mirror(Box<MirrorReport>),
    /// CMT.
    Commitment(Box<DrawCommitment>),
}

/// A message could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The code names no message of this sub-system.
    #[error(
        "`{0}` is not a customs document type; use one of EXD, COO, IMP, UTL, VAL, AMD, CXL, TRN, \
         QRY, RSP, LDG, SEQ, REC or CMT"
    )]
    UnknownDocumentType(String),
    /// A field does not fit the message.
    #[error("the {document_type} message is not valid JSON of its type; mend the named field")]
    Misfit {
        /// Which message was expected.
        document_type: &'static str,
        /// What is wrong, and where.
        #[source]
        source: fit::Misfit,
    },
    /// The JSON is not strict.
    #[error("the {document_type} message is not valid JSON of its type; mend the named field")]
    Json {
        /// Which message was expected.
        document_type: &'static str,
        /// What is wrong, and where.
        #[source]
        source: json::Error,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Json { source: json::Error::TooLong(_), .. } => ErrorKind::TooLarge,
            Self::UnknownDocumentType(_) | Self::Misfit { .. } | Self::Json { .. } => {
                ErrorKind::Invalid
            }
        }
    }
}

impl Message {
    /// Parses a message of the document type `code`, strictly.
    pub fn parse(code: &str, text: &[u8]) -> Result<Self, Error> {
        let kind = DocumentType::from_code(code)
            .ok_or_else(|| Error::UnknownDocumentType(code.chars().take(20).collect()))?;
        let document_type = kind.code();
        let value = json::parse(text).map_err(|source| Error::Json { document_type, source })?;
        Self::from_value(kind, value)
    }

    /// Makes a message of the document type `kind` of a value that was parsed strictly.
    #[expect(clippy::needless_pass_by_value, reason = "the message takes the place of the value")]
    pub fn from_value(kind: DocumentType, value: Value) -> Result<Self, Error> {
        Ok(match kind {
            DocumentType::Export => Self::Export(read(kind, &value)?),
            DocumentType::Certificate => Self::Certificate(read(kind, &value)?),
            DocumentType::Import => Self::Import(read(kind, &value)?),
            DocumentType::Utilisation => Self::Utilisation(read(kind, &value)?),
            DocumentType::Validation => Self::Validation(read(kind, &value)?),
            DocumentType::Amendment => Self::Amendment(read(kind, &value)?),
            DocumentType::Cancellation => Self::Cancellation(read(kind, &value)?),
            DocumentType::Transport => Self::Transport(read(kind, &value)?),
            DocumentType::Query => Self::Query(read(kind, &value)?),
            DocumentType::Response => Self::Response(read(kind, &value)?),
            DocumentType::Ledger => Self::Ledger(read(kind, &value)?),
            DocumentType::Sequence => Self::Sequence(read(kind, &value)?),
            DocumentType::Mirror => Self::Mirror(read(kind, &value)?),
            DocumentType::Commitment => Self::Commitment(read(kind, &value)?),
        })
    }

    /// Returns the document type.
    pub const fn document_type(&self) -> DocumentType {
        match self {
            Self::Export(_) => DocumentType::Export,
            Self::Certificate(_) => DocumentType::Certificate,
            Self::Import(_) => DocumentType::Import,
            Self::Utilisation(_) => DocumentType::Utilisation,
            Self::Validation(_) => DocumentType::Validation,
            Self::Amendment(_) => DocumentType::Amendment,
            Self::Cancellation(_) => DocumentType::Cancellation,
            Self::Transport(_) => DocumentType::Transport,
            Self::Query(_) => DocumentType::Query,
            Self::Response(_) => DocumentType::Response,
            Self::Ledger(_) => DocumentType::Ledger,
            Self::Sequence(_) => DocumentType::Sequence,
            Self::Mirror(_) => DocumentType::Mirror,
            Self::Commitment(_) => DocumentType::Commitment,
        }
    }

    /// Returns the common header.
    pub const fn header(&self) -> &Header {
        match self {
            Self::Export(message) => &message.header,
            Self::Certificate(message) => &message.header,
            Self::Import(message) => &message.header,
            Self::Utilisation(message) => &message.header,
            Self::Validation(message) => &message.header,
            Self::Amendment(message) => &message.header,
            Self::Cancellation(message) => &message.header,
            Self::Transport(message) => &message.header,
            Self::Query(message) => &message.header,
            Self::Response(message) => &message.header,
            Self::Ledger(message) => &message.header,
            Self::Sequence(message) => &message.header,
            Self::Mirror(message) => &message.header,
            Self::Commitment(message) => &message.header,
        }
    }

    /// Writes the canonical form (RFC 8785), the bytes that are signed and hashed.
    pub fn to_canonical(&self) -> Result<Vec<u8>, Error> {
        let document_type = self.document_type().code();
        json::canonical(self).map_err(|source| Error::Json { document_type, source })
    }

    /// Returns the message as a JSON value.
    pub fn to_value(&self) -> Result<Value, Error> {
        let document_type = self.document_type().code();
        serde_json::to_value(self)
            .map_err(|error| Error::Json { document_type, source: error.into() })
    }
}

fn read<T: DeserializeOwned>(kind: DocumentType, value: &Value) -> Result<Box<T>, Error> {
    let document_type = kind.code();
    fit::fit_message(value).map(Box::new).map_err(|source| Error::Misfit { document_type, source })
}

#[cfg(test)]
mod tests;
