//! Prints what a look-up costs with 200,000 measures loaded.
//!
//! `cargo run --release -p karvan-customs --example tariff_cost` says the median and the slowest of
//! many questions, over all codes of the Harmonized System, and how long the file took to read.

use std::fmt::Write as _;
use std::hint::black_box;

use karvan_customs::tariff::{ImporterClass, Query, Tariff};
use karvan_types::Date;
use tokio::time::Instant;

use crate::aim::Aim;

#[path = "shared/aim.rs"]
mod aim;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MEASURES: usize = 200_000;
/// Microseconds that a look-up may take.
const AIM: f64 = 10.0;
const QUESTIONS: usize = 200_000;
const DUTIES: [&str; 6] = ["CD", "ACD", "RD", "ST", "AST", "WHT"];
const YEARS: [&str; 3] = [
    "from = \"2023-07-01\"\nuntil = \"2024-06-30\"",
    "from = \"2024-07-01\"\nuntil = \"2025-06-30\"",
    "from = \"2025-07-01\"",
];
const CODES: &str = include_str!("../data/hs2022.tsv");

/// Makes national codes of eight digits: every six digits with two endings.
fn codes() -> Vec<String> {
    let six = CODES.lines().filter_map(|line| line.get(..6)).filter(|code| !code.starts_with('#'));
    six.flat_map(|six| ["00", "90"].map(|ending| format!("{six}{ending}"))).collect()
}

fn file(codes: &[String]) -> String {
    let mut text = String::from(
        "format = \"karvan-tariff/1\"\nversion = \"large\"\npublished = \"2026-01-01\"\n\
         country = \"PK\"\ncurrency = \"PKR\"\ncode_digits = 8\n\
         rounding = { decimals = 0, mode = \"half-up\", source = \"s\", status = \"assumed\" }\n\
         rate_date = { rule = \"filing\", source = \"s\", status = \"assumed\" }\n\
         sources = [{ id = \"s\", title = \"a source\" }]\n\
         agreements = [{ id = \"X\", origin = \"AZ\", from = \"2024-12-16\", source = \"s\" }]\n\
         charges = [\n",
    );
    for duty in DUTIES {
        let _ = writeln!(text, "{{ duty = \"{duty}\", base = [\"value\"] }},");
    }
    text.push_str("]\n");
    let mut left = MEASURES;
    let mut block = |head: &str, rate: &str, codes: &[String]| {
        let codes = codes.get(..codes.len().min(left)).unwrap_or_default();
        left -= codes.len();
        let codes: Vec<_> = codes.iter().map(|code| format!("\"{code}\"")).collect();
        let _ = writeln!(
            text,
            "[[blocks]]\n{head}\nsource = \"s\"\nstatus = \"assumed\"\n\
             rates = [{{ codes = [{}], rate = \"{rate}\" }}]",
            codes.join(", ")
        );
    };
    for duty in DUTIES {
        let all = [String::new()];
        block(&format!("duty = \"{duty}\"\nkind = \"general\"\n{}", YEARS[0]), "1", &all);
        for year in &YEARS[1..] {
            block(&format!("duty = \"{duty}\"\nkind = \"general\"\n{year}"), "2", &all);
        }
    }
    let target = "duty = \"CD\"\nkind = \"target-rate\"\nagreement = \"X\"\nfrom = \"2024-12-16\"";
    block(target, "1", codes);
    for duty in DUTIES {
        for year in YEARS {
            block(&format!("duty = \"{duty}\"\nkind = \"general\"\n{year}"), "5", codes);
        }
    }
    text
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let codes = codes();
    let text = file(&codes);
    let start = Instant::now();
    let tariff = Tariff::parse(&text)?;
    println!(
        "{} measures from {} KiB read in {:?}",
        tariff.measures().len(),
        text.len() / 1024,
        start.elapsed()
    );
    let (origin, importer) = ("AZ", ImporterClass::Commercial);
    let mut costs = Vec::with_capacity(QUESTIONS);
    for number in 0..QUESTIONS {
        // A step that shares no factor with the number of codes visits them in no order.
        let Some(code) = codes.get(number * 7919 % codes.len()) else { break };
        let query = Query { code, day: Date::constant(2025, 1, 15), origin, importer };
        let start = Instant::now();
        black_box(tariff.explain(black_box(query))?);
        costs.push(start.elapsed());
    }
    costs.sort_unstable();
    let at = |part: usize| costs.get(costs.len() * part / 1000).copied().unwrap_or_default();
    println!(
        "a look-up: median {:?}, 99 % within {:?}, 99.9 % within {:?}, slowest {:?}",
        at(500),
        at(990),
        at(999),
        costs.last().copied().unwrap_or_default()
    );
    for (what, part) in [("tariff look-up, median", 500), ("tariff look-up, 99 % within", 990)] {
        let seen = at(part).as_secs_f64() * 1e6;
        Aim { what, seen, wanted: AIM, is_most: true, unit: "µs" }.tell();
    }
    Ok(())
}
