//! Leaves out of a message what a level does not release.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::classes::{Classes, EACH, Place};
use crate::messages::{DocumentType, Pointer, SharingLevel};
use crate::wco;

/// A field that was left out; never its value.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Field {
    /// Path of the field, with `*` for the elements of lists.
    pub field: String,
    /// The lowest level that releases it.
    pub level: SharingLevel,
    /// In how many places it was left out.
    pub count: u32,
}

/// Leaves out of a message what `level` does not release; returns which fields that were. What
/// becomes empty by it is left out too, unless it has a class of its own.
pub fn strip(
    classes: &Classes,
    document: DocumentType,
    message: &mut Value,
    level: SharingLevel,
) -> Vec<Field> {
    let mut stripper = Stripper { level, left_out: Vec::new() };
    let nothing = Place::default();
    let place = classes.documents.get(document.code()).unwrap_or(&nothing);
    stripper.walk(place, message, &mut String::new());
    if document == DocumentType::Amendment {
        stripper.amended(classes, message);
    }
    stripper.left_out
}

struct Stripper {
    level: SharingLevel,
    left_out: Vec<Field>,
}

impl Stripper {
    fn note(&mut self, field: &str, level: SharingLevel) {
        match self.left_out.iter_mut().find(|known| known.field == field) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => self.left_out.push(Field { field: field.to_owned(), level, count: 1 }),
        }
    }

    /// Walks down; `path` is that of `value`.
    fn walk(&mut self, place: &Place, value: &mut Value, path: &mut String) {
        match value {
            Value::Object(members) => {
                members.retain(|name, member| self.keep(place.below.get(name), member, path, name));
            }
            Value::Array(elements) => {
                let below = place.below.get(EACH);
                elements.retain_mut(|element| self.keep(below, element, path, EACH));
            }
            _ => {}
        }
    }

    /// Returns whether a member or element stays.
    fn keep(
        &mut self,
        place: Option<&Place>,
        value: &mut Value,
        path: &mut String,
        name: &str,
    ) -> bool {
        let length = path.len();
        path.push('/');
        path.push_str(name);
        let stays = self.stays(place, value, path);
        path.truncate(length);
        stays
    }

    fn stays(&mut self, place: Option<&Place>, value: &mut Value, path: &mut String) -> bool {
        let Some(place) = place else {
            // Nobody has said that it may be released.
            self.note(path, SharingLevel::L3);
            return false;
        };
        if let Some(class) = &place.class
            && class.level > self.level
        {
            self.note(path, class.level);
            return false;
        }
        if place.below.is_empty() {
            return true;
        }
        let before = is_empty(value);
        self.walk(place, value, path);
        before || !is_empty(value) || place.class.is_some()
    }

    /// Leaves out the new values of an amendment that belong to fields of a higher class, and the
    /// pointers to them: a pointer without its value would remove the field.
    fn amended(&mut self, classes: &Classes, message: &mut Value) {
        let about = message.pointer("/document/documentType").and_then(Value::as_str);
        let about = about.and_then(DocumentType::from_code);
        if let (Some(about), Some(changes)) =
            (about, message.get_mut("Amendment").and_then(Value::as_array_mut))
        {
            changes.retain(|change| {
                let pointers = change.get("Pointer").cloned().unwrap_or_default();
                let pointers: Vec<Pointer> = serde_json::from_value(pointers).unwrap_or_default();
                let level = wco::path_of(&pointers)
                    .and_then(|path| classes.level_on_path(about, &path))
                    .unwrap_or(SharingLevel::L1);
                if level > self.level {
                    self.note("/Amendment/*", level);
                }
                level <= self.level
            });
        }
        let Some(values) = message.get_mut("values").and_then(Value::as_array_mut) else { return };
        values.retain(|value| {
            let path = value.get("path").and_then(Value::as_str).unwrap_or_default();
            let level =
                about.map_or(SharingLevel::L3, |document| classes.level_of_path(document, path));
            if level > self.level {
                let names = path.split('/').map(|part| part.split_once('[').map_or(part, |p| p.0));
                let names: Vec<&str> = names.collect();
                self.note(&format!("/values/*/{}", names.join("/")), level);
            }
            level <= self.level
        });
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}
