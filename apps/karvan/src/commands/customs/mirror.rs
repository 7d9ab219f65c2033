//! `karvan customs mirror`: what both sides' declarations say about each other.
//!
//! Words: a difference is a candidate for a look. It is never called anything worse here.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use karvan_customs::mirror::candidates::Candidate;
use karvan_customs::mirror::chart::{self, Words};
use karvan_customs::mirror::parquet;
use karvan_customs::mirror::sheet::Sheet;
use karvan_customs::mirror::totals::Total;
use karvan_customs::mirror::unmatched::Unmatched;
use karvan_types::{Decimal, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, table};

/// Compare what both sides declared: consignments, totals, values.
#[derive(Debug, Subcommand)]
pub(crate) enum Mirror {
    Consignments(Consignments),
    Totals(Totals),
    Candidates(Candidates),
    Report(Report),
    Compare(Compare),
    Export(Export),
    Chart(Chart),
}

/// Which months.
#[derive(Args, Debug)]
pub(crate) struct Months {
    /// First month; a year ago unless given.
    #[arg(long, value_name = "YYYY-MM")]
    from: Option<String>,
    /// Last month; this one unless given.
    #[arg(long, value_name = "YYYY-MM")]
    until: Option<String>,
}

impl Months {
    fn input(&self) -> Map<String, Value> {
        let mut input = Map::new();
        for (name, value) in [("from", &self.from), ("until", &self.until)] {
            if let Some(value) = value {
                input.insert(name.to_owned(), value.as_str().into());
            }
        }
        input
    }
}

/// List consignments announced and never arrived, and arrived and never announced.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs mirror consignments --dir pk")]
pub(crate) struct Consignments {
    #[command(flatten)]
    months: Months,
    #[command(flatten)]
    node: NodeArgs,
}

/// Show totals per month and code of both sides, with the gap and what explains it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs mirror totals --from 2026-07 --dir pk")]
pub(crate) struct Totals {
    #[command(flatten)]
    months: Months,
    #[command(flatten)]
    node: NodeArgs,
}

/// Rank values worth a look: candidates of under- and over-invoicing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs mirror candidates --dir pk\n  karvan customs \
    mirror candidates --by unit-value --limit 20 --dir pk")]
