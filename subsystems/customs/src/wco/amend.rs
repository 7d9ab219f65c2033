//! Applies an amendment by pointers to the declaration that it names.
//!
//! The declaration is written as elements, the pointed-at fields and classes are taken over from
//! the amendment's own elements, and the result is read again. So an amendment can change exactly
//! what the XML can say, and every rule of reading holds for what it leaves behind.
//!
//! A pointer counts occurrences in the declaration as it was before the amendment. An occurrence
//! right after the last is added; a class or field that the amendment does not hold is removed.
//! Which element of the amendment is about which occurrence is found in `plan`.
//!
//! Not here: whether an amendment may still be made (`crate::subsystem`).

mod plan;

use karvan_types::ErrorKind;

use self::plan::Plan;
use super::write::{self, Node};
use super::{Context, Imported, Loss, Unwritable, extension, ids, import};
use crate::messages::{Amendment, AmendmentReason, DocumentType, FunctionCode, Header, Message};

/// A declaration after an amendment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Amended {
    /// The new version, under function 5.
    pub message: Message,
    /// New values that the message has no place for, and values of the amendment at which no
    /// pointer points and that the declaration does not have already.
    pub not_carried_over: Vec<Loss>,
}

/// An amendment does not fit the declaration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unamendable {
    /// It names another document.
    #[error("the amendment is about {amended}, not about {given}; choose the right declaration")]
    OtherDocument {
        /// Type and number in the amendment.
        amended: String,
        /// Type and number of the document.
        given: String,
    },
    /// Only declarations have pointers.
    #[error("only an EXD or an IMP is amended by pointers; send a new version")]
    Kind,
    /// A pointer leads nowhere.
    #[error("change {change}: the pointer {pointer} names no element; correct class and tag id")]
    Pointer {
        /// Which change, counted from 1.
        change: usize,
        /// Which pointer of it, counted from 1.
        pointer: usize,
    },
    /// A pointer counts from 0.
    #[error("change {change}: the pointer {pointer} has the number 0; count from 1")]
    Sequence {
        /// Which change, counted from 1.
        change: usize,
        /// Which pointer of it, counted from 1.
        pointer: usize,
    },
    /// It cannot be told which place an element of the amendment is about.
    #[error(
        "it is not clear which `{path}` of the declaration those of the amendment are about; give \
         each its SequenceNumeric, or change and remove in amendments of their own"
    )]
    Unclear {
        /// Path of the elements.
        path: String,
    },
    /// A pointer counts too far.
    #[error("change {change}: there is no {path}; the declaration has {count}")]
    Occurrence {
        /// Which change, counted from 1.
        change: usize,
        /// Path with the occurrence.
        path: String,
        /// How many there are.
        count: usize,
    },
    /// A path of the amendment is no path.
    #[error(transparent)]
    Path(#[from] Unwritable),
    /// What the amendment leaves behind is no declaration.
    #[error("the amended declaration cannot be read: {0}")]
    Result(String),
}

