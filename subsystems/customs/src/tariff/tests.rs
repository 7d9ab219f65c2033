use super::*;
use karvan_types::ErrorKind;
use karvan_types::amount::parse_decimal;
use proptest::prelude::*;

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

fn percent(text: &str) -> Decimal {
    parse_decimal(text).expect("a decimal")
}

fn explain<'a>(tariff: &'a Tariff, code: &str, on: &str, origin: &str) -> Explanation<'a> {
    let query = Query { code, day: day(on), origin, importer: ImporterClass::Commercial };
    tariff.explain(query).unwrap_or_else(|error| panic!("{code} on {on}: {error}"))
}

fn used(line: &RateLine<'_>) -> Decimal {
    line.used_rate.expect("decided without the goods").percent
}

/// A small tariff; the test adds blocks and asks for the refusal.
fn file(blocks: &str) -> String {
    format!(
        r#"format = "karvan-tariff/1"
version = "test"
published = "2026-01-01"
country = "PK"
currency = "PKR"
code_digits = 8
rounding = {{ decimals = 0, mode = "half-up", source = "s", status = "assumed" }}
rate_date = {{ rule = "filing", source = "s", status = "assumed" }}
sources = [{{ id = "s", title = "a source" }}]
charges = [
  {{ duty = "CD", base = ["value"] }},
  {{ duty = "ACD", base = ["value"] }},
]
agreements = [{{ id = "X", origin = "UZ", from = "2023-03-13", source = "s" }}]
{blocks}"#
    )
}

fn block(duty: &str, period: &str, rates: &str) -> String {
    format!(
        "[[blocks]]\nduty = \"{duty}\"\nkind = \"general\"\nsource = \"s\"\nstatus = \"assumed\"\n\
         {period}\nrates = [\n{rates}\n]\n"
    )
}

// INV-14: rates are dated data with a source and a status.
#[test]
fn embedded_files_are_valid() {
    for text in EMBEDDED {
        let tariff = Tariff::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert!(of(&tariff.country).is_some());
        // Every concession has general rates to compare with, from its first day on.
        for measure in tariff.measures().iter().filter(|measure| measure.agreement.is_some()) {
            let code = format!("{:0<6}", measure.code);
            if codes::hs(&code).is_some() {
                explain(&tariff, &code, &measure.from.to_string(), "AZ");
            }
        }
    }
    let tariff = of("PK").expect("Pakistan");
    assert_eq!(tariff.lines.len(), 8);
    assert!(
        tariff.lines.iter().all(|line| line.codes.iter().all(|code| codes::hs(code).is_some()))
    );
    // The slabs of the budget of 2025.
    for measure in tariff.measures() {
        if measure.duty == Duty::Cd && measure.agreement.is_none() && measure.until.is_none() {
            let allowed = ["0", "5", "10", "15", "20"].map(percent);
            assert!(allowed.contains(&measure.rate.percent), "line {}", measure.line);
        }
    }
}

#[test]
fn copper_wire_uses_the_lower_rate_duty_by_duty() {
    let tariff = of("PK").expect("Pakistan");
    let after = explain(tariff, "74081100", "2026-10-02", "AZ");
    assert_eq!(after.concession.as_ref().map(|line| line.number), Some(8));
    let shown: Vec<_> = after
        .rates
        .iter()
        .map(|line| {
            let reference = line.reference.as_ref().map(|m| m.rate.percent.to_string());
            let preferential = line.preferential_rate.map(|r| r.percent.to_string());
            let (general, used) = (line.general.rate.percent.to_string(), used(line).to_string());
            (line.duty.code(), general, reference, preferential, used, line.winner)
        })
        .collect();
    let row = |duty,
               general: &str,
               reference: Option<&str>,
               preferential: Option<&str>,
               used: &str,
               winner| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        (duty, general.to_owned(), own(reference), own(preferential), used.to_owned(), winner)
    };
    assert_eq!(
        shown,
        [
            row("CD", "10", None, Some("5"), "5", Winner::Preference),
            row("ACD", "0", Some("2"), Some("1"), "0", Winner::General),
            row("RD", "5", Some("5"), Some("2.5"), "2.5", Winner::Preference),
            row("ST", "18", None, None, "18", Winner::NoPreference),
            row("AST", "3", None, None, "3", Winner::NoPreference),
            row("WHT", "6", None, None, "6", Winner::NoPreference),
        ]
    );
    assert!(after.has_advantage());
    assert_eq!(after.status(), Some(Status::Assumed));
    // Before 1 July 2025 the additional duty was 2 % and the target of 1 % won.
    let before = explain(tariff, "74081100", "2025-06-30", "AZ");
    assert_eq!(before.rates[1].winner, Winner::Preference);
    assert_eq!(before.rates[1].general.rate.percent, percent("2"));
}

