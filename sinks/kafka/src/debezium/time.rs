//! Dates and times: Postgres' text in, Debezium's numbers and ISO text out.

/// How a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateForm {
    Days,
    Iso,
}

/// How a time of day or a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    Millis,
    Micros,
    Nanos,
    Iso,
}

const DAY_US: i64 = 86_400_000_000;
/// What the driver that Debezium uses makes of `infinity`, in µs.
const INFINITE_US: i64 = 9_223_372_036_825_200_000;
const MINUS_INFINITE_US: i64 = -9_223_372_036_832_400_000;
/// Likewise for dates, in days.
const INFINITE_DAYS: i64 = -2_147_472_692;
const MINUS_INFINITE_DAYS: i64 = -2_147_472_691;

pub(crate) fn date(out: &mut Vec<u8>, form: DateForm, text: &[u8]) -> bool {
    let days = match text {
        b"infinity" => Some(INFINITE_DAYS),
        b"-infinity" => Some(MINUS_INFINITE_DAYS),
        _ => days_of(text),
    };
    match (days, form) {
        (None, _) => return false,
        (Some(days), DateForm::Days) => number(out, days),
        (Some(days), DateForm::Iso) => {
            out.push(b'"');
            // The driver's two constants are a day apart from what their names say.
            let (year, month, day) = match days {
                INFINITE_DAYS => (-5_877_611, 6, 21),
                MINUS_INFINITE_DAYS => (-5_877_611, 6, 22),
                days => civil(days),
            };
            iso_date(out, year, month, day);
            out.extend_from_slice(b"Z\"");
        }
    }
    true
}

pub(crate) fn time(out: &mut Vec<u8>, form: TimeForm, text: &[u8]) -> bool {
    let Some((us, b"")) = time_of(text) else { return false };
    match form {
        TimeForm::Millis => number(out, us / 1000),
        TimeForm::Micros => number(out, us),
        TimeForm::Nanos => number(out, us * 1000),
        TimeForm::Iso => {
            out.push(b'"');
            iso_time(out, us % DAY_US, Fraction::Shortest);
            out.extend_from_slice(b"Z\"");
        }
    }
    true
}

/// A time of MySQL: hours up to 838, before or after midnight.
pub(crate) fn duration(out: &mut Vec<u8>, form: TimeForm, text: &[u8]) -> bool {
    let (negative, plain) = text.strip_prefix(b"-").map_or((false, text), |plain| (true, plain));
    let Some((us, b"")) = time_of(plain) else { return false };
    let signed = if negative { -us } else { us };
    match form {
        TimeForm::Millis => number(out, signed / 1000),
        TimeForm::Micros => number(out, signed),
        TimeForm::Nanos => number(out, signed * 1000),
        TimeForm::Iso => {
            out.extend_from_slice(if negative { b"\"-" } else { b"\"" });
            // Debezium stops at what is beyond a day.
            if us >= 100 * 3_600_000_000 {
                out.push(digit(us / (100 * 3_600_000_000)));
            }
            iso_time(out, us, Fraction::Shortest);
            out.extend_from_slice(b"Z\"");
        }
    }
    true
}

/// In UTC, without the day that the shift may have brought.
pub(crate) fn time_tz(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let Some((us, zone)) = time_of(text) else { return false };
    let Some(offset_s) = zone_of(zone) else { return false };
    out.push(b'"');
    iso_time(out, (us - offset_s * 1_000_000).rem_euclid(DAY_US), Fraction::Shortest);
    out.extend_from_slice(b"Z\"");
    true
}

pub(crate) fn timestamp(out: &mut Vec<u8>, form: TimeForm, text: &[u8]) -> bool {
    let (us, infinite) = match text {
        b"infinity" => (INFINITE_US, Some(i64::MAX)),
        b"-infinity" => (MINUS_INFINITE_US, Some(i64::MIN)),
        _ => match timestamp_of(text) {
            Some((us, b"")) => (us, None),
            Some(_) | None => return false,
        },
    };
    match form {
        TimeForm::Millis => number(out, us.div_euclid(1000)),
        TimeForm::Micros => number(out, us),
        TimeForm::Nanos => match infinite.or(us.checked_mul(1000)) {
            Some(ns) => number(out, ns),
            None => return false,
        },
        TimeForm::Iso => {
            out.push(b'"');
            iso_timestamp(out, us, Fraction::Shortest);
            out.extend_from_slice(b"Z\"");
        }
    }
    true
}

/// In UTC, with as many digits after the point as the column has.
pub(crate) fn timestamp_tz(out: &mut Vec<u8>, digits: u8, text: &[u8]) -> bool {
    out.push(b'"');
    match text {
        b"infinity" | b"-infinity" => out.extend_from_slice(text),
        _ => {
            let Some((us, zone)) = timestamp_of(text) else { return false };
            let Some(offset_s) = zone_of(zone) else { return false };
            iso_timestamp(out, us - offset_s * 1_000_000, Fraction::Digits(digits));
            out.push(b'Z');
        }
    }
    out.push(b'"');
    true
}

