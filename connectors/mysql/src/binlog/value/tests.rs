//! Most values are among the fixtures of `rows`; here are floats, and what no server writes.

use proptest::prelude::*;

use super::*;

fn float4(number: f32) -> String {
    let mut out = Vec::new();
    write_float4(number, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn float8(number: f64) -> String {
    let mut out = Vec::new();
    write_float8(number, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn spells_floats_as_postgres_does() {
    for (number, text) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (1.25e-4, "0.000125"),
        (1.25e-5, "1.25e-05"),
        (1e100, "1e+100"),
        (-12.5, "-12.5"),
        (120.0, "120"),
    ] {
        assert_eq!(float8(number), text);
    }
    assert_eq!([float4(999_999.0), float4(1e6), float4(0.1)], ["999999", "1e+06", "0.1"]);
    assert!(write_float8(f64::NAN, &mut Vec::new()).is_err());
}

#[test]
fn refuses_what_no_server_writes() {
    let labels = vec!["a".to_owned()];
    for (form, bytes) in [
        (Form::Set(labels.clone()), &[2][..]),
        (Form::Enum(labels), &[2]),
        (Form::Bit { bits: 3 }, &[8]),
        (Form::Vector, &[0; 5]),
        (Form::Inet4, &[0; 5]),
        (Form::CompressedBytes, &[0x81, 4, 0]),
        (Form::CompressedBytes, &[0x84, 4, 0]),
        (Form::CompressedBytes, &[0x20]),
        (Form::Date, &[0; 2]),
        (Form::Signed, &[0; 9]),
    ] {
        assert!(write(&form, bytes, &mut Vec::new()).is_err(), "{form:?}");
    }
}

#[test]
fn fills_all_bits_of_a_set() {
    let labels: Vec<String> = (0..64).map(|label| label.to_string()).collect();
    let mut out = Vec::new();
    write(&Form::Set(labels.clone()), &[0xFF; 8], &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), labels.join(","));
}

proptest! {
    #[test]
    fn floats_read_back(number: f32, double: f64) {
        prop_assume!(number.is_finite() && double.is_finite());
        prop_assert_eq!(float4(number).parse::<f32>().unwrap().to_bits(), number.to_bits());
        prop_assert_eq!(float8(double).parse::<f64>().unwrap().to_bits(), double.to_bits());
    }
}
