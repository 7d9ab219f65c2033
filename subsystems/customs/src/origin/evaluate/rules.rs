//! Each form of product rule against the facts.

use karvan_types::Decimal;

use super::Case;
use super::materials::{Counted, Standing, Sum, Used, names};
use crate::origin::codes::{CodeRange, join};
use crate::origin::rule::{Allowance, Base, Level, Method, Rule};
use crate::origin::step::{Kind, Missing, Sentence, Step, Verdict};
use crate::origin::words::{self as w, fact};

impl Case<'_> {
    /// Evaluates a rule and all its parts.
    pub(super) fn rule(&self, rule: &Rule) -> Step {
        let words = rule.sentence(self.set);
        match rule {
            Rule::All(rules) => {
                Step::all(words, rules.iter().map(|rule| self.rule(rule)).collect())
            }
            Rule::Any(rules) => {
                Step::any(words, rules.iter().map(|rule| self.rule(rule)).collect())
            }
            Rule::WhollyObtained => self.wholly_obtained(),
            Rule::Process(name) => self.process(words, name),
            Rule::Text(text) => {
                let missing = vec![fact("", &w::FACT_TEXT.say(&[("text", text)]))];
                Step::leaf(words, Verdict::NeedsPerson, w::TEXT.say(&[])).lacking(missing)
            }
            _ if self.materials.0.is_none() => {
                let missing = vec![fact("/materials", &w::FACT_MATERIALS.say(&[]))];
                Step::leaf(words, Verdict::CannotSay, w::MATERIALS_MISSING.say(&[]))
                    .lacking(missing)
            }
            Rule::MaterialsWhollyObtained(codes) => self.materials_wholly(words, codes),
            Rule::Change { level, except, allow } => self.change(words, *level, except, allow),
            Rule::MaxShare { codes, percent, of } => self.max_share(words, codes, *percent, *of),
            Rule::Content { method, percent, of } => self.content(words, *method, *percent, *of),
        }
    }

    fn base(&self, of: Base) -> Option<Decimal> {
        match of {
            Base::ExWorks => self.product.ex_works,
            Base::Fob => self.product.fob,
            Base::NetMass => self.product.net_mass,
        }
    }

    /// Adds the base to what is missing.
    fn with_base(&self, mut missing: Vec<Missing>, of: Base) -> Vec<Missing> {
        if self.base(of).is_none() {
            missing.push(fact(of.pointer(), &w::FACT_BASE.say(&[("base", of.words())])));
        }
        missing
    }

    pub(super) fn wholly_obtained(&self) -> Step {
        let rule = w::RULE_WHOLLY.say(&[]);
        let basis = self.set.parameters.wholly_obtained.as_ref().map(|known| &known.basis);
        let leaf = |verdict, because: Sentence, missing| {
            let step = Step::leaf(rule, verdict, because).lacking(missing);
            match basis {
                Some(basis) => step.on(basis),
                None => step,
            }
        };
        // A partner's materials may count for other rules, but not as obtained here.
        let foreign = self.materials.not_of(&self.product.produced_in);
        let certain: Vec<_> = foreign.iter().filter(|one| one.open.is_empty()).cloned().collect();
        if !certain.is_empty() {
            let because = w::WHOLLY_FOREIGN.say(&[("names", &names(&certain))]);
            return leaf(Verdict::NotMet, because, Vec::new());
        }
        let way = match &self.product.wholly_obtained {
            None => {
                let missing = vec![fact("/wholly_obtained", &w::FACT_WHOLLY.say(&[]))];
                return leaf(Verdict::CannotSay, w::WHOLLY_MISSING.say(&[]), missing);
            }
            Some(None) => return leaf(Verdict::NotMet, w::WHOLLY_NOT.say(&[]), Vec::new()),
            Some(Some(way)) => way,
        };
        let Some(known) = &self.set.parameters.wholly_obtained else {
            let missing = vec![fact("", &w::FACT_WAYS.say(&[]))];
            return leaf(Verdict::NeedsPerson, w::WHOLLY_NO_LIST.say(&[("way", way)]), missing);
        };
        let Some(words) = known.ways.get(way) else {
            let ways: Vec<_> = known.ways.keys().map(String::as_str).collect();
            let args = [("way", way.as_str()), ("ways", &ways.join(", "))];
            let missing = vec![fact("/wholly_obtained", &w::FACT_WAY.say(&args))];
            return leaf(Verdict::CannotSay, w::WHOLLY_WAY.say(&args), missing);
        };
        let code = self.product.code.as_str();
        if known.implausible.iter().any(|range| range.meets(code)) {
            let missing = vec![fact("/wholly_obtained", &w::FACT_PLAUSIBLE.say(&[("code", code)]))];
            let because = w::WHOLLY_IMPLAUSIBLE.say(&[("code", code)]);
            return leaf(Verdict::NeedsPerson, because, missing);
        }
        if !foreign.is_empty() {
            let missing = foreign.into_iter().flat_map(|one| one.open).collect();
            return leaf(Verdict::CannotSay, w::WHOLLY_OPEN.say(&[]), missing);
        }
        leaf(Verdict::Met, w::WHOLLY_MET.say(&[("way", words)]), Vec::new())
    }

    fn process(&self, words: Sentence, name: &str) -> Step {
        let done = self.product.processes.as_ref();
        let is_done = done.is_some_and(|done| done.iter().any(|known| known == name));
        let args = [("name", name), ("country", self.product.produced_in.as_str())];
        if is_done {
            return Step::leaf(words, Verdict::Met, w::PROCESS_MET.say(&args));
        }
        if done.is_some() && self.product.processes_complete == Some(true) {
            return Step::leaf(words, Verdict::NotMet, w::PROCESS_NOT.say(&args));
        }
        let missing = vec![fact("/processes", &w::FACT_PROCESS.say(&args))];
        Step::leaf(words, Verdict::CannotSay, w::PROCESS_OPEN.say(&args)).lacking(missing)
    }

    /// Returns whether the code of a material lies in the ranges, when its edition is the set's.
    fn is_of(&self, used: &Used<'_>, codes: &[CodeRange]) -> Option<bool> {
        let in_edition = used.material.hs_edition == self.set.hs_edition;
        in_edition.then(|| codes.iter().any(|range| range.contains(&used.material.code)))
    }

    fn other_edition(&self, used: &Used<'_>) -> Missing {
        let edition = self.set.hs_edition.to_string();
        let args = [("edition", edition.as_str()), ("name", &used.material.name)];
        fact(&format!("/materials/{}/code", used.index), &w::FACT_MATERIAL_CODE.say(&args))
    }

    /// Returns materials that `verdict` tells to count, or may: `None` is not known.
    fn counted<'u>(
        &self,
        list: Vec<Counted<'u>>,
        counts: impl Fn(&Used<'_>) -> Option<bool>,
    ) -> Vec<Counted<'u>> {
        list.into_iter()
            .filter_map(|mut one| match counts(one.used) {
                Some(false) => None,
                Some(true) => Some(one),
                None => {
                    one.open.push(self.other_edition(one.used));
                    Some(one)
                }
            })
            .collect()
    }

    fn materials_wholly(&self, words: Sentence, codes: &[CodeRange]) -> Step {
        let mut bad = Vec::new();
        for used in self.materials.0.iter().flatten() {
            let material = used.material;
            let mut open = match (&used.standing, material.wholly_obtained) {
                (Standing::Foreign, _) | (_, Some(false)) => Vec::new(),
                (Standing::Own | Standing::Partner, Some(true)) => continue,
                (Standing::Unknown(fact), Some(true)) => vec![fact.clone()],
                (_, None) => {
                    let pointer = format!("/materials/{}/wholly_obtained", used.index);
                    let what = w::FACT_MATERIAL_WHOLLY.say(&[("name", &material.name)]);
                    vec![fact(&pointer, &what)]
                }
            };
            match self.is_of(used, codes) {
                Some(false) => continue,
                Some(true) => {}
                None => open.push(self.other_edition(used)),
            }
            bad.push(Counted { used, open });
        }
        let strict = self.set.parameters.tolerance.as_ref().is_some_and(|t| !t.for_wholly_obtained);
        self.tolerated(words, &bad, strict)
    }

    fn change(
        &self,
        words: Sentence,
        level: Level,
        except: &[CodeRange],
        allow: &[Allowance],
    ) -> Step {
        let own = |used: &Used<'_>| {
            let digits = level.digits();
            let in_edition = used.material.hs_edition == self.set.hs_edition;
            in_edition.then(|| {
                digits > 0 && used.material.code.get(..digits) == self.product.code.get(..digits)
            })
        };
        let free = level == Level::Any && except.is_empty();
        let breaks = |used: &Used<'_>| {
            if free {
                return Some(false);
            }
            Some(own(used)? || self.is_of(used, except)?)
        };
        let mut bad = self.counted(self.materials.foreign(|_| true), breaks);
        let mut steps = Vec::new();
        for allowance in allow {
            let belongs = |one: &Counted<'_>| match &allowance.codes {
                None => own(one.used) != Some(false),
                Some(codes) => self.is_of(one.used, codes) != Some(false),
            };
            let (inside, mut outside): (Vec<_>, Vec<_>) = bad.into_iter().partition(belongs);
            if inside.is_empty() {
                bad = outside;
                continue;
            }
            let step = self.allowed(allowance, &inside);
            if step.verdict != Verdict::Met {
                let open = step.missing.iter();
                let unsure = step.verdict.is_open();
                outside.extend(inside.into_iter().map(|mut one| {
                    if unsure {
                        one.open.extend(open.clone().cloned());
                    }
                    one
                }));
            }
            steps.push(step);
            bad = outside;
        }
        let mut rest = self.tolerated(words.clone(), &bad, false);
        if steps.is_empty() {
            return rest;
        }
        let mut step = Step::leaf(words, rest.verdict, rest.because.clone());
        rest.rule = w::CHANGE_REST.say(&[]);
        steps.push(rest);
        (step.joined, step.steps) = (Kind::All, steps);
        step
    }

    fn allowed(&self, allowance: &Allowance, inside: &[Counted<'_>]) -> Step {
        let base = self.base(allowance.of);
        let sum = Sum::of(inside, allowance.of);
        let verdict = sum.at_most(allowance.percent, base);
        let which = allowance.codes.as_ref().map_or_else(String::new, |codes| join(codes));
        let percent = allowance.percent.to_string();
        let args = [
            ("names", names(inside)),
            ("which", which),
            ("percent", percent),
            ("base", allowance.of.words().to_owned()),
        ];
        let args: Vec<_> = args.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let because = match verdict {
            Verdict::Met => w::ALLOWED_MET,
            Verdict::NotMet => w::ALLOWED_NOT,
            _ => w::ALLOWED_OPEN,
        };
        let actual = sum.shown(base, false);
        let missing =
            if verdict.is_open() { self.with_base(sum.missing, allowance.of) } else { Vec::new() };
        Step::leaf(w::ALLOWANCE.say(&args), verdict, because.say(&args))
            .compared(format!("at most {} %", allowance.percent), actual)
            .lacking(missing)
    }

    /// Judges materials that break a rule, with the general tolerance unless it is `strict`.
    fn tolerated(&self, words: Sentence, bad: &[Counted<'_>], strict: bool) -> Step {
        if bad.is_empty() {
            return Step::leaf(words, Verdict::Met, w::MATERIALS_FIT.say(&[]));
        }
        let listed = names(bad);
        let args = [("names", listed.as_str())];
        let open: Vec<_> = bad.iter().flat_map(|one| one.open.iter().cloned()).collect();
        let certain = bad.iter().any(|one| one.open.is_empty());
        let strictly = if certain {
            Step::leaf(words.clone(), Verdict::NotMet, w::MATERIALS_BREAK.say(&args))
        } else {
            Step::leaf(words.clone(), Verdict::CannotSay, w::MATERIALS_OPEN.say(&args))
                .lacking(open)
        };
        if strict {
            return strictly;
        }
        let tolerance = self.tolerance(bad);
        Step::any(words, vec![strictly, tolerance])
    }

    fn tolerance(&self, bad: &[Counted<'_>]) -> Step {
        let rule = w::TOLERANCE.say(&[]);
        let Some(tolerance) = &self.set.parameters.tolerance else {
            let missing = vec![fact("", &w::FACT_TOLERANCE.say(&[]))];
            return Step::leaf(rule, Verdict::CannotSay, w::TOLERANCE_UNKNOWN.say(&[]))
                .lacking(missing);
        };
        let listed = names(bad);
        let base = self.base(tolerance.of);
        let excluded = tolerance.not_for.iter().any(|range| range.meets(&self.product.code));
        let percent = if excluded { Decimal::ZERO } else { tolerance.percent };
        if percent.is_zero() {
            // Without a tolerance the value does not matter, only whether there is such a material.
            let verdict = if bad.iter().any(|one| one.open.is_empty()) {
                Verdict::NotMet
            } else {
                Verdict::CannotSay
            };
            let missing = bad.iter().flat_map(|one| one.open.iter().cloned()).collect();
            return Step::leaf(rule, verdict, w::TOLERANCE_NONE.say(&[]))
                .on(&tolerance.basis)
                .lacking(missing);
        }
        let sum = Sum::of(bad, tolerance.of);
        let verdict = sum.at_most(percent, base);
        let percent_text = percent.to_string();
        let args = [
            ("names", listed.as_str()),
            ("percent", percent_text.as_str()),
            ("base", tolerance.of.words()),
        ];
        let because = match verdict {
            Verdict::Met => w::TOLERANCE_MET,
            Verdict::NotMet => w::TOLERANCE_NOT,
            _ => w::TOLERANCE_OPEN,
        };
        let actual = sum.shown(base, false);
        let missing =
            if verdict.is_open() { self.with_base(sum.missing, tolerance.of) } else { Vec::new() };
        Step::leaf(rule, verdict, because.say(&args))
            .on(&tolerance.basis)
            .compared(format!("at most {percent} %"), actual)
            .lacking(missing)
    }

    fn max_share(&self, words: Sentence, codes: &[CodeRange], percent: Decimal, of: Base) -> Step {
        let counts =
            |used: &Used<'_>| if codes.is_empty() { Some(true) } else { self.is_of(used, codes) };
        let counted = self.counted(self.materials.foreign(|_| true), counts);
        let sum = Sum::of(&counted, of);
        let verdict = sum.at_most(percent, self.base(of));
        self.compared(words, verdict, sum, (format!("at most {percent} %"), of, false))
    }

    fn content(&self, words: Sentence, method: Method, percent: Decimal, of: Base) -> Step {
        let base = self.base(of);
        let expected = format!("at least {percent} %");
        if method == Method::BuildDown {
            let foreign = self.materials.foreign(|_| true);
            let sum = Sum::of(&foreign, of);
            let rest = Decimal::ONE_HUNDRED.saturating_sub(percent);
            let verdict = sum.at_most(rest, base);
            return self.compared(words, verdict, sum, (expected, of, true));
        }
        let mut sum = Sum::of(&self.materials.originating(), of);
        for (amount, field) in [
            (self.product.labour, "labour"),
            (self.product.overhead, "overhead"),
            (self.product.profit, "profit"),
        ] {
            let what = w::FACT_COST.say(&[("cost", field)]);
            sum.add(amount, &[], &format!("/price/{field}"), &what);
        }
        let verdict = sum.at_least(percent, base);
        self.compared(words, verdict, sum, (expected, of, false))
    }

    fn compared(
        &self,
        words: Sentence,
        verdict: Verdict,
        sum: Sum,
        (expected, of, rest): (String, Base, bool),
    ) -> Step {
        let actual = sum.shown(self.base(of), rest);
        let shown = actual.clone().unwrap_or_else(|| "not known".to_owned());
        let args = [("actual", shown.as_str()), ("expected", expected.as_str())];
        let because = match verdict {
            Verdict::Met => w::SHARE_MET,
            Verdict::NotMet => w::SHARE_NOT,
            _ => w::SHARE_OPEN,
        };
        let missing = if verdict.is_open() { self.with_base(sum.missing, of) } else { Vec::new() };
        Step::leaf(words, verdict, because.say(&args)).compared(expected, actual).lacking(missing)
    }
}
