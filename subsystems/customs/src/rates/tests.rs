use karvan_types::amount::parse_decimal;

use super::*;

const FILE: &str = r#"
version = "2026-10-01"
published = "2026-10-01"
authority = "State Bank of Pakistan (fictitious figures)"
currency = "PKR"

[[rate]]
currency = "USD"
units = "1"
value = "285"
from = "2026-10-01"
status = "assumed"
source = "fictitious"

[[rate]]
currency = "JPY"
units = "100"
value = "190"
from = "2026-10-01"
until = "2026-10-03"
status = "assumed"
source = "fictitious"
"#;

fn amount(text: &str) -> Amount {
    let (value, currency) = text.split_once(' ').expect("value and currency");
    Amount { value: parse_decimal(value).expect("decimal"), currency: currency.to_owned() }
}

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

#[test]
fn every_problem_is_named_with_its_line() {
    for (from, to, line, said) in [
        ("\"JPY\"", "\"AZM\"", 15, "convert into AZN, 1 for 5000 AZM"),
        ("\"JPY\"", "\"XXQ\"", 15, "not a currency"),
        ("\"JPY\"", "\"PKR\"", 15, "the table itself"),
        ("\"190\"", "\"0\"", 15, "above zero"),
        ("\"190\"", "\"1.9E2\"", 18, "not a plain decimal"),
        ("\"190\"", "\"190,5\"", 18, "not a plain decimal"),
        ("until = \"2026-10-03\"", "until = \"2026-09-03\"", 15, "ends before"),
        ("until = \"2026-10-03\"", "until = \"2026-09-31\"", 20, "calendar date"),
        ("until = \"2026-10-03\"", "rate = 1", 20, "unknown field"),
        ("\"JPY\"", "\"USD\"", 15, "overlaps with that of line 7"),
        ("currency = \"PKR\"", "currency = \"RS\"", 0, "not a currency"),
    ] {
        let text = FILE.replacen(from, to, 1);
        let Err(Error::File(problems)) = RateTable::check(&text) else { panic!("{to} is taken") };
        let fits = |problem: &Problem| problem.line == line && problem.text.contains(said);
        assert!(problems.iter().any(fits), "{to}: {problems:?}");
    }
    assert!(RateTable::check("version = 1").is_err());
    let empty = FILE.split("[[rate]]").next().expect("a head");
    assert!(RateTable::check(empty).is_err(), "a file without a rate");
}

#[test]
fn rates_hold_from_their_day_for_a_bounded_time() {
    let table = RateTable::check(FILE).expect("loads");
    let holds = |currency, on| table.rate_on(currency, day(on)).is_some();
    assert!(!holds("USD", "2026-09-30") && holds("USD", "2026-10-01"));
    assert!(holds("USD", "2026-11-01") && !holds("USD", "2026-11-02"), "31 days at most");
    assert!(holds("JPY", "2026-10-03") && !holds("JPY", "2026-10-04"), "until its end");
    assert!(!holds("EUR", "2026-10-02"), "not known is not guessed");
    let parities = parities().expect("the shipped parities load");
    assert!(parities.rate_on("AED", day("2026-10-02")).is_some());
    assert!(parities.rates.iter().all(|rate| rate.source.len() > 20));
}

#[test]
fn amounts_go_by_way_of_the_table() {
    let table = RateTable::check(FILE).expect("loads");
    let check = |from: &str, to: &str, expected: &str| {
        let (stated, on) = (amount(from), day("2026-10-02"));
        let rates = [table.rate_on(&stated.currency, on), table.rate_on(to, on)];
        let (value, _) = across(&stated, to, "PKR", &rates).expect("rates");
        let value = value.map_or_else(|| "too large".to_owned(), |value| value.to_string());
        assert_eq!(value, expected, "{from}");
    };
    check("100 USD", "PKR", "28500");
    check("28500 PKR", "USD", "100");
    check("1000 JPY", "PKR", "1900");
    check("100 USD", "JPY", "15000");
    check("1 PKR", "USD", "0.003509");
    check("35087719298245.614035 USD", "PKR", "9999999999999999.999975");
    check("35087719298245.614036 USD", "PKR", "too large");
    check("9999999999999999 USD", "JPY", "too large");
}

proptest::proptest! {
    /// There and back again differs by no more than the rounding to six decimals.
    #[test]
    fn there_and_back(cents in 1_i64..10_000_000_000) {
        let table = RateTable::check(FILE).expect("loads");
        let on = day("2026-10-02");
        let stated = Amount { value: Decimal::new(cents, 2), currency: "USD".to_owned() };
        let rates = [table.rate_on("USD", on), table.rate_on("JPY", on)];
        let (there, _) = across(&stated, "JPY", "PKR", &rates).expect("rates");
        let there = there.expect("is small");
        let back = Amount { value: there, currency: "JPY".to_owned() };
        let rates = [table.rate_on("JPY", on), table.rate_on("USD", on)];
        let (again, _) = across(&back, "USD", "PKR", &rates).expect("rates");
        let again = again.expect("is small");
        proptest::prop_assert!((again - stated.value).abs() <= Decimal::new(1, 5));
    }
}
