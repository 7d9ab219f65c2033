use super::*;
use crate::tariff::ImporterClass;
use karvan_types::Date;
use karvan_types::amount::parse_decimal;
use proptest::prelude::*;

fn amount(text: &str) -> Amount {
    let (value, currency) = text.split_once(' ').expect("value and currency");
    Amount { value: parse_decimal(value).expect("decimal"), currency: currency.to_owned() }
}

fn goods(text: &str) -> Goods {
    Goods::new(amount(text), Vec::new())
}

fn query(code: &str, importer: ImporterClass) -> Query<'_> {
    Query { code, day: Date::constant(2026, 10, 2), origin: "AZ", importer }
}

/// The amounts of one side, by duty.
fn amounts(
    assessment: &Assessment<'_>,
    side: fn(&Line<'_>) -> Decimal,
) -> Vec<(&'static str, String)> {
    let shown = |line: &Line<'_>| (line.duty.code(), side(line).to_string());
    assessment.lines.iter().map(shown).collect()
}

fn check(found: &[(&'static str, String)], expected: &[(&str, &str)]) {
    let found: Vec<_> = found.iter().map(|(duty, text)| (*duty, text.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn two_real_records_of_ceramic_tiles() {
    // Import records of November 2025. Each states value, customs duty and sales tax; the first
    // also states the additional sales tax and the tax withheld.
    let pakistan = tariff::of("PK").expect("Pakistan");
    for (value, importer, expected) in [
        (
            "15302 PKR",
            ImporterClass::Commercial,
            [("CD", "3060"), ("ST", "4627"), ("AST", "771"), ("WHT", "1866")].as_slice(),
        ),
        (
            "460815 PKR",
            ImporterClass::Industrial,
            [("CD", "92163"), ("ST", "139351"), ("AST", "0")].as_slice(),
        ),
    ] {
        let query =
            Query { code: "69072100", day: Date::constant(2025, 11, 15), origin: "CN", importer };
        let found = assess(pakistan, query, &goods(value)).expect("computable");
        let stated = |duty: &str| expected.iter().any(|(name, _)| *name == duty);
        let mut shown = amounts(&found, |line| line.general.amount);
        shown.retain(|(duty, _)| stated(duty));
        check(&shown, expected);
        assert_eq!(found.saved, Decimal::ZERO);
    }
}

#[test]
fn copper_wire_with_and_without_preference() {
    let pakistan = tariff::of("PK").expect("Pakistan");
    let value = goods("56281400 PKR");
    let found =
        assess(pakistan, query("74081100", ImporterClass::Industrial), &value).expect("computable");
    check(
        &amounts(&found, |line| line.general.amount),
        &[
            ("CD", "5628140"),
            ("ACD", "0"),
            ("RD", "2814070"),
            ("ST", "11650250"),
            ("AST", "0"),
            ("WHT", "4200562"),
        ],
    );
    check(
        &amounts(&found, |line| line.preferential.amount),
        &[
            ("CD", "2814070"),
            ("ACD", "0"),
            ("RD", "1407035"),
            ("ST", "10890451"),
            ("AST", "0"),
            ("WHT", "3926613"),
        ],
    );
    assert_eq!(found.total_general.to_string(), "24293022");
    assert_eq!(found.saved.to_string(), "5254853");
    assert_eq!(found.status, Some(Status::Assumed));
    // The additional duty has become zero for everyone, below the target of 1 %.
    let additional = found.lines.iter().find(|line| line.duty == Duty::Acd).expect("ACD");
    assert_eq!(additional.winner, Winner::General);
    // One digit away there is no concession and a higher slab.
    let thin =
        assess(pakistan, query("74081900", ImporterClass::Industrial), &value).expect("computable");
    assert_eq!(thin.saved, Decimal::ZERO);
    assert!(thin.total_general > found.total_general);
}

#[test]
fn azerbaijan_takes_value_added_tax_on_top() {
    let azerbaijan = tariff::of("AZ").expect("Azerbaijan");
    let balls = Query { origin: "PK", ..query("9506620000", ImporterClass::Commercial) };
    let found = assess(azerbaijan, balls, &goods("1000.55 AZN")).expect("computable");
    check(&amounts(&found, |l| l.preferential.amount), &[("CD", "150.08"), ("VAT", "207.11")]);
    let rice = Query { origin: "PK", ..query("1006300000", ImporterClass::Commercial) };
    let found = assess(azerbaijan, rice, &goods("1000 AZN")).expect("computable");
    check(&amounts(&found, |l| l.preferential.amount), &[("CD", "0.00"), ("VAT", "180.00")]);
    assert_eq!(found.saved.to_string(), "59.00");
}

#[test]
fn refusals_name_the_remedy() {
    let pakistan = tariff::of("PK").expect("Pakistan");
    for (code, value, reason) in [
        ("74081100", "100 USD", "convert it to PKR first"),
        ("74081200", "100 PKR", "not a tariff code"),
    ] {
        let error = assess(pakistan, query(code, ImporterClass::Industrial), &goods(value))
            .expect_err(reason);
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    let huge = Amount { value: Decimal::MAX, currency: "PKR".to_owned() };
    let goods = Goods::new(huge.clone(), Vec::new());
    let error = assess(pakistan, query("74081100", ImporterClass::Industrial), &goods);
    assert_eq!(error, Err(Error::TooLarge(huge)));
}

proptest! {
    #[test]
    fn the_preference_is_never_dearer(
        rupees in 0_u64..9_999_999_999_999_999,
        code in prop::sample::select(vec!["08022200", "08131000", "24011000", "74081100"]),
    ) {
        let pakistan = tariff::of("PK").expect("Pakistan");
        let value = Amount { value: rupees.into(), currency: "PKR".to_owned() };
        let query = query(code, ImporterClass::Commercial);
        let found = assess(pakistan, query, &Goods::new(value, Vec::new()));
        let found = found.expect("computable");
        let sum: Decimal = found.lines.iter().map(|line| line.preferential.amount).sum();
        prop_assert_eq!(sum, found.total_preferential);
        prop_assert_eq!(found.total_general - sum, found.saved);
        for line in &found.lines {
            prop_assert!(line.preferential.amount <= line.general.amount);
            prop_assert!(line.preferential.rate.percent <= line.general.rate.percent);
        }
    }
}

/// A tariff with every kind of rate; each case replaces the customs duty.
fn tariff_with(general: &str, target: &str) -> Tariff {
    let text = format!(
        r#"format = "karvan-tariff/1"
version = "test"
published = "2026-01-01"
country = "AZ"
currency = "AZN"
code_digits = 10
rounding = {{ decimals = 2, mode = "half-even", source = "s", status = "assumed" }}
rate_date = {{ rule = "filing", source = "s", status = "assumed" }}
sources = [{{ id = "s", title = "a source" }}]
agreements = [{{ id = "X", origin = "PK", from = "2026-01-01", source = "s" }}]
charges = [
  {{ duty = "CD", base = ["value"] }},
  {{ duty = "EXC", base = ["value", "CD"] }},
  {{ duty = "FEE", base = [] }},
  {{ duty = "VAT", base = ["value", "CD", "EXC"] }},
]

[[blocks]]
duty = "CD"
kind = "general"
from = "2026-01-01"
source = "s"
status = "reported"
rates = [{{ codes = [""], {general} }}]

[[blocks]]
duty = "CD"
kind = "target-rate"
agreement = "X"
from = "2026-01-01"
source = "s"
status = "official"
rates = [{{ codes = ["2203"], {target} }}]

[[blocks]]
duty = "EXC"
kind = "general"
from = "2026-01-01"
source = "s"
status = "reported"
rates = [{{ codes = [""], specific = "0.4", unit = "LTR" }}]

[[blocks]]
duty = "FEE"
kind = "general"
from = "2026-01-01"
source = "s"
status = "assumed"
rates = [{{ codes = [""], fixed = "60" }}]

[[blocks]]
duty = "VAT"
kind = "general"
from = "2026-01-01"
source = "s"
status = "reported"
rates = [{{ codes = [""], rate = "18" }}]
"#
    );
    Tariff::parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn beer(value: &str, quantities: &[&str]) -> Goods {
    let quantities = quantities.iter().map(|text| {
        let (value, unit) = text.split_once(' ').expect("value and unit");
        Quantity { value: parse_decimal(value).expect("decimal"), unit: unit.to_owned() }
    });
    Goods::new(amount(value), quantities.collect())
}

const BEER: Query<'static> = Query {
    code: "2203000000",
    day: Date::constant(2026, 10, 2),
    origin: "PK",
    importer: ImporterClass::Commercial,
};

#[test]
fn every_kind_of_rate_makes_an_amount() {
    for (general, target, quantities, expected, winner) in [
        ("rate = '15'", "rate = '5'", &["10 HLT"][..], ["150.00", "50.00"], Winner::Preference),
        // 10 hl are 1000 l; the quantity in the unit itself comes before one to be converted.
        (
            "specific = '0.25', unit = 'LTR'",
            "rate = '5'",
            &["10 HLT"],
            ["250.00", "50.00"],
            Winner::Preference,
        ),
        (
            "specific = '0.25', unit = 'LTR'",
            "specific = '0.1', unit = 'HLT'",
            &["9 HLT", "1000 LTR"],
            ["250.00", "0.90"],
            Winner::Preference,
        ),
        // Compound: the parts are added, and rounded once.
        (
            "rate = '10', specific = '0.4', unit = 'LTR'",
            "rate = '10'",
            &["10 HLT"],
            ["500.00", "100.00"],
            Winner::Preference,
        ),
        (
            "rate = '0.0005', specific = '0.000001', unit = 'LTR'",
            "fixed = '60'",
            &["10 LTR"],
            ["0.01", "0.01"],
            Winner::General,
        ),
        // Which rate is lower depends on the goods.
        (
            "rate = '15'",
            "specific = '0.2', unit = 'LTR'",
            &["5 HLT"],
            ["150.00", "100.00"],
            Winner::Preference,
        ),
        (
            "rate = '15'",
            "specific = '0.2', unit = 'LTR'",
            &["10 HLT"],
            ["150.00", "150.00"],
            Winner::General,
        ),
        (
            "rate = '20'",
            "specific = '0.2', unit = 'LTR'",
            &["10 HLT"],
            ["200.00", "200.00"],
            Winner::Equal,
        ),
        ("rate = '15'", "rate = '15'", &["10 HLT"], ["150.00", "150.00"], Winner::Equal),
    ] {
        let tariff = tariff_with(&general.replace('\'', "\""), &target.replace('\'', "\""));
        let found = assess(&tariff, BEER, &beer("1000 AZN", quantities)).expect("computable");
        let duty = &found.lines[0];
        let shown = [duty.general.amount.to_string(), duty.preferential.amount.to_string()];
        assert_eq!((shown.each_ref().map(String::as_str), duty.winner), (expected, winner));
        assert!(duty.preferential.line > 0 && duty.concession_rate.is_some());
    }
}

#[test]
fn excise_and_fee_stand_beside_the_duty() {
    let tariff = tariff_with("rate = \"15\"", "rate = \"5\"");
    let goods = beer("1000 AZN", &["10 HLT"]);
    let found = assess(&tariff, BEER, &goods).expect("computable");
    check(
        &amounts(&found, |line| line.preferential.amount),
        &[("CD", "50.00"), ("EXC", "400.00"), ("FEE", "60.00"), ("VAT", "261.00")],
    );
    assert_eq!(found.status, Some(Status::Assumed));
    let excise = &found.lines[1].general;
    assert_eq!(excise.quantity.as_ref().map(ToString::to_string).as_deref(), Some("1000 LTR"));
    // In two parts the fee is due once, and the quantity is divided with the value.
    let third = parse_decimal("0.333333").expect("a decimal");
    let near = Share::of(third, Decimal::ONE);
    let [third, seventh] = [3, 7].map(|parts| Share::of(Decimal::ONE, parts.into()));
    for (share, fees) in [
        (near, ["60.00", "0.00"]),
        (third, ["60.00", "0.00"]),
        (seventh, ["60.00", "0.00"]),
        (Share::NONE, ["0.00", "60.00"]),
    ] {
        let (part, rest) = goods.divide(share).expect("divided");
        let of = |goods: &Goods| assess(&tariff, BEER, goods).expect("computable").lines;
        let (part, rest) = (of(&part), of(&rest));
        let fee = |lines: &[Line<'_>]| lines[2].general.amount.to_string();
        assert_eq!([fee(&part), fee(&rest)], fees);
        let excise = part[1].general.amount + rest[1].general.amount;
        assert_eq!(excise.to_string(), "400.00");
    }
    for (quantities, reason) in
        [(&[][..], "state the quantity in LTR"), (&["5 KGM"][..], "of EXC is per LTR")]
    {
        let error = assess(&tariff, BEER, &beer("1000 AZN", quantities)).expect_err(reason);
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

#[test]
fn an_amount_is_rounded_as_the_tariff_says() {
    use crate::tariff::RoundingMode::{Down, HalfEven, HalfUp, Up};
    for (mode, exact, expected) in [
        (HalfUp, "2.5", "3"),
        (HalfEven, "2.5", "2"),
        (HalfEven, "3.5", "4"),
        (Down, "2.9", "2"),
        (Up, "2.1", "3"),
        (Up, "2", "2"),
    ] {
        let rounding = Rounding {
            decimals: 0,
            mode,
            source: "s".to_owned(),
            status: Status::Assumed,
            note: None,
        };
        let exact = parse_decimal(exact).expect("a decimal");
        assert_eq!(rounding.round(exact).to_string(), expected, "{mode:?} {exact}");
    }
}
