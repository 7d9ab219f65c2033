//! Varied consignments in any number, for load: the same seed gives the same ones.
//!
//! Each is the clean grant with other goods, numbers and quantities, and in one of four cases with
//! a difference whose outcome follows from how it was made.

use serde_json::{Value, json};

use super::{Consignment, Step, shipped};

/// Name of the sample that is varied.
const TEMPLATE: &str = "clean-grant";
/// Steps of the template that are kept: certificate, export declaration, claim, decision.
const STEPS: usize = 4;

/// Codes of the exporting side, of the importing side and six digits, goods, and price per 100 kg.
const GOODS: [(&str, &str, &str, u64); 7] = [
    ("0802220000", "08022200", "Hazelnuts, shelled", 700),
    ("0813100000", "08131000", "Apricots, dried", 300),
    ("2401106000", "24011000", "Tobacco, not stemmed", 400),
    ("3901101000", "39011000", "Polyethylene in granules", 110),
    ("3902300000", "39023000", "Propylene copolymers in granules", 120),
    ("7304230000", "73042300", "Drill pipe of steel, seamless", 190),
    ("7408110000", "74081100", "Wire of refined copper, 8 mm", 980),
];
/// Rupees for a dollar in the customs values; the rate itself plays no part in the match.
const RUPEES_PER_DOLLAR: u64 = 285;

/// How the claim departs from the papers.
#[derive(Clone, Copy)]
enum Twist {
    None,
    MoreThanCertified,
    UnderInvoiced,
    OtherCode,
}

/// Returns `count` consignments.
pub fn generate(count: usize, seed: u64) -> Vec<Consignment> {
    each(seed).take(count).collect()
}

/// Makes the consignments of [`generate`] one after the other, without end.
pub fn each(seed: u64) -> impl Iterator<Item = Consignment> {
    chosen(seed, 0..)
}

/// Makes those consignments of [`each`] that have these numbers, counted from 0.
pub fn chosen(
    seed: u64,
    numbers: impl IntoIterator<Item = usize>,
) -> impl Iterator<Item = Consignment> {
    let template = shipped().into_iter().find(|sample| sample.id == TEMPLATE);
    numbers.into_iter().map_while(move |number| Some(vary(template.as_ref()?, &draw(number, seed))))
}

fn draw(number: usize, seed: u64) -> Lot {
    let mut random = Random::after(seed, DRAWS * number as u64);
    let name = format!("{:08X}-{number:06}", seed & 0xFFFF_FFFF);
    let goods = GOODS[usize::try_from(random.below(GOODS.len() as u64)).unwrap_or(0)];
    let hundreds = 10 + random.below(490);
    let twist = match random.below(20) {
        0 | 1 => Twist::MoreThanCertified,
        2 | 3 => Twist::UnderInvoiced,
        4 => Twist::OtherCode,
        _ => Twist::None,
    };
    Lot { name, goods, hundreds, twist }
}

fn vary(template: &Consignment, lot: &Lot) -> Consignment {
    let mut steps: Vec<Step> = template.steps.iter().take(STEPS).cloned().collect();
    for step in &mut steps {
        lot.rewrite(step);
    }
    Consignment {
        id: format!("generated-{}", lot.name),
        title: format!("Generated: {}", lot.goods.2),
        steps,
        ..template.clone()
    }
}

/// What is particular to one consignment.
struct Lot {
    name: String,
    goods: (&'static str, &'static str, &'static str, u64),
    /// Quantity exported, in 100 kg.
    hundreds: u64,
    twist: Twist,
}

impl Lot {
    fn certified(&self) -> u64 {
        match self.twist {
            Twist::MoreThanCertified => self.hundreds * 100 - 500,
            _ => self.hundreds * 100,
        }
    }

    fn rewrite(&self, step: &mut Step) {
        match step.operation.as_str() {
            "certificate" => {
                self.certificate(&mut step.input);
                step.expect = Some(json!({ "document": "COO", "duplicate": false }));
            }
            "submit" => {
                self.declaration(&mut step.input, "/declaration", false);
                step.expect = Some(json!({ "document": "EXD", "duplicate": false }));
            }
            "claim" => {
                self.declaration(&mut step.input, "/claim", true);
                step.expect = Some(self.proposal());
            }
            _ => {
                let (decision, state, debited) = self.decision();
                step.input = json!({ "claim": self.claim(), "decision": decision });
                step.expect = Some(json!({ "state": state, "decision": { "debited": debited } }));
            }
        }
    }

    fn claim(&self) -> String {
        format!("KAPE-HC-{}", self.name)
    }

    fn proposal(&self) -> Value {
        let (light, verdict) = match self.twist {
            Twist::None => ("green", "grant"),
            Twist::MoreThanCertified => ("amber", "grant-in-part"),
            Twist::UnderInvoiced => ("amber", "grant"),
            Twist::OtherCode => ("red", "query"),
        };
        json!({ "items": [{ "light": light, "proposal": { "verdict": verdict } }] })
    }

    fn decision(&self) -> (&'static str, &'static str, Value) {
        let debited = json!({ "value": self.certified().to_string(), "unit": "KGM" });
        match self.twist {
            Twist::None | Twist::UnderInvoiced => ("grant", "granted", debited),
            Twist::MoreThanCertified => ("grant-in-part", "granted-in-part", debited),
            Twist::OtherCode => ("query", "query", Value::Null),
        }
    }

