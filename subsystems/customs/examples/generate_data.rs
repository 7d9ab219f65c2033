//! Makes the code lists under `data/` from their public sources.
//!
//! Usage: `cargo run -p karvan-customs --example generate_data -- SOURCE_FOLDER`, where the folder
//! holds the files named in `data/README.md`. The result is deterministic: same source, same bytes.
//! Lists that the project keeps itself (spellings, tariff) are not touched.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Row = BTreeMap<String, String>;
type Lines = BTreeMap<String, String>;
type Outcome<T> = Result<T, Box<dyn Error>>;

/// Units that trade between the two countries needs: code, kind, and the factor to the kind's base
/// unit where the source gives none and this project decides.
const UNITS: &[(&str, &str, Option<&str>)] = &[
    ("KGM", "mass", None),
    ("TNE", "mass", None),
    ("KTN", "mass", None),
    ("DTN", "mass", None),
    ("GRM", "mass", None),
    ("MGM", "mass", None),
    ("CTM", "mass", Some("0.0002")),
    ("LBR", "mass", None),
    ("ONZ", "mass", None),
    ("STI", "mass", None),
    ("LTN", "mass", None),
    ("STN", "mass", None),
    ("CWA", "mass", None),
    ("CWI", "mass", None),
    ("C62", "count", None),
    ("H87", "count", Some("1")),
    ("NAR", "count", Some("1")),
    ("NIU", "count", Some("1")),
    ("PR", "count", None),
    ("TPR", "count", Some("20")),
    ("DZN", "count", None),
    ("DPC", "count", Some("12")),
    ("GRO", "count", None),
    ("CEN", "count", None),
    ("MIL", "count", None),
    ("SET", "set", Some("1")),
    ("NMP", "package", Some("1")),
    ("DZP", "package", Some("12")),
    ("CNP", "package", Some("100")),
    ("MTR", "length", None),
    ("KMT", "length", None),
    ("CMT", "length", None),
    ("MMT", "length", None),
    ("INH", "length", None),
    ("FOT", "length", None),
    ("YRD", "length", None),
    ("MTK", "area", None),
    ("CMK", "area", None),
    ("INK", "area", None),
    ("FTK", "area", None),
    ("YDK", "area", None),
    ("MTQ", "volume", None),
    ("DMQ", "volume", None),
    ("CMQ", "volume", None),
    ("LTR", "volume", None),
    ("HLT", "volume", None),
    ("DLT", "volume", None),
    ("MLT", "volume", None),
    ("GLL", "volume", None),
    ("GLI", "volume", None),
    ("BLL", "volume", None),
    ("OZI", "volume", None),
    ("LPA", "pure-alcohol", Some("1")),
    ("KWH", "energy", None),
    ("MWH", "energy", None),
];

fn main() -> Outcome<()> {
    let source = PathBuf::from(env::args().nth(1).ok_or("usage: generate_data SOURCE_FOLDER")?);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    write(&target, "hs2022.tsv", "code\tdescription", harmonized_system(&source)?)?;
    write(&target, "countries.tsv", "alpha2\talpha3\tnumeric\tname", countries(&source)?)?;
    write(&target, "currencies.tsv", "code\tdecimals\twithdrawn\tname", currencies(&source)?)?;
    write(&target, "packages.tsv", "code\tname", packages(&source)?)?;
    write(&target, "units.tsv", "code\tkind\tfactor\tbasis\tname", units(&source)?)?;
    Ok(())
}

fn rows(path: &Path) -> Outcome<Vec<Row>> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    Ok(reader.deserialize().collect::<Result<_, _>>()?)
}

