//! Writes tables of the mirror as CSV and as Parquet, for a program that compares the two.
//!
//! The three tables have the columns that operators get. Their cells are made at random around the
//! edges of each type, with gaps; the numbers come from a fixed seed. One table is longer than a
//! row group.
//!
//! `tests/foreign/python/tables.py` reads them and knows only `docs/use/mirror.md`.

use std::path::PathBuf;

use karvan_customs::mirror::parquet::{self, GROUP_ROWS_MAX};
use karvan_customs::mirror::sheet::{Cell, Sheet, Type};
use karvan_types::{Date, Decimal};

const TEXTS: [&str; 10] = [
    "",
    "740811",
    "AZ:EX-1",
    "Bakı, Səbail",
    "کراچی",
    "=SUM(A1)",
    "'quoted'",
    "a \"b\"\r\nc",
    " -1 ",
    "\u{1F9ED}",
];
const INTS: [i64; 6] = [0, 1, -1, i64::MAX, i64::MIN, 65_537];
const DECIMALS: [&str; 8] = [
    "0",
    "0.000001",
    "-0.000001",
    "1234567.89",
    "-15",
    "12345678901234567890.123456",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
];
const DATES: [&str; 5] = ["1970-01-01", "1969-12-31", "2024-02-29", "2026-10-05", "9999-12-31"];

/// Numbers that look random and are the same every time (xorshift64).
struct Dice(u64);

impl Dice {
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let place = usize::try_from(self.0 >> 33).unwrap_or_default() % from.len();
        from.get(place).unwrap_or_else(|| unreachable!("within the length"))
    }
}

fn cell(dice: &mut Dice, kind: Type) -> Result<Cell, Box<dyn std::error::Error>> {
    if *dice.pick(&[true, false, false, false]) {
        return Ok(Cell::None);
    }
    Ok(match kind {
        Type::Text => Cell::Text((*dice.pick(&TEXTS)).to_owned()),
        Type::Int => Cell::Int(*dice.pick(&INTS)),
        Type::Decimal => Cell::Decimal(dice.pick(&DECIMALS).parse::<Decimal>()?),
        Type::Date => Cell::Date(dice.pick(&DATES).parse::<Date>()?),
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("usage: mirror_tables FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let tables = [
        ("totals", Sheet::of_totals(&[]), 500),
        ("consignments", Sheet::of_consignments(&[]), GROUP_ROWS_MAX + 1),
        ("candidates", Sheet::of_candidates(&[]), 0),
    ];
    for (name, mut sheet, rows) in tables {
        for _ in 0..rows {
            let row = sheet.columns.iter().map(|(_, kind)| cell(&mut dice, *kind));
            let row = row.collect::<Result<Vec<_>, _>>()?;
            sheet.rows.push(row);
        }
        std::fs::write(folder.join(format!("{name}.csv")), sheet.to_csv())?;
        std::fs::write(folder.join(format!("{name}.parquet")), parquet::write(&sheet)?)?;
    }
    Ok(())
}
