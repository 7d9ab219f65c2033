use karvan_types::Decimal;

use super::*;

const HEAD: &str = r#"
format = "karvan-risk/1"
nation = "PK"
version = "t"
published = "2026-11-01"
lanes = { blue = 20, yellow = 40, red = 70, status = "assumed", source = "made for this test" }
draw = { per_mille = 30, lane = "yellow", status = "assumed", source = "made for this test" }
windows.history_days = 90
windows.parallel_days = 30
windows.status = "assumed"
windows.source = "made for this test"
"#;

fn rule(id: &str, rest: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nfrom = \"2026-01-01\"\nstatus = \"assumed\"\n\
         source = \"made for this test\"\n{rest}\n"
    )
}

fn profile(rules: &str) -> Profile {
    Profile::parse(&format!("{HEAD}{rules}")).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.texts("hs", ["7408110000", "740811"]);
    facts.texts("containers.invalid", Vec::<String>::new());
    facts.number("value", Decimal::new(999_999, 1));
    facts.number("items", 2);
    facts
}

#[test]
fn conditions_hold_as_their_words_say() {
    for (fact, is, expected) in [
        ("hs", "is = \"some\"", true),
        ("hs", "is = \"none\"", false),
        ("hs", "is = \"any-of\", values = [\"740811\", \"1\"]", true),
        ("hs", "is = \"any-of\", values = [\"7408\"]", false),
        ("hs", "is = \"none-of\", values = [\"740811\"]", false),
        ("hs", "is = \"none-of\", values = [\"1006\"]", true),
        ("hs", "is = \"starts-with\", values = [\"39\", \"74\"]", true),
        ("hs", "is = \"starts-with\", values = [\"40811\"]", false),
        ("hs", "is = \"unknown\"", false),
        ("containers.invalid", "is = \"none\"", true),
        ("containers.invalid", "is = \"some\"", false),
        ("containers.invalid", "is = \"none-of\", values = [\"X\"]", true),
        // Of what is not known nothing can be said.
        ("route", "is = \"none\"", false),
        ("route", "is = \"none-of\", values = [\"AE\"]", false),
        ("route", "is = \"unknown\"", true),
        ("value", "is = \"at-least\", value = \"99999.9\"", true),
        ("value", "is = \"at-least\", value = \"99999.91\"", false),
        ("value", "is = \"at-most\", value = \"99999.9\"", true),
        ("items", "is = \"at-most\", value = \"1\"", false),
        ("gross-mass", "is = \"at-most\", value = \"1\"", false),
    ] {
        let text = "points = 5\ntext = \"a sentence of words\"";
        let rules = rule("r", &format!("{text}\nwhen = [{{ fact = \"{fact}\", {is} }}]"));
        let scoring = evaluate(&profile(&rules), &facts(), day("2026-06-01"));
        assert_eq!(!scoring.fired.is_empty(), expected, "{fact} {is}");
    }
}

#[test]
fn points_add_up_and_a_rule_may_set_the_least_lane() {
    let when = "when = [{ fact = \"items\", is = \"at-least\", value = \"1\" }]";
    let text = "text = \"it has {items} items and goods {hs}, mass {gross-mass}\"";
    let adds = |id: &str, points: u32| rule(id, &format!("points = {points}\n{text}\n{when}"));
    let least =
        |id: &str, lane: &str| rule(id, &format!("points = 1\nlane = \"{lane}\"\n{text}\n{when}"));
    for (rules, points, lane) in [
        (adds("a", 19), 19, Lane::Green),
        (adds("a", 19) + &adds("b", 1), 20, Lane::Blue),
        (adds("a", 20) + &adds("b", 20), 40, Lane::Yellow),
        (adds("a", 70), 70, Lane::Red),
        (least("a", "yellow"), 1, Lane::Yellow),
        (least("a", "blue") + &adds("b", 80), 81, Lane::Red),
    ] {
        let scoring = evaluate(&profile(&rules), &facts(), day("2026-06-01"));
        assert_eq!((scoring.points, scoring.lane), (points, lane), "{rules}");
    }
    let scoring = evaluate(&profile(&adds("a", 19)), &facts(), day("2026-06-01"));
    let fired = scoring.fired.first().expect("it fires");
    assert_eq!(fired.text, "it has 2 items and goods 740811, 7408110000, mass unknown");
    assert_eq!(fired.facts.iter().count(), 1);
    let before = evaluate(&profile(&adds("a", 19)), &facts(), day("2025-12-31"));
    assert!(before.fired.is_empty(), "the rule begins in 2026");
}

