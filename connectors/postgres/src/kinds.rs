//! What a Postgres type is to the rest of the project. Pure, over rows that `catalog` has read; `shapes` asks.

use std::collections::HashMap;

use tailwater_core::Type;

/// A row of `pg_type`, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeRow {
    /// `typname`.
    pub name: String,
    /// How it is made.
    pub form: Form,
    /// The labels of an enum, in order.
    pub labels: Vec<String>,
}

/// How a type is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A type of its own: built in, from an extension, a range, a composite.
    Plain,
    /// An enum.
    Enum,
    /// A domain: prints as its base, with the base's limits.
    Domain {
        /// The type it is over.
        base: u32,
        /// What it limits that type to; -1 where it does not.
        modifier: i32,
    },
    /// An array.
    Array {
        /// What it holds.
        element: u32,
    },
}

/// Types by oid, and their full spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types {
    rows: HashMap<u32, TypeRow>,
    spelled: HashMap<(u32, i32), String>,
}

/// Domains over domains over arrays of domains: deeper than anybody builds.
const DEPTH_MAX: u32 = 32;

impl Types {
    /// Adds a type.
    pub fn insert(&mut self, oid: u32, row: TypeRow) {
        self.rows.insert(oid, row);
    }

    /// Adds how the server spells a type with a modifier: `numeric(10,2)`.
    pub fn spell(&mut self, oid: u32, modifier: i32, spelled: String) {
        self.spelled.insert((oid, modifier), spelled);
    }

    /// The name of a type as `format_type` gives it.
    #[must_use]
    pub fn source_type(&self, oid: u32, modifier: i32) -> String {
        match (self.spelled.get(&(oid, modifier)), self.rows.get(&oid)) {
            (Some(spelled), _) => spelled.clone(),
            (None, Some(row)) => row.name.clone(),
            (None, None) => format!("type {oid}, dropped since"),
        }
    }

    /// As [`Types::source_type`], of what a domain is over.
    #[must_use]
    pub fn base_type(&self, oid: u32, modifier: i32) -> String {
        let (oid, modifier) = self.base(oid, modifier);
        self.source_type(oid, modifier)
    }

    /// The labels of an enum, of a domain over one, and of the elements of an array of one.
    #[must_use]
    pub fn labels(&self, oid: u32) -> Vec<String> {
        let (mut oid, _) = self.base(oid, -1);
        if let Some(TypeRow { form: Form::Array { element }, .. }) = self.rows.get(&oid) {
            (oid, _) = self.base(*element, -1);
        }
        self.rows.get(&oid).map(|row| row.labels.clone()).unwrap_or_default()
    }

    /// What the domains among the types are over in the end.
    #[must_use]
    pub fn below_domains(&self) -> Vec<(u32, i32)> {
        let domains = self.rows.iter().filter(|(_, row)| matches!(row.form, Form::Domain { .. }));
        domains.map(|(&oid, _)| self.base(oid, -1)).collect()
    }

    fn base(&self, mut oid: u32, mut modifier: i32) -> (u32, i32) {
        for _ in 0..DEPTH_MAX {
            let Some(TypeRow { form: Form::Domain { base, modifier: below }, .. }) = self.rows.get(&oid)
            else {
                break;
            };
            (oid, modifier) = (*base, *below);
        }
        (oid, modifier)
    }

    /// What values of a type are. A type that is not known, or gone, is [`Type::Other`]: its text is kept.
    #[must_use]
    pub fn kind(&self, oid: u32, modifier: i32) -> Type {
        self.kind_within(oid, modifier, DEPTH_MAX)
    }

    fn kind_within(&self, oid: u32, modifier: i32, depth: u32) -> Type {
        if let Some(kind) = built_in(oid, modifier) {
            return kind;
        }
        let (Some(row), Some(depth)) = (self.rows.get(&oid), depth.checked_sub(1)) else {
            return Type::Other;
        };
        match row.form {
            Form::Enum => Type::Text,
            Form::Plain if row.name == "citext" => Type::Text,
            Form::Plain => Type::Other,
            Form::Domain { base, modifier } => self.kind_within(base, modifier, depth),
            // An array of arrays (through a domain) prints unlike one array of two dimensions, and an element that
            // is not known may use another delimiter (box): both stay text as a whole.
            Form::Array { element } => match self.kind_within(element, modifier, depth) {
                Type::Other | Type::Array(_) => Type::Other,
                element @ (Type::Bool
                | Type::Int2
                | Type::Int4
                | Type::Int8
                | Type::UInt4
                | Type::UInt8
                | Type::Float4
                | Type::Float8
                | Type::Numeric { .. }
                | Type::Text
                | Type::Bytes
                | Type::Date
                | Type::Time
                | Type::TimeTz
                | Type::Timestamp
                | Type::TimestampTz
                | Type::Interval
                | Type::Uuid
                | Type::Json) => Type::Array(Box::new(element)),
            },
        }
    }
}

