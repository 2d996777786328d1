//! Every type that Postgres ships, with the values at its edges, as SQL. Tests put them through a pipeline and compare
//! with what the server prints; nothing here knows what is right.

/// A column type and the expressions whose values it must carry. NULL is added to all of them.
#[derive(Debug, Clone, Copy)]
pub struct EdgeValues {
    /// As written in `CREATE TABLE`.
    pub column: &'static str,
    /// SQL expressions, cast to the column by assignment.
    pub values: &'static [&'static str],
    /// The first major version that has all of it.
    pub since: u16,
}

const fn of(column: &'static str, values: &'static [&'static str]) -> EdgeValues {
    EdgeValues { column, values, since: 14 }
}

const fn since(since: u16, column: &'static str, values: &'static [&'static str]) -> EdgeValues {
    EdgeValues { column, values, since }
}

/// What the columns below need before they can be created.
pub const PREPARE: &str = r#"
    CREATE EXTENSION IF NOT EXISTS hstore;
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE TYPE mood AS ENUM ('sad', 'it''s "ok"', 'happy, really');
    CREATE DOMAIN price AS numeric(10,2) CHECK (value >= 0);
    CREATE DOMAIN tiny_prices AS price[];
    CREATE TYPE pair AS (a int, b text, c mood);
    CREATE TYPE "Odd Range" AS RANGE (subtype = float8);
"#;

/// All of them.
pub const ALL: &[EdgeValues] = &[
    of("boolean", &["true", "false"]),
    of("smallint", &["-32768", "32767", "0"]),
    of("integer", &["-2147483648", "2147483647", "0"]),
    of("bigint", &["-9223372036854775808", "9223372036854775807", "0"]),
    of("oid", &["0", "4294967295"]),
    of("xid", &["'0'", "'4294967295'"]),
    of("xid8", &["'18446744073709551615'"]),
    of("cid", &["'4294967295'"]),
    of("tid", &["'(4294967295,65535)'"]),
    of("real", &["1.1", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "1e-45", "3.4028235e38", "1e6", "1e5", "1e-5",
        "123456.7", "16777216", "1e15", "1e16"]),
    of("double precision", &["0.1", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "5e-324", "1.7976931348623157e308",
        "1e15", "1e16", "1e-4", "1e-5", "123456789012345680", "0.30000000000000004", "1e22", "1e23", "100000"]),
    of("numeric", &["0", "'NaN'", "'Infinity'", "'-Infinity'", "1.10", "-0.0000", "1e100", "'1e-100'",
        "12345678901234567890123456789012345678901234567890.123456789", "0.10000"]),
    of("numeric(10,2)", &["0", "99999999.99", "-99999999.99", "1.1", "'NaN'"]),
    of("numeric(10,2)", &["0.05", "-0.05", "-1"]),
    of("numeric(38,10)", &["9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999",
        "0.0000000001"]),
    of("numeric(38,0)", &["99999999999999999999999999999999999999", "-1"]),
    of("numeric(4,0)", &["9999", "-9999"]),
    of("numeric(60,30)", &["123456789012345678901234567890.123456789012345678901234567890"]),
    since(15, "numeric(3,-2)", &["99900", "-100"]),
    since(15, "numeric(3,5)", &["0.00999", "-0.00001"]),
    of("money", &["'-92233720368547758.08'", "'12.34'"]),
    of("text", &["''", "'NULL'", r#"E'tab\tnewline\nreturn\rbackslash\\quote''"\x01'"#, "'\u{1F600} größe'",
        "repeat('long ', 5000)", "' spaces '", r"'\N'", r"'{a,b}'"]),
    of("varchar(5)", &["'abcde'", "''"]),
    of("char(5)", &["'ab'", "''"]),
    of("\"char\"", &["'x'", r"'\377'", "''"]),
    of("name", &["'a name'"]),
    of("citext", &["'MiXed'"]),
    of("bytea", &["''", r"'\x00ff10'", "decode(repeat('00', 10000), 'hex')"]),
    of("date", &["'4713-01-01 BC'", "'5874897-12-31'", "'infinity'", "'-infinity'", "'0001-01-01'", "'0044-03-15 BC'",
        "'0001-12-31 BC'", "'1582-10-15'", "'1970-01-01'", "'2024-02-29'", "'1900-03-01'", "'10000-01-01'"]),
    of("time", &["'00:00:00'", "'24:00:00'", "'23:59:59.999999'", "'04:05:06.7'", "'04:05:06.000001'"]),
    of("time(0)", &["'23:59:59'"]),
    of("timetz", &["'00:00:00+00'", "'24:00:00-15:59:59'", "'24:00:00+15:59:59'", "'04:05:06.789-08'",
        "'04:05:06.789+05:30'", "'12:00:00-00:00:01'", "'23:59:59.999999+00:45'"]),
    of("timestamp", &["'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'infinity'", "'-infinity'",
        "'2026-11-21 04:05:06.789'", "'0001-01-01 00:00:00'", "'0001-12-31 23:59:59.999999 BC'",
        "'1969-12-31 23:59:59.999999'"]),
    of("timestamp", &["'294247-01-10 04:00:54.775807'", "'294247-01-10 04:00:54.775806'", "'294246-12-31 00:00:00'"]),
    of("timestamp(3)", &["'2026-11-21 04:05:06.789'", "'infinity'", "'10000-01-01 00:00:00'"]),
    of("timestamptz", &["'4713-01-01 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'infinity'",
        "'-infinity'", "'2026-11-21 04:05:06.789+05:30'"]),
    of("timestamptz", &["'2026-11-21 04:05:06+00'", "'1900-01-01 00:00:00.1+00'", "'infinity'"]),
    of("interval", &["'0'", "'1 year 2 months 3 days 04:05:06.789'", "'-1 year -2 mons +3 days -04:05:06.000001'",
        "'178000000 years'", "'-178000000 years'", "'1 mon -1 day'", "'00:00:00.000001'", "'-00:00:01'",
        "'100 hours'", "'-1 mon'", "'1 day'",
        "'-12 mons 1 day'", "'11 mons'", "'-13 mons 5 days 1 us'"]),
    since(15, "interval", &["'2562047788:00:54.775807'", "'-2562047788:00:54.775807'"]),
    since(17, "interval", &["'infinity'", "'-infinity'", "'1 day'"]),
    of("interval day to second(3)", &["'5 days 10:00:00.123'"]),
    of("uuid", &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "'80000000-0000-0000-0000-000000000001'", "'7fffffff-ffff-ffff-ffff-ffffffffffff'"]),
    of("json", &[r#"'{"a": 1.10, "a":2,   "b":[null, true, "x\u00e9\n"]}'"#, "'null'", "'1e400'", "' [ ] '"]),
    of("jsonb", &[r#"'{"b": 1.10, "a": {"x": [1, 2.000, 1e300]}}'"#, "'\"text\"'", "'null'",
        "'123456789012345678901234567890.5'"]),
    of("jsonpath", &["'$.a[*] ? (@ > 1)'"]),
    of("xml", &["'<a b=\"c\">d</a>'"]),
    of("bit(4)", &["B'0101'"]),
    of("bit varying", &["B''", "B'1'", "B'01010101010101010101010101010101010101'"]),
    of("inet", &["'192.168.0.1'", "'192.168.0.1/24'", "'::1'", "'2001:db8::/32'", "'fe80::1/128'"]),
    of("cidr", &["'10.0.0.0/8'", "'2001:db8::/32'"]),
    of("macaddr", &["'08:00:2b:01:02:03'"]),
    of("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    of("point", &["'(1.5,-2)'", "'(Infinity,NaN)'"]),
    of("line", &["'{1,-1,0}'"]),
    of("lseg", &["'[(0,0),(1,1)]'"]),
    of("box", &["'(1,1),(0,0)'"]),
    of("path", &["'((0,0),(1,1))'", "'[(0,0),(1,1)]'"]),
    of("polygon", &["'((0,0),(1,1),(2,0))'"]),
    of("circle", &["'<(0,0),2.5>'"]),
    of("tsvector", &["'a fat:2A cat:3'", "''"]),
    of("tsquery", &["'fat & !(rat | cat:AB)'"]),
    of("pg_lsn", &["'16/B374D848'"]),
    of("pg_snapshot", &["'10:20:10,14,15'"]),
    of("regclass", &["'pg_class'"]),
    of("regtype", &["'integer'"]),
    of("int4range", &["'[1,5)'", "'empty'", "'(,)'"]),
    of("int8range", &["'[,5)'"]),
    of("numrange", &["'[1.10,2.20]'"]),
    of("tsrange", &["'[2026-01-01 00:00, infinity)'"]),
    of("tstzrange", &["'[\"2026-01-01 00:00+02\",)'"]),
    of("daterange", &["'[2026-01-01,2026-02-01)'"]),
    of("\"Odd Range\"", &["'[0.1,0.2)'"]),
    of("int4multirange", &["'{[1,3),[5,9)}'", "'{}'"]),
    of("datemultirange", &["'{[2026-01-01,2026-02-01)}'"]),
    of("mood", &["'sad'", "'it''s \"ok\"'", "'happy, really'"]),
    of("price", &["0", "12345678.90"]),
    of("pair", &[r#"ROW(1, 'x, "y" (z) \ ', 'happy, really')"#, "ROW(NULL, NULL, NULL)", "ROW(2, '', 'sad')"]),
    of("hstore", &["'a=>1, \"b c\"=>NULL, d=>\"\\\"\"'", "''"]),
    of("boolean[]", &["'{t,f,NULL}'", "'{}'"]),
    of("integer[]", &["'{1,NULL,-2147483648}'", "'{}'", "'{NULL}'"]),
    of("integer[]", &["'{{1,2},{3,4}}'", "'[0:2]={1,2,3}'", "'{7}'"]),
    of("bigint[]", &["'{9223372036854775807}'"]),
    of("real[]", &["'{1.1,NaN,-Infinity,NULL}'"]),
    of("numeric[]", &["'{1.10,NaN}'"]),
    of("numeric(10,2)[]", &["'{1.1,-0.05,NULL}'"]),
    of("text[]", &[r#"'{a,"b c",NULL,"NULL","",",","{}","\"","\\"," x "}'"#]),
    of("varchar(5)[]", &["'{ab}'"]),
    of("bytea[]", &[r"ARRAY['\x00ff'::bytea, '\x', NULL]"]),
    of("date[]", &["'{2026-01-01,infinity,0044-03-15 BC,NULL}'"]),
    of("time[]", &["'{24:00:00,04:05:06.7}'"]),
    of("timestamp[]", &["'{2026-01-01 10:00:00,infinity}'"]),
    of("timestamptz[]", &["'{2026-01-01 10:00:00+02,NULL}'"]),
    of("interval[]", &["'{1 day,-1 mon 00:00:01}'"]),
    of("uuid[]", &["'{00000000-0000-0000-0000-000000000001}'"]),
    of("json[]", &[r#"ARRAY['{"a": [1, 2]}'::json, 'null']"#]),
    of("jsonb[]", &[r#"ARRAY['{"a": "b c"}'::jsonb, NULL]"#]),
    of("inet[]", &["'{10.0.0.1/8,::1}'"]),
    of("int4range[]", &["'{\"[1,3)\",empty}'"]),
    of("mood[]", &["ARRAY['sad','happy, really']::mood[]"]),
    of("price[]", &["'{1.50,0}'"]),
    of("tiny_prices", &["'{1.50,0}'"]),
    of("pair[]", &["ARRAY[ROW(1,'a','sad')::pair]"]),
    of("hstore[]", &["ARRAY['a=>1'::hstore]"]),
    of("citext[]", &["'{Ab}'"]),
    of("box[]", &["'{(1,1),(0,0);(2,2),(1,1)}'"]),
    of("int2vector", &["'1 2 3'"]),
    of("oidvector", &["'1 4294967295'"]),
];
