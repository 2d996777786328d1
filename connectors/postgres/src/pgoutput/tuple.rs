//! Rows and relations inside messages: bytes checked once by the decoder, then iterated without another error.

use super::reader::{Reader, Result};

/// One value of a [`Tuple`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TupleValue<'a> {
    /// NULL; in a key ([`Old::Key`](super::Old)) also "not part of the key".
    Null,
    /// A TOASTed value that did not change and was not sent.
    Unchanged,
    /// As the type's output function prints it.
    Text(&'a [u8]),
    /// As the type's send function writes it; only where `binary` was asked for.
    Binary(&'a [u8]),
}

/// A row as it stands in the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    /// Whole values, as many as `columns`: nothing else leaves [`Tuple::read`].
    values: &'a [u8],
    columns: u16,
}

impl<'a> Tuple<'a> {
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let columns = reader.u16()?;
        let start = reader.rest();
        for _ in 0..columns {
            match reader.u8()? {
                b't' | b'b' => {
                    let len = reader.u32()?;
                    reader.bytes(len)?;
                }
                b'n' | b'u' => {}
                0..=u8::MAX => return Err(reader.wrong(1, "unknown kind of value")),
            }
        }
        let (values, _) = start.split_at(start.len() - reader.rest().len());
        Ok(Self { values, columns })
    }

    /// The values, in the order of the relation's columns.
    #[must_use]
    pub fn values(&self) -> TupleValues<'a> {
        TupleValues { rest: self.values, left: self.columns }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.columns)
    }

    /// Whether it has no values: a row of a table without columns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }
}

impl std::fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

impl<'a> IntoIterator for Tuple<'a> {
    type Item = TupleValue<'a>;
    type IntoIter = TupleValues<'a>;

    fn into_iter(self) -> TupleValues<'a> {
        self.values()
    }
}

/// Iterates the values of a [`Tuple`].
#[derive(Debug, Clone)]
pub struct TupleValues<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Iterator for TupleValues<'a> {
    type Item = TupleValue<'a>;

    #[inline]
    fn next(&mut self) -> Option<TupleValue<'a>> {
        let (&kind, rest) = self.rest.split_first()?;
        self.left = self.left.saturating_sub(1);
        match kind {
            b'n' | b'u' => {
                self.rest = rest;
                Some(if kind == b'n' { TupleValue::Null } else { TupleValue::Unchanged })
            }
            0..=u8::MAX => {
                let (len, rest) = rest.split_first_chunk::<4>()?;
                let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
                self.rest = rest;
                Some(if kind == b't' { TupleValue::Text(value) } else { TupleValue::Binary(value) })
            }
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for TupleValues<'_> {}

/// Which old values a table's updates and deletes carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// The primary key's, where there is one.
    Default,
    /// None.
    Nothing,
    /// All of them.
    Full,
    /// Those of a unique index.
    Index,
}

/// The shape of the rows that follow for one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Which table.
    pub oid: u32,
    /// Its schema; `pg_catalog` where the message leaves it empty.
    pub schema: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What its updates and deletes carry.
    pub identity: ReplicaIdentity,
    columns: &'a [u8],
    count: u16,
}

/// A column of a [`Relation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationColumn<'a> {
    /// Part of the replica identity; true of every column of a table that sends whole old rows.
    pub key: bool,
    /// Its name.
    pub name: &'a str,
    /// Its type; of a domain, the domain.
    pub type_oid: u32,
    /// What the type is limited to (`numeric(10,2)`); -1 where it is not.
    pub type_modifier: i32,
}

impl<'a> Relation<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let oid = reader.u32()?;
        let schema = match reader.name()? {
            "" => "pg_catalog",
            schema => schema,
        };
        let name = reader.name()?;
        let identity = match reader.u8()? {
            b'd' => ReplicaIdentity::Default,
            b'n' => ReplicaIdentity::Nothing,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            0..=u8::MAX => return Err(reader.wrong(1, "unknown replica identity")),
        };
        let count = reader.u16()?;
        let start = reader.rest();
        for _ in 0..count {
            RelationColumn::read(reader)?;
        }
        let (columns, _) = start.split_at(start.len() - reader.rest().len());
        Ok(Self { oid, schema, name, identity, columns, count })
    }

    /// The columns, in the order in which rows carry their values.
    pub fn columns(&self) -> impl Iterator<Item = RelationColumn<'a>> + use<'a> {
        let mut reader = Reader::new(self.columns);
        (0..self.count).map_while(move |_| RelationColumn::read(&mut reader).ok())
    }

    /// How many columns there are.
    #[must_use]
    pub fn column_count(&self) -> usize {
        usize::from(self.count)
    }
}

impl<'a> RelationColumn<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let key = match reader.u8()? {
            0 => false,
            1 => true,
            2.. => return Err(reader.wrong(1, "unknown column flags")),
        };
        Ok(Self { key, name: reader.name()?, type_oid: reader.u32()?, type_modifier: reader.i32()? })
    }
}
