//! Writes a table as an Apache Parquet file, so that it is read by what analysts use.
//!
//! One row group, one data page per column, plain encoding, no compression: the smallest file form
//! of the format (parquet-format 2.9: README, Encodings.md, Thrift.md). Decimals are
//! `DECIMAL(38, 6)` in 16 bytes. Our own writer, because the library of the format needs a second
//! calendar and a dozen more crates for one flat table.
//!
//! Invariants: every column is optional; what is written is bounded by the rows of the table.

use karvan_types::{Date, Decimal};

use super::sheet::{Cell, SCALE, Sheet, Type};

/// First and last bytes of a file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Digits of a decimal.
const PRECISION: i64 = 38;
/// Bytes of a decimal.
const DECIMAL_BYTES: i64 = 16;
/// Who wrote the file.
const CREATED_BY: &str = "karvan";

/// Physical types and converted types of parquet.thrift.
impl Type {
    const fn physical(self) -> i64 {
        match self {
            Self::Date => 1,
            Self::Int => 2,
            Self::Text => 6,
            Self::Decimal => 7,
        }
    }

    const fn converted(self) -> Option<i64> {
        match self {
            Self::Text => Some(0),
            Self::Decimal => Some(5),
            Self::Date => Some(6),
            Self::Int => None,
        }
    }
}

/// Writes a table.
pub fn write(sheet: &Sheet) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    let rows = int(sheet.rows.len());
    let mut chunks = Vec::new();
    for (place, (name, kind)) in sheet.columns.iter().enumerate() {
        let page = page(sheet, place, *kind);
        let offset = int(file.len());
        let mut header = Thrift::default();
        header.int(1, 0); // a data page
        header.int(2, int(page.len()));
        header.int(3, int(page.len()));
        header.open(5);
        header.int(1, rows);
        header.int(2, 0); // plain
        header.int(3, 3); // levels: run length
        header.int(4, 3);
        header.close();
        file.extend(header.finish());
        file.extend(page);
        chunks.push((*name, *kind, offset, int(file.len()) - offset));
    }
    let footer = footer(sheet, rows, &chunks);
    file.extend(&footer);
    file.extend(u32::try_from(footer.len()).unwrap_or_default().to_le_bytes());
    file.extend(MAGIC);
    file
}

fn int(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The levels that say which rows have a value, then the values.
fn page(sheet: &Sheet, place: usize, kind: Type) -> Vec<u8> {
    let cells: Vec<&Cell> =
        sheet.rows.iter().map(|row| row.get(place).unwrap_or(&Cell::None)).collect();
    let mut levels = Vec::new();
    for run in cells.chunk_by(|a, b| (**a == Cell::None) == (**b == Cell::None)) {
        varint(&mut levels, (run.len() as u64) << 1);
        levels.push(u8::from(run.first().is_some_and(|cell| **cell != Cell::None)));
    }
    let mut page = u32::try_from(levels.len()).unwrap_or_default().to_le_bytes().to_vec();
    page.extend(levels);
    for cell in cells {
        match (kind, cell) {
            (_, Cell::None) => {}
            (Type::Text, Cell::Text(text)) => {
                page.extend(u32::try_from(text.len()).unwrap_or_default().to_le_bytes());
                page.extend(text.as_bytes());
            }
            (Type::Int, Cell::Int(number)) => page.extend(number.to_le_bytes()),
            (Type::Decimal, Cell::Decimal(number)) => page.extend(unscaled(*number).to_be_bytes()),
            (Type::Date, Cell::Date(date)) => page.extend(days(*date).to_le_bytes()),
            // A cell of another type than its column: the default of the column.
            (Type::Text, _) => page.extend(0_u32.to_le_bytes()),
            (Type::Int, _) => page.extend(0_i64.to_le_bytes()),
            (Type::Decimal, _) => page.extend(0_i128.to_be_bytes()),
            (Type::Date, _) => page.extend(0_i32.to_le_bytes()),
        }
    }
    page
}

/// Returns the number without its point, [`SCALE`] places.
fn unscaled(number: Decimal) -> i128 {
    let mut number = super::rounded(number, SCALE);
    number.rescale(SCALE);
    number.mantissa()
}

/// Returns the days since 1970-01-01.
fn days(date: Date) -> i32 {
    let epoch = karvan_types::Timestamp::from_seconds(0).utc_date();
    (date - epoch).get_days()
}

fn footer(sheet: &Sheet, rows: i64, chunks: &[(&str, Type, i64, i64)]) -> Vec<u8> {
    let mut out = Thrift::default();
    out.int(1, 1); // version
    out.list(2, STRUCT, sheet.columns.len() + 1);
    out.element();
    out.text(4, "karvan");
    out.int(5, int(sheet.columns.len()));
    out.close();
    for (name, kind) in sheet.columns {
        out.element();
        out.int(1, kind.physical());
        if *kind == Type::Decimal {
            out.int(2, DECIMAL_BYTES);
        }
        out.int(3, 1); // optional
        out.text(4, name);
        if let Some(converted) = kind.converted() {
            out.int(6, converted);
        }
        if *kind == Type::Decimal {
            out.int(7, SCALE.into());
            out.int(8, PRECISION);
        }
        out.close();
    }
    out.long(3, rows);
    out.list(4, STRUCT, 1);
    out.element();
    out.list(1, STRUCT, chunks.len());
    for (name, kind, offset, length) in chunks {
        out.element();
        out.long(2, *offset);
        out.open(3);
        out.int(1, kind.physical());
        out.list(2, INT, 2);
        out.raw(0); // plain
        out.raw(3); // run length
        out.list(3, TEXT, 1);
        out.raw_text(name);
        out.int(4, 0); // uncompressed
        out.long(5, rows);
        out.long(6, *length);
        out.long(7, *length);
        out.long(9, *offset);
        out.close();
        out.close();
    }
    out.long(2, chunks.iter().map(|chunk| chunk.3).sum());
    out.long(3, rows);
    out.close();
    out.text(6, CREATED_BY);
    out.finish()
}

const INT: u8 = 5;
const LONG: u8 = 6;
const TEXT: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// The compact protocol of Apache Thrift, as much of it as a footer needs.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    /// Number of the last field of the struct in hand.
    last: u8,
    /// The same of the structs around it.
    outer: Vec<u8>,
}

