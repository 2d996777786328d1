//! What a column's type is to Debezium, read from the server's spelling of it: that of Postgres here, those of MySQL and
//! MariaDB in `binlog`.

use tailwater_core::Column;

use super::binlog;
use super::source::Dialect;

/// A type, as far as Debezium's formats tell types apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sql {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    /// Digits and scale as the server packs them; `None` for any number.
    Numeric(Option<(u32, u32)>),
    Money,
    /// Fixed or varying; with the number of bits.
    Bits(u32),
    /// Written as text without more ado; whether a default is known to Debezium.
    Text {
        default: bool,
    },
    Bytes,
    Uuid,
    Json,
    Xml,
    Date,
    Time {
        digits: Option<u8>,
    },
    TimeTz,
    Timestamp {
        digits: Option<u8>,
    },
    TimestampTz {
        digits: Option<u8>,
    },
    Interval,
    Enum,
    Hstore,
    Ltree,
    Tsvector,
    Point,
    /// `int2vector`, `oidvector`.
    Vector(Box<Sql>),
    Array(Box<Sql>),
    /// Unsigned, 64 bits.
    UInt8,
    /// 32 bits, which Debezium takes for 64: `float(7,3)`.
    WideFloat,
    Year,
    Set,
    /// Well-known binary behind the number of a system of coordinates.
    Geometry,
    /// The same of a point.
    Place,
    FloatVector,
    /// Left out of rows and schemas.
    Unknown,
}

/// The number of bits that stands for any number of them.
const ANY_BITS: u32 = i32::MAX as u32;

impl Sql {
    pub(crate) fn of(column: &Column, dialect: Dialect) -> Self {
        let spelled = &column.declared.base_type;
        let spelled = if spelled.is_empty() { &column.source_type } else { spelled };
        match dialect {
            Dialect::Postgres => Self::parse(spelled, !column.declared.labels.is_empty()),
            Dialect::MySql | Dialect::MariaDb => binlog::parse(spelled, dialect),
        }
    }

    fn parse(spelled: &str, labelled: bool) -> Self {
        if let Some(element) = spelled.strip_suffix("[]") {
            let (of, plain) = (Self::parse(element, labelled), element);
            // Debezium has no form for arrays of these.
            let formless =
                matches!(of, Self::Unknown | Self::Money | Self::Xml | Self::Interval | Self::Point)
                    || matches!(of, Self::Array(_) | Self::Vector(_))
                    || (matches!(of, Self::Bits(_)) && plain.starts_with("bit varying"))
                    || plain == "name";
            return if formless { Self::Unknown } else { Self::Array(Box::new(of)) };
        }
        if labelled {
            return Self::Enum;
        }
        let (name, arguments) = split(spelled);
        let first = || arguments.split(',').next().and_then(|digits| digits.trim().parse::<u32>().ok());
        let digits = || first().and_then(|digits| u8::try_from(digits).ok());
        match name.as_str() {
            "boolean" => Self::Bool,
            "smallint" => Self::Int2,
            "integer" => Self::Int4,
            "bigint" => Self::Int8,
            "oid" => Self::Oid,
            "real" => Self::Float4,
            "double precision" => Self::Float8,
            "numeric" => Self::Numeric(limits(arguments)),
            "money" => Self::Money,
            "bit" => Self::Bits(first().unwrap_or(1)),
            "bit varying" => Self::Bits(first().unwrap_or(ANY_BITS)),
            "text" | "character varying" | "character" => Self::Text { default: true },
            "\"char\"" | "name" | "citext" | "inet" | "cidr" | "macaddr" | "macaddr8" | "isbn" => {
                Self::Text { default: false }
            }
            "int4range" | "int8range" | "numrange" | "tsrange" | "tstzrange" | "daterange" => {
                Self::Text { default: false }
            }
            "bytea" => Self::Bytes,
            "uuid" => Self::Uuid,
            "json" | "jsonb" => Self::Json,
            "xml" => Self::Xml,
            "date" => Self::Date,
            "time without time zone" => Self::Time { digits: digits() },
            "time with time zone" => Self::TimeTz,
            "timestamp without time zone" => Self::Timestamp { digits: digits() },
            "timestamp with time zone" => Self::TimestampTz { digits: digits() },
            name if name == "interval" || name.starts_with("interval ") => Self::Interval,
            "hstore" => Self::Hstore,
            "ltree" => Self::Ltree,
            "tsvector" => Self::Tsvector,
            "point" => Self::Point,
            "int2vector" => Self::Vector(Box::new(Self::Int2)),
            "oidvector" => Self::Vector(Box::new(Self::Oid)),
            _ => Self::Unknown,
        }
    }
}

/// `public.numeric(10,2) x` is `numeric x` and `10,2`.
pub(crate) fn split(spelled: &str) -> (String, &str) {
    let (name, arguments) = match (spelled.find('('), spelled.find(')')) {
        (Some(open), Some(close)) if open < close => {
            let arguments = spelled.get(open + 1..close).unwrap_or_default();
            let (before, after) = (spelled.get(..open), spelled.get(close + 1..));
            (format!("{}{}", before.unwrap_or_default(), after.unwrap_or_default()), arguments)
        }
        _ => (spelled.to_owned(), ""),
    };
    // The types of extensions carry the schema they are in, whichever that is.
    match name.rsplit_once('.') {
        Some((_, name)) => (name.to_owned(), arguments),
        None => (name, arguments),
    }
}

/// The scale is read as 11 bits without a sign, which is what the driver that Debezium uses makes of it.
pub(crate) fn limits(arguments: &str) -> Option<(u32, u32)> {
    let (digits, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
    let scale = scale.trim().parse::<i32>().ok()? & 0x7ff;
    Some((digits.trim().parse().ok()?, scale.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_spellings_of_the_server() {
        let check = |spelled, expected| assert_eq!(Sql::parse(spelled, false), expected, "{spelled}");
        check("numeric(10,2)", Sql::Numeric(Some((10, 2))));
        check("numeric(3,-2)", Sql::Numeric(Some((3, 2046))));
        check("numeric", Sql::Numeric(None));
        check("timestamp(3) without time zone", Sql::Timestamp { digits: Some(3) });
        check("time without time zone", Sql::Time { digits: None });
        check("interval day to second(3)", Sql::Interval);
        check("public.hstore", Sql::Hstore);
        check("bit varying(12)", Sql::Bits(12));
        check("timestamp(3) without time zone[]", Sql::Array(Box::new(Sql::Timestamp { digits: Some(3) })));
        check("money[]", Sql::Unknown);
        check("public.pair", Sql::Unknown);
        assert_eq!(Sql::parse("public.mood", true), Sql::Enum);
    }
}
