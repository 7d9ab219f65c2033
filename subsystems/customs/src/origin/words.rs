//! Every sentence of the explanation in English, each under a key for translations.
//!
//! A phrase is a key and a template with `{names}`; whoever translates into Azerbaijani or Urdu
//! needs the keys and the same names. Codes, numbers and short names are arguments, never part of
//! a phrase.

use super::step::{Missing, Sentence};

/// A sentence with places for arguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Phrase {
    pub(super) key: &'static str,
    pub(super) english: &'static str,
}

impl Phrase {
    /// Fills in the arguments.
    pub(super) fn say(self, args: &[(&'static str, &str)]) -> Sentence {
        Sentence::new(self, args)
    }
}

/// Names a fact that is missing.
pub(super) fn fact(pointer: &str, what: &Sentence) -> Missing {
    Missing { pointer: pointer.to_owned(), what: what.english() }
}

/// Defines phrases and the list of all of them.
macro_rules! phrases {
    ($($name:ident = $key:literal, $english:literal;)*) => {
        $(pub(super) const $name: Phrase = Phrase { key: $key, english: $english };)*
        /// Every phrase, for translations and their completeness test.
        #[cfg(test)]
        pub(super) const ALL: &[Phrase] = &[$($name),*];
    };
}

phrases! {
    HEAD_YES = "head.yes",
        "Originating, and the conditions of the claim are met. By: {rule}";
    HEAD_RULE_ONLY = "head.rule-only",
        "Originating as far as the product rule goes; this rule set holds no conditions of route \
         and certificate. By: {rule}";
    HEAD_NOT = "head.not", "Not originating. {why}";
    HEAD_CONDITIONS_FAIL = "head.conditions-fail",
        "Originating, but a condition of the claim is not met. {why}";
    HEAD_CONDITIONS_OPEN = "head.conditions-open",
        "Originating; whether the conditions of the claim are met cannot be said yet. By: {rule}";
    HEAD_CLAIM_FAILS = "head.claim-fails",
        "The claim does not hold, whether the goods originate or not. {why}";
    HEAD_OPEN = "head.open", "It cannot be said whether the goods originate: facts are missing.";
    HEAD_PERSON = "head.person",
        "Needs a person: the verdict hangs on a rule text that is not machine-readable, or on a \
         judgement.";

    MET = "met", "met";
    NOT_MET = "not-met", "not met";
    OPEN = "open", "cannot be said: facts are missing";
    PERSON = "person", "needs a person";
    NOT_CHECKED = "not-checked", "nothing of this is in the rule set";

    PREFERENCE = "preference", "The preference can be claimed";
    ORIGIN = "origin", "The goods originate in the country of production";
    ORIGIN_WAYS = "origin.ways", "One of the ways to originate";
    BY_RULE = "origin.by-rule", "By the product rule, with more than minimal operations";
    PRODUCT_RULE = "origin.product-rule", "Product rule";
    PLACE = "place", "The country of production is a party";
    PLACE_MET = "place.met", "{country} is a party.";
    PLACE_NOT = "place.not", "{country} is no party.";
    NO_PARTIES = "parties.none", "The rule set does not name its parties, so this was not checked.";
    EDITION = "edition", "The code is of HS {wanted}, the edition of the rule set";
    EDITION_MET = "edition.met", "The code is of that edition.";
    EDITION_OTHER = "edition.other",
        "The code is of HS {own}. Codes of different editions are not compared.";
    NOT_IN_SET = "not-in-set", "The rule set holds nothing on this, so it was not checked.";
    ALL_ORIGINATE = "all-originate", "All materials originate";
    ALL_ORIGINATE_BEYOND = "all-originate.beyond",
        "All materials originate, some of them in a partner, with more than minimal operations";
    ALL_ORIGINATE_MET = "all-originate.met", "Every material originates.";
    ALL_ORIGINATE_NOT = "all-originate.not", "Some material does not originate.";
    ALL_ORIGINATE_OPEN = "all-originate.open", "The origin of some material is not known.";
    ENTRY = "entry", "Rule {id} for {goods} ({codes})";
    NO_ENTRY = "entry.none", "No product rule of this set covers {code}.";
    ENTRY_UNKNOWN = "entry.unknown",
        "The product names rule {wanted}, but {code} falls under {ids}.";
    WHICHEVER = "entry.whichever", "{code} falls under {ids}; the description of the goods decides";
    WHICHEVER_SAME = "entry.whichever.same", "The answer is the same under each description.";
    WHICHEVER_OPEN = "entry.whichever.open",
        "The answer hangs on which description fits the goods.";
    ADDITIONAL = "entry.additional", "The product rule, or a rule that holds beside it";

    RULE_WHOLLY = "rule.wholly", "The goods are wholly obtained";
    RULE_MATERIALS_WHOLLY = "rule.materials-wholly", "All materials of {codes} are wholly obtained";
    RULE_CHAPTER = "rule.chapter",
        "Every material without origin is of another chapter than the goods{tail}";
    RULE_HEADING = "rule.heading",
        "Every material without origin is of another heading than the goods{tail}";
    RULE_SUBHEADING = "rule.subheading",
        "Every material without origin is of another subheading than the goods{tail}";
    RULE_ANY_HEADING = "rule.any-heading",
        "Materials without origin may be of any heading{tail}";
    RULE_MAX_SHARE = "rule.max-share",
        "The {measure} of materials{which} without origin is at most {percent} % of the {base}";
    RULE_BUILD_DOWN = "rule.build-down",
        "The originating content is at least {percent} % of the {base}: what is left of it after \
         the value of materials without origin";
    RULE_BUILD_UP = "rule.build-up",
        "The originating content is at least {percent} % of the {base}: originating materials, \
         labour, overhead and profit";
    RULE_PROCESS = "rule.process", "{process} [{name}]";
    RULE_ALL = "rule.all", "All of these";
    RULE_ANY = "rule.any", "One of these";
    RULE_TEXT = "rule.text", "{text}";

    TEXT = "text", "Needs a person: rule text not machine-readable.";
    MATERIALS_MISSING = "materials.missing", "No list of materials is given.";
    MATERIALS_FIT = "materials.fit", "No material without origin stands against it.";
    MATERIALS_BREAK = "materials.break", "These stand against it: {names}.";
    MATERIALS_OPEN = "materials.open", "These may stand against it: {names}.";
    WHOLLY_MET = "wholly.met", "Declared as: {way}.";
    WHOLLY_NOT = "wholly.not", "Declared as not wholly obtained.";
    WHOLLY_FOREIGN = "wholly.foreign",
        "They contain materials that are not of the country: {names}.";
    WHOLLY_MISSING = "wholly.missing", "It is not stated whether they are.";
    WHOLLY_OPEN = "wholly.open", "The origin of some material is not known.";
    WHOLLY_NO_LIST = "wholly.no-list",
        "Declared as `{way}`, but the rule set holds no list of wholly obtained goods.";
    WHOLLY_WAY = "wholly.way", "The rule set does not know `{way}`; it knows {ways}.";
    WHOLLY_IMPLAUSIBLE = "wholly.implausible",
        "Goods of {code} are manufactured, so the declaration is not believed without a person.";
    PROCESS_MET = "process.met", "`{name}` is among the processes done in {country}.";
    PROCESS_NOT = "process.not",
        "`{name}` is not among the processes done in {country}, and the list is complete.";
    PROCESS_OPEN = "process.open",
        "`{name}` is not listed, and the list of processes is not said to be complete.";
    CHANGE_REST = "change.rest", "The other materials";
    ALLOWANCE = "allowance",
        "Materials that may be used nevertheless{which}: at most {percent} % of the {base}";
    ALLOWED_MET = "allowance.met", "{names}: within the limit.";
    ALLOWED_NOT = "allowance.not", "{names}: beyond the limit.";
    ALLOWED_OPEN = "allowance.open", "{names}: a value is missing.";
    SHARE_MET = "share.met", "It is {actual}, {expected} is wanted.";
    SHARE_NOT = "share.not", "It is {actual}, but {expected} is wanted.";
    SHARE_OPEN = "share.open", "It is {actual} as far as known; {expected} is wanted.";

    TOLERANCE = "tolerance", "General tolerance";
    TOLERANCE_UNKNOWN = "tolerance.unknown",
        "The rule set does not hold the tolerance of the agreement.";
    TOLERANCE_NONE = "tolerance.none", "No tolerance applies to these goods.";
    TOLERANCE_MET = "tolerance.met", "{names}: within {percent} % of the {base}.";
    TOLERANCE_NOT = "tolerance.not", "{names}: more than {percent} % of the {base}.";
    TOLERANCE_OPEN = "tolerance.open", "{names}: whether within {percent} % of the {base} is open.";
    MINIMAL = "minimal", "More than minimal operations are done";
    MINIMAL_MET = "minimal.met", "Done: {process}.";
    MINIMAL_NOT = "minimal.not", "Only minimal operations are done: {operations}.";
    MINIMAL_OPEN = "minimal.open",
        "Only minimal operations are listed, and the list is not said to be complete.";
    MINIMAL_UNKNOWN = "minimal.unknown",
        "The rule set does not know `{name}`; a person must say whether it is more than minimal.";
    PROCESSES_MISSING = "processes.missing", "It is not stated which processes were done.";

    STATEMENT = "statement", "The rule for {code} allows what the certificate states";
    STATEMENT_MET = "statement.met", "The rule has this criterion.";
    STATEMENT_NOT = "statement.not", "The rule does not have this criterion.";
    FACT_STATEMENT = "fact.statement", "a person's view on what the certificate states for {code}";

    CONDITIONS = "conditions", "The conditions of the claim are met";
    FACT_MISSING = "fact.missing", "Not known: {what}.";
    IN_FORCE = "in-force", "The goods are shipped while the agreement is in force";
    IN_FORCE_MET = "in-force.met", "Shipped on {shipped}; in force from {from} until {until}.";
    IN_FORCE_NOT = "in-force.not",
        "Shipped on {shipped}, but in force from {from} until {until}.";
    DESTINATION = "destination", "The goods go to another party";
    DESTINATION_MET = "destination.met", "They go from {from} to {to}.";
    DESTINATION_SAME = "destination.same", "They stay in {from}.";
    DESTINATION_NOT = "destination.not", "They go to {to}, which is no party.";
    DIRECT = "direct", "Direct consignment";
    DIRECT_MET = "direct.met", "They pass through no other country.";
    TRANSIT_MET = "transit.met",
        "In transit through {countries} they stay under customs control, unchanged and untraded, \
         and the route is proven.";
    TRANSIT_TRADED = "transit.traded", "They are traded or put to use in transit ({countries}).";
    TRANSIT_CONTROL = "transit.control",
        "They do not stay under customs control in transit ({countries}).";
    TRANSIT_OPERATION = "transit.operation",
        "`{operation}` is done in transit; allowed are {allowed}.";
    TRANSIT_PROOF = "transit.proof", "The route is not proven; give one of {proofs}.";
    ISSUE = "issue", "The certificate is issued in time";
    ISSUE_MET = "issue.met",
        "Issued on {issued}, shipped on {shipped}; no remark is needed until {limit}.";
    ISSUE_RETROSPECTIVE = "issue.retrospective",
        "Issued on {issued} after shipment on {shipped}, marked as retrospective; possible until \
         {late}.";
    ISSUE_UNMARKED = "issue.unmarked",
        "Issued on {issued}, after {limit}, without being marked as retrospective.";
    ISSUE_TOO_LATE = "issue.too-late",
        "Issued on {issued}; after shipment on {shipped} that was possible until {late}.";
    VALIDITY = "validity", "The certificate is valid when it is presented";
    VALIDITY_MET = "validity.met",
        "Issued on {issued}, presented on {presented}, valid until {last}.";
    VALIDITY_EARLY = "validity.early",
        "Presented on {presented}, before it was issued on {issued}.";
    VALIDITY_EXPIRED = "validity.expired", "Presented on {presented}, but valid until {last}.";
    INVOICE = "invoice", "The invoice of a third country";
    INVOICE_ALLOWED = "invoice.allowed", "Invoices of any country are accepted.";
    INVOICE_OWN = "invoice.own", "The invoice is not from a third country.";
    INVOICE_FORBIDDEN = "invoice.forbidden",
        "The invoice is from a third country, which is not allowed.";
    INVOICE_DECLARED = "invoice.declared",
        "The invoice is from a third country, and the certificate says so.";
    INVOICE_UNDECLARED = "invoice.undeclared",
        "The invoice is from a third country, and the certificate does not say so.";

    SAY_IN_FORCE = "say.in-force", "In force from {from} until {until}.";
    SAY_WHOLLY = "say.wholly",
        "Wholly obtained are: {ways}. Declared for codes {codes}, a person must look.";
    SAY_NO_CUMULATION = "say.no-cumulation",
        "Only materials of the country of production count as originating.";
    SAY_CUMULATION = "say.cumulation", "Originating materials of {countries} count as its own.";
    SAY_CUMULATION_PROOF = "say.cumulation-proof",
        "Originating materials of {countries} count as its own, with a proof of origin.";
    SAY_TOLERANCE = "say.tolerance",
        "Materials up to {percent} % of the {base} may break a rule on classification.";
    SAY_TOLERANCE_EXCEPT = "say.tolerance-except",
        "Materials up to {percent} % of the {base} may break a rule on classification, but not \
         for goods of {codes}.";
    SAY_MINIMAL = "say.minimal", "These operations never confer origin: {operations}.";
    SAY_DIRECT = "say.direct",
        "Direct consignment; in transit under customs control, untraded, with no more than \
         {operations}, proven by one of {proofs}.";
    SAY_ISSUE = "say.issue",
        "The certificate is issued within {days} days of shipment, or marked as retrospective \
         within {months} months.";
    SAY_VALIDITY = "say.validity", "The certificate is valid for {months} months from its issue.";
    SAY_INVOICE_DECLARED = "say.invoice-declared",
        "An invoice of a third country is accepted when the certificate says so.";
    SAY_INVOICE_FORBIDDEN = "say.invoice-forbidden",
        "An invoice of a third country is not accepted.";

    FACT_CODE = "fact.code", "the code of the goods in HS {edition}";
    FACT_MATERIAL_CODE = "fact.material-code", "the code of {name} in HS {edition}";
    FACT_RULE = "fact.rule", "a product rule for {code} in the rule set";
    FACT_ENTRY = "fact.entry", "which of the rules {ids} describes the goods";
    FACT_TEXT = "fact.text", "a person's reading of: {text}";
    FACT_MATERIALS = "fact.materials", "the list of all materials";
    FACT_ORIGIN = "fact.origin", "the origin of {name}; `none` when it does not originate";
    FACT_PROOF = "fact.proof", "the proof of origin of {name}";
    FACT_CUMULATION = "fact.cumulation",
        "whether materials of {country} count as originating (the rule set holds no cumulation; \
         write `none` as origin of those that do not)";
    FACT_AMOUNT = "fact.amount", "the {measure} of {name}";
    FACT_COST = "fact.cost", "the cost: {cost}";
    FACT_BASE = "fact.base", "the {base}";
    FACT_WHOLLY = "fact.wholly", "whether and how the goods were wholly obtained";
    FACT_MATERIAL_WHOLLY = "fact.material-wholly", "whether {name} was wholly obtained";
    FACT_WAYS = "fact.ways", "the agreement's list of wholly obtained goods";
    FACT_WAY = "fact.way", "how the goods were wholly obtained: {ways}";
    FACT_PLAUSIBLE = "fact.plausible", "a person's view on how goods of {code} were obtained";
    FACT_TOLERANCE = "fact.tolerance", "the tolerance of the agreement";
    FACT_PROCESSES = "fact.processes", "the processes done in the country of production";
    FACT_PROCESS = "fact.process", "whether `{name}` was done in {country}";
    FACT_COMPLETE = "fact.complete", "whether the list of processes is complete";
    FACT_JUDGE = "fact.judge", "a person's view whether `{name}` is more than minimal";
    FACT_SHIPPED = "fact.shipped", "the day of shipment";
    FACT_ISSUED = "fact.issued", "the day of issue";
    FACT_PRESENTED = "fact.presented", "the day on which the certificate is presented";
    FACT_RETROSPECTIVE = "fact.retrospective", "whether the certificate is marked retrospective";
    FACT_TRANSIT = "fact.transit", "the countries of transit; an empty list for none";
    FACT_TRADED = "fact.traded", "whether the goods were traded or used in transit";
    FACT_CONTROL = "fact.control", "whether they stayed under customs control in transit";
    FACT_OPERATIONS = "fact.operations", "what was done with them in transit";
    FACT_PROOFS = "fact.proofs", "the documents that prove the route";
    FACT_INVOICE = "fact.invoice", "whether the invoice is from a third country";
    FACT_DECLARED = "fact.declared", "whether the certificate names the third-country invoice";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_are_unique_and_templates_well_formed() {
        let keys: BTreeSet<_> = ALL.iter().map(|phrase| phrase.key).collect();
        assert_eq!(keys.len(), ALL.len());
        for phrase in ALL {
            let (open, close) =
                (phrase.english.matches('{').count(), phrase.english.matches('}').count());
            assert!(open == close && !phrase.english.contains("  "), "{}", phrase.key);
        }
    }
}
