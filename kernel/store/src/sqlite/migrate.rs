//! Applies migrations, in one transaction.

use std::collections::BTreeMap;

use karvan_types::Digest;
use rusqlite::{Connection, TransactionBehavior};

use super::session::opening;
use super::sql;
use crate::{Error, Migration, catalog};

/// Layout of the store's own tables, kept as `user_version` of the file.
const LAYOUT: u32 = 1;

/// Brings the file to the newest of `migrations`, or refuses without changing anything.
pub(super) fn run(connection: &mut Connection, migrations: &[&Migration]) -> Result<(), Error> {
    let layout: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(opening)?;
    if layout > LAYOUT {
        return Err(Error::Schema(format!(
            "the store has layout {layout}, this version knows up to {LAYOUT}; start the newer \
             version"
        )));
    }
    let tx =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opening)?;
    tx.execute_batch(sql::OWN_TABLES).map_err(opening)?;
    tx.pragma_update(None, "user_version", LAYOUT).map_err(opening)?;
    for (migration, digest) in catalog::pending(migrations, &recorded(&tx)?)? {
        for table in migration.creates {
            tx.execute_batch(&sql::create(table)).map_err(|error| {
                Error::Schema(format!(
                    "migration {} cannot create table {}: {error}; free the name or restore a \
                     backup",
                    migration.id, table.name
                ))
            })?;
        }
        tx.execute(
            "INSERT INTO store_migration VALUES (?1, ?2)",
            [migration.id, &digest.to_string()],
        )
        .map_err(opening)?;
    }
    tx.commit().map_err(opening)
}

fn recorded(connection: &Connection) -> Result<BTreeMap<String, Digest>, Error> {
    let mut statement =
        connection.prepare("SELECT id, digest FROM store_migration").map_err(opening)?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .map_err(opening)?;
    let mut recorded = BTreeMap::new();
    for row in rows {
        let (id, digest) = row.map_err(opening)?;
        let digest = digest.parse().map_err(|error| {
            Error::Schema(format!("the record of migration {id}: {error}; restore a backup"))
        })?;
        recorded.insert(id, digest);
    }
    Ok(recorded)
}