#[test]
fn shipped_profiles_load() {
    for nation in ["AZ", "PK"] {
        let profile = Profile::parse(Profile::shipped(nation).expect("shipped"));
        let profile = profile.unwrap_or_else(|problems| panic!("{nation}: {problems:?}"));
        assert_eq!(profile.nation, nation);
        assert!(profile.rules.len() >= 15);
    }
}

#[test]
fn what_is_wrong_is_told_with_line_rule_and_remedy() {
    let good = "points = 5\ntext = \"a sentence of words\"\n\
                when = [{ fact = \"items\", is = \"at-least\", value = \"1\" }]";
    let with = |from: &str, to: &str| rule("r", &good.replace(from, to));
    for (rules, wanted) in [
        (String::new(), "0 rules"),
        (with("items", "itmes"), "line 12: rule `r`: `itmes` is no fact; facts are"),
        (with("at-least", "any-of"), "cannot be tested with `any-of`"),
        (with("\"1\"", "\"1e3\""), "plain decimal"),
        (with("\"1\"", "\"-1\""), "plain decimal"),
        (with("value = \"1\"", "values = [\"1\"]"), "plain decimal"),
        (with("points = 5", "points = 500"), "500 points"),
        (with("points = 5", "points = 0"), "changes nothing"),
        (with("points = 5", "points = 5.5"), "line 17"),
        (with("words", "{secret}"), "`{secret}`, which is no fact"),
        (with("a sentence of words", "short"), "fewer than 10"),
        (with("points = 5", "points = 5\nuntil = \"2025-01-01\""), "ends before it begins"),
        (with("points = 5", "points = 5\nscript = \"rm\""), "unknown field `script`"),
        (rule("R!", good), "rename the rule"),
        (with("[{", "[").replace(" }]", "]"), "line"),
        (
            rule(
                "r",
                &good.replace("[{ fact = \"items\", is = \"at-least\", value = \"1\" }]", "[]"),
            ),
            "0 conditions",
        ),
        (with("at-least\", value = \"1\"", "unknown\", value = \"1\""), "takes no `value`"),
        (rule("r", good) + &rule("r", good), "line 12 has the same name on the same days"),
    ] {
        let text = format!("{HEAD}{rules}");
        let problems = Profile::parse(&text).expect_err(wanted);
        let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|line| line.contains(wanted)), "{wanted}: {told:?}");
    }
    for (from, to, wanted) in [
        ("karvan-risk/1", "karvan-risk/2", "its format is not"),
        ("nation = \"PK\"", "nation = \"XX\"", "no country"),
        ("blue = 20", "blue = 40", "lanes rise"),
        ("per_mille = 30", "per_mille = 1001", "0 to 1000"),
        ("history_days = 90", "history_days = 0", "1 to 1000"),
    ] {
        let text = HEAD.replace(from, to) + &rule("r", good);
        let problems = Profile::parse(&text).expect_err(wanted);
        assert!(problems.iter().any(|p| p.to_string().contains(wanted)), "{problems:?}");
    }
}

#[test]
fn a_limit_has_an_edge_on_both_sides() {
    let limit = "limit = { value = \"1000\", currency = \"USD\", within_percent = \"10\", \
                 status = \"assumed\", source = \"made for this test\" }\n";
    let good =
        "points = 5\ntext = \"a sentence of words\"\nwhen = [{ fact = \"hs\", is = \"some\" }]";
    let profile = Profile::parse(&format!("{HEAD}{limit}{}", rule("r", good))).expect("loads");
    let limit = profile.limit.expect("a limit");
    for (value, currency, expected) in [
        ("1000", "USD", false),
        ("999.999999", "USD", true),
        ("900", "USD", true),
        ("899.999999", "USD", false),
        ("950", "PKR", false),
    ] {
        let value = karvan_types::amount::parse_decimal(value).expect("a number");
        assert_eq!(limit.is_just_under(value, currency), expected, "{value} {currency}");
    }
}
