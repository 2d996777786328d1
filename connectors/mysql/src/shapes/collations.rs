//! How many bytes a character takes at most, by the number of its collation: the log counts bytes, a type's name characters.

/// Bytes, not text.
pub(super) const BINARY: u16 = 63;

/// At most.
pub(crate) fn bytes_per_character(collation: u16) -> u16 {
    match collation {
        // MariaDB's NO PAD collations are numbered like those with PAD.
        1025..=1279 => bytes_per_character(collation - 1024),
        // big5, sjis, euckr, gb2312, gbk, ucs2, cp932
        1 | 84 | 13 | 88 | 19 | 85 | 24 | 86 | 28 | 87 | 35 | 90 | 95 | 96 | 128..=151 | 159 => 2,
        // ujis, eucjpms, utf8mb3
        12 | 91 | 97 | 98 | 33 | 76 | 83 | 192..=215 | 223 => 3,
        // utf8mb4, utf16, utf16le, utf32, gb18030
        45 | 46 | 54 | 55 | 56 | 60..=62 | 101..=124 | 160..=183 | 224..=247 | 248..=250 | 255..=323 => 4,
        // MariaDB's later ones: utf8mb3, utf8mb4, ucs2, utf16 and utf32; first the Croatian, then those of UCA 14.
        576..=607 | 2048..=2303 => 3,
        640..=671 | 2560..=2815 => 2,
        608..=639 | 672..=767 | 2304..=2559 | 2816..=3327 => 4,
        _ => 1,
    }
}