impl Thrift {
    /// Field numbers rise by less than 16 in every struct here, which is the short form.
    fn field(&mut self, number: u8, kind: u8) {
        self.bytes.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    fn int(&mut self, number: u8, value: i64) {
        self.field(number, INT);
        self.raw(value);
    }

    fn long(&mut self, number: u8, value: i64) {
        self.field(number, LONG);
        self.raw(value);
    }

    fn text(&mut self, number: u8, text: &str) {
        self.field(number, TEXT);
        self.raw_text(text);
    }

    fn list(&mut self, number: u8, kind: u8, length: usize) {
        self.field(number, LIST);
        match u8::try_from(length) {
            Ok(short) if short < 15 => self.bytes.push(short << 4 | kind),
            _ => {
                self.bytes.push(0xf0 | kind);
                varint(&mut self.bytes, length as u64);
            }
        }
    }

    /// A whole number, zigzag.
    fn raw(&mut self, value: i64) {
        varint(&mut self.bytes, ((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn raw_text(&mut self, text: &str) {
        varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn open(&mut self, number: u8) {
        self.field(number, STRUCT);
        self.element();
    }

    fn element(&mut self) {
        self.outer.push(self.last);
        self.last = 0;
    }

    fn close(&mut self) {
        self.bytes.push(0);
        self.last = self.outer.pop().unwrap_or_default();
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_byte_for_byte() {
        let sheet = Sheet {
            columns: &[("n", Type::Int)],
            rows: vec![vec![Cell::Int(5)], vec![Cell::None]],
        };
        let hex: String = {
            use std::fmt::Write as _;
            write(&sheet).iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        };
        let wanted = [
            "50415231",                            // PAR1
            "1500152015202c1504150015061506 0000", // page header
            "04000000 0201 0200 0500000000000000", // levels: one value, one gap; then 5
            "1502",                                // version 1
            "192c 48066b617276616e 1502 00",       // schema: root of one column
            "15042502 18016e 00",                  // n: INT64, optional
            "1604",                                // two rows
            "191c 191c",                           // one row group of one chunk
            "2608 1c 1504 1925 0006 1918016e 1500 1604 1642 1642 2608 00 00",
            "1642 1604 00",        // its length and rows
            "28066b617276616e 00", // created by karvan
        ];
        let wanted: String = wanted.concat().split_whitespace().collect();
        assert!(hex.starts_with(&wanted), "\n{hex}\n{wanted}");
        assert!(hex.ends_with("50415231"));
    }

    #[test]
    fn decimals_are_exact_in_six_places() {
        for (text, wanted) in
            [("0", 0), ("-1.5", -1_500_000), ("0.0000005", 1), ("1234567.891", 1_234_567_891_000)]
        {
            assert_eq!(unscaled(text.parse().expect("a number")), wanted, "{text}");
        }
        assert_eq!(days("1970-01-02".parse().expect("a date")), 1);
        assert_eq!(days("2026-10-05".parse().expect("a date")), 20_731);
    }
}
