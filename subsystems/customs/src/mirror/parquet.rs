//! Writes a table as an Apache Parquet file, so that it is read by what analysts use.
//!
//! Every column is optional. Text is `STRING`, a whole number `INT64`, a date `DATE`, a decimal
//! `DECIMAL(38, 6)` in 16 bytes, in which every decimal of Karvan fits exactly. Plain encoding and
//! no compression: a table is small, and less can go wrong between programs.
//!
//! Invariants: a file holds what the table holds or is not written; the same table gives the same
//! bytes.
//!
//! Not here: the rows ([`super::sheet`]), the file on disk (the caller).

use std::sync::Arc;

use karvan_types::{Date, Decimal, ErrorKind, Timestamp};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type as Schema, TypePtr};

use super::sheet::{Cell, SCALE, Sheet, Type};

/// Digits of a decimal column.
const PRECISION: i32 = 38;
/// Bytes of a decimal.
const DECIMAL_BYTES: i32 = 16;
/// Most rows of a row group, the part of a file that a reader takes at once.
pub const GROUP_ROWS_MAX: usize = 65_536;
/// Who wrote the file.
const CREATED_BY: &str = "karvan";

/// A table could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row is too short, or a cell has another type than its column.
    #[error("column `{0}` has a cell of another type, or none")]
    Cell(&'static str),
    /// The library refused.
    #[error("writing the Parquet file")]
    File(#[from] ParquetError),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// Writes a table.
pub fn write(sheet: &Sheet) -> Result<Vec<u8>, Error> {
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_dictionary_enabled(false)
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema(sheet)?, Arc::new(properties))?;
    for rows in sheet.rows.chunks(GROUP_ROWS_MAX) {
        let mut group = file.next_row_group()?;
        for (place, (name, kind)) in sheet.columns.iter().enumerate() {
            let cells: Option<Vec<&Cell>> = rows.iter().map(|row| row.get(place)).collect();
            write_column(&mut group, name, *kind, &cells.ok_or(Error::Cell(name))?)?;
        }
        group.close()?;
    }
    Ok(file.into_inner()?)
}

fn schema(sheet: &Sheet) -> Result<TypePtr, ParquetError> {
    let fields = sheet.columns.iter().map(|(name, kind)| {
        let (physical, logical) = match kind {
            Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Type::Int => (Physical::INT64, None),
            Type::Decimal => {
                let places = SCALE.cast_signed();
                (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(places, PRECISION)))
            }
            Type::Date => (Physical::INT32, Some(LogicalType::Date)),
        };
        let mut field = Schema::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        if *kind == Type::Decimal {
            field = field
                .with_length(DECIMAL_BYTES)
                .with_precision(PRECISION)
                .with_scale(SCALE.cast_signed());
        }
        field.build().map(Arc::new)
    });
    let fields = fields.collect::<Result<_, _>>()?;
    Ok(Arc::new(Schema::group_type_builder(CREATED_BY).with_fields(fields).build()?))
}

fn write_column(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    name: &'static str,
    kind: Type,
    cells: &[&Cell],
) -> Result<(), Error> {
    // A level of 1 says that the row has a value, 0 that it has none.
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(**cell != Cell::None)).collect();
    let levels = Some(levels.as_slice());
    let mut column = group.next_column()?.ok_or(Error::Cell(name))?;
    match (kind, column.untyped()) {
        (Type::Text, ColumnWriter::ByteArrayColumnWriter(out)) => {
            let texts = values(name, cells, |cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_str())),
                _ => None,
            });
            out.write_batch(&texts?, levels, None)?
        }
        (Type::Int, ColumnWriter::Int64ColumnWriter(out)) => {
            let numbers = values(name, cells, |cell| match cell {
                Cell::Int(number) => Some(*number),
                _ => None,
            });
            out.write_batch(&numbers?, levels, None)?
        }
        (Type::Decimal, ColumnWriter::FixedLenByteArrayColumnWriter(out)) => {
            let numbers = values(name, cells, |cell| match cell {
                Cell::Decimal(number) => {
                    Some(FixedLenByteArray::from(unscaled(*number).to_be_bytes().to_vec()))
                }
                _ => None,
            });
            out.write_batch(&numbers?, levels, None)?
        }
        (Type::Date, ColumnWriter::Int32ColumnWriter(out)) => {
            let dates = values(name, cells, |cell| match cell {
                Cell::Date(date) => Some(days(*date)),
                _ => None,
            });
            out.write_batch(&dates?, levels, None)?
        }
        _ => return Err(Error::Cell(name)),
    };
    Ok(column.close()?)
}

