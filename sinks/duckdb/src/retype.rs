//! How the values of a column become those of another type, as Postgres' own cast makes them: by the source's spellings of
//! the two types and by the columns that hold them. Pure; [`shape`](crate::shape) asks.
//!
//! `ALTER TABLE … USING` leaves no trace of its expression, in the log or in the catalogue. Where Postgres would need
//! none, the cast of the types is taken for what was done; where it needs one, its values are not known.

use crate::shape::Held;
use crate::values::ColumnType;

/// What has to be done to the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// Nothing.
    Same,
    /// A cast of `DuckDB`, which must succeed for every value.
    Cast,
    /// They become the text that Postgres prints.
    Render,
    /// They become the text of a cast to a character type.
    Characters(Characters),
}

/// The way to a character type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Characters {
    /// From the text that Postgres prints; else from the text that `DuckDB`'s cast gives.
    pub(crate) rendered: bool,
    /// Blanks at the end do not count.
    pub(crate) trimmed: bool,
    pub(crate) length: Length,
}

/// How many characters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Any,
    Most(u32),
    /// Blanks make up for what is missing.
    Exactly(u32),
}

/// The conversion that gives exactly what Postgres' own cast gives; `None` where there is none, or none is known.
pub(crate) fn conversion(old: &Held, new: &Held) -> Option<Conversion> {
    use ColumnType as C;
    if let Some(to) = Character::of(&new.source_type) {
        let known = if is_numbered(new) { prints_alike(old) } else { prints_alike_everywhere(old) };
        return known.then(|| characters(old, to));
    }
    if let (Some(old), Some(new)) = (labels(&old.source_type), labels(&new.source_type)) {
        return new.starts_with(old).then_some(Conversion::Same);
    }
    if alike(&old.source_type, &new.source_type) {
        match (&old.kind, &new.kind) {
            (old, new) if old == new => return Some(Conversion::Same),
            (C::Decimal { .. }, C::Varchar) => return Some(Conversion::Render),
            _ if old.widened => return Some(Conversion::Same),
            (_, _) => {}
        }
    }
    if old.widened {
        return None;
    }
    // Rendered with the digits they have.
    let exact = is_integer(&old.kind) || matches!(old.kind, C::Decimal { .. });
    if new.source_type == "numeric" && exact {
        return Some(Conversion::Render);
    }
    if new.source_type == "json"
        && is_numbered(new)
        && matches!(Character::of(&old.source_type), Some(Character::Varying(_)))
    {
        return Some(Conversion::Cast);
    }
    if let (Some(old), Some(new)) = (element(old), element(new)) {
        return conversion(&old, &new).filter(|way| matches!(way, Conversion::Same | Conversion::Cast));
    }
    casts(&old.kind, &new.kind).then_some(if old.kind == new.kind {
        Conversion::Same
    } else {
        Conversion::Cast
    })
}

/// Whether the source numbers its types, which Postgres does. What the casts of one that does not make of values that are
/// printed in several ways is not known here.
fn is_numbered(held: &Held) -> bool {
    held.type_id != 0
}

/// Whether there is but one way to print the values.
fn prints_alike_everywhere(held: &Held) -> bool {
    let source_type = held.source_type.as_str();
    let is_text = Character::of(source_type).is_some() || labels(source_type).is_some();
    let is_exact = is_integer(&held.kind) || matches!(held.kind, ColumnType::Decimal { .. });
    is_exact && !source_type.starts_with("year") || is_text && held.kind == ColumnType::Varchar
}

/// `enum('a','b'` of `enum('a','b')`: more labels may come behind them.
fn labels(source_type: &str) -> Option<&str> {
    let is_labelled = ["enum(", "set("].iter().any(|kind| source_type.starts_with(kind));
    source_type.strip_suffix(')').filter(|_| is_labelled)
}