    fn certificate(&self, input: &mut Value) {
        let item = "/certificate/GovernmentAgencyGoodsItem/0";
        let (price, kilograms) = (self.hundreds * self.goods.3, self.certified().to_string());
        let code = self.goods.1.get(..6).unwrap_or_default();
        set(input, "/certificate/ID", &format!("AZPK-{}", self.name));
        set(input, "/certificate/FunctionalReferenceID", &format!("AZ-COO-{}", self.name));
        set(input, "/certificate/invoices/0/ID", &format!("INV-{}", self.name));
        set(input, &format!("{item}/Description"), self.goods.2);
        set(input, &format!("{item}/Classification/0/ID"), code);
        // What was harvested is wholly obtained; the rest has a rule of its own.
        let is_harvested = code.starts_with("08") || code.starts_with("24");
        set(input, &format!("{item}/originCriterion"), if is_harvested { "WO" } else { "PSR" });
        set(input, &format!("{item}/quantity/value"), &kilograms);
        set(input, &format!("{item}/netMass/value"), &kilograms);
        set(input, &format!("{item}/fobValue/value"), &price.to_string());
    }

    fn declaration(&self, input: &mut Value, at: &str, claim: bool) {
        let item = format!("{at}/GoodsShipment/GovernmentAgencyGoodsItem/0");
        let number = if claim { self.claim() } else { format!("AZ-EX-{}", self.name) };
        let (mut national, mut price) = (self.goods.0, self.hundreds * self.goods.3);
        if claim {
            national = self.goods.1;
            match self.twist {
                Twist::UnderInvoiced => price = price * 7 / 10,
                // Of the same list, so that only the six digits tell the difference.
                Twist::OtherCode if national == "39011000" => national = "39012000",
                Twist::OtherCode => national = "39011000",
                Twist::None | Twist::MoreThanCertified => {}
            }
        }
        let kilograms = self.hundreds * 100;
        let side = if claim { "IMP" } else { "EXD" };
        let (six, price) = (national.get(..6).unwrap_or_default(), price.to_string());
        for (path, value) in [
            ("ID", number),
            ("FunctionalReferenceID", format!("{side}-{}", self.name)),
            ("InvoiceAmount/value", price.clone()),
            ("GoodsShipment/UCR/ID", format!("6AZ{}", self.name)),
            ("GoodsShipment/Invoice/0/ID", format!("INV-{}", self.name)),
        ] {
            set(input, &format!("{at}/{path}"), &value);
        }
        for (path, value) in [
            ("Commodity/Description", self.goods.2.to_owned()),
            ("Commodity/Classification/0/ID", six.to_owned()),
            ("Commodity/Classification/1/ID", national.to_owned()),
            ("Commodity/GoodsMeasure/GrossMassMeasure/value", (kilograms + 100).to_string()),
            ("Commodity/GoodsMeasure/NetNetWeightMeasure/value", kilograms.to_string()),
            ("Commodity/GoodsMeasure/TariffQuantity/value", kilograms.to_string()),
            ("Commodity/InvoiceLine/ItemChargeAmount/value", price.clone()),
            ("StatisticalValueAmount/value", price),
            ("AdditionalDocument/0/ID", format!("AZPK-{}", self.name)),
            (
                "CustomsValueAmount/value",
                (self.hundreds * self.goods.3 * RUPEES_PER_DOLLAR).to_string(),
            ),
        ] {
            set(input, &format!("{item}/{path}"), &value);
        }
    }
}

/// Replaces a text that the template has; what it does not have stays absent.
fn set(input: &mut Value, pointer: &str, text: &str) {
    if let Some(value) = input.pointer_mut(pointer) {
        *value = Value::from(text);
    }
}

/// How many numbers [`draw`] takes for one consignment.
const DRAWS: u64 = 3;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

    /// Returns the state after so many numbers were taken.
    const fn after(seed: u64, taken: u64) -> Self {
        Self(seed.wrapping_add(Self::STEP.wrapping_mul(taken)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_consignments() {
        let once = generate(50, 7);
        assert_eq!(once, generate(50, 7));
        assert_ne!(once, generate(50, 8));
        let lights: std::collections::BTreeSet<_> = once
            .iter()
            .filter_map(|c| c.steps.get(2)?.expect.as_ref()?.pointer("/items/0/light"))
            .map(ToString::to_string)
            .collect();
        assert_eq!(lights.len(), 3, "{lights:?}");
    }

    #[test]
    fn a_consignment_is_the_same_whether_those_before_it_are_made_or_not() {
        let all = generate(20, 7);
        let chosen: Vec<_> = chosen(7, [19, 0, 7]).collect();
        assert_eq!(chosen, [19, 0, 7].map(|number: usize| all[number].clone()));
    }

    /// All draws are one sequence: none is taken twice, none is left out.
    #[test]
    fn the_draws_of_a_consignment_begin_where_those_before_it_end() {
        let mut random = Random(7);
        for number in 0..20 {
            let Lot { goods, hundreds, .. } = draw(number, 7);
            let drawn = [GOODS.len() as u64, 490, 20].map(|bound| random.below(bound));
            let place = GOODS.iter().position(|other| *other == goods).map(|place| place as u64);
            assert_eq!((place, hundreds), (Some(drawn[0]), 10 + drawn[1]), "{number}");
        }
    }
}
