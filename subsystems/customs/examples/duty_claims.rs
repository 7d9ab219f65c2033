//! Writes random claims with the duties on them, and random grants of parts of claims with what is
//! to be paid, for a program that computes them anew.
//!
//! The tariff is made at random too: every kind of rate, reductions, slabs, importers, periods,
//! both roundings of a currency without and with decimals. The first part of the claims asks the
//! shipped tariffs. The numbers come from a fixed seed, so a difference can be looked at again.
//!
//! `tests/foreign/python/duty.py` reads the file and knows only `docs/use/tariff.md`.

use std::fmt::Write as _;
use std::io::Write as _;

use karvan_customs::claim::Claim;
use karvan_customs::codes::units;
use karvan_customs::duty::{Goods, assess};
use karvan_customs::matching::Match;
use karvan_customs::messages::{Decision, GoodsItem};
use karvan_customs::rates::Converted;
use karvan_customs::relief::{QuotaShare, Valued, share};
use karvan_customs::tariff::{ImporterClass, Query, Tariff};
use karvan_types::{Amount, Date, Decimal, Quantity};
use serde_json::{Value, json};

const CLAIMS: usize = 1000;
/// Grants of a part.
const GRANTS: usize = 1000;
/// Most questions asked until there are enough claims; some have no answer.
const QUESTIONS_MAX: usize = 100 * CLAIMS;

const SHIPPED: [&str; 2] =
    [include_str!("../data/tariff/azerbaijan.toml"), include_str!("../data/tariff/pakistan.toml")];
const CODES: [&str; 12] = [
    "080222", "080910", "081310", "100630", "130212", "220300", "240110", "390110", "690721",
    "730423", "740811", "950662",
];
const UNITS: [&str; 6] = ["KGM", "TNE", "LBR", "LTR", "HLT", "DZN"];
const DAYS: [&str; 5] = ["2025-01-10", "2025-06-30", "2025-07-01", "2026-03-01", "2026-10-02"];

/// Numbers that look random and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.roll(from.len() as u64)).unwrap_or(0)]
    }

    /// A decimal below `whole` with up to `places` decimal places.
    fn decimal(&mut self, whole: u64, places: u32) -> Decimal {
        let digits = self.roll(whole * 10_u64.pow(places));
        let digits = i64::try_from(digits).unwrap_or(i64::MAX);
        Decimal::new(digits, places).normalize()
    }
}

/// Makes the rate of a line.
fn rate(dice: &mut Dice) -> String {
    let percent = dice.decimal(40, 2);
    let specific = dice.decimal(3, 4);
    let unit = dice.pick(&UNITS);
    match dice.roll(5) {
        0 => format!("specific = \"{specific}\", unit = \"{unit}\""),
        1 => format!("rate = \"{percent}\", specific = \"{specific}\", unit = \"{unit}\""),
        2 => format!("rate = \"{percent}\", fixed = \"{}\"", dice.decimal(100, 2)),
        _ => format!("rate = \"{percent}\""),
    }
}

fn block(text: &mut String, head: &str, lines: &str) {
    let _ = write!(text, "\n[[blocks]]\n{head}\nsource = \"s\"\nstatus = \"assumed\"\n");
    let _ = writeln!(text, "rates = [\n{lines}]");
}

