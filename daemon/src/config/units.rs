//! Sizes and times with their units, as people write them: `"4MB"`, `"64MiB"`, `"10s"`, `"1h"`. Pure.

use std::time::Duration;

use super::document::{list, nearest};

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

const TIMES_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    quantity(text, &SIZES, "4MB")
}

/// A span of time.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    quantity(text, &TIMES_MS, "10s").map(Duration::from_millis)
}

fn quantity(text: &str, units: &[(&str, u64)], example: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim();
    let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
    let number: u64 = digits
        .parse()
        .map_err(|_error| format!("must start with a whole number and end with a unit: \"{example}\""))?;
    if unit.is_empty() {
        return Err(format!("lacks its unit: write \"{example}\" (units: {})", list(&names)));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has the unknown unit `{unit}`; {}", nearest(unit, &names)));
    };
    number.checked_mul(*factor).ok_or_else(|| format!("is too large: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_says_what_is_wrong_with_them() {
        assert_eq!(size("4MB"), Ok(4_000_000));
        assert_eq!(size("2 GiB"), Ok(2 << 30));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(size("4mb").unwrap_err(), "has the unknown unit `mb`; did you mean `MB`?");
        assert_eq!(
            duration("10").unwrap_err(),
            "lacks its unit: write \"10s\" (units: `ms`, `s`, `min`, `h` or `d`)"
        );
        assert_eq!(
            duration("soon").unwrap_err(),
            "must start with a whole number and end with a unit: \"10s\""
        );
        assert_eq!(size("99999999999TB").unwrap_err(), "is too large: 99999999999TB");
    }
}
