//! The history of a store: which chunks came and went, and with what.

use std::{collections::HashMap, sync::Arc};

use aikit_core::{
    Result,
    storage::{Changes, ChunkChange, ChunkId, History},
};
use rusqlite::{Row, Transaction, types::ValueRef};

use super::{
    documents::{Body, setting},
    failed,
    pool::counter,
    signed, to_row, unsigned,
};
use crate::storage::record;

/// Key of the record that names the store.
const IDENTITY: &str = "identity";

/// The name of the store, if it has one yet, and how far its history is.
pub(super) fn history(transaction: &Transaction<'_>) -> Result<Option<History>> {
    let identity = setting(transaction, IDENTITY)?;
    let sequence = counter(transaction, "sequence")?;
    Ok(identity.map(|identity| History { identity, sequence }))
}

/// Gives the store its name, unless another process just did.
pub(super) fn name_store(transaction: &Transaction<'_>) -> Result<History> {
    let sequence = counter(transaction, "sequence")?;
    if let Some(identity) = setting(transaction, IDENTITY)? {
        return Ok(History { identity, sequence });
    }
    let identity: String = transaction
        .query_row("SELECT lower(hex(randomblob(16)))", [], |row| row.get(0))
        .map_err(failed)?;
    transaction
        .execute(
            "INSERT INTO settings (name, record) VALUES (?1, ?2)",
            (IDENTITY, record::encode(IDENTITY, &identity)?),
        )
        .map_err(failed)?;
    Ok(History { identity, sequence })
}

/// A page of the history, with what `added` makes of a row: its sequence number, its id, the named
/// column, the id of its document and its position there.
pub(super) fn changes<T>(
    transaction: &Transaction<'_>,
    (after, limit): (u64, usize),
    column: &str,
    mut added: impl FnMut(ChunkId, &Row<'_>) -> Result<Result<T>>,
) -> Result<Changes<T>> {
    if after != 0 && after < counter(transaction, "forgotten")? {
        return Ok(Changes {
            items: Vec::new(),
            must_restart: true,
        });
    }
    let mut statement = transaction
        .prepare_cached(&format!(
            "SELECT sequence, id, {column}, document_id, position FROM chunks WHERE sequence > ?1
             UNION ALL
             SELECT sequence, id, NULL, NULL, NULL FROM deleted_chunks WHERE sequence > ?1
             ORDER BY sequence LIMIT ?2"
        ))
        .map_err(failed)?;
    let mut rows = statement
        .query((signed(after), to_row(limit)))
        .map_err(failed)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let id = unsigned(row.get(1).map_err(failed)?);
        let is_there = row.get_ref(3).map_err(failed)? != ValueRef::Null;
        items.push(ChunkChange {
            sequence: unsigned(row.get(0).map_err(failed)?),
            id,
            added: is_there.then(|| added(id, row)).transpose()?,
        });
    }
    Ok(Changes {
        items,
        must_restart: false,
    })
}

/// The documents of a page, each read once.
pub(super) struct Bodies<'a> {
    transaction: &'a Transaction<'a>,
    known: HashMap<Arc<str>, Option<Body>>,
}

impl<'a> Bodies<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>) -> Self {
        Self {
            transaction,
            known: HashMap::new(),
        }
    }

    /// The document of a row of [`changes`]: its id, and its record or what is wrong with it.
    pub(super) fn of(&mut self, row: &Row<'_>) -> Result<(Arc<str>, Result<Body>)> {
        let id: String = row.get(3).map_err(failed)?;
        if let Some((id, Some(body))) = self.known.get_key_value(id.as_str()) {
            return Ok((Arc::clone(id), Ok(body.clone())));
        }
        let record: Vec<u8> = self
            .transaction
            .prepare_cached("SELECT record FROM documents WHERE id = ?1")
            .and_then(|mut it| it.query_row([&id], |row| row.get(0)))
            .map_err(failed)?;
        let body = Body::decode(&id, &record);
        let id: Arc<str> = id.into();
        // A damaged one is read again for each chunk, because errors cannot be copied.
        let known = body.as_ref().ok().cloned();
        self.known.insert(Arc::clone(&id), known);
        Ok((id, body))
    }
}