/// Makes a tariff in which everything of the format occurs.
fn tariff(dice: &mut Dice, number: usize) -> String {
    let decimals = dice.pick(&[0, 2, 2, 3]);
    let mode = dice.pick(&["half-up", "half-even", "down", "up"]);
    let mut text = format!(
        "format = \"karvan-tariff/1\"\nversion = \"random-{number}\"\npublished = \"2026-01-01\"\n\
         country = \"AZ\"\ncurrency = \"AZN\"\ncode_digits = 10\n\
         rounding = {{ decimals = {decimals}, mode = \"{mode}\", source = \"s\", \
         status = \"assumed\" }}\n\
         rate_date = {{ rule = \"filing\", source = \"s\", status = \"assumed\" }}\n\
         sources = [{{ id = \"s\", title = \"dice\" }}]\n\
         agreements = [\n\
         {{ id = \"A\", origin = \"PK\", from = \"2025-02-01\", source = \"s\" }},\n\
         {{ id = \"B\", origin = \"PK\", from = \"2025-07-01\", until = \"2026-09-30\", \
         source = \"s\" }},\n]\n\
         charges = [\n{{ duty = \"CD\", base = [\"value\"] }},\n\
         {{ duty = \"ACD\", base = [\"value\"] }},\n\
         {{ duty = \"EXC\", base = [\"value\", \"CD\"] }},\n{{ duty = \"FEE\", base = [] }},\n\
         {{ duty = \"WHT\", base = [\"value\", \"CD\", \"ACD\"] }},\n\
         {{ duty = \"VAT\", base = [\"value\", \"CD\", \"ACD\", \"EXC\"] }},\n]\n"
    );
    for (period, duty) in [
        ("from = \"2025-01-01\"\nuntil = \"2025-06-30\"", "CD"),
        ("from = \"2025-07-01\"", "CD"),
        ("from = \"2025-01-01\"", "EXC"),
        ("from = \"2025-01-01\"", "FEE"),
    ] {
        let mut lines = format!("{{ codes = [\"\"], {} }},\n", rate(dice));
        for code in CODES {
            let length = usize::try_from(2 + 2 * dice.roll(4)).unwrap_or(2);
            let code = code.get(..length).filter(|code| !lines.contains(&format!("\"{code}\"")));
            if let Some(code) = code {
                let _ = writeln!(lines, "{{ codes = [\"{code}\"], {} }},", rate(dice));
            }
        }
        block(&mut text, &format!("duty = \"{duty}\"\nkind = \"general\"\n{period}"), &lines);
    }
    let slabs = "{ codes = [\"\"], cd_min = \"0\", cd_max = \"9.99\", rate = \"1.5\" },\n\
                 { codes = [\"\"], cd_min = \"10\", cd_max = \"1000\", rate = \"4\" },\n";
    block(&mut text, "duty = \"ACD\"\nkind = \"general\"\nfrom = \"2025-01-01\"", slabs);
    let classes = "{ codes = [\"\"], importer = \"commercial\", rate = \"6\" },\n\
                   { codes = [\"\"], importer = \"industrial\", rate = \"5.5\" },\n";
    block(&mut text, "duty = \"WHT\"\nkind = \"general\"\nfrom = \"2025-01-01\"", classes);
    let all = "{ codes = [\"\"], rate = \"18\" },\n";
    block(&mut text, "duty = \"VAT\"\nkind = \"general\"\nfrom = \"2025-01-01\"", all);
    preferences(dice, &mut text);
    text
}

fn preferences(dice: &mut Dice, text: &mut String) {
    for (duty, agreement, from) in
        [("CD", "A", "2025-02-01"), ("CD", "B", "2025-07-01"), ("EXC", "A", "2025-07-01")]
    {
        for reduces in [false, true] {
            let mut lines = String::new();
            for (place, code) in CODES.iter().enumerate() {
                if (place % 2 == 0) != reduces || dice.roll(4) == 0 {
                    continue;
                }
                let rate = if reduces {
                    format!("rate = \"{}\"", dice.decimal(100, 1))
                } else {
                    rate(dice)
                };
                let _ = writeln!(lines, "{{ codes = [\"{code}\"], {rate} }},");
            }
            let kind = if reduces { "percent-reduction" } else { "target-rate" };
            let head = format!(
                "duty = \"{duty}\"\nkind = \"{kind}\"\nagreement = \"{agreement}\"\n\
                 from = \"{from}\""
            );
            block(text, &head, &lines);
        }
    }
}

