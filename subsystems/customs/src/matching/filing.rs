//! Looks at the day of filing, on which rates and rules depend, and at the declarant's reference,
//! which is given once.
//!
//! The day is stated by whoever files. The first version fixes it; another day in a later version,
//! and a day long before the claim came, are told.

use karvan_types::Decimal;

use super::{Case, Findings, Papers, Rule, local_date};

pub(super) fn look(case: &Case<'_>, findings: &mut Findings<'_>) {
    let stated = case.claim.acceptance_date_time.map(|at| local_date(at, case.nation));
    if let Some(stated) = stated.filter(|stated| *stated != case.filed) {
        let papers = Papers::new().claim(stated).basis(case.filed);
        findings.add(Rule::FilingDayChanged, papers);
    }
    if !case.same_reference.is_empty() {
        let reference = &case.claim.header.functional_reference_id;
        let papers = Papers::new().claim(reference).basis(case.same_reference.join(", "));
        findings.add(Rule::ReferenceReused, papers);
    }
    let came = local_date(case.received_at, case.nation);
    let late = Decimal::from((came - case.filed).get_days());
    let limit = case.filed_late_days.map(Decimal::from);
    if late > limit.unwrap_or_else(|| findings.limit(Rule::FiledLongAgo)) {
        findings.add(Rule::FiledLongAgo, Papers::new().claim(case.filed).basis(came));
    }
}
