//! Sentences of published rules, read piece by piece.
//!
//! The reader knows the fixed phrases of two list-rule dialects ("Manufacture from materials of any
//! heading, except that of the good" and "CTH: All non-originating materials ..."). After what it
//! knows, a rest is kept as text: beside the rule when it widens it ("may be used"), under it when
//! it narrows it.

use karvan_types::Decimal;
use karvan_types::amount::parse_decimal;

use super::process;
use crate::origin::codes::CodeRange;
use crate::origin::rule::{Allowance, Base, Level, Rule};

/// What a change of classification begins with, after its abbreviation.
const CHANGED: &str = "all non-originating materials used in the production of the good have \
                       undergone a change in tariff classification at the ";
/// Remarks in brackets that limit a rule.
const REMARKS: [&str; 2] = [" (for the period ", " (under alternative list rules "];

/// Returns the text without links, marks and line breaks.
pub(super) fn plain(text: &str) -> String {
    let text = text.replace("&nbsp;", " ").replace(['*', '\u{a0}'], " ");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['[', '<']) {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        let closed = |end: char| mark.split_once(end);
        if mark.starts_with('<') {
            rest = closed('>').map_or("", |(_, after)| after);
            continue;
        }
        let Some((label, after)) = closed(']') else { break };
        out.push_str(label.trim_start_matches('['));
        let target = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = target.map_or(after, |(_, after)| after);
    }
    out.push_str(rest);
    let words: Vec<_> = out.split_whitespace().collect();
    words
        .join(" ")
        .replace(" .", ".")
        .replace(" ,", ",")
        .replace(" %", "%")
        .replace("( ", "(")
        .replace(" )", ")")
}

/// Reads a sentence; what is not understood stays text.
pub(super) fn rule(text: &str) -> Rule {
    let mut parts = split(text, " or ").into_iter().map(alternative).collect::<Vec<_>>();
    if parts.len() > 1 {
        return Rule::Any(parts);
    }
    parts.pop().unwrap_or_else(|| Rule::Text(text.to_owned()))
}

/// Splits where a new sentence begins with a capital letter.
fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, found) in text.match_indices(word) {
        let next = at + found.len();
        if text.get(next..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase())) {
            parts.extend(text.get(from..at));
            from = next;
        }
    }
    parts.extend(text.get(from..));
    parts
}

fn alternative(text: &str) -> Rule {
    let text = text.trim().trim_end_matches('.').trim_end_matches(" or");
    for remark in REMARKS {
        if let Some(at) = text.find(remark).filter(|_| text.ends_with(')')) {
            let (inner, remark) = text.split_at(at);
            return narrowed(alternative(inner), remark.trim());
        }
    }
    let both = split(text, " and ");
    if let [first, second] = both.as_slice()
        && second.starts_with("A maximum of")
    {
        return Rule::All(vec![alternative(first), alternative(second)]);
    }
    let lower = text.to_ascii_lowercase();
    let mut at = Cursor { text: &lower };
    let read = at.start().or_else(|| process::rule(&lower));
    read.unwrap_or_else(|| Rule::Text(text.to_owned()))
}

/// Puts a text under a rule that it narrows.
fn narrowed(rule: Rule, text: &str) -> Rule {
    match rule {
        Rule::Text(whole) => Rule::Text(format!("{whole} {text}")),
        rule => Rule::All(vec![rule, Rule::Text(text.to_owned())]),
    }
}

/// What is still to be read.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a str,
}