#[test]
fn preference_needs_the_line_the_origin_and_the_day() {
    let tariff = of("PK").expect("Pakistan");
    for (code, on, origin, has_preference) in [
        ("74081100", "2024-12-16", "AZ", true),
        ("740811", "2024-12-16", "AZ", true),
        ("74081100", "2024-12-15", "AZ", false),
        ("74081100", "2026-10-02", "AE", false),
        ("74081900", "2026-10-02", "AZ", false),
        ("08022200", "2026-10-02", "AZ", true),
    ] {
        let found = explain(tariff, code, on, origin);
        let granted = found.rates.iter().any(|line| line.preferential.is_some());
        assert_eq!(granted, has_preference, "{code} {on} {origin}");
        assert_eq!(found.concession.is_some(), has_preference, "{code} {on} {origin}");
    }
    let rice = of("AZ").expect("Azerbaijan");
    let cd =
        |on| explain(rice, "1006300000", on, "PK").rates[0].used_rate.expect("decided").percent;
    assert_eq!((cd("2027-11-30"), cd("2027-12-01")), (percent("0"), percent("5")));
}

#[test]
fn questions_without_an_answer_say_so() {
    let tariff = of("PK").expect("Pakistan");
    for (code, on, reason) in [
        ("7408110", "2020-01-01", "no general rate of CD is known for 7408110 on 2020-01-01"),
        ("01012100", "2026-10-02", "no general rate of CD"),
        ("7408.11", "2026-10-02", "not a tariff code"),
        ("74081200", "2026-10-02", "not a tariff code"),
        ("7408", "2026-10-02", "not a tariff code"),
        ("740811000000", "2026-10-02", "not a tariff code"),
        ("٧٤٠٨١١", "2026-10-02", "not a tariff code"),
    ] {
        let query = Query { code, day: day(on), origin: "AZ", importer: ImporterClass::Industrial };
        let error = tariff.explain(query).expect_err(code).to_string();
        assert!(error.contains(reason), "{code}: {error}");
    }
}