impl Unamendable {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::OtherDocument { .. } | Self::Occurrence { .. } => ErrorKind::Conflict,
            Self::Path(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

/// Applies an amendment and returns the new version of the declaration.
pub fn amend(declaration: &Message, amendment: &Amendment) -> Result<Amended, Unamendable> {
    let header = declaration.header();
    let kind = declaration.document_type();
    if !matches!(kind, DocumentType::Export | DocumentType::Import) {
        return Err(Unamendable::Kind);
    }
    let document = &amendment.document;
    if document.id != header.id || document.document_type != kind.code() {
        return Err(Unamendable::OtherDocument {
            amended: format!("{} {}", document.document_type, document.id),
            given: format!("{kind} {}", header.id),
        });
    }
    let (mut target, mut left) = target(declaration)?;
    let mut source = Node::new("Declaration");
    write::graft(&mut source, &amendment.values)?;
    let mut plan = Plan::default();
    for (change, number) in amendment.amendments.iter().zip(1..) {
        plan.add(&steps(change, number)?, number);
    }
    plan.apply(&mut target, &source, "", &mut left)?;
    target.sort("Declaration");
    let imported = read(&target, declaration)?;
    let mut message = imported.message;
    renew(&mut message, &amendment.header);
    let mut not_carried_over = imported.not_carried_over;
    // The envelope is our own.
    not_carried_over.retain(|loss| !loss.path.starts_with("MetaData"));
    not_carried_over.extend(left);
    Ok(Amended { message, not_carried_over })
}

/// Makes the element to amend. Values that go with the declaration are left out of it, and listed,
/// when the declaration could not be read out of it any more.
fn target(declaration: &Message) -> Result<(Node, Vec<Loss>), Unamendable> {
    let (target, _) = write::declaration(declaration)?;
    let mut bare = declaration.clone();
    let ext = extension::place(&mut bare).map(std::mem::take).unwrap_or_default();
    if ext.is_empty() {
        return Ok((target, Vec::new()));
    }
    let (plain, _) = write::declaration(&bare)?;
    let without = |node: &Node| {
        let mut message = read(node, declaration)?.message;
        if let Some(ext) = extension::place(&mut message) {
            ext.clear();
        }
        Ok::<Message, Unamendable>(message)
    };
    if without(&target).ok() == Some(without(&plain)?) {
        return Ok((target, Vec::new()));
    }
    let left = ext.into_iter().map(|value| Loss { path: value.path, line: 0, value: value.value });
    Ok((plain, left.collect()))
}

/// Reads what was made of a declaration.
fn read(target: &Node, declaration: &Message) -> Result<Imported, Unamendable> {
    let header = declaration.header();
    let context = Context {
        agreement_id: &header.agreement_id,
        sharing_level: header.sharing_level,
        received_at: header.issue_date_time,
        subject: declaration.document_type(),
    };
    let xml = write::document(target, "DEC")?;
    import(xml.as_bytes(), context).map_err(|error| Unamendable::Result(error.to_string()))
}

/// Makes the message a new version, as of the amendment.
fn renew(message: &mut Message, of: &Header) {
    let header = match message {
        Message::Export(message) => &mut message.header,
        Message::Import(message) => &mut message.header,
        _ => return,
    };
    header.version_id = of.version_id.max(header.version_id.saturating_add(1));
    header.function_code = FunctionCode::Replace;
    header.functional_reference_id.clone_from(&of.functional_reference_id);
    header.issue_date_time = of.issue_date_time;
}

/// A step of a path: name of the element, occurrence in the declaration.
struct Step {
    name: &'static str,
    number: usize,
}

/// Turns pointers into steps below the declaration.
fn steps(change: &AmendmentReason, number: usize) -> Result<Vec<Step>, Unamendable> {
    let (mut path, mut steps) = ("Declaration", Vec::new());
    for (pointer, place) in change.pointers.iter().zip(1..) {
        let sequence = usize::try_from(pointer.sequence.unwrap_or(1)).unwrap_or(usize::MAX);
        if sequence == 0 {
            return Err(Unamendable::Sequence { change: number, pointer: place });
        }
        let mut go = |id: &str, sequence: usize| {
            let unknown = || Unamendable::Pointer { change: number, pointer: place };
            let next = ids::below(path, id).ok_or_else(unknown)?;
            let names = next.get(path.len() + 1..).unwrap_or_default().split('/');
            steps.extend(names.map(|name| Step { name, number: 1 }));
            if let Some(last) = steps.last_mut() {
                last.number = sequence;
            }
            path = next;
            Ok::<(), Unamendable>(())
        };
        if pointer.section != ids::DECLARATION {
            go(&pointer.section, sequence)?;
        } else if sequence > 1 {
            let path = format!("Declaration[{sequence}]");
            return Err(Unamendable::Occurrence { change: number, path, count: 1 });
        }
        if let Some(tag) = &pointer.tag {
            go(tag, 1)?;
        }
    }
    if steps.is_empty() {
        return Err(Unamendable::Pointer { change: number, pointer: 1 });
    }
    Ok(steps)
}
