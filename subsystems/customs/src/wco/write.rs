//! Writes canonical messages as WCO Data Model XML.
//!
//! The names of a canonical message are those of the model, so one walk over its JSON form makes
//! the elements: an amount gets its currency as an attribute, a quantity its unit, an instant or
//! day its format. Few things stand elsewhere in the XML, and are moved. Elements come in the order
//! of the schema (`super::ids`).
//!
//! Invariants: what is written is read back before it is given out; what did not come back is
//! listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use karvan_types::{ErrorKind, Timestamp};
use serde_json::Value;

use super::amendment::STATEMENT;
use super::response::{Response, import_response};
use super::{
    Context, NAMESPACE_DECLARATION, NAMESPACE_METADATA, NAMESPACE_TYPES, extension, ids, import,
};
use crate::formats::{self, Loss};
use crate::messages::{AmendedValue, Amendment, Cancellation, DocumentType, Message, SharingLevel};

/// Version of the model that is written.
const MODEL_VERSION: &str = "3.6";
/// Function of a request about an earlier declaration.
const REQUEST: &str = "13";
/// Type of a statement that gives the reason of a change.
pub(super) const REASON: &str = "AES";

/// XML that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The text.
    pub xml: String,
    /// Values that are not in it.
    pub losses: Vec<Loss>,
}

/// A message cannot be written as WCO XML.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// There is no WCO message for it here.
    #[error("a COO has no WCO message here; write it as UN/CEFACT JSON")]
    Kind,
    /// A value has a character that XML cannot hold.
    #[error("{0} has a control character, which XML cannot hold; remove it")]
    Character(String),
    /// A path of an amendment is not one of elements.
    #[error("`{0}` is no path of elements such as `GoodsShipment/Consignee/Name`; mend it")]
    Path(String),
    /// What was written cannot be read.
    #[error("what is written could not be read again: {0}; mend that value")]
    Incomplete(String),
    /// The message is no JSON, which is a defect.
    #[error("the message has no JSON form: {0}")]
    Json(String),
}

impl Unwritable {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(_) => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }
}

/// An element on its way.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Node>,
}

impl Node {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(super) fn leaf(name: &str, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::new(name) }
    }

    fn with(mut self, attribute: &str, value: impl Into<String>) -> Self {
        self.attributes.push((attribute.to_owned(), value.into()));
        self
    }

    /// Returns the child at a path of element names with occurrences, made where it is missing.
    pub(super) fn at(&mut self, path: &str) -> Option<&mut Self> {
        path.split('/').try_fold(self, |node, step| {
            let (name, number) = occurrence(step)?;
            let count = node.children.iter().filter(|child| child.name == name).count();
            if number > count + 1 {
                return None;
            }
            if number == count + 1 {
                node.children.push(Self::new(name));
            }
            node.children.iter_mut().filter(|child| child.name == name).nth(number - 1)
        })
    }

    pub(super) fn sort(&mut self, path: &str) {
        for child in &mut self.children {
            let below = format!("{path}/{}", child.name);
            child.sort(&below);
        }
        self.children.sort_by_cached_key(|child| ids::place(&format!("{path}/{}", child.name)));
    }
}

/// Takes a step of a path apart: name and occurrence.
pub(super) fn occurrence(step: &str) -> Option<(&str, usize)> {
    let (name, number) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
        Some((name, number)) => (name, number.parse().ok()?),
        None => (step, 1),
    };
    let mut letters = name.bytes();
    let is_name = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric());
    (is_name && number > 0).then_some((name, number))
}

/// Writes a message, and lists what is not in the XML.
///
/// A validation and a utilisation result are written as responses.
pub fn write(message: &Message) -> Result<Written, Unwritable> {
    if let Some(response) = Response::of(message) {
        let xml = response.to_xml()?;
        let read = import_response(xml.as_bytes())
            .map_err(|error| Unwritable::Incomplete(error.to_string()))?;
        let back = read.response.to_message(context(message)).ok_or_else(|| {
            Unwritable::Incomplete(format!("it would make no {}", message.document_type()))
        })?;
        let json = |message: &Message| {
            message.to_value().map_err(|error| Unwritable::Json(error.to_string()))
        };
        let losses = formats::losses(&json(message)?, &json(&back)?, &BTreeMap::new());
        return Ok(Written { xml, losses });
    }
    let (root, value) = declaration(message)?;
    let xml = document(&root, "DEC")?;
    let imported = import(xml.as_bytes(), context(message))
        .map_err(|error| Unwritable::Incomplete(error.to_string()))?;
    let back = imported.message.to_value();
    let back = back.map_err(|error| Unwritable::Json(error.to_string()))?;
    let reason = |path: &str, why: &str| (path.to_owned(), why.to_owned());
    let reasons = BTreeMap::from([
        reason("agreementID", "the receiver's configuration supplies it"),
        reason("sharingLevel", "the receiver's configuration supplies it"),
        reason("document", "the XML names the declaration by its number only"),
    ]);
    Ok(Written { xml, losses: formats::losses(&value, &back, &reasons) })
}

