//! What is told about a target without running a pipeline, and files with awkward names or rights.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tailwater_core::{Column, Declared, ErrorKind, Fill, Sink, Type};
use tailwater_duckdb::{Config, DuckDb, Stopped, check, position as held_position, stopped_tables};

use crate::support::Do::{Insert, Shape};
use crate::support::{Target, config, position, rows, table};

#[test]
fn tells_position_and_stopped_tables_while_the_file_is_open_and_after() {
    let mut target = Target::new();
    let config = config(&target.path);
    let (t, unknown) =
        (table(1, "public.t", "1 id int4", 1), table(1, "public.t", "1 id int4, 2 at timestamptz=?", 1));
    target.write(&[Insert(&t, &["1"])]).unwrap();
    target.write(&[Shape(&unknown)]).unwrap();
    for open in [true, false] {
        if !open {
            target.sink.close().unwrap();
        }
        assert_eq!(held_position(&config).unwrap(), Some(position(2, 0)));
        let [Stopped { table, reason }] = stopped_tables(&config).unwrap().try_into().unwrap();
        assert!(table == "public.t" && reason.contains("column at"), "{table}: {reason}");
        assert_eq!(check(&config, &[]), []);
    }
}

#[test]
fn tells_nothing_of_a_file_that_is_not_there_or_not_ours() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("t.duckdb"));
    assert_eq!((held_position(&config).unwrap(), stopped_tables(&config).unwrap()), (None, vec![]));
    assert_eq!(check(&config, &[]), []);
    assert!(!config.path.exists(), "check makes no file");
    fs::copy("/proc/self/exe", &config.path).unwrap();
    let findings = check(&config, &[]);
    assert!(findings.len() == 1 && findings[0].code == "TW-DUCK-001", "{findings:?}");
    let other = Config { pipeline: "other".into(), ..config };
    let target = Target::new();
    let theirs = Config { path: target.path.clone(), ..other };
    drop(target.sink);
    assert!(held_position(&theirs).unwrap().is_none(), "nobody has written to it yet");
}

#[test]
fn finds_every_column_and_name_that_a_person_should_know_of() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("t.duckdb"));
    let mut first = (*table(1, "public.t", "1 id int4, 2 ID int4, 3 n numeric", 1)).clone();
    first.columns.push(Column {
        id: 4,
        name: "mood".into(),
        kind: Type::Other,
        source_type: "public.mood".into(),
        type_id: 0,
        fill: Fill::Null,
        declared: Declared::default(),
    });
    let tables =
        [first.into(), table(2, "Public.T", "1 id int4", 1), table(3, "tailwater.x", "1 id int4", 1)];
    let findings: Vec<String> = check(&config, &tables).iter().map(ToString::to_string).collect();
    expect_test::expect![[r#"
        warning [TW-DUCK-033] public.t: DuckDB takes the name of ID for another one: it becomes ID_2
        warning [TW-DUCK-034] public.t: held as text, exactly as Postgres prints it: n (numeric), mood (public.mood)
        error [TW-DUCK-027] DuckDB does not tell Public.T from public.t: the second is stopped
          to mend it: tables = [..., '!"Public"."T"'], or rename one of them in the source
        error [TW-DUCK-028] tailwater.x cannot be written: the schema tailwater is the sink's own
          to mend it: tables = [..., "!tailwater.*"]"#]]
    .assert_eq(&findings.join("\n"));
}

#[test]
fn a_file_may_have_the_name_of_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tailwater.duckdb", "public.duckdb", "temp.duckdb", "my \"shop\" 2.duckdb"] {
        let path = folder.path().join(name);
        let mut target = Target::at(&path).unwrap();
        let t = table(1, "public.t", "1 id int4, 2 n int4", 1);
        target.write(&[Insert(&t, &["1", "2"])]).unwrap();
        target.write(&[Shape(&table(1, "public.t", "1 id int4, 2 n text", 1))]).unwrap();
        target.reopen();
        assert_eq!(target.held, position(2, 0), "{name}");
        let reader = target.reader();
        let catalog = &rows(&reader, "SELECT current_database()")[0].replace('"', "\"\"");
        assert_eq!(rows(&reader, &format!("SELECT * FROM \"{catalog}\".public.t")), ["1|2"], "{name}");
        assert_eq!(held_position(&config(&path)).unwrap(), Some(position(2, 0)), "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("t.duckdb");
    let error = DuckDb::new(config(&path)).open().unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Operator, "TW-DUCK-001"), "{error}");
    assert_eq!(check(&config(&path), &[])[0].code, "TW-DUCK-001");
    // Root may write everywhere, so that there is nothing to see for it.
    let sealed = folder.path().join("sealed");
    fs::create_dir(&sealed).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o500)).unwrap();
    let findings = check(&config(&sealed.join("t.duckdb")), &[]);
    let is_root = fs::File::create(sealed.join("probe")).is_ok();
    assert_eq!(findings.is_empty(), is_root, "{findings:?}");
}
