//! Follows all pointers of an amendment at once.
//!
//! The pointers of all changes make one plan. Each element of the amendment is paired with the
//! place that it is about while the declaration is still unchanged; then, level by level,
//! replacements come first, additions next, removals last and from the back. So no change moves
//! the place of another.
//!
//! An element with a `SequenceNumeric` is about the place of that number. Of those without one, the
//! only one is about the only place; several are about the places pointed at, in order, unless they
//! stand for all places from the first. What is fewer goes to the places that it resembles.
//!
//! Invariant: an amendment that can be read in two ways is refused; a value that no pointer reaches
//! and that the declaration does not have already is listed.

use std::collections::BTreeMap;

use super::{Step, Unamendable};
use crate::wco::write::Node;
use crate::wco::{Loss, take};

/// The field that numbers the elements of a list.
const NUMBER: &str = "SequenceNumeric";

/// What is pointed at from an element downwards.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The first change that points here or further down, counted from 1.
    change: usize,
    /// Whether a pointer ends here.
    is_end: bool,
    /// What is pointed at below, by name and occurrence.
    below: BTreeMap<&'static str, BTreeMap<usize, Plan>>,
}

impl Plan {
    /// Adds the way to what a change is about.
    pub(super) fn add(&mut self, steps: &[Step], change: usize) {
        let mut plan = self;
        for step in steps {
            let places = plan.below.entry(step.name).or_default();
            plan = places.entry(step.number).or_insert_with(|| Self { change, ..Self::default() });
        }
        plan.is_end = true;
    }

    /// Carries the plan out; lists values of the amendment that it leaves out.
    pub(super) fn apply(
        &self,
        target: &mut Node,
        source: &Node,
        path: &str,
        losses: &mut Vec<Loss>,
    ) -> Result<(), Unamendable> {
        let mut pairs = Vec::new();
        for (name, places) in &self.below {
            let pairing = pair(name, places, target, source)
                .map_err(|Unclear| Unamendable::Unclear { path: format!("{path}/{name}") })?;
            let mut rest = Rest::default();
            for (place, left) in pairing.left {
                let known = named(target, name).nth(place - 1);
                rest.compare(known, left, &format!("{path}/{name}[{place}]"));
            }
            if rest.contradicts {
                return Err(Unamendable::Unclear { path: format!("{path}/{name}") });
            }
            losses.append(&mut rest.losses);
            pairs.push((*name, places, pairing.found));
        }
        let mut rest = Rest::default();
        rest.own_values(Some(target), source, path);
        rest.children(Some(target), source, path, &|name| !self.below.contains_key(name));
        losses.append(&mut rest.losses);
        for (name, places, found) in pairs {
            change(target, name, places, &found, path, losses)?;
        }
        Ok(())
    }
}