/// What a receiver adds is not counted as carried.
fn context(message: &Message) -> Context<'static> {
    let document = match message {
        Message::Amendment(message) => Some(&message.document),
        Message::Cancellation(message) => Some(&message.document),
        Message::Validation(message) => Some(&message.document),
        _ => None,
    };
    let subject = document.and_then(|document| DocumentType::from_code(&document.document_type));
    Context {
        agreement_id: "",
        sharing_level: SharingLevel::L1,
        received_at: Timestamp::from_seconds(0),
        subject: subject.unwrap_or(DocumentType::Export),
    }
}

/// Makes the element of a declaration, and the JSON form it was made of.
pub(super) fn declaration(message: &Message) -> Result<(Node, Value), Unwritable> {
    let value = message.to_value().map_err(|error| Unwritable::Json(error.to_string()))?;
    let mut root = match message {
        Message::Export(_) | Message::Import(_) => {
            let mut root = Node::new("Declaration");
            elements(&mut root, &value);
            move_routing(&mut root);
            root
        }
        Message::Amendment(amendment) => amended(amendment)?,
        Message::Cancellation(cancellation) => cancelled(cancellation),
        _ => return Err(Unwritable::Kind),
    };
    let ext = extension::of(message).map(Vec::as_slice).unwrap_or_default();
    if ext.iter().any(|value| value.path.starts_with(STATEMENT)) {
        // The statements of the XML are there, and the reason is theirs.
        root.children.retain(|child| child.name != STATEMENT);
    }
    extension::put(&mut root, ext);
    root.sort("Declaration");
    Ok((root, value))
}

/// Makes elements of the members of an object. Names that begin small are not of the model.
pub(super) fn elements(node: &mut Node, value: &Value) {
    let members = value.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| name.starts_with(char::is_uppercase)) {
        match value {
            Value::Array(values) => {
                node.children.extend(values.iter().map(|value| element(name, value)));
            }
            value => node.children.push(element(name, value)),
        }
    }
}

fn element(name: &str, value: &Value) -> Node {
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    if let Some(number) = value.get("value") {
        let node = Node::leaf(name, text(Some(number)));
        return match value.get("currency") {
            Some(currency) => node.with("currencyID", text(Some(currency))),
            None => node.with("unitCode", text(value.get("unit"))),
        };
    }
    if value.is_object() {
        let mut node = Node::new(name);
        elements(&mut node, value);
        if let Some(edition) = value.get("edition")
            && let Some(id) = node.children.iter_mut().find(|child| child.name == "ID")
        {
            id.attributes.push(("schemeVersionID".to_owned(), text(Some(edition))));
        }
        return node;
    }
    if name.ends_with("DateTime") {
        let mut node = Node::new(name);
        let digits: String = text(Some(value)).chars().filter(char::is_ascii_digit).collect();
        let string = if digits.len() == 8 {
            Node::leaf("DateTimeString", digits).with("formatCode", "102")
        } else {
            let seconds = format!("{}Z", digits.get(..14).unwrap_or_default());
            Node::leaf("DateTimeString", seconds).with("formatCode", "304")
        };
        node.children.push(string);
        return node;
    }
    Node::leaf(name, text(Some(value)))
}

/// Countries of routing are an itinerary of the declaration.
fn move_routing(root: &mut Node) {
    let consignment = root
        .children
        .iter_mut()
        .filter(|child| child.name == "GoodsShipment")
        .flat_map(|shipment| &mut shipment.children)
        .find(|child| child.name == "Consignment");
    let Some(consignment) = consignment else { return };
    let (countries, others): (Vec<_>, Vec<_>) = std::mem::take(&mut consignment.children)
        .into_iter()
        .partition(|child| child.name == "RoutingCountryCode");
    consignment.children = others;
    if countries.is_empty() {
        return;
    }
    let mut outer = Node::new("Consignment");
    for (country, number) in countries.into_iter().zip(1..) {
        let mut stop = Node::new("Itinerary");
        stop.children = vec![Node::leaf("SequenceNumeric", i32::to_string(&number)), country];
        outer.children.push(stop);
    }
    root.children.push(outer);
}

