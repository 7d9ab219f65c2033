//! Ranges: order, bounds, direction, limit and count, on the key and on indexes.

use std::ops::Bound;

use super::{ITEM, Place, open, write};
use crate::{Range, Row, Value};

/// Name (kept as the body), key, kind, rank, code.
fn rows() -> Vec<Row> {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let row = |name: &str, key: Value, kind: Value, rank: Value, code: Value| Row {
        key,
        columns: vec![kind, rank, code],
        body: name.as_bytes().to_vec(),
    };
    let null = || Value::Null;
    vec![
        row("y", "y".into(), null(), 5.into(), "m".into()),
        row("two", 2.into(), "a".into(), 20.into(), null()),
        row("zero", bytes(&[0]), "b".into(), "t".into(), null()),
        row("x", "x".into(), "a".into(), 10.into(), null()),
        row("minus", Value::Int(-5), "a".into(), null(), "k".into()),
        row("one", 1.into(), "a".into(), 10.into(), null()),
        row("zeros", bytes(&[0, 1]), "b".into(), i64::MAX.into(), "l".into()),
        row("e", "é".into(), "b".into(), bytes(&[255]), null()),
    ]
}

fn cases() -> Vec<(Range, &'static str)> {
    let all = || Range::all(100);
    let kind = |prefix: Vec<Value>| Range::of("by_kind", prefix, 100);
    let a = || kind(vec!["a".into()]);
    let tie = || kind(vec!["a".into(), 10.into()]);
    let open = |value: i64| Bound::Excluded(Value::Int(value));
    vec![
        (all(), "minus one two x y e zero zeros"),
        (all().reversed(), "zeros zero e y x two one minus"),
        (Range::all(3), "minus one two"),
        (Range::all(2).reversed(), "zeros zero"),
        (Range::all(0), ""),
        (Range::all(usize::MAX), "minus one two x y e zero zeros"),
        (all().from(1), "one two x y e zero zeros"),
        (all().after(1), "two x y e zero zeros"),
        (all().from(1).to("x"), "one two x"),
        (all().after(1).to("x").reversed(), "x two"),
        (Range { to: open(2), ..all() }, "minus one"),
        (all().from("z").to("a"), ""),
        (all().to(Value::Bytes(vec![])), "minus one two x y e"),
        (all().from(Value::Null), ""),
        (all().to(Value::Null), ""),
        // NULL first, then integers, text, bytes; equal columns in key order.
        (kind(vec![]), "y minus one x two zeros zero e"),
        (kind(vec![]).reversed(), "e zero zeros two x one minus y"),
        (a(), "minus one x two"),
        (a().reversed(), "two x one minus"),
        (kind(vec![Value::Null]), "y"),
        (kind(vec!["none".into()]), ""),
        (kind(vec!["a".into(), Value::Null]), "minus"),
        // A bound leaves NULL out.
        (a().to(10), "one x"),
        (a().from(10), "one x two"),
        (a().after(10), "two"),
        (a().from(0).to(15).reversed(), "x one"),
        (a().from(Value::Null), ""),
        (kind(vec![]).from("a"), "minus one x two zeros zero e"),
        (kind(vec![]).to("a"), "minus one x two"),
        // Past the last column comes the key, so that a page can start after a row.
        (tie(), "one x"),
        (tie().after(1), "x"),
        (tie().to(1), "one"),
        (Range { limit: 1, ..tie().reversed() }, "x"),
        (kind(vec!["b".into()]).from("t"), "zero e"),
        // Unique indexes.
        (Range::of("code", vec![], 100), "one two x e zero minus zeros y"),
        (Range::of("code", vec![Value::Null], 100).reversed(), "zero e x two one"),
        (Range::of("code", vec![Value::Null], 100).after(1), "two x e zero"),
        (Range::of("code", vec![], 100).from("l"), "zeros y"),
        (Range::of("code", vec!["k".into()], 100), "minus"),
        (Range::of("rank_code", vec![10.into()], 100), "one x"),
    ]
}

pub(super) async fn run<P: Place>(new_place: &impl Fn() -> P) {
    let place = new_place();
    let work = |tx: &mut dyn crate::Tx| {
        rows().iter().try_for_each(|row| tx.insert(&ITEM, row))?;
        check(tx);
        Ok(())
    };
    let store = open(&place);
    write(&store, work).await.expect("all insert");
    drop(store);
    let viewed: Result<(), crate::Error> = open(&place)
        .read(|view| {
            check(view);
            Ok(())
        })
        .await;
    viewed.expect("reads");
}

fn check<R: crate::Read + ?Sized>(view: &R) {
    for (range, expected) in cases() {
        let found = view.scan(&ITEM, &range).expect("every case is allowed");
        let names: Vec<_> = found.iter().map(|row| String::from_utf8_lossy(&row.body)).collect();
        assert_eq!(names.join(" "), expected, "{range:?}");
        let unlimited = Range { limit: usize::MAX, ..range.clone() };
        let rows = view.scan(&ITEM, &unlimited).expect("every case is allowed");
        let counted = view.count(&ITEM, &range).expect("every case is allowed");
        assert_eq!(counted, rows.len() as u64, "{range:?}");
    }
}
