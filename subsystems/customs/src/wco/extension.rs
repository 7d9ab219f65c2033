//! Values of the model that the canonical message has no field for: out of the XML, and back.
//!
//! Each keeps its path, and how many elements of that path the message has itself. The first one
//! that it does not have is put in at its own occurrence, so that its siblings keep their places
//! and a pointer counts as customs counts.
//!
//! Invariants: only elements of the model are kept, and of attributes those that a value needs; no
//! value of the message itself is ever replaced.
//!
//! Not here: which values are left (`super::take`); at which level they are released
//! (`crate::sharing`).

use std::collections::BTreeSet;

use super::write::{Node, occurrence};
use super::{Loss, ids};
use crate::messages::{Extension, Message};

/// Attributes that belong to a value.
const ATTRIBUTES: [&str; 4] = ["currencyID", "formatCode", "schemeVersionID", "unitCode"];
/// Holds the digits of an instant; not in the table of the model.
const DIGITS: &str = "/DateTimeString";

/// Returns the values that go with a message; `None` when it can have none.
pub(super) fn of(message: &Message) -> Option<&Vec<Extension>> {
    match message {
        Message::Export(content) => Some(&content.ext),
        Message::Import(content) => Some(&content.ext),
        Message::Amendment(content) => Some(&content.ext),
        Message::Cancellation(content) => Some(&content.ext),
        _ => None,
    }
}

/// Returns the place of the values that go with a message.
pub(super) fn place(message: &mut Message) -> Option<&mut Vec<Extension>> {
    match message {
        Message::Export(content) => Some(&mut content.ext),
        Message::Import(content) => Some(&mut content.ext),
        Message::Amendment(content) => Some(&mut content.ext),
        Message::Cancellation(content) => Some(&mut content.ext),
        _ => None,
    }
}

/// Returns whether a value can go with a message: its path leads through elements of the model.
pub(crate) fn is_known(path: &str, depth: usize) -> bool {
    let (elements, attribute) = match path.split_once("/@") {
        Some((elements, attribute)) => (elements, Some(attribute)),
        None => (path, None),
    };
    let mut plain = "Declaration".to_owned();
    let mut count = 0;
    for step in elements.split('/') {
        let Some((name, _)) = occurrence(step) else { return false };
        plain.push('/');
        plain.push_str(name);
        count += 1;
    }
    let plain = plain.strip_suffix(DIGITS).unwrap_or(&plain);
    depth <= count
        && ids::place(plain) != usize::MAX
        && attribute.is_none_or(|attribute| ATTRIBUTES.contains(&attribute))
}

/// Takes the values that can go with the message out of those that were left of its XML, each with
/// how many elements of its path the message has.
pub(super) fn take(message: &mut Message, losses: &mut Vec<Loss>, depths: &mut Vec<Option<usize>>) {
    let Some(ext) = place(message) else { return };
    let mut left = Vec::new();
    for (loss, depth) in std::mem::take(losses).into_iter().zip(std::mem::take(depths)) {
        match depth.filter(|depth| is_known(&loss.path, *depth)) {
            Some(depth) => ext.push(Extension {
                path: loss.path,
                depth: u32::try_from(depth).unwrap_or(u32::MAX),
                value: loss.value,
            }),
            None => left.push(loss),
        }
    }
    // The XML that is written has another order than that which was read.
    ext.sort_by(|one, other| one.path.cmp(&other.path));
    *losses = left;
}

/// Puts the values into the element that was made of the message. One that has no place there is
/// left out, which shows when it is read again.
pub(super) fn put(root: &mut Node, ext: &[Extension]) {
    let mut new: BTreeSet<(usize, &str, &str, usize)> = BTreeSet::new();
    for value in ext {
        let elements = value.path.split_once("/@").map_or(value.path.as_str(), |(path, _)| path);
        let depth = usize::try_from(value.depth).unwrap_or(usize::MAX);
        let Some(step) = elements.split('/').nth(depth) else { continue };
        let outer: usize = elements.split('/').take(depth).map(|step| step.len() + 1).sum();
        let parent = elements.get(..outer.saturating_sub(1)).unwrap_or_default();
        if let Some((name, number)) = occurrence(step) {
            new.insert((depth, parent, name, number));
        }
    }
    // Outer ones first, and siblings in rising order: then each occurrence is the final one.
    for (_, parent, name, number) in new {
        let parent = if parent.is_empty() { Some(&mut *root) } else { root.at(parent) };
        let Some(parent) = parent else { continue };
        let mut same = (parent.children.iter().enumerate()).filter(|(_, child)| child.name == name);
        let index = same.nth(number - 1).map_or(parent.children.len(), |(index, _)| index);
        parent.children.insert(index, Node::new(name));
    }
    for value in ext {
        let (path, attribute) = match value.path.split_once("/@") {
            Some((path, attribute)) => (path, Some(attribute)),
            None => (value.path.as_str(), None),
        };
        let Some(node) = root.at(path) else { continue };
        match attribute {
            Some(name) if node.attributes.iter().all(|(known, _)| known != name) => {
                node.attributes.push((name.to_owned(), value.value.clone()));
            }
            None if node.text.is_empty() && node.children.is_empty() => {
                node.text.clone_from(&value.value);
            }
            _ => {}
        }
    }
}