/// The types whose oid never changes. "char" and name are text; xid and cid print as an oid does.
fn built_in(oid: u32, modifier: i32) -> Option<Type> {
    Some(match oid {
        16 => Type::Bool,
        17 => Type::Bytes,
        18 | 19 | 25 | 1042 | 1043 => Type::Text,
        20 => Type::Int8,
        21 => Type::Int2,
        23 => Type::Int4,
        26 | 28 | 29 => Type::UInt4,
        114 | 3802 => Type::Json,
        700 => Type::Float4,
        701 => Type::Float8,
        1082 => Type::Date,
        1083 => Type::Time,
        1114 => Type::Timestamp,
        1184 => Type::TimestampTz,
        1186 => Type::Interval,
        1266 => Type::TimeTz,
        1700 => Type::Numeric { limits: numeric_limits(modifier) },
        2950 => Type::Uuid,
        0..=u32::MAX => return None,
    })
}

/// Digits and scale. Since Postgres 15 the scale is a signed number of 11 bits; before, of those only 0 to 1000.
fn numeric_limits(modifier: i32) -> Option<(u16, i16)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let digits = u16::try_from(packed >> 16).ok()?;
    let scale = i16::try_from(((packed & 0x7FF) ^ 0x400) - 0x400).ok()?;
    Some((digits, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOOD: u32 = 20_001;
    const PRICE: u32 = 20_002;
    const LIST: u32 = 20_003;
    const CITEXT: u32 = 20_004;
    const POINT: u32 = 20_005;
    const GONE: u32 = 20_099;

    fn types() -> Types {
        let mut types = Types::default();
        let mut add = |oid, name: &str, form| {
            types.insert(oid, TypeRow { name: name.into(), form, labels: Vec::new() })
        };
        add(MOOD, "mood", Form::Enum);
        // numeric(10,2)
        add(PRICE, "price", Form::Domain { base: 1700, modifier: 655_366 });
        add(LIST, "list", Form::Domain { base: 1007, modifier: -1 });
        add(CITEXT, "citext", Form::Plain);
        add(POINT, "point3d", Form::Plain);
        add(1007, "_int4", Form::Array { element: 23 });
        add(1231, "_numeric", Form::Array { element: 1700 });
        for element in [MOOD, PRICE, LIST, CITEXT, POINT, GONE] {
            add(element + 100, "_a", Form::Array { element });
        }
        types.spell(1700, 655_366, "numeric(10,2)".into());
        types
    }

    #[test]
    fn maps_types() {
        let check = |oid, modifier, expected: &str| {
            assert_eq!(format!("{:?}", types().kind(oid, modifier)), expected, "{oid}");
        };
        check(23, -1, "Int4");
        check(1700, -1, "Numeric { limits: None }");
        check(1700, 655_366, "Numeric { limits: Some((10, 2)) }");
        check(1700, ((3 << 16) | (0x7FF & -2_i32)) + 4, "Numeric { limits: Some((3, -2)) }");
        check(1700, ((1000 << 16) | 1000) + 4, "Numeric { limits: Some((1000, 1000)) }");
        check(1043, 14, "Text");
        check(MOOD, -1, "Text");
        check(CITEXT, -1, "Text");
        check(PRICE, -1, "Numeric { limits: Some((10, 2)) }");
        check(LIST, -1, "Array(Int4)");
        check(POINT, -1, "Other");
        check(GONE, -1, "Other");
        check(1231, 655_366, "Array(Numeric { limits: Some((10, 2)) })");
        check(MOOD + 100, -1, "Array(Text)");
        check(PRICE + 100, -1, "Array(Numeric { limits: Some((10, 2)) })");
        check(LIST + 100, -1, "Other");
        check(POINT + 100, -1, "Other");
        check(GONE + 100, -1, "Other");
    }

    #[test]
    fn spells_types() {
        assert_eq!(types().source_type(1700, 655_366), "numeric(10,2)");
        assert_eq!(types().source_type(MOOD, 7), "mood");
        assert_eq!(types().source_type(GONE, -1), "type 20099, dropped since");
    }

    #[test]
    fn types_that_go_in_circles_end() {
        let mut types = Types::default();
        types.insert(
            9,
            TypeRow { name: "loop".into(), form: Form::Domain { base: 9, modifier: -1 }, labels: Vec::new() },
        );
        assert_eq!(types.kind(9, -1), Type::Other);
    }
}