fn number(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Digits after the point of a second.
#[derive(Debug, Clone, Copy)]
enum Fraction {
    Shortest,
    Digits(u8),
}

fn iso_timestamp(out: &mut Vec<u8>, us: i64, fraction: Fraction) {
    let (year, month, day) = civil(us.div_euclid(DAY_US));
    iso_date(out, year, month, day);
    out.push(b'T');
    iso_time(out, us.rem_euclid(DAY_US), fraction);
}

fn iso_date(out: &mut Vec<u8>, year: i64, month: i64, day: i64) {
    if year > 9999 {
        out.push(b'+');
    } else if year < 0 {
        out.push(b'-');
    }
    let year = year.unsigned_abs();
    if year < 1000 {
        out.extend(std::iter::repeat_n(b'0', if year < 10 { 3 } else { 1 + usize::from(year < 100) }));
    }
    out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

fn iso_time(out: &mut Vec<u8>, us: i64, fraction: Fraction) {
    let seconds = us / 1_000_000;
    two(out, seconds / 3600);
    out.push(b':');
    two(out, seconds / 60 % 60);
    out.push(b':');
    two(out, seconds % 60);
    let mut rest = us % 1_000_000;
    let wanted = match fraction {
        Fraction::Digits(digits) => digits,
        Fraction::Shortest if rest == 0 => 0,
        Fraction::Shortest => 6,
    };
    if wanted == 0 {
        return;
    }
    out.push(b'.');
    let start = out.len();
    let mut unit = 100_000;
    for _ in 0..wanted.min(6) {
        out.push(digit(rest / unit));
        (rest, unit) = (rest % unit, unit / 10);
    }
    if matches!(fraction, Fraction::Shortest) {
        while out.len() > start && out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

fn two(out: &mut Vec<u8>, number: i64) {
    out.extend_from_slice(&[digit(number / 10 % 10), digit(number % 10)]);
}

fn digit(number: i64) -> u8 {
    u8::try_from(number).map_or(b'?', |number| b'0' + number % 10)
}

/// Days since 1970 of `2026-11-21` or `0044-03-15 BC`.
fn days_of(text: &[u8]) -> Option<i64> {
    let (text, before_christ) = text.strip_suffix(b" BC").map_or((text, false), |text| (text, true));
    let (days, rest) = date_part(text, before_christ)?;
    rest.is_empty().then_some(days)
}

fn date_part(text: &[u8], before_christ: bool) -> Option<(i64, &[u8])> {
    let (year, rest) = digits(text)?;
    let (month, rest) = digits(rest.strip_prefix(b"-")?)?;
    let (day, rest) = digits(rest.strip_prefix(b"-")?)?;
    Some((days_from(if before_christ { 1 - year } else { year }, month, day), rest))
}

/// µs since midnight of `04:05:06.789`, and what follows.
fn time_of(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hours, rest) = digits(text)?;
    let (minutes, rest) = digits(rest.strip_prefix(b":")?)?;
    let (seconds, mut rest) = match rest.strip_prefix(b":") {
        Some(rest) => digits(rest)?,
        None => (0, rest),
    };
    let mut us = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000;
    if let Some(mut fraction) = rest.strip_prefix(b".") {
        let mut unit = 100_000;
        while let [digit @ b'0'..=b'9', after @ ..] = fraction {
            us += i64::from(digit - b'0') * unit;
            (unit, fraction) = (unit / 10, after);
        }
        rest = fraction;
    }
    Some((us, rest))
}

/// µs since 1970 of `2026-11-21 04:05:06.789`, and the zone that follows. ` BC` stands at the end of all.
fn timestamp_of(text: &[u8]) -> Option<(i64, &[u8])> {
    let (text, before_christ) = text.strip_suffix(b" BC").map_or((text, false), |text| (text, true));
    let (days, rest) = date_part(text, before_christ)?;
    if rest.is_empty() {
        return Some((days.checked_mul(DAY_US)?, rest));
    }
    let (us, zone) = time_of(rest.strip_prefix(b" ")?)?;
    Some((days.checked_mul(DAY_US)?.checked_add(us)?, zone))
}

/// Seconds east of Greenwich of `+05:30`, `-07:30:15`, `+00`.
fn zone_of(zone: &[u8]) -> Option<i64> {
    let (&sign, rest) = zone.split_first()?;
    let (hours, rest) = digits(rest)?;
    let (minutes, rest) = rest.strip_prefix(b":").map_or(Some((0, rest)), digits)?;
    let (seconds, rest) = rest.strip_prefix(b":").map_or(Some((0, rest)), digits)?;
    let offset = (hours * 60 + minutes) * 60 + seconds;
    match (sign, rest) {
        (b'+', []) => Some(offset),
        (b'-', []) => Some(-offset),
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(count)?;
    let valid = !digits.is_empty() && digits.len() <= 9;
    valid.then(|| (digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')), rest))
}

/// Days since 1970 in the calendar that is Gregorian for ever, with a year 0.
fn days_from(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The reverse of [`days_from`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The parts of an interval, each with its own sign.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IntervalParts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    /// Seconds with their fraction.
    us: i64,
}

impl IntervalParts {
    /// Of `1 year -2 mons 3 days -04:05:06.789`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = Self::default();
        let mut words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            let (negative, plain) = match word {
                [b'-', rest @ ..] => (true, rest),
                [b'+', rest @ ..] => (false, rest),
                word => (false, word),
            };
            let sign = if negative { -1 } else { 1 };
            if plain.contains(&b':') {
                let (us, b"") = time_of(plain)? else { return None };
                parts.hours = sign * (us / 3_600_000_000);
                parts.minutes = sign * (us / 60_000_000 % 60);
                parts.us = sign * (us % 60_000_000);
                continue;
            }
            let (number, b"") = digits(plain)? else { return None };
            match words.next()? {
                b"year" | b"years" => parts.years = sign * number,
                b"mon" | b"mons" => parts.months = sign * number,
                b"day" | b"days" => parts.days = sign * number,
                _ => return None,
            }
        }
        Some(parts)
    }

    /// µs, reckoned in binary floating point exactly as Debezium does.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "Java's casts do the same"
    )]
    pub(crate) fn micros(self) -> i64 {
        let days = (self.years * 12 + self.months) as f64 * (365.25 / 12.0) + self.days as f64;
        let seconds = self.us as f64 / 1_000_000.0;
        let seconds = ((days * 24.0 + self.hours as f64) * 60.0 + self.minutes as f64) * 60.0 + seconds;
        (seconds * 1e6) as i64
    }

    /// `P1Y2M3DT4H5M6.789S`
    pub(crate) fn iso(self, out: &mut Vec<u8>) {
        out.push(b'P');
        let parts = [
            (self.years, "Y"),
            (self.months, "M"),
            (self.days, "DT"),
            (self.hours, "H"),
            (self.minutes, "M"),
        ];
        for (part, unit) in parts {
            number(out, part);
            out.extend_from_slice(unit.as_bytes());
        }
        if self.us < 0 {
            out.push(b'-');
        }
        let us = self.us.abs();
        number(out, us / 1_000_000);
        let (mut rest, mut unit) = (us % 1_000_000, 100_000);
        if rest > 0 {
            out.push(b'.');
        }
        while rest > 0 {
            out.push(digit(rest / unit));
            (rest, unit) = (rest % unit, unit / 10);
        }
        out.push(b'S');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> bool) -> String {
        let mut out = Vec::new();
        assert!(write(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn counts_days_both_ways() {
        for days in (-800_000..800_000).step_by(97).chain([-719_163, -719_162, 0, -1, 11_016]) {
            let (year, month, day) = civil(days);
            assert_eq!(days_from(year, month, day), days);
        }
        let check = |text: &str, expected: &str| {
            assert_eq!(written(|out| date(out, DateForm::Days, text.as_bytes())), expected, "{text}");
        };
        check("0044-03-15 BC", "-735160");
        check("2026-11-21", "20778");
        check("infinity", "-2147472692");
    }

    #[test]
    fn writes_times() {
        let check = |form, text: &str, expected: &str| {
            assert_eq!(written(|out| timestamp(out, form, text.as_bytes())), expected, "{text}");
        };
        check(TimeForm::Micros, "0001-12-31 23:59:59.999999 BC", "-62135596800000001");
        check(TimeForm::Millis, "1969-12-31 23:59:59.999", "-1");
        check(TimeForm::Iso, "infinity", "\"+294247-01-10T04:00:25.2Z\"");
        check(TimeForm::Iso, "2026-11-21 04:05:06.7", "\"2026-11-21T04:05:06.7Z\"");
        check(TimeForm::Nanos, "-infinity", "-9223372036854775808");
        let tz = |text: &str| written(|out| time_tz(out, text.as_bytes()));
        assert_eq!(tz("24:00:00-15:59"), "\"15:59:00Z\"");
        assert_eq!(tz("12:00:00-00:00:01"), "\"12:00:01Z\"");
        let zoned = |digits, text: &str| written(|out| timestamp_tz(out, digits, text.as_bytes()));
        assert_eq!(zoned(6, "2026-11-20 22:35:06.789+00"), "\"2026-11-20T22:35:06.789000Z\"");
        assert_eq!(zoned(0, "2026-11-20 22:35:06+00"), "\"2026-11-20T22:35:06Z\"");
    }

    #[test]
    fn writes_intervals() {
        let check = |text: &str, micros, iso: &str| {
            let parts = IntervalParts::parse(text.as_bytes()).unwrap();
            let mut out = Vec::new();
            parts.iso(&mut out);
            assert_eq!((parts.micros(), String::from_utf8(out).unwrap().as_str()), (micros, iso), "{text}");
        };
        check("1 year 2 mons 3 days 04:05:06.789", 37_091_106_789_000, "P1Y2M3DT4H5M6.789S");
        check("-1 years -2 mons +3 days -04:05:06.000001", -36_572_706_000_001, "P-1Y-2M3DT-4H-5M-6.000001S");
        check("00:00:00", 0, "P0Y0M0DT0H0M0S");
        check("100:00:00", 360_000_000_000, "P0Y0M0DT100H0M0S");
    }
}
