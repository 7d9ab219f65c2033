//! WCO Data Model XML (version 3): declarations (DEC) and responses (RES), in and out.
//!
//! The text comes in pieces (`text`) and is read element by element within named bounds (`read`).
//! Items of goods, changes and new values are made of their elements as soon as these end
//! (`stream`); what is once in a document is held as a tree until the end, then each part takes the
//! elements it knows out of it (`declaration`, `amendment`, `response`). So memory holds what
//! is made, the header, and one item: [`import_each`] gives the items away and holds one.
//! What is left of the model goes with the message as it is (`extension`); what is left otherwise
//! has no place in it and is listed, never dropped in silence;
//! what had to be filled in is noted. `TypeCode` decides the message: `EX…` or 830 an export
//! declaration, `IM…` or 929 an import claim, `COR` an amendment, `INV` a cancellation.
//!
//! Invariants: no DOCTYPE, no entity beyond the five of XML, no external access; memory and time
//! are bounded by [`BYTES_MAX`]; every refusal says line, byte, rule and remedy.
//!
//! Out: one walk over the canonical message makes the elements (`write`). An amendment is applied
//! to the declaration that it names by its pointers (`amend`, with the ids of `ids`).
//!
//! Not here: rules on the content (`crate::validate`).

mod amend;
mod amendment;
mod declaration;
mod extension;
mod ids;
mod read;
mod response;
mod stream;
mod take;
mod text;
mod write;

use std::io::Read;

use karvan_types::{ErrorKind, Timestamp};

use crate::messages::{DocumentType, FunctionCode, GoodsItem, Header, Message, SharingLevel};
use stream::Parts;
use take::Taker;

pub use amend::{Amended, Unamendable, amend};
pub(crate) use extension::is_known;
pub(crate) use ids::path as path_of;
pub use read::{
    ATTRIBUTES_MAX, BYTES_MAX, DEPTH_MAX, ELEMENTS_MAX, MARKUP_BYTES_MAX, NAME_BYTES_MAX,
    TEXT_BYTES_MAX,
};
pub use response::{
    Answered, AnsweredCommodity, AnsweredItem, AnsweredShipment, Bank, Due, DuePayment, FUNCTIONS,
    ImportedResponse, Response, ResponseError, Statement, Status, import_response, is_response,
};
pub use take::LOSSES_MAX;
pub(crate) use take::{day, instant_304};
pub use write::{Unwritable, Written, write};

/// Namespace of the envelope `MetaData`.
pub const NAMESPACE_METADATA: &str = "urn:wco:datamodel:WCO:DocumentMetaData-DMS:2";
/// Namespace of the declaration.
pub const NAMESPACE_DECLARATION: &str = "urn:wco:datamodel:WCO:DEC-DMS:2";
/// Namespace of the data types inside a declaration.
pub const NAMESPACE_TYPES: &str = "urn:wco:datamodel:WCO:Declaration_DS:DMS:2";

/// Namespace of a response.
pub const NAMESPACE_RESPONSE: &str = "urn:wco:datamodel:WCO:RES-DMS:2";
/// Namespace of the data types inside a response.
pub const NAMESPACE_RESPONSE_TYPES: &str = "urn:wco:datamodel:WCO:Response_DS:DMS:2";

/// What the XML does not say and the receiver knows.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The agreement under which the message will travel.
    pub agreement_id: &'a str,
    /// Sharing level of that agreement.
    pub sharing_level: SharingLevel,
    /// When the XML was received; the issue date of a message that states none.
    pub received_at: Timestamp,
    /// What an amendment or cancellation speaks about; the XML names only the number.
    pub subject: DocumentType,
}

/// A declaration that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The canonical message.
    pub message: Message,
    /// Values of the XML that the message has no place for, at most [`LOSSES_MAX`].
    pub not_carried_over: Vec<Loss>,
    /// How many more values are not carried over than are listed.
    pub not_listed: usize,
    /// Values of the message that the XML does not state as such.
    pub notes: Vec<Note>,
}

/// A value that was not carried over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loss {
    /// Path in element names, occurrences counted from 1; `@` marks an attribute.
    pub path: String,
    /// Line in the XML, counted from 1.
    pub line: usize,
    /// The value, shortened.
    pub value: String,
}

/// A value that was filled in or changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Path in the canonical message.
    pub path: String,
    /// What was done and why.
    pub text: String,
}

/// An XML text was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}, byte {byte}: {rule}")]
pub struct Error {
    /// Line, counted from 1.
    pub line: usize,
    /// Byte of the text, counted from 0 and after a byte order mark.
    pub byte: usize,
    /// The rule that is broken.
    pub rule: Rule,
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self.rule {
            Rule::Size(_) => ErrorKind::TooLarge,
            _ => ErrorKind::Invalid,
        }
    }
}

