//! Walks the segments of a message along a table and builds the canonical message.
//!
//! A segment belongs to the innermost open part whose table has it; a segment that opens an
//! occurrence closes the parts that are deeper. What no table has is listed, never dropped.
//!
//! Invariants: of the goods only the item that is open is held as parts; a finished one is a
//! [`GoodsItem`], or refused at the segment that opened it.

use std::collections::BTreeMap;

use karvan_types::amount::parse_decimal;
use serde::Deserialize as _;

use super::error::{Error, Rule};
use super::fill::join;
use super::interchange::Message;
use super::known::is_segment_of;
use super::part::Part;
use super::syntax::{Segment, ServiceCharacters};
use super::table::{Directory, Field, Form, Node, Row};
use crate::formats::{LOSSES_MAX, Loss};
use crate::messages::GoodsItem;
use crate::wco::{day, instant_304};

/// Most characters of a value that is shown.
const SHOWN_MAX: usize = 80;
/// Where the items of goods are in a message that has them.
pub(super) const ITEMS: &str = "GoodsShipment/GovernmentAgencyGoodsItem";

/// Qualifier of the control total that counts the items of goods (6069).
const ITEM_COUNT: &str = "5";
/// Qualifier of the one that counts the packages.
const PACKAGE_COUNT: &str = "11";

/// The control totals (CNT) of a message by qualifier.
type Counts<'m> = BTreeMap<&'m str, Segment<'m>>;

/// The components of a segment that a field took: element, component.
type Used = Vec<(usize, usize)>;

/// An open part.
struct Scope<'m> {
    /// The rows after the opening one.
    nodes: &'static [Node],
    /// Where the value goes in the part around it.
    path: &'static str,
    value: Part,
    /// The segment that opened it.
    first: Segment<'m>,
}

/// Builds a message from segments.
pub(super) struct Builder<'m> {
    directory: Directory,
    /// What the message is called in a refusal.
    name: &'static str,
    signs: ServiceCharacters,
    tables: [&'static [Node]; 2],
    /// Which section of the table the segments are in.
    section: usize,
    root: Part,
    open: Vec<Scope<'m>>,
    /// The items of goods that are finished.
    pub(super) items: Vec<GoodsItem>,
    /// What of the segment at hand is used; kept for its memory.
    used: Used,
    pub(super) losses: Vec<Loss>,
    /// Losses that are not listed.
    pub(super) unlisted: usize,
}

