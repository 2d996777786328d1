//! What the log and the catalogue say together of a table.

use super::*;

fn column(column_type: &str, collation: Option<u16>, octets: Option<u64>) -> ColumnFacts {
    let column_type = column_type.to_owned();
    ColumnFacts {
        name: "C".to_owned(),
        column_type,
        nullable: true,
        collation,
        octets,
        ..ColumnFacts::default()
    }
}

#[test]
fn a_type_has_one_spelling_wherever_it_is_told() {
    for (told, collation, octets, expected) in [
        ("tinyint(1)", None, None, "tinyint"),
        ("int(10) unsigned zerofill", None, None, "int unsigned"),
        ("bigint unsigned", None, None, "bigint unsigned"),
        ("decimal(10,2)", None, None, "decimal(10,2)"),
        ("decimal(65,30) unsigned", None, None, "decimal(65,30) unsigned"),
        ("double(10,2)", None, None, "double"),
        ("year(4)", None, None, "year"),
        ("datetime(6)", None, None, "datetime(6)"),
        ("timestamp", None, None, "timestamp"),
        ("bit(3)", None, None, "bit(3)"),
        ("varchar(20)", Some(255), Some(80), "varchar(20)"),
        ("varchar(20)", Some(33), Some(60), "varchar(20)"),
        ("varchar(20)", Some(2304), Some(80), "varchar(20)"),
        ("varchar(20)", Some(8), Some(20), "varchar(20)"),
        ("char(3)", Some(1024 + 45), Some(12), "char(3)"),
        ("varbinary(20)", None, Some(20), "varbinary(20)"),
        ("binary(16)", None, Some(16), "binary(16)"),
        ("uuid", None, None, "binary(16)"),
        ("mediumtext", Some(255), None, "mediumtext"),
        ("longblob", None, None, "longblob"),
        ("enum('a','it''s')", Some(8), None, "enum('a','it''s')"),
        ("set('a','b')", Some(8), None, "set('a','b')"),
        ("json", None, None, "json"),
        ("multipolygon", None, None, "multipolygon"),
        ("vector(3)", None, None, "vector(3)"),
    ] {
        let described = column(told, collation, octets).described().unwrap();
        assert_eq!(spelled(&described, Hint::None), expected, "{told}");
    }
    assert_eq!(column("hologram", None, None).described(), None);
}

#[test]
fn the_catalogue_speaks_only_of_what_is_still_so() {
    let facts = |column_type: &str| Facts {
        columns: vec![column(column_type, None, None)],
        unique: vec!["c".to_owned()],
        transactional: true,
        versioned: false,
        charset: String::new(),
    };
    let binary = column("binary(16)", None, Some(16)).described().unwrap();
    assert_eq!(hints(std::slice::from_ref(&binary), Some(&facts("uuid"))), [Hint::Uuid]);
    assert_eq!(hints(std::slice::from_ref(&binary), Some(&facts("inet4"))), [Hint::None]);
    assert_eq!(hints(&[binary], None), [Hint::None]);
    let tiny = column("tinyint", None, None).described().unwrap();
    let name = Name { schema: "s".to_owned(), table: "t".to_owned() };
    let told = |facts: &Facts| {
        let table = table(&name, std::slice::from_ref(&tiny), [Type::Int2].iter(), Some(facts)).unwrap();
        let column = &table.columns[0];
        (column.source_type.clone(), column.declared.base_type.clone(), table.key, table.declared_key)
    };
    assert_eq!(told(&facts("tinyint(1)")), ("tinyint".to_owned(), "tinyint(1)".to_owned(), vec![], vec![0]));
    assert_eq!(told(&facts("int(11)")), ("tinyint".to_owned(), "tinyint".to_owned(), vec![], vec![0]));
}

#[test]
fn a_log_without_names_and_columns_that_cannot_be_told_apart_are_refused() {
    let name = Name { schema: "s".to_owned(), table: "t".to_owned() };
    let mut described = column("int", None, None).described().unwrap();
    let twins = [described.clone(), described.clone()];
    let error = table(&name, &twins, [Type::Int4, Type::Int4].iter(), None).unwrap_err();
    assert_eq!(error.code(), "TW-MY-050");
    described.name = None;
    let error = table(&name, &[described], [Type::Int4].iter(), None).unwrap_err();
    assert_eq!(error.code(), "TW-MY-055");
    assert!(error.remedy_text().unwrap().contains("binlog_row_metadata=FULL"));
}

#[test]
fn the_key_stands_in_the_order_of_columns_and_as_declared() {
    let name = Name { schema: "s".to_owned(), table: "t".to_owned() };
    let keyed = |name: &str, key| {
        let column = ColumnFacts { name: name.to_owned(), key, ..column("int", None, None) };
        column.described().unwrap()
    };
    let columns = [keyed("a", Some(1)), keyed("b", None), keyed("c", Some(0))];
    let table = table(&name, &columns, [Type::Int4, Type::Int4, Type::Int4].iter(), None).unwrap();
    assert_eq!((table.key, table.declared_key), (vec![0, 2], vec![2, 0]));
}

#[test]
fn a_sequence_is_no_table_and_a_table_with_its_history_is_refused() {
    let named = |name: &str| {
        let facts = ColumnFacts { name: name.to_owned(), ..column("bigint", None, None) };
        facts.described().unwrap()
    };
    let sequence = "next_not_cached_value minimum_value maximum_value start_value increment cache_size cycle_option \
                    cycle_count";
    let mut columns: Vec<_> = sequence.split_ascii_whitespace().map(named).collect();
    assert!(is_sequence(&columns));
    columns.pop();
    assert!(!is_sequence(&columns));
    let name = Name { schema: "s".to_owned(), table: "t".to_owned() };
    let facts = Facts { versioned: true, ..Facts::default() };
    let error = table(&name, &columns, std::iter::repeat(&Type::Int8), Some(&facts)).unwrap_err();
    assert_eq!((error.code(), error.remedy_text().unwrap().contains("!s.t")), ("TW-MY-083", true));
}