pub(crate) struct Candidates {
    #[command(flatten)]
    months: Months,
    /// Rank by the amount at stake or by how far the value per kg deviates.
    #[arg(long, value_enum, default_value = "amount")]
    by: RankBy,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RankBy {
    Amount,
    UnitValue,
}

/// Send the figures of a month that has ended to the partner (REC).
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs mirror report 2026-09 --dir pk")]
pub(crate) struct Report {
    /// The month, YYYY-MM.
    month: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Compare what the partner reported of a month with own records.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs mirror compare 2026-09 --dir pk")]
pub(crate) struct Compare {
    /// The month, YYYY-MM.
    month: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Write a table to a file, as CSV or Parquet.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  karvan customs mirror export totals --out totals.csv --dir pk\n  \
    karvan customs mirror export candidates --out candidates.parquet --dir pk"
)]
pub(crate) struct Export {
    /// Which table.
    #[arg(value_enum)]
    what: What,
    /// The file; its name ends in `.csv` or `.parquet`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    months: Months,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Totals,
    Consignments,
    Candidates,
}

/// Draw both sides month by month as a picture.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs mirror chart --svg mirror.svg --dir pk")]
pub(crate) struct Chart {
    /// The file.
    #[arg(long, value_name = "FILE")]
    svg: PathBuf,
    /// The currency; that of the largest total unless given.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    #[command(flatten)]
    months: Months,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Mirror, output: Output) -> Result<Outcome> {
    match command {
        Mirror::Consignments(command) => consignments(command, output),
        Mirror::Totals(command) => totals(command, output),
        Mirror::Candidates(command) => candidates(command, output),
        Mirror::Report(command) => report(command, output),
        Mirror::Compare(command) => compare(command, output),
        Mirror::Export(command) => export(command, output),
        Mirror::Chart(command) => draw(command, output),
    }
}

fn typed<T: DeserializeOwned>(shown: &Value) -> Result<Vec<T>> {
    Ok(serde_json::from_value(shown["rows"].clone())?)
}

/// Says when there was more than was taken into account.
fn cut(shown: &Value) -> String {
    if shown["cut"] == true {
        let most = text(&shown["linesMax"]);
        return format!("(only the first {most} items of a side are counted; ask for less)\n");
    }
    String::new()
}

/// Returns a number in groups of three digits.
fn grouped(number: &str) -> String {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut said = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    fraction.map_or(said.clone(), |fraction| format!("{said}.{fraction}"))
}

/// Sets numbers to the right edge of their column.
fn right<const N: usize>(rows: &mut [[String; N]], columns: &[usize]) {
    for &column in columns {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let width = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        for row in rows.iter_mut() {
            if let Some(cell) = row.get_mut(column) {
                *cell = format!("{cell:>width$}");
            }
        }
    }
}

fn consignments(command: &Consignments, output: Output) -> Result<Outcome> {
    let input = Value::Object(command.months.input());
    let shown = operate(&command.node, "mirror-consignments", &input)?;
    output.print(&shown, |shown| {
        let mut cells: Vec<_> = rows(&shown["rows"])
            .map(|row| {
                let codes: Vec<_> = rows(&row["hs6"]).map(text).collect();
                let before = if row["beforeExchange"] == true { "before the exchange" } else { "" };
                let value = &row["value"];
                let value =
                    format!("{} {}", grouped(&text(&value["value"])), text(&value["currency"]));
                [
                    text(&row["reason"]),
                    text(&row["document"]),
                    text(&row["day"]),
                    format!("{} of {}", text(&row["ageDays"]), text(&row["limitDays"])),
                    value.trim().to_owned(),
                    codes.join(" "),
                    before.to_owned(),
                ]
            })
            .collect();
        if cells.is_empty() {
            return "every consignment that is due has its counterpart".to_owned();
        }
        right(&mut cells, &[3, 4]);
        let headings = ["reason", "document", "day", "days", "value", "codes", "note"];
        table(headings, &cells) + &cut(shown)
    })?;
    Ok(Outcome::Done)
}

fn totals(command: &Totals, output: Output) -> Result<Outcome> {
    let shown = operate(&command.node, "mirror-totals", &Value::Object(command.months.input()))?;
    output.print(&shown, |shown| {
        let number = |value: &Value| grouped(&text(value));
        let mut cells: Vec<_> = rows(&shown["rows"])
            .map(|row| {
                let parts = &row["parts"];
                let look = if row["outside"] == true { "look" } else { "" };
                let percent = match row["gapPercent"].as_str() {
                    Some(percent) => format!("{percent} %"),
                    None => String::new(),
                };
                [
                    text(&row["month"]),
                    text(&row["hs6"]),
                    text(&row["currency"]),
                    number(&row["exported"]["valueCif"]),
                    number(&row["imported"]["valueCif"]),
                    number(&row["gap"]),
                    percent,
                    look.to_owned(),
                    number(&parts["notArrived"]),
                    number(&parts["notAnnounced"]),
                    number(&parts["otherMonth"]),
                    number(&parts["sameConsignment"]),
                ]
            })
            .collect();
        if cells.is_empty() {
            return "nothing was declared in these months".to_owned();
        }
        right(&mut cells, &[3, 4, 5, 6, 8, 9, 10, 11]);
        let headings = [
            "month",
            "hs6",
            "cur",
            "exported",
            "imported",
            "gap",
            "",
            "",
            "not arrived",
            "not announced",
            "other month",
            "same papers",
        ];
        let (from, to) = (text(&shown["exporting"]), text(&shown["importing"]));
        format!(
            "Exports of {from} beside imports of {to}, with freight and insurance on both sides.\n\
             A gap is a question: its parts say where to look first.\n\n{}{}",
            table(headings, &cells),
            cut(shown)
        )
    })?;
    Ok(Outcome::Done)
}

fn candidates(command: &Candidates, output: Output) -> Result<Outcome> {
    let mut input = command.months.input();
    let by = match command.by {
        RankBy::Amount => "amount",
        RankBy::UnitValue => "unit-value",
    };
    input.insert("by".to_owned(), by.into());
    if let Some(limit) = command.limit {
        input.insert("limit".to_owned(), limit.into());
    }
    let shown = operate(&command.node, "mirror-candidates", &Value::Object(input))?;
    output.print(&shown, |shown| {
        let mut cells: Vec<_> = rows(&shown["rows"])
            .map(|row| {
                let number = |name: &str| grouped(&text(&row[name]));
                [
                    format!("candidate: {}", text(&row["candidate"])),
                    text(&row["against"]),
                    text(&row["claim"]),
                    text(&row["hs6"]),
                    number("declared"),
                    number("expected"),
                    number("difference"),
                    format!("{} %", text(&row["percent"])),
                    number("unitValue"),
                    number("expectedUnitValue"),
                    text(&row["currency"]),
                ]
            })
            .collect();
        if cells.is_empty() {
            let none = "no value is far from what the partner or other records say\n";
            return none.to_owned() + &not_comparable(shown);
        }
        right(&mut cells, &[4, 5, 6, 7, 8, 9]);
        let headings = [
            "what",
            "against",
            "claim",
            "hs6",
            "declared",
            "expected",
            "difference",
            "percent",
            "per kg",
            "expected",
            "cur",
        ];
        let (count, all) = (cells.len(), text(&shown["count"]));
        format!(
            "{}{count} of {all} candidates; each is a question to valuation\n{}{}",
            table(headings, &cells),
            not_comparable(shown),
            cut(shown)
        )
    })?;
    Ok(Outcome::Done)
}

/// Names what could not be compared with the partner's papers.
fn not_comparable(shown: &Value) -> String {
    let mut said = String::new();
    for row in rows(&shown["notComparable"]) {
        let why = match row["obstacle"].as_str() {
            Some("currency") => {
                let currencies: Vec<_> = rows(&row["currencies"]).map(text).collect();
                format!("currency: no rate between {}; import one", currencies.join(" and "))
            }
            Some("too-large") => {
                "the value has too many digits in the other currency; correct it".to_owned()
            }
            _ => "one side states no value".to_owned(),
        };
        let _ = writeln!(
            said,
            "not comparable: {} of claim {} ({})",
            text(&row["hs6"]),
            text(&row["claim"]),
            why
        );
    }
    let left = shown["notComparableCount"].as_u64().unwrap_or_default();
    let count = rows(&shown["notComparable"]).count();
    let left = left.saturating_sub(u64::try_from(count).unwrap_or_default());
    if left > 0 {
        let _ = writeln!(said, "and {left} more that cannot be compared; raise --limit");
    }
    said
}

fn report(command: &Report, output: Output) -> Result<Outcome> {
    let done = operate(&command.node, "mirror-report", &json!({ "month": command.month }))?;
    output.print(&done, |done| {
        let count = rows(&done["exchanges"]).count();
        format!("the figures of {} go to the partner in {count} messages", text(&done["month"]))
    })?;
    Ok(Outcome::Done)
}

fn compare(command: &Compare, output: Output) -> Result<Outcome> {
    let shown = operate(&command.node, "mirror-compare", &json!({ "month": command.month }))?;
    output.print(&shown, |shown| {
        let mut said = String::new();
        for flow in rows(&shown["flows"]) {
            let (partner, month) = (text(&shown["partner"]), text(&shown["month"]));
            let what = match flow["flow"].as_str() {
                Some("export") => format!("What {partner} exported in {month}"),
                _ => format!("What {partner} imported in {month}"),
            };
            if flow["report"].is_null() {
                let _ = writeln!(said, "{what}: the partner has not reported it\n");
                continue;
            }
            let _ = writeln!(
                said,
                "{what}: report {}, {} lines differ",
                text(&flow["report"]),
                text(&flow["differing"])
            );
            let mut cells: Vec<_> = rows(&flow["rows"]).map(compared).collect();
            right(&mut cells, &[2, 3, 4, 5, 6, 7]);
            let headings = [
                "hs6",
                "cur",
                "items here",
                "there",
                "kg here",
                "there",
                "value here",
                "there",
                "",
            ];
            said.push_str(&table(headings, &cells));
            for row in rows(&flow["rows"]) {
                for reason in rows(&row["explainedBy"]) {
                    let _ = writeln!(said, "  {}: {}", text(&row["hs6"]), text(reason));
                }
            }
            said.push('\n');
        }
        said
    })?;
    Ok(Outcome::Done)
}

fn compared(row: &Value) -> [String; 9] {
    let (ours, theirs) = (&row["ours"], &row["theirs"]);
    let number = |side: &Value, name: &str| grouped(&text(&side[name]));
    let agrees = if row["agrees"] == true { "agrees" } else { "differs" };
    [
        text(&row["hs6"]),
        text(&row["currency"]),
        number(ours, "items"),
        number(theirs, "items"),
        number(ours, "netMass"),
        number(theirs, "netMass"),
        number(ours, "value"),
        number(theirs, "value"),
        agrees.to_owned(),
    ]
}

fn export(command: &Export, output: Output) -> Result<Outcome> {
    let mut input = command.months.input();
    let operation = match command.what {
        What::Totals => "mirror-totals",
        What::Consignments => "mirror-consignments",
        What::Candidates => "mirror-candidates",
    };
    if !matches!(command.what, What::Totals) {
        input.insert("limit".to_owned(), 1000.into());
    }
    let ending = command.out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let is_parquet = match ending {
        "csv" => false,
        "parquet" => true,
        _ => {
            let said = format!("`{}` ends neither in .csv nor .parquet", command.out.display());
            return Err(Failure::new(ErrorKind::Invalid, said)
                .hint("the ending of the name says how the table is written")
                .into());
        }
    };
    let shown = operate(&command.node, operation, &Value::Object(input))?;
    let sheet = match command.what {
        What::Totals => Sheet::of_totals(&typed::<Total>(&shown)?),
        What::Consignments => Sheet::of_consignments(&typed::<Unmatched>(&shown)?),
        What::Candidates => Sheet::of_candidates(&typed::<Candidate>(&shown)?),
    };
    let bytes = if is_parquet { parquet::write(&sheet)? } else { sheet.to_csv().into_bytes() };
    files::write(&command.out, &bytes)?;
    let done = json!({
        "file": command.out.display().to_string(),
        "rows": sheet.rows.len(),
        "of": shown["count"],
        "cut": shown["cut"],
    });
    output.print(&done, |done| {
        let (count, all) = (text(&done["rows"]), text(&done["of"]));
        format!("{count} of {all} rows written to {}\n{}", text(&done["file"]), cut(&shown))
    })?;
    Ok(Outcome::Done)
}

fn draw(command: &Chart, output: Output) -> Result<Outcome> {
    let shown = operate(&command.node, "mirror-totals", &Value::Object(command.months.input()))?;
    let totals: Vec<Total> = typed(&shown)?;
    let largest = totals
        .iter()
        .filter(|total| total.currency.is_some())
        .max_by_key(|total| total.exported.value_cif.max(total.imported.value_cif));
    let currency = command.currency.clone().or_else(|| largest?.currency.clone());
    let has = |code: &String| totals.iter().any(|total| total.currency.as_ref() == Some(code));
    let Some(currency) = currency.filter(has) else {
        return Err(Failure::new(ErrorKind::NotFound, "nothing was declared in that currency")
            .hint("`karvan customs mirror totals` lists what there is")
            .into());
    };
    let (from, to) = (text(&shown["exporting"]), text(&shown["importing"]));
    let words = Words {
        title: &format!("Trade from {from} to {to} as both sides declared it"),
        exported: &format!("declared for export in {from}"),
        imported: &format!("declared for import in {to}"),
    };
    files::write(&command.svg, chart::svg(&totals, &currency, words).as_bytes())?;
    let sum = |side: fn(&Total) -> Decimal| -> Decimal {
        totals.iter().filter(|t| t.currency.as_ref() == Some(&currency)).map(side).sum()
    };
    let done = json!({
        "file": command.svg.display().to_string(),
        "currency": currency,
        "exported": sum(|total| total.exported.value_cif).to_string(),
        "imported": sum(|total| total.imported.value_cif).to_string(),
    });
    output.print(&done, |done| {
        format!(
            "{} drawn: exported {}, imported {} {}",
            text(&done["file"]),
            grouped(&text(&done["exported"])),
            grouped(&text(&done["imported"])),
            text(&done["currency"]),
        )
    })?;
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_threes() {
        for (number, wanted) in [
            ("0", "0"),
            ("999", "999"),
            ("-1234", "-1,234"),
            ("1234567.5", "1,234,567.5"),
            ("", ""),
        ] {
            assert_eq!(grouped(number), wanted);
        }
    }
}
