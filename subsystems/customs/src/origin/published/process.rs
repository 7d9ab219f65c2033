//! Sentences on processes: `Weaving combined with dyeing or with coating`.
//!
//! Only processes of a closed list are understood, and only sentences whose grouping the words
//! themselves settle: `A or B combined with C` can be read in two ways and stays text, `A or B, in
//! each case combined with C` cannot.

use crate::origin::rule::Rule;

use super::slug;

/// Words that join processes all of which are needed.
const JOINS: [&str; 4] = [" combined with ", " accompanied by ", " preceded by ", " and "];

/// The processes that are understood.
const KNOWN: &[&str] = &[
    "any mechanical operation",
    "assembly of battery packs from non-originating battery cells or battery modules",
    "biotechnological processing",
    "carding or combing of silk waste",
    "change in particle size",
    "chemical reaction",
    "coating",
    "covering",
    "crocheting",
    "dyeing",
    "dyeing of yarn of natural fibres",
    "extrusion of man-made continuous filament",
    "extrusion of man-made fibres",
    "extrusion of man-made filament yarn",
    "fabric formation",
    "flocking",
    "gimping",
    "impregnating",
    "isomer separation",
    "knitting",
    "laminating",
    "making-up including cutting",
    "metalising",
    "mixing and blending",
    "nonwoven fabric formation",
    "printing",
    "printing as standalone operation",
    "production of standard materials",
    "purification",
    "refining of crude tall oil",
    "retreading of used tyres",
    "rubberising",
    "spinning",
    "spinning of natural fibres",
    "spinning of natural or man-made staple fibres",
    "tufting",
    "twisting",
    "weaving",
    "yarn dyeing",
];

/// Spellings of the same process.
const SPELLINGS: &[(&str, &str)] = &[
    ("making-up (including cutting)", "making-up including cutting"),
    ("making-up including cutting of fabric", "making-up including cutting"),
    ("making-up, including cutting of fabric", "making-up including cutting"),
    ("metalizing", "metalising"),
    ("printing (as standalone operation)", "printing as standalone operation"),
    ("rubberizing", "rubberising"),
    (
        "spinning of natural or of man-made staple fibres",
        "spinning of natural or man-made staple fibres",
    ),
];

/// Reads a sentence in small letters without its full stop.
pub(super) fn rule(text: &str) -> Option<Rule> {
    if let Some(process) = one(text) {
        return Some(process);
    }
    if let Some(list) = text.strip_suffix(" is undergone") {
        return alternatives(list.replace(", or ", " or ").replace(", ", " or ").split(" or "));
    }
    let text = text.replace(", combined with ", " combined with ");
    let (join, at) = JOINS.iter().find_map(|join| Some((join, text.find(join)?)))?;
    let (left, right) = (text.get(..at)?, text.get(at + join.len()..)?);
    let left = match left.strip_suffix(", in each case") {
        Some(several) => either(several)?,
        None => one(left)?,
    };
    let right = alternatives(right.split(" or with ").flat_map(|part| part.split(" or by ")))?;
    Some(Rule::All(vec![left, right]))
}

/// Reads `A or B`, where each may itself hold the word.
fn either(text: &str) -> Option<Rule> {
    let mut ways = text.match_indices(" or ").filter_map(|(at, or)| {
        let (left, right) = (one(text.get(..at)?)?, one(text.get(at + or.len()..)?)?);
        Some(Rule::Any(vec![left, right]))
    });
    ways.next().filter(|_| ways.next().is_none())
}

fn alternatives<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Rule> {
    let mut rules = parts.map(one).collect::<Option<Vec<_>>>()?;
    if rules.len() == 1 { rules.pop() } else { Some(Rule::Any(rules)) }
}

fn one(text: &str) -> Option<Rule> {
    let text = text.trim();
    let text = text.strip_prefix("a ").unwrap_or(text);
    let spelling = SPELLINGS.iter().find(|(spelling, _)| *spelling == text);
    let text = spelling.map_or(text, |(_, known)| known);
    KNOWN.contains(&text).then(|| Rule::Process(slug(text)))
}

/// Returns the words of a process by its short name.
pub(super) fn words(name: &str) -> String {
    let known = KNOWN.iter().find(|known| slug(known) == name);
    let words = known.map_or(name, |known| *known);
    let mut letters = words.chars();
    letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
