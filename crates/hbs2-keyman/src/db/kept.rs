//! What people and programs have told us and no key file says: weights, and group keys that were met. It cannot
//! be made again, so it has a database of its own.

use std::collections::BTreeMap;

use hbs2_core::Hash;
use hbs2_core::groupkey::GroupKeyId;
use rusqlite::{Connection, TransactionBehavior, params};

use super::{Broken, Shape};

/// Group keys that are remembered, at most; the oldest are forgotten then. A repository has one for each change of
/// its members, and a row takes some 150 bytes with its indexes.
const GROUP_KEYS_MAX: i64 = 200_000;

/// The tables.
pub(crate) const SHAPE: Shape = Shape {
    tables: &["hbs2_weight_1", "hbs2_group_key_1", "hbs2_group_key_1_id"],
    schema: "
        CREATE TABLE IF NOT EXISTS hbs2_weight_1 (key BLOB PRIMARY KEY NOT NULL, weight INTEGER NOT NULL);
        CREATE TABLE IF NOT EXISTS hbs2_group_key_1 (
            number INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE, id BLOB NOT NULL);
        CREATE INDEX IF NOT EXISTS hbs2_group_key_1_id ON hbs2_group_key_1 (id);",
    broken: Broken::SetAside,
};

/// All weights that were set.
pub(crate) fn weights(connection: &Connection) -> rusqlite::Result<BTreeMap<[u8; 32], i64>> {
    let mut query = connection.prepare_cached("SELECT key, weight FROM hbs2_weight_1")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Sets or replaces a weight.
pub(crate) fn set_weight(connection: &Connection, key: &[u8; 32], weight: i64) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO hbs2_weight_1 VALUES (?, ?)", params![key, weight]).map(drop)
}

/// Sets weights of keys that have none.
pub(crate) fn adopt_weights(
    connection: &mut Connection,
    weights: &[([u8; 32], i64)],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (key, weight) in weights {
        transaction.execute("INSERT OR IGNORE INTO hbs2_weight_1 VALUES (?, ?)", params![key, weight])?;
    }
    transaction.commit()
}

/// Remembers group keys; answers how many were new. Writes nothing when that is none.
pub(crate) fn track(connection: &mut Connection, keys: &[(Hash, GroupKeyId)]) -> rusqlite::Result<u64> {
    let mut new_keys = Vec::new();
    for key in keys {
        if tracked_id(connection, &key.0)?.is_none() {
            new_keys.push(key);
        }
    }
    if new_keys.is_empty() {
        return Ok(0);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut new = 0;
    {
        let mut insert =
            transaction.prepare("INSERT OR IGNORE INTO hbs2_group_key_1 (root, id) VALUES (?, ?)")?;
        for (root, id) in new_keys {
            new += insert.execute(params![root.as_bytes(), id.as_bytes()])? as u64;
        }
        transaction.execute(
            "DELETE FROM hbs2_group_key_1 WHERE number <= (SELECT max(number) FROM hbs2_group_key_1) - ?",
            params![GROUP_KEYS_MAX],
        )?;
    }
    transaction.commit()?;
    Ok(new)
}

/// Group keys with this id, the newest first, at most `count`.
pub(crate) fn tracked(connection: &Connection, id: &GroupKeyId, count: u32) -> rusqlite::Result<Vec<Hash>> {
    let mut query = connection
        .prepare_cached("SELECT root FROM hbs2_group_key_1 WHERE id = ? ORDER BY number DESC LIMIT ?")?;
    query.query_map(params![id.as_bytes(), count], |row| row.get(0).map(Hash::from_bytes))?.collect()
}

/// The id of a remembered group key.
pub(crate) fn tracked_id(connection: &Connection, root: &Hash) -> rusqlite::Result<Option<GroupKeyId>> {
    let mut query = connection.prepare_cached("SELECT id FROM hbs2_group_key_1 WHERE root = ?")?;
    let mut found =
        query.query_map(params![root.as_bytes()], |row| row.get(0).map(GroupKeyId::from_bytes))?;
    found.next().transpose()
}