impl Cursor<'_> {
    fn eat(&mut self, phrase: &str) -> bool {
        let rest = self.text.strip_prefix(phrase);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn eat_any(&mut self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.eat(phrase))
    }

    /// Reads a whole alternative.
    fn start(&mut self) -> Option<Rule> {
        if ["cth: ", "ctsh: ", "cc: "].iter().any(|short| self.eat(short)) {
            return self.changed();
        }
        for (phrase, level) in [
            ("manufacture from materials of any heading, except that of the good", Level::Heading),
            (
                "manufacture from materials of any subheading, except that of the good",
                Level::Subheading,
            ),
            (
                "production from non-originating materials of any heading, except that of the \
                 product",
                Level::Heading,
            ),
            ("manufacture from materials of any heading", Level::Any),
            ("production from non-originating materials of any heading", Level::Any),
            ("production from non-originating material of any heading", Level::Any),
        ] {
            if self.eat(phrase) {
                return self.tail(level);
            }
        }
        if self.eat("a maximum of ") {
            let percent = self.percent()?;
            let fixed = "of the ex-works price (exw) is made up of non-originating parts (maxnom)";
            if !self.eat(fixed) {
                return None;
            }
            let share = Rule::MaxShare { codes: Vec::new(), percent, of: Base::ExWorks };
            return Some(self.rest(share));
        }
        if self.eat_any(&["none if all the animals of chapter 1 ", "all animals of chapter 1 "])
            && self.eat("are wholly obtained")
        {
            self.eat(" in the country or territory");
            return self.text.is_empty().then_some(Rule::WhollyObtained);
        }
        if self.eat_any(&["manufacture in which", "production in which"]) {
            let mut rules = self.conditions();
            let understood = rules.iter().any(Rule::has_machine_part);
            return if rules.len() > 1 {
                understood.then_some(Rule::All(rules))
            } else {
                rules.pop().filter(|_| understood)
            };
        }
        None
    }

    /// Reads `4-digit level (tariff heading)` and what follows.
    fn changed(&mut self) -> Option<Rule> {
        if !self.eat(CHANGED) {
            return None;
        }
        for (digits, level, names) in [
            ("2-digit", Level::Chapter, ["(tariff chapter)", "(chapter)"]),
            ("4-digit", Level::Heading, ["(tariff heading)", "(heading)"]),
            ("6-digit", Level::Subheading, ["(tariff subheading)", "(subheading)"]),
        ] {
            if self.eat(digits) {
                let is_named = self.eat(" level ") && self.eat_any(&names);
                return if is_named { self.tail(level) } else { None };
            }
        }
        None
    }

    /// Reads exceptions, allowances and conditions after a change of classification.
    fn tail(&mut self, level: Level) -> Option<Rule> {
        let (mut except, mut allow, mut also) = (Vec::new(), Vec::new(), Vec::new());
        if self.eat_any(&[
            ", except those of ",
            " except from non-originating materials of ",
            ", except from non-originating materials of ",
        ]) || (level == Level::Heading
            && self.text.starts_with(" and heading ")
            && self.eat(" and "))
        {
            except = self.codes()?;
        }
        if let Some(allowance) = self.allowance(level) {
            allow.push(allowance);
        }
        let mut inner = *self;
        if inner.eat_any(&[". however, ", ", in which", ", provided that", ", and in which"])
            || (level == Level::Any && inner.eat(" in which"))
        {
            let conditions = inner.conditions();
            let widens = inner.text.contains("may be");
            if !widens && conditions.iter().any(Rule::has_machine_part) {
                also = conditions;
                self.text = "";
            }
        }
        let is_free = level == Level::Any && except.is_empty();
        if is_free && also.is_empty() && !self.text.is_empty() {
            return None;
        }
        let change = Rule::Change { level, except, allow };
        if also.is_empty() {
            return Some(self.rest(change));
        }
        if !is_free {
            also.insert(0, change);
        }
        if also.len() == 1 { also.pop() } else { Some(Rule::All(also)) }
    }

    /// Keeps an unread rest as text: beside the rule when it widens it, under it otherwise.
    fn rest(&mut self, rule: Rule) -> Rule {
        let rest = self.text.trim_start_matches(['.', ',', ';']).trim();
        self.text = "";
        if rest.is_empty() {
            return rule;
        }
        let text = Rule::Text(rest.to_owned());
        if rest.contains("may be") || rest.contains("however") {
            return Rule::Any(vec![rule, text]);
        }
        Rule::All(vec![rule, text])
    }

    /// Reads "However, materials of the same heading may be used" with its limit.
    fn allowance(&mut self, level: Level) -> Option<Allowance> {
        let mut at = *self;
        if !at.eat_any(&[
            ". however, materials of ",
            ", however, non-originating materials of ",
            ". however, non-originating materials of ",
        ]) {
            return None;
        }
        let codes = if at.eat("the same ") {
            let noun = if level == Level::Subheading { "subheading" } else { "heading" };
            let fits = at.eat(noun) && at.eat_any(&[" as the good", " as the product"]);
            if !fits {
                return None;
            }
            None
        } else {
            Some(at.codes()?)
        };
        if !at.eat(" may be used, provided that their total value does not exceed ") {
            return None;
        }
        let percent = at.percent()?;
        let of = at.base()?;
        *self = at;
        Some(Allowance { codes, percent, of })
    }

    /// Reads one condition, or several after a colon; each that is not understood is text.
    fn conditions(&mut self) -> Vec<Rule> {
        let text = self.text.trim_start();
        let parts: Vec<_> = match text.strip_prefix(':') {
            Some(list) => {
                list.split(" - ").map(str::trim).filter(|part| !part.is_empty()).collect()
            }
            None => vec![text],
        };
        // Numbered alternatives inside a list are beyond this reader.
        let nested = parts.iter().any(|part| part.starts_with("i)") || part.starts_with("(i"));
        if nested {
            return vec![Rule::Text(text.to_owned())];
        }
        let rules = parts.into_iter().map(|part| {
            let part = part.trim_start_matches("- ").trim_start_matches("and ").trim();
            let part = part.trim_end_matches(" and").trim_end_matches(',').trim();
            let mut at = Cursor { text: part };
            let read = at.condition().filter(|_| at.text.is_empty());
            read.unwrap_or_else(|| Rule::Text(part.to_owned()))
        });
        rules.collect()
    }

    fn condition(&mut self) -> Option<Rule> {
        if self.eat_any(&["all the materials of ", "all materials of "]) {
            let codes = self.codes()?;
            self.eat(" used");
            if !self.eat(" are wholly obtained") {
                return None;
            }
            self.eat(" in the country or territory");
            return Some(Rule::MaterialsWhollyObtained(codes));
        }
        let by_weight = self.eat_any(&["the total weight of ", "the weight of "]);
        if !by_weight && !self.eat("the value of ") {
            return None;
        }
        self.eat("all ");
        self.eat("the ");
        self.eat("non-originating ");
        if !self.eat("materials") {
            return None;
        }
        let codes = if self.eat(" of ") { self.codes()? } else { Vec::new() };
        self.eat(" used");
        if !self.eat_any(&[" does not exceed ", " must not exceed "]) {
            return None;
        }
        let percent = self.percent()?;
        let of = self.base()?;
        let is_weight = of == Base::NetMass;
        (is_weight == by_weight).then_some(Rule::MaxShare { codes, percent, of })
    }

    /// Reads `47.5% ` as a percentage.
    fn percent(&mut self) -> Option<Decimal> {
        let (number, rest) = self.text.split_once('%')?;
        let percent = parse_decimal(number.trim()).ok()?;
        self.text = rest.trim_start();
        (percent <= Decimal::ONE_HUNDRED).then_some(percent)
    }

    /// Reads what a share is a share of.
    fn base(&mut self) -> Option<Base> {
        if self.eat("of the ex-works price") {
            self.eat(" (exw)");
            self.eat_any(&[" of the good", " of the product"]);
            return Some(Base::ExWorks);
        }
        let weight = ["of the weight of the final good", "of the weight of the product"];
        self.eat_any(&weight).then_some(Base::NetMass)
    }

    /// Reads a list of codes such as `chapter 4, heading 1101 to heading 1108 and heading 1703`.
    fn codes(&mut self) -> Option<Vec<CodeRange>> {
        let mut digits = 0;
        let mut codes = vec![self.code_range(&mut digits)?];
        loop {
            let mut next = *self;
            if !next.eat_any(&[", and ", ", ", " and ", " or "]) {
                return Some(codes);
            }
            let mut kind = digits;
            let Some(range) = next.code_range(&mut kind) else { return Some(codes) };
            (*self, digits) = (next, kind);
            codes.push(range);
        }
    }

    fn code_range(&mut self, digits: &mut usize) -> Option<CodeRange> {
        let from = self.code(digits)?;
        let mut next = *self;
        if next.eat(" to ")
            && let Some(to) = next.code(digits)
        {
            *self = next;
            return CodeRange::parse(&format!("{from}-{to}"));
        }
        CodeRange::parse(&from)
    }

    /// Reads one code; a bare number is of the same kind as the one before.
    fn code(&mut self, digits: &mut usize) -> Option<String> {
        for (word, length) in [("chapter", 2), ("heading", 4), ("subheading", 6)] {
            let mut next = *self;
            if next.eat(word) {
                next.eat("s");
                if next.eat(" ") {
                    (*self, *digits) = (next, length);
                    break;
                }
            }
        }
        let length = self.text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.text.split_at_checked(length)?;
        let fits = (1..=*digits).contains(&length) && (length == *digits || *digits == 2);
        if !fits {
            return None;
        }
        self.text = rest;
        Some(format!("{number:0>2}"))
    }
}
