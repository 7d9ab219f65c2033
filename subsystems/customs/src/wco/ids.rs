//! The elements of the WCO Data Model: their order in the schema and their ids.
//!
//! Pointers name classes and fields by id (`67A`, `145`), messages by element name. Both ways of
//! naming meet in one embedded table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::messages::Pointer;

/// The class of a declaration itself.
pub(super) const DECLARATION: &str = "42A";

/// Path from the root element to id and place in the schema.
static ELEMENTS: LazyLock<BTreeMap<&str, (&str, usize)>> = LazyLock::new(|| {
    let lines = include_str!("ids.tsv").lines().filter(|line| !line.starts_with('#'));
    let rows = lines.enumerate().filter_map(|(place, line)| {
        let mut cells = line.split('\t');
        Some((cells.next()?, (cells.next()?, place)))
    });
    rows.collect()
});

/// Returns the place of an element in the schema; unknown elements come last.
pub(super) fn place(path: &str) -> usize {
    ELEMENTS.get(path).map_or(usize::MAX, |row| row.1)
}

/// Returns the path of the element with this id below another; steps between them may be left out,
/// so the shallowest is meant. Paths begin with `Declaration`.
pub(super) fn below(path: &str, id: &str) -> Option<&'static str> {
    let found = ELEMENTS.iter().filter(|(found, row)| {
        row.0 == id && found.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
    });
    found.map(|(found, _)| *found).min_by_key(|found| (found.matches('/').count(), place(found)))
}

/// Returns the path, with occurrences, to which pointers lead; `None` when an id is not known.
pub(crate) fn path(pointers: &[Pointer]) -> Option<String> {
    let (mut plain, mut shown) = ("Declaration", String::new());
    let mut step = |id: &str, sequence: Option<u32>| {
        let next = below(plain, id)?;
        for name in next.get(plain.len() + 1..)?.split('/') {
            if !shown.is_empty() {
                shown.push('/');
            }
            shown.push_str(name);
        }
        if let Some(sequence) = sequence.filter(|sequence| *sequence > 1) {
            let _ = write!(shown, "[{sequence}]");
        }
        plain = next;
        Some(())
    };
    for pointer in pointers {
        if pointer.section != DECLARATION {
            step(&pointer.section, pointer.sequence)?;
        }
        if let Some(tag) = &pointer.tag {
            step(tag, None)?;
        }
    }
    Some(shown)
}

/// Returns the pointers that lead to a path; `None` when an element has no id.
pub(super) fn pointers(path: &str) -> Option<Vec<Pointer>> {
    let first = Pointer { sequence: None, section: DECLARATION.to_owned(), tag: None };
    let (mut pointers, mut plain) = (vec![first], "Declaration".to_owned());
    for step in path.split('/').filter(|step| !step.is_empty()) {
        let (name, sequence) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            Some((name, sequence)) => (name, Some(sequence.parse().ok()?)),
            None => (step, None),
        };
        plain = format!("{plain}/{name}");
        let id = ELEMENTS.get(plain.as_str()).map(|row| row.0).filter(|id| *id != "-")?;
        let is_class = id.len() == 3 && id.ends_with(|last: char| last.is_ascii_uppercase());
        if is_class {
            pointers.push(Pointer { sequence, section: id.to_owned(), tag: None });
        } else if let Some(last) = pointers.last_mut() {
            last.tag = Some(id.to_owned());
        }
    }
    Some(pointers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_paths_name_the_same_place() {
        let item = "GoodsShipment/GovernmentAgencyGoodsItem[2]";
        for (path, ids) in [
            ("GoodsItemQuantity", "42A.228"),
            ("GoodsShipment", "42A 67A"),
            (item, "42A 67A 68A[2]"),
            (&format!("{item}/Commodity/Classification/ID"), "42A 67A 68A[2] 23A 21A.145"),
            (&format!("{item}/AdditionalDocument[3]"), "42A 67A 68A[2] 02A[3]"),
        ] {
            let found = pointers(path).expect("ids");
            let shown: Vec<_> = found
                .iter()
                .map(|pointer| {
                    let sequence = pointer.sequence.map(|s| format!("[{s}]")).unwrap_or_default();
                    let tag = pointer.tag.as_ref().map(|tag| format!(".{tag}")).unwrap_or_default();
                    format!("{}{sequence}{tag}", pointer.section)
                })
                .collect();
            assert_eq!(shown.join(" "), ids);
            assert_eq!(super::path(&found).as_deref(), Some(path));
        }
        assert_eq!(pointers("GoodsShipment/Mood"), None);
        let unknown = Pointer { sequence: None, section: "99Z".to_owned(), tag: None };
        assert_eq!(super::path(&[unknown]), None);
    }

    #[test]
    fn steps_may_be_left_out() {
        let step = |section: &str, tag: Option<&str>| Pointer {
            sequence: None,
            section: section.to_owned(),
            tag: tag.map(str::to_owned),
        };
        let found = path(&[step("42A", None), step("67A", None), step("44B", Some("165"))]);
        let expected = "GoodsShipment/Consignment/TransportEquipment/Seal/ID";
        assert_eq!(found.as_deref(), Some(expected));
    }
}