impl<'m> Builder<'m> {
    pub(super) fn new(
        directory: Directory,
        signs: ServiceCharacters,
        name: &'static str,
        tables: [&'static [Node]; 2],
    ) -> Self {
        Self {
            directory,
            name,
            signs,
            tables,
            section: 0,
            root: Part::Members(Vec::new()),
            open: Vec::new(),
            items: Vec::new(),
            used: Vec::new(),
            losses: Vec::new(),
            unlisted: 0,
        }
    }

    /// Takes all segments between UNH and UNT and returns the message without its items of goods.
    pub(super) fn build(&mut self, message: &'m Message) -> Result<Part, Error> {
        let (mut bgm, mut counts) = (0_u32, Counts::new());
        for segment in message.segments() {
            match segment.tag() {
                "UNH" | "UNT" => continue,
                "UNS" => {
                    self.section(segment)?;
                    continue;
                }
                "BGM" => bgm += 1,
                "CNT" => {
                    let (what, stated) = (segment.value(1, 1), segment.value(1, 2));
                    let before = counts.entry(what).or_insert(segment).value(1, 2);
                    if before != stated {
                        let (field, value) = (format!("CNT+{}", shown(what)), shown(stated));
                        let rule = format!("an earlier one says `{}`; state one", shown(before));
                        return Err(segment.error(1, 2, Rule::Value { field, value, rule }));
                    }
                }
                tag if !is_segment_of(&message.kind.name, self.directory, tag) => {
                    let message = format!("{} {}", message.kind.name, message.kind.directory);
                    let tag = tag.to_owned();
                    return Err(segment.error(0, 0, Rule::Segment { tag, message }));
                }
                _ => {}
            }
            if bgm > 1 {
                return Err(segment.error(0, 0, Rule::Second("BGM")));
            }
            self.segment(segment)?;
        }
        self.close_to(0)?;
        self.check(&counts)?;
        Ok(std::mem::take(&mut self.root))
    }

    /// Holds the control totals against the items of goods.
    fn check(&self, counts: &Counts<'_>) -> Result<(), Error> {
        let packed = self.items.iter().all(|item| !item.packaging.is_empty());
        let packages = self.items.iter().flat_map(|item| &item.packaging);
        let packages = packed.then(|| packages.map(|p| u64::from(p.quantity)).sum());
        for (what, field, found) in [
            (ITEM_COUNT, "GoodsItemQuantity", Some(self.items.len() as u64)),
            (PACKAGE_COUNT, "TotalPackageQuantity", packages),
        ] {
            // A message without goods counts something else.
            let found = found.filter(|_| !self.items.is_empty());
            let (Some(segment), Some(found)) = (counts.get(what), found) else { continue };
            let stated = segment.value(1, 2);
            if !stated.is_empty() && stated.parse() != Ok(found) {
                let (field, value) = (field.to_owned(), shown(stated));
                let rule = format!("the items make {found}; correct one");
                return Err(segment.error(1, 2, Rule::Value { field, value, rule }));
            }
        }
        Ok(())
    }

    fn section(&mut self, uns: Segment<'_>) -> Result<(), Error> {
        let nodes = self.tables.into_iter().flatten();
        let mut sections = nodes.filter_map(|node| match node {
            Node::Section(letter) => Some(*letter),
            _ => None,
        });
        let expected = sections.nth(self.section);
        if expected != Some(uns.value(1, 1)) {
            let expected = match expected {
                Some("D") => "UNS+D",
                Some(_) => "UNS+S",
                None => "no further UNS",
            };
            let found = format!("UNS+{}", uns.value(1, 1));
            return Err(uns.error(1, 1, Rule::Misplaced { found, expected }));
        }
        self.section += 1;
        self.close_to(0)
    }

    fn segment(&mut self, segment: Segment<'m>) -> Result<(), Error> {
        for depth in (0..=self.open.len()).rev() {
            let Some(node) = self.find(depth, segment) else { continue };
            self.close_to(depth)?;
            match node {
                Node::One(row) => {
                    let value = self.open.last_mut().map_or(&mut self.root, |s| &mut s.value);
                    let mut value = std::mem::take(value);
                    let result = self.apply(row, segment, &mut value);
                    *self.open.last_mut().map_or(&mut self.root, |s| &mut s.value) = value;
                    return result;
                }
                Node::Many(path, [Node::One(row), nodes @ ..]) => {
                    let mut value = Part::Absent;
                    self.apply(row, segment, &mut value)?;
                    self.open.push(Scope { nodes, path, value, first: segment });
                    return Ok(());
                }
                _ => {}
            }
        }
        let text: Vec<_> = segment.values().skip(1).map(|value| value.2).collect();
        let why = self.unplaced(segment);
        self.lose(segment, 0, 0, &text.join(" "), &why);
        Ok(())
    }

    /// Says why a segment has no place here; when its qualifier is to blame, which are read.
    fn unplaced(&self, segment: Segment<'_>) -> String {
        let scopes = self.open.iter().flat_map(|scope| scope.nodes);
        let mut read = Vec::new();
        for row in scopes.chain(self.section_nodes()).filter_map(row_of) {
            let keys: Vec<_> = row.keys.iter().map(|(_, _, value)| *value).collect();
            if row.tag == segment.tag() && row.only.is_none_or(|only| only == self.directory) {
                read.extend(Some(keys.join("+")).filter(|key| !key.is_empty()));
            }
        }
        read.sort_unstable();
        read.dedup();
        if read.is_empty() {
            return "the message has no place for the segment".to_owned();
        }
        let (tag, read) = (segment.tag(), read.join(", "));
        format!("the message has no place for this {tag}; here it is read with {read}")
    }

    /// Returns the lines of the section that the segments are in.
    fn section_nodes(&self) -> impl Iterator<Item = &'static Node> {
        let (mut section, current) = (0, self.section);
        self.tables.into_iter().flatten().filter(move |node| {
            section += usize::from(matches!(node, Node::Section(_)));
            section == current
        })
    }

    /// Finds the line for a segment in the part of this depth; 0 is the message itself.
    fn find(&self, depth: usize, segment: Segment<'_>) -> Option<&'static Node> {
        let tag = three(segment.tag());
        let fits = |node: &&'static Node| {
            row_of(node).is_some_and(|row| {
                three(row.tag) == tag
                    && row.only.is_none_or(|only| only == self.directory)
                    && row.keys.iter().all(|(e, c, value)| segment.value(*e, *c) == *value)
            })
        };
        if let Some(scope) = depth.checked_sub(1).and_then(|index| self.open.get(index)) {
            return scope.nodes.iter().find(fits);
        }
        self.section_nodes().find(fits)
    }

