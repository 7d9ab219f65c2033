//! Conditions of the claim: dates of the agreement, destination, route, certificate, invoice.

use std::time::Duration;

use karvan_types::Date;

use super::Case;
use crate::origin::set::{Basis, DirectConsignment, Issue, ThirdPartyInvoice};
use crate::origin::step::{Missing, Sentence, Step, Verdict};
use crate::origin::words::{self as w, Phrase, fact};

/// Seconds of a day.
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// Months of a year.
const YEAR_MONTHS: u64 = 12;

/// What a condition came to: verdict, reason, what is missing.
type Finding = (Verdict, Sentence, Vec<Missing>);

fn met(because: Sentence) -> Finding {
    (Verdict::Met, because, Vec::new())
}

fn not_met(because: Sentence) -> Finding {
    (Verdict::NotMet, because, Vec::new())
}

/// Facts of the product file are missing: those of the list that are not known.
fn open(facts: &[(bool, &str, Phrase)]) -> Finding {
    let lacking = facts.iter().filter(|(is_known, ..)| !is_known);
    let missing: Vec<_> = lacking.map(|(_, pointer, what)| fact(pointer, &what.say(&[]))).collect();
    let what: Vec<_> = missing.iter().map(|fact| fact.what.as_str()).collect();
    let because = w::FACT_MISSING.say(&[("what", &what.join("; "))]);
    (Verdict::CannotSay, because, missing)
}

impl Case<'_> {
    pub(super) fn conditions(&self) -> Step {
        let parameters = &self.set.parameters;
        let in_force = parameters.in_force.as_ref().map(|known| (known, &known.basis));
        let route = parameters.direct_consignment.as_ref().map(|known| (known, &known.basis));
        let issue = parameters.issue.as_ref().map(|known| (known, &known.basis));
        let validity = parameters.validity_months.as_ref().map(|(months, basis)| (months, basis));
        let invoice =
            parameters.third_party_invoice.as_ref().map(|known| (&known.rule, &known.basis));
        let steps = vec![
            condition(w::IN_FORCE, in_force, |period| self.in_force(period.from, period.until)),
            self.destination(),
            condition(w::DIRECT, route, |route| self.route(route)),
            condition(w::ISSUE, issue, |issue| self.issue(issue)),
            condition(w::VALIDITY, validity, |months| self.validity(*months)),
            condition(w::INVOICE, invoice, |rule| self.invoice(*rule)),
        ];
        Step::all(w::CONDITIONS.say(&[]), steps)
    }

    fn in_force(&self, from: Date, until: Option<Date>) -> Finding {
        let Some(shipped) = self.product.certificate.shipped else {
            return open(&[(false, "/certificate/shipped", w::FACT_SHIPPED)]);
        };
        let until_text =
            until.map_or_else(|| "further notice".to_owned(), |until| until.to_string());
        let args =
            [("shipped", shipped.to_string()), ("from", from.to_string()), ("until", until_text)];
        let args: Vec<_> = args.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if shipped < from || until.is_some_and(|until| until < shipped) {
            return not_met(w::IN_FORCE_NOT.say(&args));
        }
        met(w::IN_FORCE_MET.say(&args))
    }

    fn destination(&self) -> Step {
        let (from, to) = (self.product.produced_in.as_str(), self.product.destination.as_str());
        let args = [("from", from), ("to", to)];
        let rule = w::DESTINATION.say(&[]);
        let is_party = self.set.parties.iter().any(|party| party == to);
        let (verdict, because) = if from == to {
            (Verdict::NotMet, w::DESTINATION_SAME)
        } else if self.set.parties.is_empty() {
            (Verdict::NotChecked, w::NO_PARTIES)
        } else if is_party {
            (Verdict::Met, w::DESTINATION_MET)
        } else {
            (Verdict::NotMet, w::DESTINATION_NOT)
        };
        Step::leaf(rule, verdict, because.say(&args))
    }

    fn route(&self, rule: &DirectConsignment) -> Finding {
        let route = &self.product.transport;
        let Some(transit) = &route.transit else {
            return open(&[(false, "/transport/transit", w::FACT_TRANSIT)]);
        };
        if transit.is_empty() {
            return met(w::DIRECT_MET.say(&[]));
        }
        let countries = transit.join(", ");
        let args = [("countries", countries.as_str())];
        if route.traded == Some(true) {
            return not_met(w::TRANSIT_TRADED.say(&args));
        }
        if route.customs_control == Some(false) {
            return not_met(w::TRANSIT_CONTROL.say(&args));
        }
        let forbidden =
            route.operations.iter().flatten().find(|done| !rule.operations.contains(done));
        if let Some(operation) = forbidden {
            let allowed = rule.operations.join(", ");
            return not_met(
                w::TRANSIT_OPERATION.say(&[("operation", operation), ("allowed", &allowed)]),
            );
        }
        let proofs = rule.proofs.join(", ");
        let is_proven = |shown: &Vec<String>| shown.iter().any(|proof| rule.proofs.contains(proof));
        if route.proofs.as_ref().is_some_and(|shown| !is_proven(shown)) {
            return not_met(w::TRANSIT_PROOF.say(&[("proofs", &proofs)]));
        }
        let facts = [
            (route.traded.is_some(), "/transport/traded", w::FACT_TRADED),
            (route.customs_control.is_some(), "/transport/customs_control", w::FACT_CONTROL),
            (route.operations.is_some(), "/transport/operations", w::FACT_OPERATIONS),
            (route.proofs.is_some(), "/transport/proofs", w::FACT_PROOFS),
        ];
        if facts.iter().any(|(is_known, ..)| !is_known) {
            return open(&facts);
        }
        met(w::TRANSIT_MET.say(&args))
    }

    fn issue(&self, rule: &Issue) -> Finding {
        let certificate = &self.product.certificate;
        let (Some(issued), Some(shipped)) = (certificate.issued, certificate.shipped) else {
            return open(&[
                (certificate.issued.is_some(), "/certificate/issued", w::FACT_ISSUED),
                (certificate.shipped.is_some(), "/certificate/shipped", w::FACT_SHIPPED),
            ]);
        };
        let (limit, late) = (
            plus_days(shipped, rule.days_after_shipment),
            plus_months(shipped, rule.retrospective_months),
        );
        let texts = [issued.to_string(), shipped.to_string(), limit.to_string(), late.to_string()];
        let [issued_text, shipped_text, limit_text, late_text] = &texts;
        let args = [
            ("issued", issued_text.as_str()),
            ("shipped", shipped_text),
            ("limit", limit_text),
            ("late", late_text),
        ];
        if issued <= limit {
            return met(w::ISSUE_MET.say(&args));
        }
        if late < issued {
            return not_met(w::ISSUE_TOO_LATE.say(&args));
        }
        match certificate.retrospective {
            Some(true) => met(w::ISSUE_RETROSPECTIVE.say(&args)),
            Some(false) => not_met(w::ISSUE_UNMARKED.say(&args)),
            None => open(&[(false, "/certificate/retrospective", w::FACT_RETROSPECTIVE)]),
        }
    }

    fn validity(&self, months: u64) -> Finding {
        let certificate = &self.product.certificate;
        let (Some(issued), Some(presented)) = (certificate.issued, certificate.presented) else {
            return open(&[
                (certificate.issued.is_some(), "/certificate/issued", w::FACT_ISSUED),
                (certificate.presented.is_some(), "/certificate/presented", w::FACT_PRESENTED),
            ]);
        };
        let last = plus_months(issued, months);
        let texts = [issued.to_string(), presented.to_string(), last.to_string()];
        let [issued_text, presented_text, last_text] = &texts;
        let args =
            [("issued", issued_text.as_str()), ("presented", presented_text), ("last", last_text)];
        if presented < issued {
            return not_met(w::VALIDITY_EARLY.say(&args));
        }
        if last < presented {
            return not_met(w::VALIDITY_EXPIRED.say(&args));
        }
        met(w::VALIDITY_MET.say(&args))
    }

    fn invoice(&self, rule: ThirdPartyInvoice) -> Finding {
        let certificate = &self.product.certificate;
        if rule == ThirdPartyInvoice::Allowed {
            return met(w::INVOICE_ALLOWED.say(&[]));
        }
        match (certificate.third_party_invoice, rule, certificate.third_party_declared) {
            (None, _, _) => open(&[(false, "/certificate/third_party_invoice", w::FACT_INVOICE)]),
            (Some(false), _, _) => met(w::INVOICE_OWN.say(&[])),
            (_, ThirdPartyInvoice::Forbidden, _) => not_met(w::INVOICE_FORBIDDEN.say(&[])),
            (_, _, Some(true)) => met(w::INVOICE_DECLARED.say(&[])),
            (_, _, Some(false)) => not_met(w::INVOICE_UNDECLARED.say(&[])),
            (_, _, None) => open(&[(false, "/certificate/third_party_declared", w::FACT_DECLARED)]),
        }
    }
}

