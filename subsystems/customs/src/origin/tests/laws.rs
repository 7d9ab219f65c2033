//! Laws that hold for all input.

use std::sync::LazyLock;

use karvan_types::Decimal;
use proptest::prelude::*;

use super::*;

static SET: LazyLock<RuleSet> =
    LazyLock::new(|| RuleSet::parse("set.json", &testdata("set.json")).expect("valid"));
static PRODUCT: LazyLock<Product> =
    LazyLock::new(|| Product::parse("product.json", &testdata("product.json")).expect("valid"));

/// A set whose one rule is this.
fn set_with(rule: &Rule) -> RuleSet {
    let mut set = SET.clone();
    set.entries.iter_mut().for_each(|entry| entry.rule = rule.clone());
    set
}

fn amount() -> impl Strategy<Value = Decimal> {
    (0_i64..2_000_000_000, 0_u32..=6).prop_map(|(digits, scale)| Decimal::new(digits, scale))
}

fn known_or_not<T: std::fmt::Debug + Clone>(
    inner: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop_oneof![4 => inner.prop_map(Some), 1 => Just(None)]
}

fn material() -> impl Strategy<Value = Material> {
    let codes = prop::sample::select(vec!["740311", "740811", "271019", "520100", "080222"]);
    let origins = prop::sample::select(vec!["AZ", "PK", "CN", "none"]);
    let facts = (
        codes,
        known_or_not(origins),
        any::<bool>(),
        known_or_not(any::<bool>()),
        known_or_not(amount()),
        known_or_not(amount()),
    );
    facts.prop_map(|(code, origin, proven, wholly_obtained, value, mass)| Material {
        name: "a material".to_owned(),
        code: code.to_owned(),
        hs_edition: 2022,
        origin: origin.map(str::to_owned),
        proof: proven.then(|| "P-1".to_owned()),
        wholly_obtained,
        value,
        mass,
    })
}

fn base() -> impl Strategy<Value = Base> {
    prop::sample::select(vec![Base::ExWorks, Base::Fob])
}

fn percent() -> impl Strategy<Value = Decimal> {
    (0_i64..=10_000).prop_map(|digits| Decimal::new(digits, 2))
}

fn value_rule() -> impl Strategy<Value = Rule> {
    let methods = prop::sample::select(vec![Method::BuildDown, Method::BuildUp]);
    prop_oneof![
        (percent(), base()).prop_map(|(percent, of)| Rule::MaxShare {
            codes: Vec::new(),
            percent,
            of
        }),
        (methods, percent(), base()).prop_map(|(method, percent, of)| Rule::Content {
            method,
            percent,
            of
        }),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let levels =
        prop::sample::select(vec![Level::Any, Level::Chapter, Level::Heading, Level::Subheading]);
    let some = |code: &str| CodeRange::parse(code).into_iter().collect::<Vec<_>>();
    let allow = prop::collection::vec(
        (percent(), base()).prop_map(|(percent, of)| Allowance { codes: None, percent, of }),
        0..2,
    );
    let leaf = prop_oneof![
        value_rule(),
        (levels, any::<bool>(), allow).prop_map(move |(level, except, allow)| Rule::Change {
            level,
            except: if except { some("7403") } else { Vec::new() },
            allow
        }),
        Just(Rule::WhollyObtained),
        Just(Rule::MaterialsWhollyObtained(CodeRange::parse("52").into_iter().collect())),
        Just(Rule::Process("drawing".to_owned())),
        Just(Rule::Process("weaving".to_owned())),
        Just(Rule::Text("a text".to_owned())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Rule::All),
            prop::collection::vec(inner, 2..4).prop_map(Rule::Any),
        ]
    })
}

fn product() -> impl Strategy<Value = Product> {
    let materials = known_or_not(prop::collection::vec(material(), 0..5));
    (materials, known_or_not(amount()), known_or_not(amount()), known_or_not(any::<bool>()))
        .prop_map(|(materials, ex_works, fob, processes_complete)| Product {
            materials,
            ex_works: ex_works.filter(|price| !price.is_zero()),
            fob: fob.filter(|price| !price.is_zero()),
            processes_complete,
            ..PRODUCT.clone()
        })
}

fn origin(set: &RuleSet, product: &Product) -> Verdict {
    evaluate(set, product).origin
}

proptest! {
    #[test]
    fn nothing_panics_and_open_verdicts_name_facts(rule in rule(), product in product()) {
        let report = evaluate(&set_with(&rule), &product);
        let branch = report.steps.steps.first().expect("the origin");
        prop_assert_eq!(branch.verdict.is_open(), !branch.open_facts().is_empty());
    }

    #[test]
    fn texts_and_bytes_do_not_panic(
        text in ".{0,200}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Product::parse("p", text.as_bytes()).is_ok();
        let _ = published::parse_any("s", &bytes).is_ok();
        let _ = SET.find(&text).is_ok();
    }

    /// More originating material, at the same price, never spoils a met value rule.
    #[test]
    fn more_originating_material_never_spoils_a_value_rule(
        rule in value_rule(), product in product(), mut extra in material(),
    ) {
        let set = set_with(&rule);
        extra.origin = Some("AZ".to_owned());
        let mut more = product.clone();
        if let Some(materials) = &mut more.materials {
            materials.push(extra);
        }
        if origin(&set, &product) == Verdict::Met {
            prop_assert_eq!(origin(&set, &more), Verdict::Met);
        }
    }

    /// A verdict holds whatever the missing facts turn out to be.
    #[test]
    fn a_verdict_survives_the_missing_facts(
        rule in rule(), product in product(), value in amount(), origin_of in 0_usize..2,
        price in 1_i64..1_000_000, complete in any::<bool>(), wholly in any::<bool>(),
    ) {
        let set = set_with(&rule);
        let before = origin(&set, &product);
        let mut known = product.clone();
        for material in known.materials.iter_mut().flatten() {
            let country = ["AZ", "none"].get(origin_of).copied().expect("one of two");
            material.origin.get_or_insert_with(|| country.to_owned());
            material.proof.get_or_insert_with(|| "P-1".to_owned());
            material.value.get_or_insert(value);
            material.mass.get_or_insert(value);
            material.wholly_obtained.get_or_insert(wholly);
        }
        known.ex_works.get_or_insert(Decimal::from(price));
        known.fob.get_or_insert(Decimal::from(price));
        known.processes_complete.get_or_insert(complete);
        let after = origin(&set, &known);
        if !before.is_open() {
            prop_assert_eq!(before, after);
        }
    }
}
