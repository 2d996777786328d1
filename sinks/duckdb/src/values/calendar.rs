//! Dates, times, timestamps and intervals: Postgres's text (`DateStyle=ISO`, `IntervalStyle=postgres`, UTC) to the
//! numbers `DuckDB` keeps, and back. Pure.
//!
//! Every `parse` takes exactly the text that its `render` gives, and nothing else: `None` says that the value would
//! come out as other text than went in, or is none that `DuckDB` can hold.

use super::number::push;
use crate::chunk::Interval;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The largest offset from UTC that a `TIMETZ` holds, seconds. It keeps the distance from it, so that values sort.
const OFFSET_MAX: i64 = 16 * 3600 - 1;
const OFFSET_BITS: u32 = 24;

/// Days before the first of March, counted from it, of the months from March to February.
const DAYS_BEFORE: [i64; 12] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337];
/// From 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// Days since 1970-01-01 of a date in the calendar that Postgres counts with, year 0 being 1 BC.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that start in March have their odd day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = DAYS_BEFORE.get(usize::try_from(month).ok()?)?;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leaps + before + day - 1 - EPOCH)
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, usize, i64) {
    let days = days + EPOCH;
    let (era, day) = (days.div_euclid(DAYS_PER_400_YEARS), days.rem_euclid(DAYS_PER_400_YEARS));
    // Leap days at the end of every 4th, but not every 100th, but every 400th year.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = DAYS_BEFORE.iter().rposition(|&before| before <= day).unwrap_or_default();
    let day = day - DAYS_BEFORE.get(month).unwrap_or(&0) + 1;
    let year = era * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// Reads text from the left.
struct Reader<'t>(&'t [u8]);

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    fn two_digits(&mut self) -> Option<i64> {
        match self.0 {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => {
                self.0 = rest;
                Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
            }
            _ => None,
        }
    }

    /// Four digits or more, without a zero before more than four.
    fn year(&mut self) -> Option<i64> {
        let len = self.0.iter().position(|byte| !byte.is_ascii_digit())?;
        let (digits, rest) = self.0.split_at_checked(len)?;
        if !(4..=9).contains(&len) || (len > 4 && digits.first() == Some(&b'0')) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |year, digit| year * 10 + i64::from(digit - b'0')))
    }

    /// `YYYY-MM-DD`; the year is as written, before ` BC` is known.
    fn date(&mut self) -> Option<(i64, i64, i64)> {
        let year = self.year()?;
        self.take(b'-')?;
        let month = self.two_digits()?;
        self.take(b'-')?;
        Some((year, month, self.two_digits()?))
    }

    /// `HH:MM:SS.ffffff`, in microseconds.
    fn time(&mut self) -> Option<i64> {
        let hour = self.two_digits()?;
        self.take(b':')?;
        let minute = self.two_digits()?;
        self.take(b':')?;
        let second = self.two_digits()?;
        let micros = if self.take(b'.').is_some() { self.declared_fraction()? } else { 0 };
        if minute > 59 || second > 59 {
            return None;
        }
        let time = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
        (time <= MICROS_PER_DAY).then_some(time)
    }

    /// One to six digits of which the last is not 0, in millionths.
    fn fraction(&mut self) -> Option<i64> {
        let digits = self.0.split(|byte| !byte.is_ascii_digit()).next()?;
        if digits.last() == Some(&b'0') { None } else { self.declared_fraction() }
    }

    /// One to six digits. Zeros at the end say nothing of the value: `MySQL` prints as many digits as are declared,
    /// Postgres none that are 0.
    fn declared_fraction(&mut self) -> Option<i64> {
        let len = self.0.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at_checked(len)?;
        if len > 6 || digits.is_empty() {
            return None;
        }
        self.0 = rest;
        let value = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        Some(value * 10_i64.pow(6 - u32::try_from(len).ok()?))
    }

    /// The rest must be nothing or ` BC`; the year before or after.
    fn era(&self, year: i64) -> Option<i64> {
        match (self.0, year) {
            (_, 0) => None,
            ([], year) => Some(year),
            (b" BC", year) => Some(1 - year),
            _ => None,
        }
    }
}