/// Changes the children of one name.
fn change(
    target: &mut Node,
    name: &str,
    places: &BTreeMap<usize, Plan>,
    found: &BTreeMap<usize, &Node>,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Result<(), Unamendable> {
    let nothing = Node::default();
    let mut indices: Vec<usize> = (target.children.iter().enumerate())
        .filter(|(_, child)| child.name == name)
        .map(|(index, _)| index)
        .collect();
    let mut removed = Vec::new();
    // Places come in rising order, so an addition follows what is added before it.
    for (number, plan) in places {
        let path = format!("{path}/{name}[{number}]");
        let new = found.get(number).copied();
        if *number == indices.len() + 1 && new.is_some() {
            indices.push(target.children.len());
            target.children.push(Node::new(name));
        }
        let Some(index) = number.checked_sub(1).and_then(|place| indices.get(place).copied())
        else {
            return Err(Unamendable::Occurrence {
                change: plan.change,
                path,
                count: indices.len(),
            });
        };
        let Some(place) = target.children.get_mut(index) else { continue };
        match new {
            Some(new) if plan.is_end => *place = new.clone(),
            None if plan.is_end => removed.push(index),
            new => plan.apply(place, new.unwrap_or(&nothing), &path, losses)?,
        }
    }
    for index in removed.into_iter().rev() {
        target.children.remove(index);
    }
    Ok(())
}

/// Elements of the amendment and the places that they are about.
#[derive(Debug, Default)]
struct Pairing<'a> {
    /// By the place in the declaration, counted from 1.
    found: BTreeMap<usize, &'a Node>,
    /// Elements at which nothing points, with the place that they stand for.
    left: Vec<(usize, &'a Node)>,
}

/// There is more than one way to read the amendment.
#[derive(Debug)]
struct Unclear;

/// Finds which element of the amendment is about which place.
fn pair<'a>(
    name: &str,
    places: &BTreeMap<usize, Plan>,
    target: &Node,
    source: &'a Node,
) -> Result<Pairing<'a>, Unclear> {
    let mut pairing = Pairing::default();
    let mut plain: Vec<&Node> = Vec::new();
    for node in named(source, name) {
        match number(node) {
            Some(number) if pairing.found.contains_key(&number) => return Err(Unclear),
            Some(number) if places.contains_key(&number) => {
                pairing.found.insert(number, node);
            }
            // A number of 0, or none at all, is that of no place.
            Some(0) => return Err(Unclear),
            Some(number) => pairing.left.push((number, node)),
            None => plain.push(node),
        }
    }
    let is_open = |number: &usize| !pairing.found.contains_key(number);
    let open: Vec<usize> = places.keys().copied().filter(is_open).collect();
    if plain.len() > open.len() {
        for (place, node) in (1..).zip(plain) {
            if open.contains(&place) {
                pairing.found.insert(place, node);
            } else {
                pairing.left.push((place, node));
            }
        }
        return Ok(pairing);
    }
    let known: Vec<&Node> = named(target, name).collect();
    let chosen = if plain.len() == open.len() {
        let is_first = |(place, open): (usize, &usize)| place == *open;
        let is_alone = plain.len() == 1;
        if !is_alone
            && !(1..).zip(&open).all(is_first)
            && fits_from_the_first(&plain, &open, &known)
        {
            return Err(Unclear);
        }
        open
    } else {
        resembling(&plain, &open, places, &known)?
    };
    pairing.found.extend(chosen.into_iter().zip(plain));
    Ok(pairing)
}

/// Returns whether the elements can be read as those of the first places too: what is not pointed
/// at agrees with the declaration, and what is pointed at further on is there to be removed.
fn fits_from_the_first(plain: &[&Node], open: &[usize], known: &[&Node]) -> bool {
    let agrees = |(place, node): (usize, &&Node)| {
        let mut rest = Rest::default();
        rest.compare(known.get(place - 1).copied(), node, "");
        open.contains(&place) || !rest.contradicts
    };
    (1..).zip(plain).all(agrees) && open.iter().all(|place| *place <= known.len())
}

/// Chooses the places of fewer elements than are pointed at; the others are removed.
fn resembling(
    plain: &[&Node],
    open: &[usize],
    places: &BTreeMap<usize, Plan>,
    known: &[&Node],
) -> Result<Vec<usize>, Unclear> {
    let (there, added): (Vec<usize>, Vec<usize>) =
        open.iter().partition(|place| **place <= known.len());
    // What is added comes last, in the amendment as in the declaration.
    let changed = plain.len().saturating_sub(added.len());
    let mut chosen: Vec<usize> = Vec::new();
    for node in plain.iter().take(changed) {
        let alike: Vec<(usize, usize)> = (there.iter())
            .filter_map(|place| Some((alike(known.get(place - 1)?, node), *place)))
            .collect();
        let most = alike.iter().map(|(count, _)| *count).max().ok_or(Unclear)?;
        let mut best: Vec<usize> =
            alike.iter().filter(|(count, _)| *count == most).map(|(_, place)| *place).collect();
        if best.len() > 1 {
            // A pointer that goes on into a place needs it; one that ends there may remove it.
            best.retain(|place| places.get(place).is_some_and(|plan| !plan.is_end));
        }
        match best[..] {
            [place] if chosen.last().is_none_or(|before| *before < place) => chosen.push(place),
            _ => return Err(Unclear),
        }
    }
    // One more pointer than elements leads to a place that is not there, which is said later.
    chosen.extend(added);
    Ok(chosen)
}