/// The rule that an XML text breaks, and the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The text is too long.
    #[error(
        "the text has {0} bytes or more; at most {BYTES_MAX} are accepted, so split the declaration"
    )]
    Size(usize),
    /// The bytes are not UTF-8.
    #[error("the bytes are not UTF-8; convert the text")]
    Utf8,
    /// The XML declaration names another encoding.
    #[error("the XML declaration names the encoding `{0}`; send UTF-8")]
    Encoding(String),
    /// A document type declaration, which could define entities.
    #[error("a DOCTYPE is not accepted; remove it")]
    Doctype,
    /// A reference to an entity that XML itself does not define.
    #[error("the entity `&{0};` is not one of the five of XML; write the character itself")]
    Entity(String),
    /// The text is not well-formed.
    #[error("not well-formed XML: {0}")]
    Syntax(String),
    /// The text ends inside an element.
    #[error("the text ends before `</{0}>`; send it whole")]
    Truncated(String),
    /// There is no element at all.
    #[error("there is no element; send a declaration")]
    Empty,
    /// A second root element.
    #[error("`<{0}>` is a second root element; send one declaration per text")]
    SecondRoot(String),
    /// Text outside of the root element, or beside elements.
    #[error("text stands between elements; put it into an element or remove it")]
    StrayText,
    /// Too deep.
    #[error("elements are nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// Too many elements.
    #[error("there are more than {ELEMENTS_MAX} elements; split the declaration")]
    Elements,
    /// Too many attributes.
    #[error("an element has more than {ATTRIBUTES_MAX} attributes")]
    Attributes,
    /// The name of an element is too long.
    #[error("an element has a name longer than {NAME_BYTES_MAX} bytes")]
    Name,
    /// An amendment changes too much.
    #[error("the amendment changes more than {LOSSES_MAX} values; replace the declaration")]
    Changes,
    /// A tag, a comment or a run of text is too long.
    #[error("a tag, comment or text is longer than {MARKUP_BYTES_MAX} bytes; shorten it")]
    Markup,
    /// A text value is too long.
    #[error("a value is longer than {TEXT_BYTES_MAX} bytes; shorten it")]
    Text,
    /// A prefix without a namespace.
    #[error("the prefix `{0}` is bound to no namespace; declare it")]
    Prefix(String),
    /// An element is in another namespace.
    #[error("`<{element}>` is in namespace `{found}`; it must be in `{expected}`")]
    Namespace {
        /// Local name of the element.
        element: String,
        /// Its namespace, empty when none.
        found: String,
        /// The right one.
        expected: &'static str,
    },
    /// A response instead of a declaration.
    #[error(
        "this is a response (function {function}: {meaning}), not a declaration; only \
         declarations are imported"
    )]
    Response {
        /// Its function code.
        function: String,
        /// What the code means.
        meaning: &'static str,
    },
    /// Another root element.
    #[error("`<{0}>` is not a WCO declaration; send MetaData with a Declaration, or a Declaration")]
    Root(String),
    /// The function and type codes are not of a message that is imported.
    #[error(
        "type `{type_code}` with function `{function}` is not imported; use EX…, IM… or 830, 929 \
         with function 9, 4 or 5, or COR or INV with function 13"
    )]
    Kind {
        /// `TypeCode`.
        type_code: String,
        /// `FunctionCode`.
        function: String,
    },
    /// A required element is missing.
    #[error("`{0}` is missing; add it")]
    Missing(String),
    /// A value does not fit.
    #[error("`{path}` has the value `{value}`: {rule}")]
    Value {
        /// Path of the element.
        path: String,
        /// The value, shortened.
        value: String,
        /// The rule and the remedy.
        rule: String,
    },
}

/// Reads one declaration, amendment or cancellation.
pub fn import(xml: &[u8], context: Context<'_>) -> Result<Imported, Error> {
    let mut items = Vec::new();
    let mut imported = import_each(sized(xml)?, context, &mut |item| items.push(item))?;
    if let Some(place) = items_of(&mut imported.message) {
        *place = items;
    }
    Ok(imported)
}

/// Reads one declaration, amendment or cancellation from a source. Items of goods are given to
/// `each`, in order, and are not in the message that is returned.
///
/// An item is given as soon as it is read, so a later error comes when others were given already.
pub fn import_each<R: Read>(
    source: R,
    context: Context<'_>,
    each: &mut dyn FnMut(GoodsItem),
) -> Result<Imported, Error> {
    let (root, mut taker) = Parts::of_message(each).read(source)?;
    let element = declaration_element(&mut taker, root)?;
    let mut message = message(&mut taker, element, context)?;
    // Items that came before the codes were known were held.
    items_of(&mut message).into_iter().flat_map(std::mem::take).for_each(each);
    extension::take(&mut message, &mut taker.losses, &mut taker.depths);
    let (not_carried_over, not_listed, notes) = taker.finish();
    Ok(Imported { message, not_carried_over, not_listed, notes })
}

/// Returns the place of the items of goods in a message that has them.
fn items_of(message: &mut Message) -> Option<&mut Vec<GoodsItem>> {
    match message {
        Message::Export(export) => Some(&mut export.shipment.items),
        Message::Import(claim) => Some(&mut claim.shipment.items),
        _ => None,
    }
}

