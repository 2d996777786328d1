//! Pure: the values of a row out of the tuples of a message: what is NULL, and what was not sent. `assemble` calls it.

use tailwater_core::{Error, Result, Value};

use crate::assemble::Relation;
use crate::parts::Parts;
use crate::pgoutput::{Old, Tuple, TupleValue};

/// The values of a new row. What was not sent is taken from the whole old row where there is one.
pub(crate) fn full_row<'a>(
    relation: &Relation,
    parts: &Parts,
    new: Tuple<'a>,
    whole_old: Option<Tuple<'a>>,
) -> Result<impl Iterator<Item = Value<'a>>> {
    width(relation, new)?;
    let mut old = whole_old.map(|old| old.values());
    let key_only = parts.some_send_keys_only();
    Ok(new.values().map(move |value| {
        let before = old.as_mut().and_then(Iterator::next);
        match (value, before) {
            (TupleValue::Unchanged, Some(TupleValue::Null)) if key_only => Value::Unsent,
            (TupleValue::Unchanged, before) => before.map_or(Value::Unsent, plain),
            (TupleValue::Null | TupleValue::Text(_) | TupleValue::Binary(_), _) => plain(value),
        }
    }))
}

/// The values of an old row. In a key tuple, NULL outside the key means "not sent"; and in a whole one too, where a
/// partition may have filled in its key only.
pub(crate) fn old_row<'a>(
    relation: &'a Relation,
    parts: &Parts,
    old: Old<'a>,
) -> Result<impl Iterator<Item = Value<'a>>> {
    let (tuple, key_only) = match old {
        Old::Key(tuple) => (tuple, true),
        Old::Full(tuple) => (tuple, false),
    };
    width(relation, tuple)?;
    let nulls_may_be_unsent = parts.some_send_keys_only();
    let values = tuple.values().zip(&relation.identity).enumerate();
    Ok(values.map(move |(index, (value, &in_key))| match value {
        _ if key_only && !in_key => Value::Unsent,
        TupleValue::Null if nulls_may_be_unsent && !relation.table.key.contains(&index) => Value::Unsent,
        TupleValue::Null | TupleValue::Unchanged | TupleValue::Text(_) | TupleValue::Binary(_) => {
            plain(value)
        }
    }))
}

fn plain(value: TupleValue<'_>) -> Value<'_> {
    match value {
        TupleValue::Null => Value::Null,
        TupleValue::Unchanged => Value::Unsent,
        // `START_REPLICATION` never asks for binary, and the server sends none unasked.
        TupleValue::Text(text) | TupleValue::Binary(text) => Value::Text(text),
    }
}

fn width(relation: &Relation, tuple: Tuple<'_>) -> Result<()> {
    if tuple.len() == relation.table.columns.len() {
        return Ok(());
    }
    Err(Error::data("TW-PG-042", format!("a row of {} does not have its shape", relation.table.full_name())))
}

/// An update without an old row is found by the key in the new one, which must then be there.
pub(crate) fn identified(relation: &Relation, parts: &Parts, new: Tuple<'_>) -> Result<()> {
    let by_key = parts.some_send_keys_only();
    let mut columns = new.values().zip(&relation.identity).enumerate();
    let unsent = columns.any(|(index, (value, &in_key))| {
        let in_key = if by_key { relation.table.key.contains(&index) } else { in_key };
        in_key && value == TupleValue::Unchanged
    });
    if !unsent {
        return Ok(());
    }
    let name = relation.table.full_name();
    Err(Error::data("TW-PG-043", format!("an update of {name} does not carry its key: the key is TOASTed"))
        .remedy(format!("ALTER TABLE {name} REPLICA IDENTITY FULL, then copy afresh")))
}