/// Asks one question at random; nothing when it has no answer.
fn claim(dice: &mut Dice, tariff: &Tariff, number: usize) -> Option<Value> {
    let code = format!("{}{}", dice.pick(&CODES), if dice.roll(2) == 0 { "" } else { "00" });
    let day: Date = dice.pick(&DAYS).parse().ok()?;
    let (importer, class) = dice.pick(&[
        (ImporterClass::Commercial, "commercial"),
        (ImporterClass::Industrial, "industrial"),
    ]);
    let origin = if tariff.country == "PK" { "AZ" } else { "PK" };
    let origin = dice.pick(&[origin, origin, origin, "CN"]);
    let whole = dice.pick(&[100, 100_000, 100_000_000]);
    let value = Amount { value: dice.decimal(whole, 2), currency: tariff.currency.clone() };
    let mut quantities = Vec::new();
    for unit in [dice.pick(&["KGM", "TNE", "LBR"]), dice.pick(&["LTR", "HLT"]), "DZN", "KGM"] {
        quantities.push(Quantity { value: dice.decimal(100_000, 3), unit: unit.to_owned() });
    }
    let query = Query { code: &code, day, origin, importer };
    let goods = Goods::new(value, quantities);
    let found = assess(tariff, query, &goods).ok()?;
    let lines = found.lines.iter().map(|line| {
        json!({
            "duty": line.duty,
            "general": line.general.amount.to_string(),
            "preferential": line.preferential.amount.to_string(),
            "winner": line.winner,
        })
    });
    Some(json!({
        "number": number,
        "tariff": tariff.version.clone() + "/" + &tariff.country,
        "code": code,
        "day": day.to_string(),
        "origin": origin,
        "importer": class,
        "value": goods.value,
        "quantities": goods.quantities,
        "lines": lines.collect::<Vec<_>>(),
        "total_general": found.total_general.to_string(),
        "total_preferential": found.total_preferential.to_string(),
    }))
}

/// Returns a declared item, and the quantity by which its certificate counts it.
fn item(dice: &mut Dice, code: &str, value: &Amount) -> (GoodsItem, Quantity, &'static str) {
    // As many equal parts as make no round decimal; the certificate may count in another unit.
    let parts = dice.pick(&[2, 3, 6, 7, 9, 11, 13]);
    let (stated, counted) = dice.pick(&[
        ("KGM", "KGM"),
        ("TNE", "KGM"),
        ("KGM", "TNE"),
        ("LBR", "KGM"),
        ("KGM", "LBR"),
        ("HLT", "LTR"),
        ("LTR", "HLT"),
        ("DZN", "C62"),
        ("C62", "DZN"),
    ]);
    let part = dice.decimal(10_000, 3) + Decimal::new(1, 3);
    let whole = Quantity { value: part * Decimal::from(parts), unit: stated.to_owned() };
    let granted = Quantity {
        value: part * Decimal::from(dice.roll(parts) + u64::from(dice.roll(4) > 0)),
        unit: stated.to_owned(),
    };
    let mass = Quantity { value: dice.decimal(100_000, 3), unit: "KGM".to_owned() };
    let item = json!({
        "SequenceNumeric": 1,
        "Commodity": {
            "Description": "goods",
            "Classification": [{ "ID": code, "IdentificationTypeCode": "HS" }],
            "GoodsMeasure": { "TariffQuantity": whole, "NetNetWeightMeasure": mass },
        },
        "CustomsValueAmount": value,
    });
    (serde_json::from_value(item).expect("an item"), granted, counted)
}