/// Counts the values that two elements have in common.
fn alike(known: &Node, node: &Node) -> usize {
    let own = usize::from(!node.text.is_empty() && is_same(&known.text, &node.text));
    let below = places_of(node).map(|(place, child)| {
        counterpart(Some(known), child, place).map_or(0, |known| alike(known, child))
    });
    own + below.sum::<usize>()
}

/// Collects values of the amendment that are not applied.
#[derive(Default)]
struct Rest {
    losses: Vec<Loss>,
    /// Whether the declaration says something else than one of them.
    contradicts: bool,
}

impl Rest {
    /// Compares an element with its counterpart in the declaration.
    fn compare(&mut self, known: Option<&Node>, node: &Node, path: &str) {
        self.contradicts |= known.is_none();
        self.own_values(known, node, path);
        self.children(known, node, path, &|_| true);
    }

    fn own_values(&mut self, known: Option<&Node>, node: &Node, path: &str) {
        if !node.text.is_empty() {
            self.value(known.map_or("", |known| &known.text), &node.text, path);
        }
        for (name, value) in &node.attributes {
            let mut known = known.into_iter().flat_map(|known| &known.attributes);
            let known = known.find(|(known, _)| known == name);
            let known = known.map_or("", |(_, value)| value);
            self.value(known, value, &format!("{path}/@{name}"));
        }
    }

    fn children(
        &mut self,
        known: Option<&Node>,
        node: &Node,
        path: &str,
        is_meant: &dyn Fn(&str) -> bool,
    ) {
        for (place, child) in places_of(node).filter(|(_, child)| is_meant(&child.name)) {
            let there = counterpart(known, child, place);
            let path = format!("{path}/{}[{place}]", child.name);
            self.own_values(there, child, &path);
            self.children(there, child, &path, &|_| true);
        }
    }

    fn value(&mut self, known: &str, value: &str, path: &str) {
        if is_same(known, value) {
            return;
        }
        self.contradicts |= !known.is_empty();
        let path = path.trim_start_matches('/').replace("[1]", "");
        self.losses.push(Loss { path, line: 0, value: value.to_owned() });
    }
}

/// Returns the children with their occurrences, counted from 1.
fn places_of(node: &Node) -> impl Iterator<Item = (usize, &Node)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    node.children.iter().map(move |child| {
        let count = counts.entry(&child.name).or_default();
        *count += 1;
        (*count, child)
    })
}

/// Finds what a child stands for: by its number, or else by its place.
fn counterpart<'a>(known: Option<&'a Node>, child: &Node, place: usize) -> Option<&'a Node> {
    let place = number(child).unwrap_or(place);
    named(known?, &child.name).nth(place.checked_sub(1)?)
}

fn named<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a Node> {
    node.children.iter().filter(move |child| child.name == name)
}

/// Returns the number that an element states; 0 when that is no number.
fn number(node: &Node) -> Option<usize> {
    named(node, NUMBER).next().map(|number| number.text.trim().parse().unwrap_or(0))
}

/// Returns whether two values are the same, however they are written: with another scale, another
/// offset, or the qualifier that a unit may have.
fn is_same(known: &str, value: &str) -> bool {
    let (known, value) = (known.trim(), value.trim());
    let decimal = |text| karvan_types::amount::parse_decimal(text).ok();
    known == value
        || decimal(known).is_some_and(|known| decimal(value) == Some(known))
        || take::instant_304(known).is_some_and(|known| take::instant_304(value) == Some(known))
        || value.split_once('#').is_some_and(|(unit, _)| unit == known)
}
