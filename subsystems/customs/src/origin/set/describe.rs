//! The general parameters in words.

use super::{Basis, CumulationKind, Parameters, RuleSet, ThirdPartyInvoice};
use crate::origin::codes::join;
use crate::origin::step::Sentence;
use crate::origin::words as w;

impl RuleSet {
    /// Says what holds for all goods, each with source and status; what is absent is left out.
    pub fn common_rules(&self) -> Vec<(Sentence, &Basis)> {
        let Parameters { in_force, wholly_obtained, tolerance, minimal_operations, .. } =
            &self.parameters;
        let mut rules = Vec::new();
        if let Some(period) = in_force {
            let until = period.until.map_or_else(|| "further notice".to_owned(), |d| d.to_string());
            let args = [("from", period.from.to_string()), ("until", until)];
            rules.push((say(w::SAY_IN_FORCE, &args), &period.basis));
        }
        if let Some(known) = wholly_obtained {
            let ways: Vec<_> =
                known.ways.iter().map(|(name, words)| format!("{words} [{name}]")).collect();
            let args = [("ways", ways.join("; ")), ("codes", join(&known.implausible))];
            rules.push((say(w::SAY_WHOLLY, &args), &known.basis));
        }
        rules.extend(self.cumulation_rule());
        if let Some(known) = tolerance {
            let args = [
                ("percent", known.percent.to_string()),
                ("base", known.of.words().to_owned()),
                ("codes", join(&known.not_for)),
            ];
            let plain = known.not_for.is_empty();
            let phrase = if plain { w::SAY_TOLERANCE } else { w::SAY_TOLERANCE_EXCEPT };
            rules.push((say(phrase, &args), &known.basis));
        }
        if let Some(known) = minimal_operations {
            let operations: Vec<_> =
                known.operations.iter().map(|(name, words)| format!("{words} [{name}]")).collect();
            rules.push((
                say(w::SAY_MINIMAL, &[("operations", operations.join("; "))]),
                &known.basis,
            ));
        }
        rules.extend(self.claim_rules());
        rules
    }

    fn cumulation_rule(&self) -> Option<(Sentence, &Basis)> {
        let known = self.parameters.cumulation.as_ref()?;
        let countries: Vec<_> = self.parties.iter().chain(&known.countries).cloned().collect();
        let phrase = match (known.kind, known.proof_required) {
            (CumulationKind::None, _) => w::SAY_NO_CUMULATION,
            (_, true) => w::SAY_CUMULATION_PROOF,
            (_, false) => w::SAY_CUMULATION,
        };
        Some((say(phrase, &[("countries", countries.join(", "))]), &known.basis))
    }

    fn claim_rules(&self) -> Vec<(Sentence, &Basis)> {
        let mut rules = Vec::new();
        if let Some(known) = &self.parameters.direct_consignment {
            let args =
                [("operations", known.operations.join(", ")), ("proofs", known.proofs.join(", "))];
            rules.push((say(w::SAY_DIRECT, &args), &known.basis));
        }
        if let Some(known) = &self.parameters.issue {
            let args = [
                ("days", known.days_after_shipment.to_string()),
                ("months", known.retrospective_months.to_string()),
            ];
            rules.push((say(w::SAY_ISSUE, &args), &known.basis));
        }
        if let Some((months, basis)) = &self.parameters.validity_months {
            rules.push((say(w::SAY_VALIDITY, &[("months", months.to_string())]), basis));
        }
        if let Some(known) = &self.parameters.third_party_invoice {
            let phrase = match known.rule {
                ThirdPartyInvoice::Allowed => w::INVOICE_ALLOWED,
                ThirdPartyInvoice::IfDeclared => w::SAY_INVOICE_DECLARED,
                ThirdPartyInvoice::Forbidden => w::SAY_INVOICE_FORBIDDEN,
            };
            rules.push((phrase.say(&[]), &known.basis));
        }
        rules
    }
}

fn say(phrase: w::Phrase, args: &[(&'static str, String)]) -> Sentence {
    let args: Vec<_> = args.iter().map(|(name, value)| (*name, value.as_str())).collect();
    phrase.say(&args)
}
