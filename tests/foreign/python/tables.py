#!/usr/bin/env python3
"""Compares tables that were written as CSV and as Parquet, with Apache Arrow's own reader.

    tables.py FOLDER

FOLDER is what the example `mirror_tables` of karvan-customs writes: each table in two files. The
types of the columns are those of docs/use/mirror.md. Needs pyarrow. Exit code 0 is success.
"""

import csv
import datetime
import decimal
import pathlib
import sys

import pyarrow
import pyarrow.parquet

# Types by the names of columns, as the page for operators has them.
WHOLE = {"age_days", "limit_days"}
DAYS = {"day"}
TEXTS = {
    "against", "before_exchange", "candidate", "claim", "currency", "document", "exports", "hs6",
    "mode", "month", "rates", "reason", "ucr", "worth_a_look",
}
# Rows, and rows of each group.
TABLES = {
    "totals": [500],
    "consignments": [65536, 1],
    "candidates": [],
}


def wanted_type(column):
    if column in DAYS:
        return pyarrow.date32()
    if column in WHOLE or column.endswith(("_declarations", "_items")):
        return pyarrow.int64()
    return pyarrow.string() if column in TEXTS else pyarrow.decimal128(38, 6)


def from_csv(text, kind):
    """The value that a field of CSV stands for."""
    if pyarrow.types.is_string(kind):
        return text[1:] if text.startswith("'") else text
    if not text:
        return None
    if pyarrow.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    return int(text) if pyarrow.types.is_integer(kind) else decimal.Decimal(text)


def compare(name, rows, table):
    """Returns what differs."""
    found = []
    head, *rows = rows
    if table.column_names != head:
        return [f"{name}: columns {table.column_names}, in CSV {head}"]
    if table.num_rows != len(rows):
        return [f"{name}: {table.num_rows} rows, in CSV {len(rows)}"]
    for place, column in enumerate(head):
        kind, values = table.schema.field(column).type, table.column(column).to_pylist()
        if kind != wanted_type(column):
            found.append(f"{name}.{column}: {kind}, not {wanted_type(column)}")
            continue
        gaps = 0
        for number, (row, value) in enumerate(zip(rows, values)):
            # CSV writes no value and no text alike.
            other = None if value is None and row[place] == "" else from_csv(row[place], kind)
            gaps += value is None
            if value != other:
                found.append(f"{name}.{column}, row {number}: {value!r}, in CSV {other!r}")
        if values and not 0 < gaps < len(values):
            found.append(f"{name}.{column}: {gaps} gaps in {len(values)} rows prove nothing")
    return found


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def alterations(rows, table):
    """Copies of the rows, each with one field that is another: the comparison must see it."""
    for place, column in enumerate(table.column_names):
        row = next(n for n, value in enumerate(table.column(column).to_pylist()) if value)
        for text in ("", "2001-01-01" if column in DAYS else "7"):
            copy = [list(fields) for fields in rows[: row + 2]]
            copy[row + 1][place] = text
            yield column, copy, table.slice(0, row + 1)


def main(folder):
    failed, compared = [], 0
    for name, groups in TABLES.items():
        file = pyarrow.parquet.ParquetFile(folder / f"{name}.parquet")
        meta = file.metadata
        found = [meta.row_group(n).num_rows for n in range(meta.num_row_groups)]
        if found != groups:
            failed.append(f"{name}: row groups of {found} rows, not {groups}")
        if meta.created_by != "karvan":
            failed.append(f"{name}: created by {meta.created_by!r}")
        rows, table = read_csv(folder / f"{name}.csv"), file.read()
        failed += compare(name, rows, table)
        compared += table.num_rows * table.num_columns
        if name == "totals":
            for column, copy, part in alterations(rows, table):
                if not any(f".{column}, row" in line for line in compare(name, copy, part)):
                    failed.append(f"{name}.{column}: another value was not seen")
    for line in failed[:20]:
        print(f"FAILED {line}")
    if not compared:
        failed.append("nothing was compared")
    print(f"{compared} cells of {len(TABLES)} tables compared, {len(failed)} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