/// Header and reason of a request about an earlier declaration.
fn request(header: &crate::messages::Header, type_code: &str, reason: &str) -> Node {
    let mut root = Node::new("Declaration");
    let mut statement = Node::new("AdditionalInformation");
    statement.children.push(Node::leaf("StatementDescription", reason));
    statement.children.push(Node::leaf("StatementTypeCode", REASON));
    root.children = vec![
        Node::leaf("FunctionCode", REQUEST),
        Node::leaf("FunctionalReferenceID", &header.functional_reference_id),
        Node::leaf("ID", &header.id),
        element("IssueDateTime", &Value::String(header.issue_date_time.to_string())),
        Node::leaf("TypeCode", type_code),
        Node::leaf("VersionID", header.version_id.to_string()),
        statement,
    ];
    root
}

fn amended(amendment: &Amendment) -> Result<Node, Unwritable> {
    let mut root = request(&amendment.header, "COR", &amendment.reason);
    for reason in &amendment.amendments {
        let value = serde_json::to_value(reason);
        let value = value.map_err(|error| Unwritable::Json(error.to_string()))?;
        root.children.push(element("Amendment", &value));
    }
    graft(&mut root, &amendment.values)?;
    Ok(root)
}

/// Puts the new values of an amendment into the elements that their paths name.
pub(super) fn graft(root: &mut Node, values: &[AmendedValue]) -> Result<(), Unwritable> {
    for new in values {
        let bad = || Unwritable::Path(new.path.chars().take(120).collect());
        match new.path.split_once("/@") {
            Some((path, attribute)) if occurrence(attribute).is_some() => {
                let node = root.at(path).ok_or_else(bad)?;
                node.attributes.push((attribute.to_owned(), new.value.clone()));
            }
            _ => root.at(&new.path).ok_or_else(bad)?.text.clone_from(&new.value),
        }
    }
    Ok(())
}

fn cancelled(cancellation: &Cancellation) -> Node {
    let mut root = request(&cancellation.header, "INV", &cancellation.reason);
    let mut amendment = Node::new("Amendment");
    amendment.children.push(Node::leaf("ChangeReasonCode", &cancellation.change_reason_code));
    root.children.push(amendment);
    root
}

/// Writes the message in its envelope.
pub(super) fn document(root: &Node, kind: &str) -> Result<String, Unwritable> {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <md:MetaData xmlns:md=\"{NAMESPACE_METADATA}\">\n  \
         <md:WCODataModelVersionCode>{MODEL_VERSION}</md:WCODataModelVersionCode>\n  \
         <md:WCOTypeName>{kind}</md:WCOTypeName>\n"
    );
    let namespaces = match kind {
        "DEC" => [NAMESPACE_DECLARATION, NAMESPACE_TYPES],
        _ => [super::NAMESPACE_RESPONSE, super::NAMESPACE_RESPONSE_TYPES],
    };
    let [own, types] = namespaces;
    let start = format!(" xmlns=\"{own}\" xmlns:p1=\"{types}\"");
    node(&mut out, root, &start, 1)?;
    out.push_str("</md:MetaData>\n");
    Ok(out)
}

fn node(out: &mut String, node: &Node, namespaces: &str, depth: usize) -> Result<(), Unwritable> {
    let prefix = if node.name == "DateTimeString" { "p1:" } else { "" };
    let _ = write!(out, "{:1$}<{prefix}{2}{namespaces}", "", depth * 2, node.name);
    for (name, value) in &node.attributes {
        let _ = write!(out, " {name}=\"");
        escape(out, value, &node.name)?;
        out.push('"');
    }
    if node.children.is_empty() {
        out.push('>');
        escape(out, &node.text, &node.name)?;
    } else {
        out.push_str(">\n");
        for child in &node.children {
            self::node(out, child, "", depth + 1)?;
        }
        let _ = write!(out, "{:1$}", "", depth * 2);
    }
    let _ = writeln!(out, "</{prefix}{}>", node.name);
    Ok(())
}

fn escape(out: &mut String, text: &str, name: &str) -> Result<(), Unwritable> {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            // A reader makes a line break of a carriage return unless it is written as a reference.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            '\u{fffe}' | '\u{ffff}' => return Err(Unwritable::Character(name.to_owned())),
            _ if character.is_control() && character < ' ' => {
                return Err(Unwritable::Character(name.to_owned()));
            }
            _ => out.push(character),
        }
    }
    Ok(())
}