/// Whether both are the same type with the same limits, under another name perhaps.
pub(crate) fn same_type(old: &Held, new: &Held) -> bool {
    if old.type_id == 0 || new.type_id == 0 {
        return old.source_type == new.source_type;
    }
    let (from, to) = (Spelled::of(&old.source_type), Spelled::of(&new.source_type));
    // The fields of an interval limit it, although they are a part of its name.
    let renamed = from.limits == to.limits && !is_of_time(&to.name);
    old.type_id == new.type_id && (old.source_type == new.source_type || renamed)
}

/// Whether blanks at the end of the values may be gone now, which the spelling of the old type does not tell: the cast to
/// text takes them off a domain over `char`, and leaves them to an enum. Where no value has any, both are the same.
pub(crate) fn may_trim(old: &Held, new: &Held) -> bool {
    let kind = if let ColumnType::List(element) = &old.kind { element } else { &old.kind };
    let (from, to) = (old.source_type.trim_end_matches("[]"), new.source_type.trim_end_matches("[]"));
    let is_own = from.contains('.') || from.starts_with("type ");
    let is_text = *kind == ColumnType::Varchar && Character::of(from).is_none();
    is_own && is_text && !same_type(old, new) && matches!(Character::of(to), Some(Character::Varying(_)))
}

/// What the elements of an array are.
fn element(list: &Held) -> Option<Held> {
    let ColumnType::List(kind) = &list.kind else { return None };
    let source_type = list.source_type.strip_suffix("[]")?.to_owned();
    Some(Held { kind: (**kind).clone(), source_type, type_id: 0, ..list.clone() })
}

fn characters(old: &Held, to: Character) -> Conversion {
    let from = Character::of(&old.source_type);
    let trimmed = matches!((from, to), (Some(Character::Padded(_)), Character::Varying(_)));
    let length = match (from, to) {
        (Some(Character::Varying(Some(now))), Character::Varying(Some(most))) if now <= most => Length::Any,
        (_, Character::Varying(Some(most))) => Length::Most(most),
        (_, Character::Padded(Some(length))) => Length::Exactly(length),
        (_, Character::Varying(None) | Character::Padded(None)) => Length::Any,
    };
    // The cast to text says `true` where the output function says `t`; that of DuckDB does, too.
    let is_text = old.kind == ColumnType::Varchar;
    let rendered = !is_text && !matches!(old.kind, ColumnType::Boolean | ColumnType::Json);
    if is_text && !trimmed && length == Length::Any {
        return Conversion::Same;
    }
    Conversion::Characters(Characters { rendered, trimmed, length })
}

/// Whether the cast to text gives what the type's output function gives (or what [`characters`] makes good). What Postgres
/// makes of the others depends on the session that altered the table, or adds to the text.
fn prints_alike(held: &Held) -> bool {
    let name = held.source_type.as_str();
    let zoned = name.starts_with("timestamp") && name.contains("with time zone");
    let kind = if let ColumnType::List(element) = &held.kind { element } else { &held.kind };
    !zoned && *kind != ColumnType::TimestampTz && !name.starts_with("inet") && !name.starts_with("tstz")
}

/// Whether every value of one type is printed by the other as it was, by their spellings.
fn alike(old: &str, new: &str) -> bool {
    if let (Some(old), Some(new)) = (old.strip_suffix("[]"), new.strip_suffix("[]")) {
        return alike(old, new);
    }
    if let (Some(from), Some(to)) = (Character::of(old), Character::of(new)) {
        return match (from, to) {
            (Character::Varying(from), Character::Varying(to)) => at_least(to, from),
            (Character::Padded(from), Character::Padded(to)) => to.is_none() || from == to,
            (Character::Varying(_) | Character::Padded(_), _) => false,
        };
    }
    let (old, new) = (Spelled::of(old), Spelled::of(new));
    let (first, wanted) = (old.limit(), new.limit());
    match (old.name.as_str(), new.name.as_str()) {
        ("smallint" | "integer", "bigint") | ("smallint", "integer") | ("jsonb", "json") => true,
        ("numeric", "numeric") => new.limits.is_empty() || new.scale() == old.scale(),
        ("bit" | "bit varying", "bit varying") => at_least(wanted, first),
        (from, to) if from == to || (from.starts_with("interval ") && to == "interval") => {
            is_of_time(to) && at_least(wanted.filter(|digits| *digits < MICROSECONDS), first)
        }
        (_, _) => false,
    }
}

