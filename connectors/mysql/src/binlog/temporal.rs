//! Dates and times as `SELECT` prints them: all declared digits, zero and partial dates as they are. TIMESTAMP in UTC
//! with `+00` behind it.
//!
//! MariaDB's own layouts of times with fractions (`mysql56_temporal_format=OFF` and digits declared) are not read: the
//! log gives them the type of the oldest layout without its digits, so nothing in it tells their length. `plan` refuses
//! them where the catalogue tells of digits.

use tailwater_core::Result;

use super::decimal::digit;
use crate::error::malformed;

/// Bytes of a fraction with so many digits.
pub(super) fn fraction_bytes(digits: u8) -> usize {
    usize::from(digits.min(6).div_ceil(2))
}

/// DATE: five bits of day, four of month, the rest year.
pub(super) fn write_date(packed: u32, out: &mut Vec<u8>) -> Result<()> {
    write_ymd([packed >> 9, packed >> 5 & 15, packed & 31], out)
}

/// TIME before 5.6: a decimal number HHMMSS with a sign.
pub(super) fn write_old_time(packed: i32, out: &mut Vec<u8>) -> Result<()> {
    if packed < 0 {
        out.push(b'-');
    }
    let packed = packed.unsigned_abs();
    write_hms([packed / 10_000, packed / 100 % 100, packed % 100], out)
}

/// DATETIME before 5.6: a decimal number YYYYMMDDHHMMSS.
pub(super) fn write_old_datetime(packed: u64, out: &mut Vec<u8>) -> Result<()> {
    let (Ok(date), Ok(time)) = (u32::try_from(packed / 1_000_000), u32::try_from(packed % 1_000_000)) else {
        return Err(malformed("a DATETIME beyond the year 9999"));
    };
    write_ymd([date / 10_000, date / 100 % 100, date % 100], out)?;
    out.push(b' ');
    write_hms([time / 10_000, time / 100 % 100, time % 100], out)
}

/// TIME: a sign, ten bits of hours, six of minutes, six of seconds, and the fraction, all as one number of which
/// negative ones are the complement.
pub(super) fn write_time(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<()> {
    let fraction_bits = 8 * fraction_bytes(digits);
    let packed = big_endian(bytes)?.wrapping_sub(0x80_0000 << fraction_bits);
    if packed < 0 {
        out.push(b'-');
    }
    write_packed_time(packed.wrapping_abs(), digits, out)
}

/// DATETIME: seventeen bits of year and month, five of day, five of hours, six of minutes, six of seconds, the fraction.
pub(super) fn write_datetime(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<()> {
    let fraction_bits = 8 * fraction_bytes(digits);
    // Of eight bytes the offset is the sign's bit.
    let packed = big_endian(bytes)?.wrapping_sub(0x80_0000_0000 << fraction_bits);
    if packed < 0 {
        return Err(malformed("a DATETIME before the year 0"));
    }
    let date = low(packed >> (fraction_bits + 17));
    let months = date >> 5;
    write_ymd([months / 13, months % 13, date & 31], out)?;
    out.push(b' ');
    write_packed_time(packed & ((1 << (fraction_bits + 17)) - 1), digits, out)
}

/// What TIME and DATETIME have in common: hours, minutes, seconds and the fraction.
pub(super) fn write_packed_time(packed: i64, digits: u8, out: &mut Vec<u8>) -> Result<()> {
    let fraction_bits = 8 * fraction_bytes(digits);
    let time = low(packed >> fraction_bits);
    write_hms([time >> 12 & 1023, time >> 6 & 63, time & 63], out)?;
    write_fraction(low(packed & ((1 << fraction_bits) - 1)), digits, out)
}

/// TIMESTAMP: seconds since 1970 and the fraction. Unsigned: MariaDB 11.5 goes on to 2106, and no server has the
/// years before 1970. 0 is the zero date.
pub(crate) fn write_timestamp(seconds: u32, fraction: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<()> {
    let fraction = low(big_endian(fraction)?);
    if seconds == 0 && fraction == 0 {
        out.extend_from_slice(b"0000-00-00 00:00:00");
    } else {
        write_ymd(civil(seconds / 86_400), out)?;
        out.push(b' ');
        let second = seconds % 86_400;
        write_hms([second / 3_600, second / 60 % 60, second % 60], out)?;
    }
    write_fraction(fraction, digits, out)?;
    out.extend_from_slice(b"+00");
    Ok(())
}

/// Year, month and day of a day counted from 1970.
fn civil(days: u32) -> [u32; 3] {
    // Counted from 1 March of year 0, a leap day is the last of its year, and of its four and four hundred years.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    [era * 400 + year_of_era + u32::from(month <= 2), month, day]
}

fn write_ymd([year, month, day]: [u32; 3], out: &mut Vec<u8>) -> Result<()> {
    if year > 9999 || month > 12 || day > 31 {
        return Err(malformed("a date with a year above 9999, a month above 12 or a day above 31"));
    }
    let [y1, y2, y3, y4] = [year / 1000, year / 100, year / 10, year].map(digit);
    let [m1, m2, d1, d2] = [month / 10, month, day / 10, day].map(digit);
    out.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]);
    Ok(())
}

fn write_hms([hour, minute, second]: [u32; 3], out: &mut Vec<u8>) -> Result<()> {
    if hour > 999 || minute > 59 || second > 59 {
        return Err(malformed("a time with hours above 999, or minutes or seconds above 59"));
    }
    if hour > 99 {
        out.push(digit(hour / 100));
    }
    let [h1, h2, m1, m2, s1, s2] = [hour / 10, hour, minute / 10, minute, second / 10, second].map(digit);
    out.extend_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2]);
    Ok(())
}