#[test]
fn a_percentage_reduces_the_rate_in_force() {
    let general = block("CD", "from = \"2022-07-01\"", r#"{ codes = [""], rate = "20" },"#)
        + &block("ACD", "from = \"2022-07-01\"", r#"{ codes = [""], rate = "4" },"#);
    let reduced = general
        + "[[blocks]]\nduty = \"CD\"\nkind = \"percent-reduction\"\nagreement = \"X\"\n\
           from = \"2023-03-13\"\nsource = \"s\"\nstatus = \"analogue\"\n\
           rates = [{ codes = [\"0813\"], rate = \"30\" }]\n";
    let tariff = Tariff::parse(&file(&reduced)).expect("valid");
    let found = explain(&tariff, "08131000", "2024-01-01", "UZ");
    assert_eq!(found.rates[0].used_rate.expect("decided").percent, percent("14"));
    assert_eq!(found.rates[0].winner, Winner::Preference);
    assert_eq!(found.rates[0].used().rate.percent, percent("30"));
    assert_eq!(found.rates[1].winner, Winner::NoPreference);
}

#[test]
fn the_longest_prefix_and_the_slab_decide() {
    let open = "from = \"2022-07-01\"";
    let text = block(
        "CD",
        open,
        "{ codes = [\"\"], rate = \"20\" },\n{ codes = [\"7408\"], rate = \"5\" },",
    ) + &block(
        "ACD",
        open,
        "{ codes = [\"\"], cd_min = \"0\", cd_max = \"10\", rate = \"0\" },\n\
             { codes = [\"\"], cd_min = \"20\", cd_max = \"20\", rate = \"4\" },",
    );
    let tariff = Tariff::parse(&file(&text)).expect("valid");
    for (code, duties) in [("74081100", ["5", "0"]), ("08131000", ["20", "4"])] {
        let found = explain(&tariff, code, "2024-01-01", "AZ");
        let found: Vec<_> = found.rates.iter().map(|line| line.general.rate.percent).collect();
        assert_eq!(found, duties.map(percent), "{code}");
    }
}

#[test]
fn bad_files_are_refused_naming_the_lines() {
    let first = "from = \"2022-07-01\"\nuntil = \"2023-06-30\"";
    let rate = r#"{ codes = ["7408"], rate = "5" },"#;
    let two = |second: &str| block("CD", first, rate) + &block("CD", second, rate);
    let one = |rate: &str| block("CD", first, rate);
    let slab = |period: &str, from: &str, to: &str| {
        let rate =
            format!("{{ codes = [\"\"], cd_min = \"{from}\", cd_max = \"{to}\", rate = \"5\" }},");
        block("ACD", period, &rate)
    };
    let gap = slab(first, "0", "10")
        + &slab("from = \"2022-07-01\"", "11", "20")
        + &slab("from = \"2024-01-01\"", "5", "10");
    for (blocks, reason) in [
        (gap, "lines 23 and 41 of the tariff file leave ACD for all goods without a rate"),
        (two("from = \"2023-06-30\""), "lines 23 and 32 of the tariff file both give CD for 7408"),
        (two("from = \"2023-07-02\""), "lines 23 and 32 of the tariff file leave CD for 7408"),
        (two("from = \"2023-07-02\""), "from 2023-07-01; close the gap"),
        (two("from = \"2024-02-30\""), "not a calendar date"),
        (one("{ codes = [\"7408\"], rate = \"5%\" },"), "line 23 of the tariff file: `5%` is not"),
        (one("{ codes = [\"7408\"], rate = \"5000\" },"), "not believed"),
        (one("{ codes = [\"740812\"], rate = \"5\" },"), "not the beginning of a code"),
        (one("{ codes = [\"\"], cd_min = \"1\", cd_max = \"2\", rate = \"5\" },"), "not for CD"),
        (one("{ codes = [\"\"], rates = \"5\" },"), "unknown field `rates`"),
        (one(rate).replace("\"s\"", "\"t\""), "the source `t` is used but not defined"),
        (one(rate).replace("general", "target-rate"), "a preference names its agreement"),
        (
            one(rate).replace("\"general\"", "\"target-rate\"\nagreement = \"Y\""),
            "the agreement `Y` is used but not defined",
        ),
        (one(rate).replace("2023-06-30", "2021-06-30"), "ends before it begins"),
        (one(rate) + "blocks = 3", "does not parse"),
    ] {
        let error = Tariff::parse(&file(&blocks)).expect_err(reason);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
        assert_eq!(error.kind(), ErrorKind::LocalConfig);
    }
    let backwards = file("").replace("[\"value\"] },\n]", "[\"ST\"] },\n]");
    let error = Tariff::parse(&(backwards + "blocks = []")).expect_err("a base not yet known");
    assert!(
        error.to_string().contains("the base `ST` of ACD is not a charge before it"),
        "{error}"
    );
    // Touching periods and different importers are no conflict.
    assert!(Tariff::parse(&file(&two("from = \"2023-07-01\""))).is_ok());
}

#[test]
fn holes_in_the_general_rates_are_refused() {
    let open = "from = \"2022-07-01\"";
    let cd =
        |rate: &str| block("CD", open, &format!("{{ codes = [\"7408\"], rate = \"{rate}\" }},"));
    let slabs = block(
        "ACD",
        open,
        "{ codes = [\"\"], cd_min = \"0\", cd_max = \"20\", rate = \"2\" },\n\
         { codes = [\"\"], cd_min = \"30\", cd_max = \"100\", rate = \"6\" },",
    );
    let commercial =
        block("ACD", open, "{ codes = [\"\"], importer = \"commercial\", rate = \"2\" },");
    let closed = "from = \"2022-07-01\"\nuntil = \"2025-06-30\"";
    let ended = block("CD", closed, "{ codes = [\"7408\"], rate = \"5\" },");
    let until = |codes: &str| {
        let rate = format!("{{ codes = [{codes}], rate = \"9\" }},");
        ended.clone() + &block("CD", "from = \"2025-07-01\"", &rate)
    };
    for (blocks, hole) in [
        (cd("20") + &slabs, None),
        (cd("25") + &slabs, Some("7408 is without a rate of ACD from 2022-07-01 for commercial")),
        (cd("25") + &slabs, Some("at a CD of 25 %")),
        (cd("5") + &commercial, Some("a rate of ACD from 2022-07-01 for industrial importers")),
        (ended.clone(), Some("line 23 of the tariff file: 7408 is without a rate of CD from 2025")),
        (until("\"7409\""), Some("7408 is without a rate of CD from 2025-07-01")),
        (until("\"740811\", \"740819\""), None),
        // A rate for a time falls back on that of all goods.
        (ended.clone() + &block("CD", open, "{ codes = [\"\"], rate = \"9\" },"), None),
    ] {
        let found = Tariff::parse(&file(&blocks)).err().map(|error| error.to_string());
        match hole {
            Some(hole) => assert!(found.as_ref().is_some_and(|f| f.contains(hole)), "{found:?}"),
            None => assert_eq!(found, None),
        }
    }
}

#[test]
fn preferences_before_their_agreement_and_idle_quotas_are_refused() {
    let general = block("CD", "from = \"2020-01-01\"", "{ codes = [\"7408\"], rate = \"5\" },");
    let target = |from: &str| {
        let rate = "{ codes = [\"7408\"], rate = \"1\" },";
        let text = block("CD", &format!("from = \"{from}\"\nagreement = \"X\""), rate);
        general.clone() + &text.replace("\"general\"", "\"target-rate\"")
    };
    assert!(Tariff::parse(&file(&target("2023-03-13"))).is_ok());
    let quota = "[[quotas]]\nid = \"Q\"\nagreement = \"X\"\nquantity = \"5\"\nunit = \"TNE\"\n\
                 from = \"2026-01-01\"\nuntil = \"2026-12-31\"\nsource = \"s\"\n\
                 status = \"assumed\"\n";
    for (blocks, reason) in [
        (target("2023-03-12"), "line 32 of the tariff file: the preference begins before its"),
        (quota.to_owned() + &target("2023-03-13"), "quota Q limits no line"),
    ] {
        let error = Tariff::parse(&file(&blocks)).expect_err(reason);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_line_may_say_itself_what_its_block_says() {
    let text = block(
        "CD",
        "until = \"2026-12-31\"",
        "{ codes = [\"7408\"], rate = \"5\", from = \"2026-01-01\", status = \"official\" },\n\
         { codes = [\"7409\"], rate = \"7\", from = \"2026-02-01\", until = \"2026-03-31\" },",
    );
    // After their last days the rate of all goods applies.
    let text = text + &block("CD", "from = \"2026-01-01\"", "{ codes = [\"\"], rate = \"9\" },");
    let tariff = Tariff::parse(&file(&text)).expect("valid");
    let shown: Vec<_> = (tariff.measures().iter().filter(|m| !m.code.is_empty()))
        .map(|m| {
            format!("{} {} {:?} {:?}", m.code, m.from, m.until.map(|d| d.to_string()), m.status)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "7408 2026-01-01 Some(\"2026-12-31\") Official",
            "7409 2026-02-01 Some(\"2026-03-31\") Assumed",
        ]
    );
}

#[test]
fn all_problems_of_a_file_are_told_with_their_lines() {
    let text = block("CD", "", "{ codes = [\"7408\"], rate = \"5\" },")
        + &block(
            "ACD",
            "from = \"2026-01-01\"",
            "{ codes = [\"7408\", \"99\", \"740812\"], rate = \"5\" },\n\
             { codes = [\"7408\"], rate = \"6\" },\n\
             { codes = [\"7409\"], specific = \"5\" },\n\
             { codes = [\"7409\"], specific = \"5\", unit = \"KILO\" },\n\
             { codes = [\"7409\"] },\n\
             { codes = [\"7409\"], fixed = \"9999999999\" },\n\
             { codes = [\"7409\"], rate = \"1\", quota = \"Q\" },\n\
             { codes = [\"\"], cd_min = \"5\", cd_max = \"2\", rate = \"5\" },",
        )
        + &block("VAT", "from = \"2026-01-01\"", "{ codes = [\"\"], rate = \"18\" },");
    let text = file(&text).replace("karvan-tariff/1", "karvan-tariff/2");
    let problems = Tariff::check(&text).expect_err("full of problems");
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for (place, expected) in [
        "its format is not `karvan-tariff/1`",
        "line 22 of the tariff file: neither the line nor its block says `from`",
        "line 31 of the tariff file: `740812` is not the beginning",
        "lines 31 and 32 of the tariff file both give ACD for 7408",
        "line 33 of the tariff file: a specific rate has",
        "line 34 of the tariff file: `KILO` is not a known unit",
        "line 35 of the tariff file: the line has no rate",
        "line 36 of the tariff file: an amount of 9999999999 is not believed",
        "line 37 of the tariff file: a quota limits a preference",
        "line 38 of the tariff file: cd_min is above cd_max",
        "line 47 of the tariff file: VAT is not among the charges",
    ]
    .into_iter()
    .enumerate()
    {
        let found = told.get(place).map_or("", String::as_str);
        assert!(found.contains(expected), "{expected}: {told:#?}");
    }
}

#[test]
fn quotas_have_periods_that_do_not_meet() {
    let quota = |from: &str, until: &str, quantity: &str| {
        format!(
            "[[quotas]]\nid = \"Q\"\nagreement = \"X\"\nquantity = \"{quantity}\"\nunit = \"TNE\"\n\
             from = \"{from}\"\nuntil = \"{until}\"\nsource = \"s\"\nstatus = \"assumed\"\n"
        )
    };
    let rest = block("CD", "from = \"2022-07-01\"", "{ codes = [\"\"], rate = \"20\" },")
        + &block("ACD", "from = \"2022-07-01\"", "{ codes = [\"\"], rate = \"0\" },")
        + "[[blocks]]\nduty = \"CD\"\nkind = \"target-rate\"\nagreement = \"X\"\nquota = \"Q\"\n\
           from = \"2023-03-13\"\nsource = \"s\"\nstatus = \"assumed\"\n\
           rates = [{ codes = [\"1006\"], rate = \"0\" }]\n";
    let years = quota("2025-01-01", "2025-12-31", "100") + &quota("2026-01-01", "2026-12-31", "90");
    let tariff = Tariff::parse(&file(&(years + &rest))).expect("valid");
    let found = explain(&tariff, "10063000", "2026-05-01", "UZ");
    assert_eq!(found.quota(), Some("Q"));
    let of = |on| tariff.quota("Q", day(on)).map(|quota| quota.quantity.to_string());
    assert_eq!(of("2025-12-31").as_deref(), Some("100"));
    assert_eq!(of("2026-01-01").as_deref(), Some("90"));
    assert_eq!(of("2027-01-01"), None);
    for (quotas, reason) in [
        (
            quota("2025-01-01", "2025-12-31", "1") + &quota("2025-12-31", "2026-12-31", "1"),
            "both give quota Q on 2025-12-31",
        ),
        (quota("2025-01-01", "2025-12-31", "0"), "a quota is of more than zero"),
        (quota("2025-01-01", "2024-12-31", "1"), "ends before it begins"),
        (quota("2025-01-01", "2025-12-31", "1").replace("TNE", "TON"), "not a known unit"),
        (String::new(), "the quota `Q` is used but not defined"),
    ] {
        let error = Tariff::parse(&file(&(quotas + &rest))).expect_err(reason);
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
}

#[test]
fn two_versions_differ_measure_by_measure() {
    let old = block(
        "CD",
        "from = \"2022-07-01\"",
        "{ codes = [\"7408\", \"7409\"], rate = \"5\" },\n{ codes = [\"7410\"], rate = \"5\" },",
    );
    let new = block(
        "CD",
        "from = \"2022-07-01\"",
        "{ codes = [\"7411\", \"7408\"], rate = \"5\" },\n{ codes = [\"7409\"], rate = \"7\" },",
    );
    let parse = |text: &str| Tariff::parse(&file(text)).expect("valid");
    let (old, new) = (parse(&old), parse(&new));
    let found = diff::diff(&old, &new);
    let shown: Vec<_> = (found.changes.iter())
        .map(|change| match change {
            diff::Change::Added { new } => format!("+{}", new.code),
            diff::Change::Removed { old } => format!("-{}", old.code),
            diff::Change::Changed { old, new } => {
                format!("{} {} to {}", old.code, old.rate, new.rate)
            }
        })
        .collect();
    assert_eq!(shown, ["7409 5 % to 7 %", "-7410", "+7411"]);
    assert_eq!(found.head, Vec::<&str>::new());
    let half_even = file("").replace("half-up", "half-even") + "blocks = []";
    let half_up = file("") + "blocks = []";
    let (old, new) = (Tariff::parse(&half_up), Tariff::parse(&half_even));
    let (old, new) = (old.expect("valid"), new.expect("valid"));
    assert_eq!(diff::diff(&old, &new).head, ["rounding"]);
    assert!(diff::diff(&old, &old).changes.is_empty());
}

#[test]
fn the_day_of_the_rates_follows_the_rule() {
    use RateDateRule::{Arrival, Filing, LaterOfFilingAndArrival, Payment};
    let filed = day("2026-06-20");
    for (rule, arrived, paid, expected, is_final) in [
        (Filing, Some("2026-07-02"), Some("2026-07-05"), "2026-06-20", true),
        (Arrival, Some("2026-07-02"), None, "2026-07-02", true),
        (Arrival, None, None, "2026-06-20", false),
        (LaterOfFilingAndArrival, Some("2026-07-02"), None, "2026-07-02", true),
        (LaterOfFilingAndArrival, Some("2026-06-02"), None, "2026-06-20", true),
        (LaterOfFilingAndArrival, None, None, "2026-06-20", false),
        (Payment, Some("2026-07-02"), Some("2026-07-05"), "2026-07-05", true),
    ] {
        let events = Events { filed, arrived: arrived.map(day), paid: paid.map(day) };
        let found = rule.day(events);
        assert_eq!((found.day, found.is_final), (day(expected), is_final), "{rule:?} {events:?}");
    }
}

/// Returns whether periods, as first day and length in days, follow each other without a day
/// missing or counted twice.
fn is_seamless(periods: &[(u8, u8)]) -> bool {
    let mut days = [0_u8; 256];
    for (first, length) in periods {
        for day in *first..*first + *length {
            days[usize::from(day)] += 1;
        }
    }
    let first = days.iter().position(|count| *count > 0).unwrap_or(0);
    let last = days.iter().rposition(|count| *count > 0).unwrap_or(0);
    days[first..=last].iter().all(|count| *count == 1)
}

proptest! {
    #[test]
    fn exactly_seamless_periods_are_accepted(
        mut periods in prop::collection::vec((0_u8..12, 1_u8..6), 1..5),
        joined in any::<bool>(),
    ) {
        if joined {
            // Random periods hardly ever meet, so half of the cases are made to.
            let mut next = 0;
            for (first, length) in &mut periods {
                *first = next;
                next += *length;
            }
        }
        let date = |day: u8| {
            (0..day).fold(Date::constant(2026, 1, 1), |date, _| date.tomorrow().expect("a date"))
        };
        let blocks: String = periods.iter().map(|(first, length)| {
            let period = format!("from = \"{}\"\nuntil = \"{}\"", date(*first),
                date(first + length - 1));
            block("CD", &period, "{ codes = [\"7408\"], rate = \"5\" },")
        }).collect();
        // After the last period the rate of all goods applies.
        let after = "{ codes = [\"\"], rate = \"9\" },";
        let blocks = blocks + &block("CD", "from = \"2026-01-01\"", after);
        let found = Tariff::check(&file(&blocks));
        prop_assert_eq!(found.is_ok(), is_seamless(&periods), "{:?} {:?}", periods, found.err());
    }

    #[test]
    fn a_damaged_file_is_refused_or_read_and_nothing_else(
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(vec!["", "\"", "]", "9", "-", "\n", "é", "= [", "{"]),
    ) {
        let text = EMBEDDED[1];
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let mut rest = text[at..].chars();
        rest.next();
        let damaged = format!("{}{with}{}", &text[..at], rest.as_str());
        if let Err(problems) = Tariff::check(&damaged) {
            prop_assert!((1..=PROBLEMS_MAX).contains(&problems.len()));
            prop_assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
        }
    }
}