/// Refuses a text that is too long before any of it is read.
fn sized(xml: &[u8]) -> Result<&[u8], Error> {
    if xml.len() > BYTES_MAX {
        return Err(Error { line: 1, byte: 0, rule: Rule::Size(xml.len()) });
    }
    Ok(xml)
}

/// Takes the one message out of its envelope; `expected` is named when there is none.
fn message_of(
    taker: &mut Taker,
    mut root: read::Element,
    expected: &str,
) -> Result<read::Element, Error> {
    let at = root.position();
    let is_message =
        |child: &read::Element| matches!(child.name.as_str(), "Declaration" | "Response");
    let (mut messages, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut root.children).into_iter().partition(is_message);
    if let Some(second) = messages.get(1) {
        return Err(second.position().error(Rule::SecondRoot(second.name.clone())));
    }
    root.children = others;
    taker.lose(root);
    messages.pop().ok_or_else(|| at.error(Rule::Missing(expected.to_owned())))
}

/// Takes the declaration out of its envelope and refuses everything else by name.
fn declaration_element(taker: &mut Taker, root: read::Element) -> Result<read::Element, Error> {
    let inner =
        if root.name == "MetaData" { message_of(taker, root, "Declaration")? } else { root };
    let at = inner.position();
    match inner.name.as_str() {
        "Declaration" if inner.namespace == NAMESPACE_DECLARATION => Ok(inner),
        "Declaration" => Err(at.error(Rule::Namespace {
            element: inner.name,
            found: inner.namespace,
            expected: NAMESPACE_DECLARATION,
        })),
        "Response" => {
            let code = inner.children.iter().find(|child| child.name == "FunctionCode");
            let function: String =
                code.map_or("", |code| code.text.trim()).chars().take(8).collect();
            let meaning = response::meaning(&function);
            Err(at.error(Rule::Response { function, meaning }))
        }
        _ => Err(at.error(Rule::Root(inner.name))),
    }
}

fn message(
    taker: &mut Taker,
    mut element: read::Element,
    context: Context<'_>,
) -> Result<Message, Error> {
    let at = element.position();
    let function = taker.required_text(&mut element, "FunctionCode")?;
    let type_code = taker.required_text(&mut element, "TypeCode")?;
    let function_code = match function.as_str() {
        "9" => Some(FunctionCode::Original),
        "4" => Some(FunctionCode::Change),
        "5" => Some(FunctionCode::Replace),
        _ => None,
    };
    match (function_code, function.as_str(), type_code.as_str()) {
        (Some(code), _, _) if declaration::is_export(&type_code) => {
            let header = header(taker, &mut element, code, &type_code, context)?;
            declaration::export(taker, element, header)
        }
        (Some(code), _, _) if declaration::is_import(&type_code) => {
            let header = header(taker, &mut element, code, &type_code, context)?;
            declaration::import(taker, element, header)
        }
        (_, "13", "COR") => {
            let header = header(taker, &mut element, FunctionCode::Change, "COR", context)?;
            amendment::amendment(taker, element, header, context.subject)
        }
        (_, "13", "INV") => {
            let header = header(taker, &mut element, FunctionCode::Cancellation, "INV", context)?;
            amendment::cancellation(taker, element, header, context.subject)
        }
        _ => Err(at.error(Rule::Kind { type_code, function })),
    }
}

fn header(
    taker: &mut Taker,
    element: &mut read::Element,
    function_code: FunctionCode,
    type_code: &str,
    context: Context<'_>,
) -> Result<Header, Error> {
    let functional_reference_id = taker.required_text(element, "FunctionalReferenceID")?;
    let id = match taker.text(element, "ID")? {
        Some(id) => id,
        None if matches!(type_code, "COR" | "INV") => {
            return Err(element.position().error(Rule::Missing("Declaration/ID".to_owned())));
        }
        None => {
            taker.note("ID", "customs has assigned no number yet; the trader's reference is used");
            functional_reference_id.clone()
        }
    };
    let issued = taker.instant(element, "IssueDateTime")?;
    if issued.is_none() {
        taker.note("IssueDateTime", "not stated; the time of receipt is used");
    }
    let issue_date_time = issued.unwrap_or(context.received_at);
    let version_id = match taker.number(element, "VersionID")? {
        Some(version) => version,
        None if function_code == FunctionCode::Original => 1,
        None => {
            taker.note("VersionID", "not stated; 2 is used for a change of the first version");
            2
        }
    };
    let canonical = match type_code {
        code if code.starts_with("EX") => crate::messages::EXPORT_TYPE_CODE,
        code if code.starts_with("IM") => crate::messages::IMPORT_TYPE_CODE,
        code => code,
    };
    if canonical != type_code {
        taker.note("TypeCode", &format!("`{type_code}` is a national code for {canonical}"));
    }
    Ok(Header {
        function_code,
        functional_reference_id,
        type_code: canonical.to_owned(),
        id,
        version_id,
        issue_date_time,
        agreement_id: context.agreement_id.to_owned(),
        sharing_level: context.sharing_level,
    })
}

#[cfg(test)]
mod tests;
