//! Migrations: once, in order, never changed, never unknown.

use super::{ITEM, Place, SCHEMA, count, item, write};
use crate::{Error, Index, Migration, Table};

const MORE: Table = Table { name: "test_more", columns: &["a"], indexes: &[] };
const SECOND: Migration = Migration { id: "test-0002", creates: &[&MORE] };
const OTHER: Migration = Migration { id: "other-0001", creates: &[] };

pub(super) async fn run<P: Place>(new_place: &impl Fn() -> P) {
    once_and_in_order(&new_place()).await;
    refusals(new_place);
}

async fn once_and_in_order(place: &dyn Place) {
    let store = place.open(&[&SCHEMA]).expect("first");
    let insert = |tx: &mut dyn crate::Tx| tx.insert(&ITEM, &item("a", "k", 1, None));
    write(&store, insert).await.expect("inserts");
    drop(store);
    // A second owner's first step may stand before applied ones.
    let store = place.open(&[&OTHER, &SCHEMA, &SECOND]).expect("later steps");
    let insert = |tx: &mut dyn crate::Tx| {
        let row = crate::Row { key: 1.into(), columns: vec![2.into()], body: Vec::new() };
        tx.insert(&MORE, &row)
    };
    write(&store, insert).await.expect("the new table is there");
    assert_eq!(count(&store).await, 1);
    drop(store);
    refused(place, &[&OTHER, &SCHEMA], &["test-0002", "newer version"]);
    drop(place.open(&[&SCHEMA, &SECOND, &OTHER]).expect("a refusal changed nothing"));
}

fn refused(place: &dyn Place, migrations: &[&'static Migration], words: &[&str]) {
    match place.open(migrations) {
        Err(Error::Schema(text)) => {
            for word in words {
                assert!(text.contains(word), "`{text}` does not say {word}");
            }
        }
        Err(other) => panic!("expected a schema error with {words:?}, got {other}"),
        Ok(_) => panic!("expected a schema error with {words:?}, but the store opened"),
    }
}

fn refusals<P: Place>(new_place: &impl Fn() -> P) {
    const CHANGED_TABLE: Table = Table { name: ITEM.name, columns: ITEM.columns, indexes: &[] };
    const CHANGED: Migration = Migration { id: SCHEMA.id, creates: &[&CHANGED_TABLE] };
    const BETWEEN: Migration = Migration { id: "test-0000", creates: &[] };
    const AGAIN: Migration = Migration { id: "test-0003", creates: &[&MORE] };

    let place = new_place();
    drop(place.open(&[&SCHEMA]).expect("first"));
    refused(&place, &[&CHANGED], &["test-0001", "never changes"]);
    refused(&place, &[], &["test-0001"]);
    refused(&place, &[&BETWEEN, &SCHEMA], &["test-0000", "test-0001"]);
    refused(&place, &[&SCHEMA, &SCHEMA], &["test-0001"]);
    refused(&place, &[&SCHEMA, &OTHER, &OTHER], &["other-0001", "twice"]);
    refused(&place, &[&SCHEMA, &SECOND, &AGAIN], &["test-0003", "test_more", "again"]);
    drop(place.open(&[&SCHEMA]).expect("the refusals changed nothing"));

    macro_rules! table {
        ($name:literal, $columns:expr, $indexes:expr) => {{
            const TABLE: Table = Table { name: $name, columns: $columns, indexes: $indexes };
            const MIGRATION: Migration = Migration { id: "test-0001", creates: &[&TABLE] };
            &MIGRATION
        }};
    }
    let cases: [(&'static Migration, &str); 11] = [
        (table!("Upper", &[], &[]), "Upper"),
        (table!("a\"b", &[], &[]), "a\"b"),
        (table!("store_item", &[], &[]), "store_item"),
        (table!("a__b", &[], &[]), "a__b"),
        (table!("", &[], &[]), "``"),
        (table!("t", &["key"], &[]), "key"),
        (table!("t", &["a", "a"], &[]), "twice"),
        (table!("t", &["a; drop"], &[]), "a; drop"),
        (table!("t", &["a"], &[Index { name: "i", columns: &["b"], unique: false }]), "column b"),
        (table!("t", &["a"], &[Index { name: "i", columns: &[], unique: false }]), "no column"),
        (table!("t", &["a"], &[Index { name: "1", columns: &["a"], unique: false }]), "`1`"),
    ];
    for (migration, word) in cases {
        refused(&new_place(), &[migration], &[word]);
    }
}