/// Grants a part of a claim at random; nothing when no duty can be computed.
fn grant(dice: &mut Dice, tariff: &Tariff, number: usize) -> Option<Value> {
    let code = dice.pick(&CODES);
    let day = dice.pick(&DAYS);
    let class = dice.pick(&["commercial", "industrial"]);
    let whole = dice.pick(&[100, 100_000, 100_000_000]);
    let value = Amount { value: dice.decimal(whole, 2), currency: tariff.currency.clone() };
    let (item, granted, counted) = item(dice, code, &value);
    let measure = item.commodity.measure.clone()?;
    let (stated, mass) = (measure.tariff_quantity?, measure.net_mass?);
    let in_unit = |quantity: &Quantity| units::convert(quantity, counted).ok();
    let goods = in_unit(&stated)?.quantity;
    let mut granted = in_unit(&granted)?.quantity;
    let mut quota = None;
    if dice.roll(2) == 0 {
        let unit = dice.pick(&["TNE", "KGM", "LBR", "LTR", "DZN"]);
        let allocated = Quantity { value: dice.decimal(10_000, 3), unit: unit.to_owned() };
        let has = QuotaShare {
            account: "random".to_owned(),
            asked: allocated.clone(),
            allocated: allocated.clone(),
        };
        if let Some(given) = has.given_in(counted) {
            granted.value = granted.value.min(given);
            quota = Some(allocated);
        }
    }
    let claim: Claim = serde_json::from_value(json!({
        "number": "RANDOM", "receivedAt": format!("{day}T12:00:00Z"), "filed": day, "by": "dice",
        "importerClass": class, "versions": [],
    }))
    .expect("a claim");
    let matched: Match =
        serde_json::from_value(json!({ "differences": [], "goods": goods })).expect("a match");
    let partner = if tariff.country == "PK" { "AZ" } else { "PK" };
    let filed = day.parse().ok()?;
    let valued = Valued {
        tariff,
        partner: partner.parse().ok()?,
        claim: &claim,
        item: &item,
        value: Ok(Converted {
            stated: value.clone(),
            amount: value.clone(),
            day: filed,
            rates: vec![],
        }),
    };
    let payable = valued.payable(share(Decision::GrantedInPart, Some(&granted), &matched)).ok()?;
    Some(json!({
        "number": number,
        "tariff": tariff.version.clone() + "/" + &tariff.country,
        "code": code,
        "day": day,
        "origin": partner,
        "importer": class,
        "value": value,
        "quantities": [stated, mass],
        "goods": goods,
        "granted": granted,
        "quota": quota,
        "payable": payable.payable.value.to_string(),
        "without_preference": payable.without_preference.value.to_string(),
        "saved": payable.saved.value.to_string(),
    }))
}

/// Asks until there are enough answers.
fn enough(
    dice: &mut Dice,
    tariffs: &[Tariff],
    count: usize,
    ask: fn(&mut Dice, &Tariff, usize) -> Option<Value>,
) -> Vec<Value> {
    let mut found = Vec::new();
    for question in 0..QUESTIONS_MAX {
        if found.len() == count {
            break;
        }
        let Some(tariff) = tariffs.get(question % tariffs.len()) else { break };
        found.extend(ask(dice, tariff, found.len() + 1));
    }
    found
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name the file to write")?;
    let mut dice = Dice(2026);
    let mut texts: Vec<String> = SHIPPED.iter().map(|text| (*text).to_owned()).collect();
    texts.extend((0..20).map(|number| tariff(&mut dice, number)));
    let tariffs: Result<Vec<_>, _> = texts.iter().map(|text| Tariff::parse(text)).collect();
    let tariffs = tariffs?;
    let claims = enough(&mut dice, &tariffs, CLAIMS, claim);
    let grants = enough(&mut dice, &tariffs, GRANTS, grant);
    let files: serde_json::Map<String, Value> = (tariffs.iter().zip(&texts))
        .map(|(tariff, text)| {
            (format!("{}/{}", tariff.version, tariff.country), text.as_str().into())
        })
        .collect();
    let report = json!({ "tariffs": files, "claims": claims, "grants": grants });
    let mut file = std::fs::File::create(&path)?;
    file.write_all(&serde_json::to_vec(&report)?)?;
    println!("{} claims and {} grants in {path}", claims.len(), grants.len());
    Ok(())
}