/// A fraction counts hundredths, ten thousandths or millionths: by the bytes it takes.
fn write_fraction(fraction: u32, digits: u8, out: &mut Vec<u8>) -> Result<()> {
    let micros = match fraction_bytes(digits) {
        0 => return Ok(()),
        1 => fraction.checked_mul(10_000),
        2 => fraction.checked_mul(100),
        _ => Some(fraction),
    };
    let Some(mut micros) = micros.filter(|&micros| micros < 1_000_000) else {
        return Err(malformed("a fraction of a second that is a second or more"));
    };
    let mut text = [b'.', 0, 0, 0, 0, 0, 0];
    for place in text.iter_mut().skip(1).rev() {
        *place = digit(micros);
        micros /= 10;
    }
    out.extend_from_slice(text.get(..=usize::from(digits.min(6))).unwrap_or_default());
    Ok(())
}

/// At most eight bytes.
fn big_endian(bytes: &[u8]) -> Result<i64> {
    if bytes.len() > 8 {
        return Err(malformed("a time of more than eight bytes"));
    }
    Ok(bytes.iter().fold(0, |number, &byte| number << 8 | i64::from(byte)))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "its callers mask what they want of it"
)]
fn low(number: i64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn prints_dates_that_are_none() {
        assert_eq!(text(|out| write_date(0, out)), "0000-00-00");
        assert_eq!(text(|out| write_date(2026 << 9, out)), "2026-00-00");
        assert_eq!(text(|out| write_date(2026 << 9 | 11 << 5 | 21, out)), "2026-11-21");
        assert_eq!(text(|out| write_timestamp(0, &[0, 0], 3, out)), "0000-00-00 00:00:00.000+00");
    }

    #[test]
    fn prints_times() {
        assert_eq!(text(|out| write_time(&[0x80, 0, 0], 0, out)), "00:00:00");
        assert_eq!(text(|out| write_time(&[0x4B, 0x91, 0x05], 0, out)), "-838:59:59");
        assert_eq!(text(|out| write_time(&[0x7F, 0xFF, 0xFF, 0xFF], 2, out)), "-00:00:00.01");
        assert_eq!(text(|out| write_time(&[0x80, 0, 1, 0x0C], 1, out)), "00:00:01.1");
        assert_eq!(text(|out| write_old_time(-123_456, out)), "-12:34:56");
        assert_eq!(text(|out| write_old_time(8_385_959, out)), "838:59:59");
        assert_eq!(text(|out| write_old_datetime(20_261_121_040_506, out)), "2026-11-21 04:05:06");
    }

    #[test]
    fn prints_timestamps_to_the_end() {
        assert_eq!(text(|out| write_timestamp(1, &[], 0, out)), "1970-01-01 00:00:01+00");
        assert_eq!(
            text(|out| write_timestamp(u32::MAX, &[0x0F, 0x42, 0x3F], 6, out)),
            "2106-02-07 06:28:15.999999+00"
        );
        assert_eq!(text(|out| write_timestamp(951_782_400, &[], 0, out)), "2000-02-29 00:00:00+00");
    }

    #[test]
    fn refuses_what_is_no_time() {
        let mut out = Vec::new();
        assert!(write_date(13 << 5, &mut out).is_err());
        assert!(write_time(&[0x80, 0, 60], 0, &mut out).is_err());
        assert!(write_time(&[0x80, 0, 1, 100], 2, &mut out).is_err());
        assert!(write_datetime(&[0; 5], 0, &mut out).is_err());
        assert!(write_time(&[0; 9], 6, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn days_go_up_one_by_one(day in 0_u32..49_000) {
            let [year, month, date] = civil(day);
            let next = civil(day + 1);
            prop_assert!(next == [year, month, date + 1] || next == [year, month + 1, 1] || next == [year + 1, 1, 1]);
        }

        #[test]
        fn reads_back_every_datetime(
            (year, month, day) in (0_i64..=9999, 0_i64..=12, 0_i64..=31),
            (hour, minute, second) in (0_i64..24, 0_i64..60, 0_i64..60),
            micros in 0_i64..1_000_000,
        ) {
            let time = hour << 12 | minute << 6 | second;
            let packed = ((((year * 13 + month) << 5 | day) << 17 | time) + 0x80_0000_0000) << 24 | micros;
            let printed = text(|out| write_datetime(&packed.to_be_bytes(), 6, out));
            let expected = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}");
            prop_assert_eq!(printed, expected);
        }
    }
}
