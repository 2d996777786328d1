//! Documents of the server are among the fixtures of `rows`; here is what is too large or too wrong for them.

use proptest::prelude::*;

use super::*;

fn text(document: &[u8]) -> String {
    let mut out = Vec::new();
    write(document, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn error(document: &[u8]) -> String {
    write(document, &mut Vec::new()).unwrap_err().message()
}

#[test]
fn an_empty_document_is_null() {
    assert_eq!(text(&[]), "null");
}

#[test]
fn reads_large_containers_with_numbers_inside_of_entries() {
    // An object of one key, `a`, whose value is an array of an int32 and a literal, both in their entries.
    let array = [2, 0, 0, 0, 18, 0, 0, 0, 7, 0xFE, 0xFF, 0xFF, 0xFF, 4, 1, 0, 0, 0];
    let mut object = vec![1, 1, 0, 0, 0, 38, 0, 0, 0, 19, 0, 0, 0, 1, 0, 3, 20, 0, 0, 0, b'a'];
    object.extend_from_slice(&array);
    assert_eq!(text(&object), r#"{"a": [-2, true]}"#);
}

#[test]
fn breaks_lines_of_base64_as_the_server_does() {
    let mut opaque = vec![15, 252, 58];
    opaque.extend_from_slice(&[0; 58]);
    assert_eq!(text(&opaque), format!("\"base64:type252:{}\\nAA==\"", "A".repeat(76)));
    let mut opaque = vec![15, 252, 57];
    opaque.extend_from_slice(&[0; 57]);
    assert_eq!(text(&opaque), format!("\"base64:type252:{}\"", "A".repeat(76)));
}

#[test]
fn refuses_documents_that_no_server_writes() {
    assert_eq!(error(&[16]), "a JSON value of type 16");
    assert_eq!(error(&[4, 3]), "a JSON literal numbered Some(3)");
    assert_eq!(error(&[2, 1, 0, 9, 0]), "a JSON array or object longer than its document");
    assert_eq!(error(&[2, 2, 0, 7, 0, 4, 0, 0]), "a JSON array or object shorter than its entries");
    assert_eq!(error(&[12, 5, b'a']), "a JSON string longer than its document");
    assert_eq!(error(&[11, 0, 0, 0, 0, 0, 0, 0xF0, 0x7F]), "a JSON number that is infinite or not a number");
    // An array whose only value is itself.
    assert_eq!(error(&[2, 1, 0, 7, 0, 2, 0, 0]), "a JSON document whose parts overlap");
}

#[test]
fn refuses_documents_that_repeat_one_part() {
    // Two values a level, both the same.
    let mut document = vec![12, 1, b'a'];
    for _ in 0..40 {
        let size = u8::try_from(10 + document.len() - 1).unwrap_or(u8::MAX);
        let kind = document[0];
        let mut outer = vec![2, 2, 0, size, 0, kind, 10, 0, kind, 10, 0];
        outer.extend_from_slice(&document[1..]);
        if size == u8::MAX {
            break;
        }
        document = outer;
    }
    assert_eq!(error(&document), "a JSON document whose parts overlap");
}

proptest! {
    #[test]
    fn any_bytes_are_a_document_or_an_error(document in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut out = Vec::new();
        // What is not in step with the bytes that came could be made to fill the memory.
        if write(&document, &mut out).is_ok() {
            prop_assert!(out.len() <= 400 * (document.len() + 1));
        }
    }
}