/// Checks one parameter, when the set holds it.
fn condition<T>(
    rule: Phrase,
    parameter: Option<(&T, &Basis)>,
    check: impl FnOnce(&T) -> Finding,
) -> Step {
    let Some((parameter, basis)) = parameter else {
        return Step::leaf(rule.say(&[]), Verdict::NotChecked, w::NOT_IN_SET.say(&[]));
    };
    let (verdict, because, missing) = check(parameter);
    Step::leaf(rule.say(&[]), verdict, because).on(basis).lacking(missing)
}

/// Returns the day so many days later; the last day of the calendar when there is none.
fn plus_days(day: Date, days: u64) -> Date {
    day.checked_add(Duration::from_secs(days.saturating_mul(DAY_SECONDS))).unwrap_or(Date::MAX)
}

/// Returns the same day so many months later; the last of the month where there is no such day.
pub(crate) fn plus_months(day: Date, months: u64) -> Date {
    let later = || {
        let count = u64::try_from(day.month()).ok()? - 1 + months;
        let years = i16::try_from(count / YEAR_MONTHS).ok()?;
        let month = i8::try_from(count % YEAR_MONTHS).ok()? + 1;
        let first = Date::new(day.year().checked_add(years)?, month, 1).ok()?;
        Date::new(first.year(), month, day.day().min(first.days_in_month())).ok()
    };
    later().unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_of_the_calendar() {
        let day = |text: &str| text.parse::<Date>().expect(text);
        for (from, months, expected) in [
            ("2026-01-31", 1, "2026-02-28"),
            ("2024-02-29", 12, "2025-02-28"),
            ("2026-03-15", 12, "2027-03-15"),
            ("2026-12-01", 1, "2027-01-01"),
            ("2026-05-05", 0, "2026-05-05"),
        ] {
            assert_eq!(plus_months(day(from), months), day(expected), "{from} + {months}");
        }
        assert_eq!(plus_days(day("2026-12-20"), 15), day("2027-01-04"));
        assert_eq!(plus_months(Date::MAX, 1200), Date::MAX);
    }
}