/// The digits of a second that the types of time have where nothing else is said.
const MICROSECONDS: u32 = 6;

fn is_of_time(name: &str) -> bool {
    let with =
        |zone: &str| ["timestamp", "time"].iter().any(|kind| name == format!("{kind} {zone} time zone"));
    with("with") || with("without") || name == "interval" || name.starts_with("interval ")
}

/// Whether a limit lets pass all that another one did; `None` is no limit.
fn at_least(new: Option<u32>, old: Option<u32>) -> bool {
    new.is_none_or(|new| old.is_some_and(|old| old <= new))
}

/// A type of characters, and its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Character {
    Varying(Option<u32>),
    /// Filled up with blanks, and compared without them.
    Padded(Option<u32>),
}

impl Character {
    fn of(source_type: &str) -> Option<Self> {
        let spelled = Spelled::of(source_type);
        let limit = spelled.limit();
        match spelled.name.as_str() {
            "text" | "character varying" | "varchar" => Some(Self::Varying(limit)),
            // MySQL's, whose values come without blanks at their end. Postgres writes its own `"char"` with quotes.
            "char" => Some(Self::Varying(limit)),
            "tinytext" | "mediumtext" | "longtext" => Some(Self::Varying(None)),
            "character" | "bpchar" => Some(Self::Padded(limit)),
            name if name == "citext" || name.ends_with(".citext") => Some(Self::Varying(None)),
            _ => None,
        }
    }
}

/// `timestamp(3) without time zone` is the name `timestamp without time zone` and the limits `3`.
struct Spelled<'a> {
    name: String,
    limits: &'a str,
}

impl<'a> Spelled<'a> {
    fn of(source_type: &'a str) -> Self {
        // A quoted name may hold anything.
        let unquoted = source_type.rfind('"').map_or(0, |end| end + 1);
        let parts = source_type.split_at_checked(unquoted).and_then(|(quoted, rest)| {
            let (before, rest) = rest.split_once('(')?;
            let (limits, after) = rest.split_once(')')?;
            Some((format!("{quoted}{before}{after}"), limits))
        });
        let (name, limits) = parts.unwrap_or_else(|| (source_type.to_owned(), ""));
        Self { name, limits }
    }

    fn limit(&self) -> Option<u32> {
        self.limits.split(',').next().and_then(|limit| limit.parse().ok())
    }

    fn scale(&self) -> Option<&str> {
        self.limits.split_once(',').map(|(_, scale)| scale)
    }
}

/// Whether `DuckDB`'s cast from `old` to `new` gives what Postgres' gives, for every value that Postgres let pass.
fn casts(old: &ColumnType, new: &ColumnType) -> bool {
    use ColumnType as C;
    match (old, new) {
        (C::Decimal { scale: old, .. }, C::Decimal { scale: new, .. }) => new >= old,
        (old, C::Decimal { .. }) => is_integer(old),
        (C::Decimal { scale: 0, .. }, new) => is_integer(new),
        (C::UInteger, C::BigInt | C::UBigInt) | (C::Double, C::Float) | (C::Float, C::Double) => true,
        (old, C::UInteger | C::UBigInt) if is_integer(old) => true,
        (C::UInteger | C::UBigInt, new) if is_integer(new) => true,
        // Types that know no limits: two of them are a domain and what it is over.
        (C::Boolean | C::UInteger | C::UBigInt | C::Float | C::Double | C::Blob | C::Date | C::Uuid, _)
            if old == new =>
        {
            true
        }
        (old, C::Double) => is_integer(old),
        (old, new) => is_integer(old) && is_integer(new),
    }
}

fn is_integer(kind: &ColumnType) -> bool {
    matches!(kind, ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt)
}