/// Days since 1970; the infinities are the numbers `DuckDB` gave that meaning.
pub(super) fn parse_date(text: &[u8]) -> Option<i32> {
    match text {
        b"infinity" => return Some(i32::MAX),
        b"-infinity" => return Some(-i32::MAX),
        _ => {}
    }
    let mut reader = Reader(text);
    let (year, month, day) = reader.date()?;
    let days = i32::try_from(days(reader.era(year)?, month, day)?).ok()?;
    (days.unsigned_abs() < i32::MAX.unsigned_abs()).then_some(days)
}

/// The inverse of [`parse_date`].
pub(super) fn render_date(days: i32, out: &mut Vec<u8>) {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        _ if days == -i32::MAX => out.extend_from_slice(b"-infinity"),
        _ => {
            let before_christ = push_date(i64::from(days), out);
            push_era(before_christ, out);
        }
    }
}

/// Writes a date without its era, which it returns.
fn push_date(days: i64, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = date(days);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year };
    push(out, format_args!("{year:04}-{month:02}-{day:02}"));
    before_christ
}

fn push_era(before_christ: bool, out: &mut Vec<u8>) {
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

/// Microseconds since midnight, `24:00:00` included.
pub(super) fn parse_time(text: &[u8]) -> Option<i64> {
    let mut reader = Reader(text);
    let time = reader.time()?;
    reader.0.is_empty().then_some(time)
}

/// The inverse of [`parse_time`].
pub(super) fn render_time(micros: i64, out: &mut Vec<u8>) {
    push_clock(micros.unsigned_abs(), out);
}

fn push_clock(micros: u64, out: &mut Vec<u8>) {
    let second = MICROS_PER_SECOND.unsigned_abs();
    let (seconds, fraction) = (micros / second, micros % second);
    push(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if fraction != 0 {
        push(out, format_args!(".{fraction:06}"));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Microseconds and offset in the 64 bits that `DuckDB` keeps.
pub(super) fn parse_time_tz(text: &[u8]) -> Option<u64> {
    let mut reader = Reader(text);
    let micros = reader.time()?;
    let negative = if reader.take(b'-').is_some() {
        true
    } else {
        reader.take(b'+')?;
        false
    };
    let hours = reader.two_digits()?;
    let minutes = if reader.take(b':').is_some() { Some(reader.two_digits()?) } else { None };
    let seconds = if reader.take(b':').is_some() { Some(reader.two_digits()?) } else { None };
    let (minute, second) = (minutes.unwrap_or(0), seconds.unwrap_or(0));
    let offset = (hours * 60 + minute) * 60 + second;
    // Minutes and seconds are there only where they are needed.
    let needless =
        seconds == Some(0) || (minutes == Some(0) && seconds.is_none()) || (negative && offset == 0);
    if needless || minute > 59 || second > 59 || offset > OFFSET_MAX || !reader.0.is_empty() {
        return None;
    }
    let offset = if negative { -offset } else { offset };
    Some(u64::try_from(micros).ok()? << OFFSET_BITS | u64::try_from(OFFSET_MAX - offset).ok()?)
}

/// The inverse of [`parse_time_tz`].
pub(super) fn render_time_tz(bits: u64, out: &mut Vec<u8>) {
    render_time((bits >> OFFSET_BITS).cast_signed(), out);
    let offset = OFFSET_MAX - (bits & ((1 << OFFSET_BITS) - 1)).cast_signed();
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (offset.abs() / 3600, offset.abs() / 60 % 60, offset.abs() % 60);
    push(out, format_args!("{sign}{hours:02}"));
    if minutes != 0 || seconds != 0 {
        push(out, format_args!(":{minutes:02}"));
    }
    if seconds != 0 {
        push(out, format_args!(":{seconds:02}"));
    }
}

/// Microseconds since 1970; `zone` is `+00` or nothing. Beyond 294247-01-10 `DuckDB` has none.
pub(super) fn parse_timestamp(text: &[u8], zone: &[u8]) -> Option<i64> {
    match text {
        b"infinity" => return Some(i64::MAX),
        b"-infinity" => return Some(-i64::MAX),
        _ => {}
    }
    let mut reader = Reader(text);
    let (year, month, day) = reader.date()?;
    reader.take(b' ')?;
    let time = reader.time()?;
    reader.0 = reader.0.strip_prefix(zone)?;
    let days = days(reader.era(year)?, month, day)?;
    if time == MICROS_PER_DAY {
        return None;
    }
    let micros = days.checked_mul(MICROS_PER_DAY)?.checked_add(time)?;
    (micros.unsigned_abs() < i64::MAX.unsigned_abs()).then_some(micros)
}

/// The inverse of [`parse_timestamp`].
pub(super) fn render_timestamp(micros: i64, zone: &[u8], out: &mut Vec<u8>) {
    match micros {
        i64::MAX => out.extend_from_slice(b"infinity"),
        _ if micros == -i64::MAX => out.extend_from_slice(b"-infinity"),
        _ => {
            let before_christ = push_date(micros.div_euclid(MICROS_PER_DAY), out);
            out.push(b' ');
            render_time(micros.rem_euclid(MICROS_PER_DAY), out);
            out.extend_from_slice(zone);
            push_era(before_christ, out);
        }
    }
}

/// `1 year 2 mons -3 days +04:05:06.789`; not the infinite ones, which `DuckDB` has not. `scratch` is used to prove
/// that it comes out the same.
pub(super) fn parse_interval(text: &[u8], scratch: &mut Vec<u8>) -> Option<Interval> {
    let mut months = 0_i64;
    let mut interval = Interval::default();
    let mut words = text.split(|&byte| byte == b' ');
    while let Some(word) = words.next() {
        if word.contains(&b':') {
            interval.micros = parse_interval_time(word)?;
            continue;
        }
        let number: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
        match words.next()? {
            b"year" | b"years" => months = number.checked_mul(12)?,
            b"mon" | b"mons" => months = months.checked_add(number)?,
            b"day" | b"days" => interval.days = i32::try_from(number).ok()?,
            _ => return None,
        }
    }
    interval.months = i32::try_from(months).ok()?;
    scratch.clear();
    render_interval(interval, scratch);
    (scratch == text).then_some(interval)
}

/// A sign, any number of hours, minutes and seconds, in microseconds.
fn parse_interval_time(word: &[u8]) -> Option<i64> {
    let (negative, unsigned) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let colon = unsigned.iter().position(|&byte| byte == b':')?;
    let (hours, rest) = unsigned.split_at_checked(colon)?;
    let hours: i64 = std::str::from_utf8(hours).ok()?.parse().ok()?;
    let mut reader = Reader(rest);
    reader.take(b':')?;
    let minutes = reader.two_digits()?;
    reader.take(b':')?;
    let seconds = reader.two_digits()?;
    let fraction = if reader.take(b'.').is_some() { reader.fraction()? } else { 0 };
    // The least interval has no positive twin, so the sum is made with the sign on it.
    let sign = if negative { -1 } else { 1 };
    let micros = hours.checked_mul(sign * 3600 * MICROS_PER_SECOND)?;
    let micros = micros.checked_add(sign * ((minutes * 60 + seconds) * MICROS_PER_SECOND + fraction))?;
    reader.0.is_empty().then_some(micros)
}

/// The inverse of [`parse_interval`]: units that are not 0, a plus before a positive one that follows a negative one,
/// and the time where it is not 0 or nothing else is there.
pub(super) fn render_interval(interval: Interval, out: &mut Vec<u8>) {
    let start = out.len();
    let mut after_negative = false;
    let units = [(interval.months / 12, "year"), (interval.months % 12, "mon"), (interval.days, "day")];
    for (value, unit) in units {
        if value == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        push(out, format_args!("{space}{plus}{value} {unit}{plural}"));
        after_negative = value < 0;
    }
    let empty = out.len() == start;
    if interval.micros == 0 && !empty {
        return;
    }
    if !empty {
        out.push(b' ');
    }
    match (interval.micros < 0, after_negative) {
        (true, _) => out.push(b'-'),
        (false, true) => out.push(b'+'),
        (false, false) => {}
    }
    push_clock(interval.micros.unsigned_abs(), out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(render: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        render(&mut out);
        out
    }

    /// `04:05:06.700+00` as `04:05:06.7+00`.
    fn without_zeros(given: &[u8]) -> Vec<u8> {
        let Some(point) = given.iter().position(|&byte| byte == b'.') else { return given.to_vec() };
        let (before, rest) = given.split_at(point);
        let len =
            rest.iter().skip(1).position(|byte| !byte.is_ascii_digit()).map_or(rest.len(), |len| len + 1);
        let (fraction, after) = rest.split_at(len);
        let kept = fraction.iter().rposition(|byte| !b".0".contains(byte)).map_or(0, |last| last + 1);
        [before, &fraction[..kept], after].concat()
    }

    #[test]
    fn counts_every_day_of_eight_hundred_years() {
        let mut expected = (1600, 3, 1);
        for day in days(1600, 3, 1).unwrap()..days(2400, 3, 1).unwrap() {
            assert_eq!(date(day), expected);
            let (year, month, day) = (expected.0, expected.1 as i64, expected.2);
            expected = [(year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1)]
                .into_iter()
                .find(|next| days(next.0, next.1, next.2).is_some())
                .map(|next| (next.0, usize::try_from(next.1).unwrap(), next.2))
                .unwrap();
        }
        assert_eq!((days(1970, 1, 1), days(2000, 2, 30), days(1900, 2, 29)), (Some(0), None, None));
    }

    proptest! {
        #[test]
        fn every_date_comes_back(days in -2_451_507_i32..2_145_031_949) {
            prop_assert_eq!(parse_date(&text(|out| render_date(days, out))), Some(days));
        }

        #[test]
        fn every_timestamp_comes_back(micros in -211_810_204_800_000_000_i64..i64::MAX, fraction in 0_u32..7) {
            let micros = micros - micros % 10_i64.pow(fraction);
            for zone in ["", "+00"] {
                let text = text(|out| render_timestamp(micros, zone.as_bytes(), out));
                prop_assert_eq!(parse_timestamp(&text, zone.as_bytes()), Some(micros));
            }
        }

        #[test]
        fn every_time_comes_back(micros in 0..=MICROS_PER_DAY, offset in -OFFSET_MAX..=OFFSET_MAX) {
            prop_assert_eq!(parse_time(&text(|out| render_time(micros, out))), Some(micros));
            let bits = micros.cast_unsigned() << OFFSET_BITS | (OFFSET_MAX - offset).cast_unsigned();
            prop_assert_eq!(parse_time_tz(&text(|out| render_time_tz(bits, out))), Some(bits));
        }

        #[test]
        fn every_interval_comes_back(months: i32, days: i32, micros: i64, small in 0..3_usize) {
            let scale = [1, 1 << 20, 1 << 30][small];
            let interval = Interval { months: months / scale, days: days / scale, micros: micros / i64::from(scale) };
            let text = text(|out| render_interval(interval, out));
            prop_assert_eq!(parse_interval(&text, &mut Vec::new()), Some(interval));
        }

        /// Whatever the text, what is taken comes out as it went in, but for zeros at the end of a fraction.
        #[test]
        fn nothing_is_changed(
            given in "([0-9]{3,6}-[01][0-9]-[0-3][0-9])?( )?([0-2][0-9]:[0-5][0-9]:[0-6][0-9])?([.][0-9]{1,7})?([-+][01][0-9](:[0-9]{2}){0,2})?( BC)?",
            interval in "(-?[0-3] years? )?([-+]?[0-3] mons? )?([-+]?[0-3] days? )?([-+]?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9])?([.][0-9]{1,7})?",
        ) {
            let given = given.as_bytes();
            let plain = without_zeros(given);
            if let Some(value) = parse_date(given) {
                prop_assert_eq!(text(|out| render_date(value, out)), given);
            }
            if let Some(value) = parse_time(given) {
                prop_assert_eq!(text(|out| render_time(value, out)), plain.as_slice());
            }
            if let Some(value) = parse_time_tz(given) {
                prop_assert_eq!(text(|out| render_time_tz(value, out)), plain.as_slice());
            }
            for zone in ["", "+00"] {
                if let Some(value) = parse_timestamp(given, zone.as_bytes()) {
                    prop_assert_eq!(text(|out| render_timestamp(value, zone.as_bytes(), out)), plain.as_slice());
                }
            }
            if let Some(value) = parse_interval(interval.as_bytes(), &mut Vec::new()) {
                prop_assert_eq!(text(|out| render_interval(value, out)), interval.as_bytes());
            }
        }
    }
}
