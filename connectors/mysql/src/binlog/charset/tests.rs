//! What the servers answered, in part; the whole of it is compared whenever the data files are made anew.

use proptest::prelude::*;

use super::*;

fn text(collation: u16, bytes: &[u8]) -> String {
    let mut out = b"before ".to_vec();
    to_utf8(collation, bytes, &mut out).unwrap();
    String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
}

fn error(collation: u16, bytes: &[u8]) -> String {
    to_utf8(collation, bytes, &mut Vec::new()).unwrap_err().message()
}

#[test]
fn every_collation_has_a_character_set_that_is_known() {
    let mut collations = 0;
    for collation in (0..4096).chain([u16::MAX]) {
        match Charset::of(collation) {
            Ok(_) => collations += 1,
            Err(error) => assert_eq!(error.code(), "TW-MY-057"),
        }
    }
    // All but `binary`.
    assert_eq!(collations, 1310);
    assert_eq!(KNOWN.len(), 40);
    let name = |collation| Charset::of(collation).unwrap().name();
    assert_eq!([8, 33, 255, 2304, 2048].map(name), ["latin1", "utf8mb3", "utf8mb4", "utf8mb4", "utf8mb3"]);
}

#[test]
fn the_names_of_what_is_known() {
    assert!(
        ["latin1", "tis620", "utf8", "utf8mb3", "utf8mb4", "gb18030", "binary"].into_iter().all(is_known)
    );
    assert!(!is_known("klingon"));
}

#[test]
fn reads_single_bytes_as_the_server_does() {
    assert_eq!(text(8, b"caf\xE9 \x80\x81"), "caf\u{e9} \u{20ac}\u{81}");
    assert_eq!(text(10, b"@[\\]"), "\u{c9}\u{c4}\u{d6}\u{c5}");
    assert_eq!(text(51, &[0xCF, 0xF0, 0xE8]), "\u{41f}\u{440}\u{438}");
    assert_eq!(text(18, &[0xA1]), "\u{e01}");
    // Two ways of the server to say that a byte means nothing.
    assert_eq!(text(18, &[0xFF, 0xA0, 0xDB]), "\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(text(26, b"\x81a"), "?a");
}

#[test]
fn reads_several_bytes_as_the_server_does() {
    assert_eq!(text(13, &[b'a', 0x81, 0x5F, 0xB1, 0x81, 0x60, 0x82, 0xA0]), "a\\\u{ff71}\u{301c}\u{3042}");
    assert_eq!(text(95, &[0x81, 0x60, 0x82, 0xA0]), "\u{ff5e}\u{3042}");
    assert_eq!(text(12, &[0x8F, 0xA2, 0xB7, 0xA4, 0xA2, 0x8E, 0xB1]), "~\u{3042}\u{ff71}");
    assert_eq!(text(24, &[0xA1, 0xA4, 0xB0, 0xA1]), "\u{30fb}\u{554a}");
    assert_eq!(
        text(248, &[0xA3, 0xA0, 0x81, 0x30, 0x84, 0x36, 0x90, 0x30, 0x81, 0x30]),
        "\u{e5e5}\u{a5}\u{10000}"
    );
    assert_eq!(text(1, &[0xA4, 0xA4, 0xA1, 0x45]), "\u{4e2d}\u{2022}");
    assert_eq!(text(19, &[0xB0, 0xA1]), "\u{ac00}");
    assert_eq!(text(28, &[0xC4, 0xE3]), "\u{4f60}");
    assert_eq!(error(28, &[0xC4]), "a text has bytes that mean nothing in the character set gbk");
    assert_eq!(error(12, &[0x8F, 0xA2]), "a text has bytes that mean nothing in the character set ujis");
}

#[test]
fn reads_wide_characters() {
    assert_eq!(text(35, &[0x20, 0xAC]), "\u{20ac}");
    assert_eq!(text(54, &[0xD8, 0x3D, 0xDE, 0x00, 0, b'a']), "\u{1f600}a");
    assert_eq!(text(56, &[0x3D, 0xD8, 0x00, 0xDE]), "\u{1f600}");
    assert_eq!(text(60, &[0, 1, 0xF6, 0]), "\u{1f600}");
    for (collation, bytes) in
        [(35, &[0xD8, 0][..]), (35, &[0]), (54, &[0xD8, 0]), (60, &[0, 0x11, 0, 0]), (60, &[0])]
    {
        assert!(error(collation, bytes).contains("mean nothing"), "{collation} {bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_text_or_an_error(collation in 0_u16..3300, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(charset) = Charset::of(collation) {
            let mut out = Vec::new();
            if charset.append(&bytes, &mut out).is_ok() && !matches!(charset.0.scheme, Scheme::Utf8) {
                prop_assert!(String::from_utf8(out).is_ok());
            }
        }
    }

    #[test]
    fn utf16_reads_back(given in ".*") {
        let units: Vec<u8> = given.encode_utf16().flat_map(u16::to_be_bytes).collect();
        prop_assert_eq!(text(54, &units), given);
    }
}
