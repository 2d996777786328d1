//! Diffs of the server are among the fixtures of `rows`; here are paths and what does not fit.

use super::*;

/// `{"a": 1, "b": [true, null]}`
const BEFORE: &[u8] = &[
    0, 2, 0, 32, 0, 18, 0, 1, 0, 19, 0, 1, 0, 5, 1, 0, 2, 20, 0, b'a', b'b', 2, 0, 10, 0, 4, 1, 0, 4, 0, 0,
    0, 0,
];

fn diff(operation: u8, path: &str, document: &[u8]) -> Vec<u8> {
    let mut diff = vec![operation, u8::try_from(path.len()).unwrap()];
    diff.extend_from_slice(path.as_bytes());
    if operation != 2 {
        diff.push(u8::try_from(document.len()).unwrap());
        diff.extend_from_slice(document);
    }
    diff
}

fn after(diffs: &[Vec<u8>]) -> Result<String> {
    let mut out = Vec::new();
    write(BEFORE, &diffs.concat(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn changes_what_the_path_names() {
    let two = [5, 2, 0];
    assert_eq!(after(&[]).unwrap(), r#"{"a": 1, "b": [true, null]}"#);
    assert_eq!(after(&[diff(0, "$.a", &two)]).unwrap(), r#"{"a": 2, "b": [true, null]}"#);
    assert_eq!(after(&[diff(1, "$.b[0]", &two)]).unwrap(), r#"{"a": 1, "b": [2, true, null]}"#);
    assert_eq!(after(&[diff(1, "$.b[7]", &two)]).unwrap(), r#"{"a": 1, "b": [true, null, 2]}"#);
    assert_eq!(after(&[diff(2, "$.b[last]", &[])]).unwrap(), r#"{"a": 1, "b": [true]}"#);
    assert_eq!(
        after(&[diff(1, "$.ab", &two), diff(2, "$.a", &[])]).unwrap(),
        r#"{"b": [true, null], "ab": 2}"#
    );
}

#[test]
fn refuses_what_does_not_fit() {
    for (operation, path) in [
        (0, "$.c"),
        (1, "$.a"),
        (2, "$.c"),
        (0, "$.b[2]"),
        (2, "$.b[last-2]"),
        (1, "$.a.b"),
        (0, "$[0]"),
        (2, "$"),
    ] {
        assert!(after(&[diff(operation, path, &[4, 0])]).is_err(), "{operation} {path}");
    }
    assert!(after(&[vec![3, 1, b'$']]).is_err());
    assert!(after(&[vec![0, 9, b'$']]).is_err());
}

#[test]
fn reads_paths() {
    let member = |name: &str| Leg::Member(name.as_bytes().to_vec().into());
    assert_eq!(
        legs(br#"$.a."b \"\\ \u00e9\ud83d\ude00"[3][last][last-2]"#).unwrap(),
        [member("a"), member("b \"\\ \u{e9}\u{1f600}"), Leg::Cell(3), Leg::FromEnd(0), Leg::FromEnd(2)]
    );
    for path in ["", "a", "$a", "$.", "$[", "$[x]", "$.\"a", "$[last-]", "$**.a"] {
        assert!(legs(path.as_bytes()).is_err(), "{path}");
    }
}