fn field(row: &Row, name: &str) -> Outcome<String> {
    let text = row.get(name).ok_or_else(|| format!("the source has no column `{name}`"))?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn write(target: &Path, name: &str, columns: &str, lines: Lines) -> Outcome<()> {
    let mut text = format!("# {columns}\n");
    for line in lines.into_values() {
        writeln!(text, "{line}")?;
    }
    Ok(fs::write(target.join(name), text)?)
}

fn harmonized_system(source: &Path) -> Outcome<Lines> {
    let mut lines = Lines::new();
    for row in rows(&source.join("hs2022-harmonized-system.csv"))? {
        let code = field(&row, "hscode")?;
        // 999999 is a statistical remainder of the source, not a code of the nomenclature.
        if code.len() == 6 && code != "999999" {
            lines.insert(code.clone(), format!("{code}\t{}", field(&row, "description")?));
        }
    }
    Ok(lines)
}

fn countries(source: &Path) -> Outcome<Lines> {
    let mut lines = Lines::new();
    for row in rows(&source.join("codelists/iso3166-country-codes.csv"))? {
        let alpha2 = field(&row, "ISO3166-1-Alpha-2")?;
        let alpha3 = field(&row, "ISO3166-1-Alpha-3")?;
        let numeric: u16 = field(&row, "ISO3166-1-numeric")?.parse()?;
        let name = field(&row, "CLDR display name")?;
        // The source drops leading zeros of the numeric code; Azerbaijan is 031.
        lines.insert(alpha2.clone(), format!("{alpha2}\t{alpha3}\t{numeric:03}\t{name}"));
    }
    Ok(lines)
}

fn currencies(source: &Path) -> Outcome<Lines> {
    // A currency that any country still uses is in force; the last withdrawal counts otherwise.
    let mut found: BTreeMap<String, (String, String, String)> = BTreeMap::new();
    for row in rows(&source.join("codelists/iso4217-currencies.csv"))? {
        let code = field(&row, "AlphabeticCode")?;
        if code.is_empty() {
            continue;
        }
        let withdrawn = field(&row, "WithdrawalDate")?;
        let withdrawn = withdrawn.rsplit(" to ").next().unwrap_or_default().to_owned();
        let decimals = match field(&row, "MinorUnit")?.as_str() {
            "" | "-" => "-".to_owned(),
            digits => digits.to_owned(),
        };
        let new = (decimals, withdrawn, field(&row, "Currency")?);
        let kept = found.entry(code).or_insert_with(|| new.clone());
        if !kept.1.is_empty() && (new.1.is_empty() || new.1 > kept.1) {
            *kept = new;
        }
    }
    let line = |(code, (decimals, withdrawn, name)): (String, (String, String, String))| {
        let withdrawn = if withdrawn.is_empty() { "-".to_owned() } else { withdrawn };
        let line = format!("{code}\t{decimals}\t{withdrawn}\t{name}");
        (code, line)
    };
    Ok(found.into_iter().map(line).collect())
}

fn packages(source: &Path) -> Outcome<Lines> {
    let mut lines = Lines::new();
    for row in rows(&source.join("codelists/unece-rec21-packages.csv"))? {
        let code = field(&row, "Code")?;
        if !field(&row, "Status")?.contains('X') {
            lines.insert(code.clone(), format!("{code}\t{}", field(&row, "Name")?));
        }
    }
    Ok(lines)
}

fn units(source: &Path) -> Outcome<Lines> {
    let all = rows(&source.join("codelists/unece-rec20-units.csv"))?;
    let mut lines = Lines::new();
    for (code, kind, decided) in UNITS {
        let row = all
            .iter()
            .find(|row| row.get("CommonCode").is_some_and(|found| found == code))
            .ok_or_else(|| format!("the source has no unit {code}"))?;
        if !field(row, "Status")?.is_empty() {
            return Err(format!("unit {code} is deleted or deprecated in the source").into());
        }
        let (factor, basis) = match decided {
            Some(factor) => ((*factor).to_owned(), "project"),
            None => (factor(&field(row, "ConversionFactor")?)?, "source"),
        };
        let name = field(row, "Name")?;
        lines.insert((*code).to_owned(), format!("{code}\t{kind}\t{factor}\t{basis}\t{name}"));
    }
    Ok(lines)
}

/// Turns `0,453 592 37 kg`, `10⁻³ m³` or `3,6 x 10⁶ J` into a plain decimal.
fn factor(text: &str) -> Outcome<String> {
    let text = text.replace('\u{a0}', " ");
    let is_power = |after: &str| after.starts_with(|c| c == '⁻' || SUPERSCRIPT.contains(c));
    let (mantissa, power) = match text.split_once("10") {
        Some((before, after)) if is_power(after) => {
            (before.trim_end_matches("x ").to_owned(), after.to_owned())
        }
        _ => (text.clone(), String::new()),
    };
    let is_number = |c: &char| c.is_ascii_digit() || matches!(c, ',' | ' ');
    let digits: String = mantissa.chars().take_while(is_number).filter(|c| *c != ' ').collect();
    let (whole, fraction) = digits.split_once(',').unwrap_or((&digits, ""));
    let exponent = exponent(&power) - i32::try_from(fraction.len())?;
    let mut number = format!("{whole}{fraction}");
    if number.is_empty() {
        number.push('1');
    }
    if exponent >= 0 {
        number.push_str(&"0".repeat(usize::try_from(exponent)?));
    } else {
        let places = usize::try_from(-exponent)?;
        let padded = format!("{number:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        let fraction = fraction.trim_end_matches('0');
        number = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    }
    let whole = number.split('.').next().unwrap_or_default().len();
    let zeros = number.len() - number.trim_start_matches('0').len();
    Ok(number.split_off(zeros.min(whole - 1)))
}

const SUPERSCRIPT: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/// Reads a power of ten in superscript digits: `⁻³` is -3, nothing is 0.
fn exponent(text: &str) -> i32 {
    let mut value = 0;
    let digit = |c| SUPERSCRIPT.chars().zip(0..).find(|(d, _)| *d == c).map(|(_, value)| value);
    for digit in text.trim_start_matches('⁻').chars().map_while(digit) {
        value = value * 10 + digit;
    }
    if text.starts_with('⁻') { -value } else { value }
}