/// Returns the values of the cells that have one.
fn values<T>(
    name: &'static str,
    cells: &[&Cell],
    value: impl Fn(&Cell) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let cells = cells.iter().filter(|cell| ***cell != Cell::None);
    cells.map(|cell| value(cell).ok_or(Error::Cell(name))).collect()
}

/// Returns the number without its point, [`SCALE`] places. A decimal has at most 96 bits, and six
/// more places are 20 bits.
fn unscaled(number: Decimal) -> i128 {
    let number = super::rounded(number, SCALE);
    let missing = SCALE.saturating_sub(number.scale());
    number.mantissa() * 10_i128.pow(missing)
}

/// Returns the days since 1970-01-01.
fn days(date: Date) -> i32 {
    (date - Timestamp::from_seconds(0).utc_date()).get_days()
}

#[cfg(test)]
mod tests {
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;

    const COLUMNS: &[(&str, Type)] = &[
        ("text", Type::Text),
        ("int", Type::Int),
        ("decimal", Type::Decimal),
        ("date", Type::Date),
    ];

    fn row(text: &str, int: i64, decimal: &str, date: &str) -> Vec<Cell> {
        let decimal = Cell::Decimal(decimal.parse().expect("a number"));
        vec![text.into(), Cell::Int(int), decimal, Cell::Date(date.parse().expect("a date"))]
    }

    /// Returns the rows of a written file as the library shows them.
    fn read(sheet: &Sheet) -> Vec<String> {
        let bytes = write(sheet).expect("written");
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a file");
        let rows = reader.get_row_iter(None).expect("rows");
        rows.map(|row| row.expect("a row").to_string()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let sheet = Sheet {
            columns: COLUMNS,
            rows: vec![
                row("Bakı", -7, "-1.5", "1970-01-02"),
                vec![Cell::None; 4],
                row("", i64::MAX, "79228162514264337593543950335", "2026-10-05"),
            ],
        };
        let wanted = [
            r#"{text: "Bakı", int: -7, decimal: -1.500000, date: 1970-01-02}"#,
            "{text: null, int: null, decimal: null, date: null}",
            "{text: \"\", int: 9223372036854775807, \
             decimal: 79228162514264337593543950335.000000, date: 2026-10-05}",
        ];
        assert_eq!(read(&sheet), wanted);
        assert_eq!(write(&sheet).expect("written"), write(&sheet).expect("written"));
        assert!(read(&Sheet { columns: COLUMNS, rows: vec![] }).is_empty());
    }

    #[test]
    fn a_long_table_is_cut_into_groups() {
        let rows = (0..=GROUP_ROWS_MAX).map(|n| vec![Cell::Int(i64::try_from(n).expect("n"))]);
        let sheet = Sheet { columns: &[("n", Type::Int)], rows: rows.collect() };
        let bytes = write(&sheet).expect("written");
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).expect("a file");
        let groups = reader.metadata().row_groups();
        let rows: Vec<_> = groups.iter().map(RowGroupMetaData::num_rows).collect();
        assert_eq!(rows, [i64::try_from(GROUP_ROWS_MAX).expect("n"), 1]);
    }

    #[test]
    fn a_cell_of_another_type_is_refused() {
        for cells in [vec![Cell::Int(1)], vec![], vec![Cell::None, Cell::None]] {
            let of = cells.len();
            let sheet =
                Sheet { columns: &[("a", Type::Text), ("b", Type::Text)], rows: vec![cells] };
            assert_eq!(write(&sheet).is_ok(), of == 2, "{sheet:?}");
        }
    }

    #[test]
    fn decimals_are_exact_in_six_places() {
        for (text, wanted) in [
            ("0", 0),
            ("-1.5", -1_500_000),
            ("0.0000005", 1),
            ("1234567.891", 1_234_567_891_000),
            ("79228162514264337593543950335", 79_228_162_514_264_337_593_543_950_335_000_000),
        ] {
            assert_eq!(unscaled(text.parse().expect("a number")), wanted, "{text}");
        }
        assert_eq!(days("1970-01-02".parse().expect("a date")), 1);
        assert_eq!(days("2026-10-05".parse().expect("a date")), 20_731);
    }
}