    /// Closes the open parts that are deeper.
    fn close_to(&mut self, depth: usize) -> Result<(), Error> {
        while self.open.len() > depth {
            let Some(Scope { path, value, first, .. }) = self.open.pop() else { return Ok(()) };
            if path == ITEMS {
                self.items.push(GoodsItem::deserialize(value).map_err(|error| {
                    let rule = error.to_string();
                    first.error(0, 0, Rule::Content { document_type: self.name, rule })
                })?);
                continue;
            }
            let outer = self.open.last_mut().map_or(&mut self.root, |scope| &mut scope.value);
            if let Some(list) = outer.place(path) {
                list.push(value);
            }
        }
        Ok(())
    }

    /// Takes the fields of a row out of a segment; what is left is listed.
    fn apply(
        &mut self,
        row: &'static Row,
        segment: Segment<'_>,
        value: &mut Part,
    ) -> Result<(), Error> {
        let mut used = std::mem::take(&mut self.used);
        used.clear();
        used.push((0, 1));
        used.extend(row.keys.iter().map(|(element, component, _)| (*element, *component)));
        if value.is_absent() && row.fields.iter().all(|field| !field.0.is_empty()) {
            *value = Part::Members(Vec::new());
        }
        for field in row.fields {
            // Most fields of a row are not used, and to look for their place is what costs.
            let &(path, element, component, form) = field;
            let is_long = matches!(form, Form::Long(..));
            if !is_long
                && !matches!(form, Form::Commodities)
                && segment.value(element, component).is_empty()
                && segment.value(element, component + 1).is_empty()
            {
                continue;
            }
            let before = value.at(row.base).and_then(|base| base.at(path));
            let before = before.filter(|before| !before.is_absent());
            if before.is_some() && !is_long {
                continue;
            }
            let found = self.field(row, field, segment, before, &mut used)?;
            if !found.is_absent()
                && let Some(place) = value.place(row.base).and_then(|base| base.place(path))
            {
                *place = found;
            }
        }
        for (element, component, text) in segment.values() {
            if !used.contains(&(element, component)) {
                self.lose(segment, element, component, text, "the message has no place for it");
            }
        }
        self.used = used;
        Ok(())
    }

    /// Reads one field; nothing when it is empty.
    fn field(
        &self,
        row: &Row,
        field: &Field,
        segment: Segment<'_>,
        before: Option<&Part>,
        used: &mut Used,
    ) -> Result<Part, Error> {
        let &(_, element, component, form) = field;
        let first = segment.value(element, component);
        let second = segment.value(element, component + 1);
        let fail = |at: usize, value: &str, rule: &str| {
            let (field, value) = (join(row.base, field.0), shown(value));
            segment.error(element, at, Rule::Value { field, value, rule: rule.to_owned() })
        };
        let decimal = |at, text: &str| {
            let plain = self.plain(text).filter(|plain| parse_decimal(plain).is_ok());
            plain.ok_or_else(|| segment.error(element, at, Rule::Decimal(shown(text))))
        };
        let both = |used: &mut Used| {
            used.extend([(element, component), (element, component + 1)]);
        };
        if let Form::Long(width, pieces) = form {
            return Ok(long(field, width.of(self.directory), pieces, segment, before, used));
        }
        if let Form::Commodities = form {
            return commodities(segment, element, used);
        }
        if first.is_empty() && (second.is_empty() || !matches!(form, Form::Amount | Form::Measure))
        {
            return Ok(Part::Absent);
        }
        used.push((element, component));
        Ok(match form {
            Form::Text(_) | Form::Long(..) | Form::Commodities => Part::Text(first.to_owned()),
            Form::Number => match first.parse::<u32>() {
                Ok(number) if first.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Part::Number(number)
                }
                _ => return Err(fail(component, first, "write a whole number in digits")),
            },
            Form::Decimal => Part::Text(decimal(component, first)?),
            Form::Amount => {
                both(used);
                if second.is_empty() {
                    return Err(fail(component, first, "state the currency in the next component"));
                }
                pair("value", decimal(component, first)?, "currency", second)
            }
            Form::Measure => {
                both(used);
                if first.is_empty() {
                    return Err(fail(component + 1, second, "state the unit before the value"));
                }
                pair("value", decimal(component + 1, second)?, "unit", first)
            }
            Form::Instant => {
                both(used);
                let instant = instant_304(first).filter(|_| second == "304");
                let rule = "write format 304 with offset, such as 20261002113000+05";
                Part::Text(instant.ok_or_else(|| fail(component, first, rule))?.to_string())
            }
            Form::Date => {
                both(used);
                let day = day(first).filter(|_| second == "102" && first.len() == 8);
                let rule = "write format 102, such as 20261002";
                Part::Text(day.ok_or_else(|| fail(component, first, rule))?.to_string())
            }
            Form::Code(codes) => {
                let word = codes.iter().find(|(code, _)| *code == first).map(|(_, word)| *word);
                let known = || codes.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ");
                let word =
                    word.ok_or_else(|| fail(component, first, &format!("use one of {}", known())))?;
                Part::Text(word.to_owned())
            }
        })
    }

    /// Returns a number with a dot for the decimal mark.
    fn plain(&self, text: &str) -> Option<String> {
        let mark = char::from(self.signs.decimal);
        if mark == '.' {
            return Some(text.to_owned());
        }
        (!text.contains('.')).then(|| text.replacen(mark, ".", 1))
    }

    fn lose(
        &mut self,
        segment: Segment<'_>,
        element: usize,
        component: usize,
        text: &str,
        why: &str,
    ) {
        if self.losses.len() >= LOSSES_MAX {
            self.unlisted += 1;
            return;
        }
        let place = segment.position(element, component);
        self.losses.push(Loss::new(format!("{place}: {}", shown(text)), why));
    }
}

