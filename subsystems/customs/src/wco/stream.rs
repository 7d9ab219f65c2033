//! Takes the parts out of a document of which there can be thousands, while it is read: items of
//! goods, changes of an amendment, and the new values that come with it.
//!
//! What a part is can be told only when the codes before it are known, as they are in the order of
//! the schema. A document in another order is read as well, but held until its end.
//!
//! Invariants: a part is read by the same function here as out of a whole tree, and its losses and
//! notes are told in the same places.

use std::io::Read;

use super::declaration::{self, Role};
use super::read::{self, Element, Open, Sink};
use super::response::{self, AnsweredItem};
use super::take::{LOSSES_MAX, Taker, is_named};
use super::{Error, Loss, NAMESPACE_DECLARATION, Note, amendment};
use crate::messages::{AmendedValue, AmendmentReason, GoodsItem};

/// The element that holds the goods, and an item of them.
pub(super) const SHIPMENT: &str = "GoodsShipment";
pub(super) const ITEM: &str = "GovernmentAgencyGoodsItem";

/// What was taken out while a document was read.
#[derive(Debug, Default)]
pub(super) struct Streamed {
    /// How many items of goods.
    pub(super) items: usize,
    /// Items of a response.
    pub(super) answered: Vec<AnsweredItem>,
    /// Changes, in order.
    pub(super) changes: Vec<AmendmentReason>,
    /// What was noted of the items.
    pub(super) notes: Vec<Note>,
    /// New values, in order; at most [`super::LOSSES_MAX`].
    values: Vec<Loss>,
    /// There were more of them.
    is_too_much: bool,
}

impl Streamed {
    /// Returns the new values: those held until the end, then those that were taken; `None` when
    /// there are too many.
    pub(super) fn new_values(&mut self, held: Taker) -> Option<Vec<AmendedValue>> {
        let mut values = held.losses;
        values.append(&mut self.values);
        if self.is_too_much || held.losses_unlisted > 0 || values.len() > LOSSES_MAX {
            return None;
        }
        let value = |loss: Loss| AmendedValue { path: loss.path, value: loss.value };
        Some(values.into_iter().map(value).collect())
    }
}

/// Takes the parts of a declaration or an amendment, or those of a response.
pub(super) struct Parts<'a> {
    /// Is given the items of a declaration, in order.
    each: &'a mut dyn FnMut(GoodsItem),
    is_response: bool,
    /// What is lost and noted of them.
    taker: Taker,
    /// New values, whole.
    values: Taker,
    /// The codes of the declaration, as far as they came.
    function: String,
    type_code: String,
    role: Role,
}

impl<'a> Parts<'a> {
    /// Begins a declaration or an amendment.
    pub(super) fn of_message(each: &'a mut dyn FnMut(GoodsItem)) -> Self {
        Self {
            each,
            is_response: false,
            taker: Taker::new(),
            values: Taker::of_whole_values(),
            function: String::new(),
            type_code: String::new(),
            role: Role::Other,
        }
    }

    /// Begins a response, which has no items of goods.
    pub(super) fn of_response(each: &'a mut dyn FnMut(GoodsItem)) -> Self {
        Self { is_response: true, ..Self::of_message(each) }
    }

    /// Reads a text; returns what is left of its root element, and what was taken.
    pub(super) fn read<R: Read>(mut self, source: R) -> Result<(Element, Taker), Error> {
        let root = read::pull(source, &mut self)?;
        let Self { mut taker, values, .. } = self;
        taker.streamed.notes = std::mem::take(&mut taker.notes);
        taker.streamed.is_too_much = values.losses_unlisted > 0;
        taker.streamed.values = values.losses;
        Ok((root, taker))
    }

    /// Remembers the first code of each kind, which says what may be taken.
    fn learn(&mut self, element: &Element) {
        let place = match element.name.as_str() {
            "FunctionCode" => &mut self.function,
            "TypeCode" => &mut self.type_code,
            _ => return,
        };
        if element.occurrence == 1 {
            element.text.trim().clone_into(place);
            self.role = Role::of(&self.function, &self.type_code);
        }
    }

    /// Takes a part of a declaration; `outer` are the elements between them.
    fn of_declaration(
        &mut self,
        declaration: &Element,
        outer: &[Open],
        element: Element,
    ) -> Result<Option<Element>, Error> {
        if outer.is_empty() && is_named(&element, &element.name, &declaration.namespace) {
            self.learn(&element);
        }
        match (self.role, outer) {
            (Role::Goods, [shipment])
                if is_shipment(declaration, shipment)
                    && is_named(&element, ITEM, &shipment.element.namespace) =>
            {
                let read = |taker: &mut Taker| taker.read(element, declaration::item);
                if let Some(item) = self.taker.inside(SHIPMENT, read)? {
                    self.taker.streamed.items += 1;
                    (self.each)(item);
                }
                Ok(None)
            }
            (Role::Changes, []) if is_named(&element, "Amendment", &declaration.namespace) => {
                let change = self.taker.read(element, amendment::change)?;
                self.taker.streamed.changes.extend(change);
                Ok(None)
            }
            (Role::Changes, []) if !amendment::is_header(&element) => {
                self.values.lose(element);
                Ok(None)
            }
            (Role::Changes, [part]) if !amendment::is_header(&part.element) => {
                self.value(part, element);
                Ok(None)
            }
            _ => Ok(Some(element)),
        }
    }

    /// Takes a new value inside a part of a declaration.
    fn value(&mut self, part: &Open, element: Element) {
        self.values.inside(&super::take::step(&part.element), |values| values.lose(element));
    }

    /// Takes a part of the declaration in a response; a second declaration holds new values.
    fn of_answer(
        &mut self,
        declaration: &Element,
        outer: &[Open],
        element: Element,
    ) -> Result<Option<Element>, Error> {
        match (declaration.occurrence, outer) {
            (1, [shipment])
                if is_shipment(declaration, shipment)
                    && is_named(&element, ITEM, &shipment.element.namespace) =>
            {
                let item = self.taker.inside("Declaration", |taker| {
                    taker.inside(SHIPMENT, |taker| taker.read(element, response::item))
                })?;
                self.taker.streamed.answered.extend(item);
                Ok(None)
            }
            (2, []) => {
                self.values.lose(element);
                Ok(None)
            }
            (2, [part]) => {
                self.value(part, element);
                Ok(None)
            }
            _ => Ok(Some(element)),
        }
    }
}

impl Sink for Parts<'_> {
    fn take(&mut self, outer: &[Open], element: Element) -> Result<Option<Element>, Error> {
        let inner = match outer {
            [envelope, inner @ ..] if envelope.element.name == "MetaData" => inner,
            _ => outer,
        };
        match inner {
            [Open { element: message, .. }, inner @ ..]
                if !self.is_response
                    && message.name == "Declaration"
                    && message.namespace == NAMESPACE_DECLARATION =>
            {
                self.of_declaration(message, inner, element)
            }
            [response, Open { element: message, .. }, inner @ ..]
                if self.is_response
                    && response.element.name == "Response"
                    && message.name == "Declaration" =>
            {
                self.of_answer(message, inner, element)
            }
            _ => Ok(Some(element)),
        }
    }
}

/// Returns whether this is the first shipment of a declaration, the one that is read.
fn is_shipment(declaration: &Element, open: &Open) -> bool {
    open.element.occurrence == 1 && is_named(&open.element, SHIPMENT, &declaration.namespace)
}