/// Returns the row of a line that takes a segment: its own, or the one that opens its part.
const fn row_of(node: &'static Node) -> Option<&'static Row> {
    match node {
        Node::One(row) | Node::Many(_, [Node::One(row), ..]) => Some(row),
        _ => None,
    }
}

/// Returns a tag as bytes that compare without a call.
fn three(tag: &str) -> Option<&[u8; 3]> {
    tag.as_bytes().try_into().ok()
}

/// Makes a part of two texts.
fn pair(first: &'static str, value: String, second: &'static str, text: &str) -> Part {
    Part::Members(vec![(first, Part::Text(value)), (second, Part::Text(text.to_owned()))])
}

/// Joins the pieces of a text. A piece that is full goes on in the next without a space.
fn long(
    field: &Field,
    width: usize,
    pieces: usize,
    segment: Segment<'_>,
    before: Option<&Part>,
    used: &mut Used,
) -> Part {
    let &(_, element, component, _) = field;
    let mut text = before.and_then(Part::as_text).unwrap_or_default().to_owned();
    let mut length = text.chars().count();
    for index in component..component + pieces {
        let piece = segment.value(element, index);
        if piece.is_empty() {
            continue;
        }
        used.push((element, index));
        if !length.is_multiple_of(width) {
            text.push(' ');
            length += 1;
        }
        text.push_str(piece);
        length += piece.chars().count();
    }
    if text.is_empty() { Part::Absent } else { Part::Text(text) }
}

/// Reads commodity codes with the list that says their nomenclature and edition.
fn commodities(segment: Segment<'_>, element: usize, used: &mut Used) -> Result<Part, Error> {
    let mut codes = Vec::new();
    for (element, _, id) in segment.values().filter(|v| v.0 >= element && v.1 == 1) {
        let list = segment.value(element, 2);
        let digits =
            list.get(1..).filter(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_digit()));
        let kind = match (list.get(..1), digits, list) {
            (_, None, "HS") | (Some("H"), Some(_), _) => "HS",
            (_, None, "PCT") | (Some("P"), Some(_), _) => "PCT",
            (_, None, "XIF") | (Some("X"), Some(_), _) => "XIFMN",
            (_, None, "TSP") | (Some("T"), Some(_), _) => "TSP",
            _ => {
                let (field, value) = ("Commodity/Classification".to_owned(), shown(list));
                let rule =
                    "use HS, PCT, XIF or TSP, or its first letter and the edition, as in H22";
                let rule = Rule::Value { field, value, rule: rule.to_owned() };
                return Err(segment.error(element, 2, rule));
            }
        };
        used.extend([(element, 1), (element, 2)]);
        if segment.value(element, 3) == "ZZZ" {
            used.push((element, 3));
        }
        let text = |text: &str| Part::Text(text.to_owned());
        let mut code = vec![("ID", text(id)), ("IdentificationTypeCode", text(kind))];
        if let Some(edition) = digits.and_then(|digits| digits.parse::<u32>().ok()) {
            code.push(("edition", Part::Number(2000 + edition)));
        }
        codes.push(Part::Members(code));
    }
    Ok(Part::List(codes))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}
