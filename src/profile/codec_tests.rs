use proptest::prelude::*;

use super::*;

fn of(kind: Type, words: WordOrder) -> Encoding {
    Encoding { words, ..Encoding::plain(kind) }
}

#[test]
fn values_that_other_projects_tests_state_decode_the_same() {
    let big = |kind, words: &[u16]| Encoding::plain(kind).number(words, 0);
    let little = |kind, words: &[u16]| of(kind, WordOrder::Little).number(words, 0);
    // OpenEMS, MeterJanitzaUmg96rmeImplTest: 0x461C 0x4000 is 10000.0.
    assert_eq!(big(Type::F32, &[0x461C, 0x4000]), Some(10_000.0));
    // evcc, util/modbus/register_test.go: 0x12345678 as int32s lies as 56 78 12 34.
    assert_eq!(little(Type::I32, &[0x5678, 0x1234]), Some(f64::from(0x1234_5678)));
    assert_eq!(big(Type::I32, &[0x1234, 0x5678]), Some(f64::from(0x1234_5678)));
    // sunspec/pysunspec2 1.3.7: W -333 with scale factor 1; ChaState 6250 with -2; OutWRte -30 % is -3000 with -2.
    assert_eq!(Encoding::plain(Type::I16).number(&[0xFEB3], 1), Some(-3330.0));
    assert_eq!(Encoding::plain(Type::U16).number(&[6250], -2), Some(62.5));
    assert_eq!(Encoding::plain(Type::I16).words_for(-30.0, -2), Ok(vec![0xF448]));
    // The layout of Schneider's FAQ FA212766: modulo 10000, most significant last.
    let mod10k = Encoding { len: 4, ..of(Type::Mod10k, WordOrder::Little) };
    assert_eq!(mod10k.number(&[9876, 6543, 321, 0], 0), Some(32_165_439_876.0));
    assert_eq!(mod10k.number(&[10_000, 0, 0, 0], 0), None, "no decimal group");
}

#[test]
fn no_value_is_never_a_number() {
    let none = |kind, none: u64, words: &[u16]| Encoding { none: vec![none], ..Encoding::plain(kind) }.number(words, 0);
    assert_eq!(none(Type::U16, 0xFFFF, &[0xFFFF]), None);
    assert_eq!(none(Type::I16, 0x8000, &[0x8000]), None);
    assert_eq!(none(Type::I16, 0x7FFF, &[0x7FFF]), None, "Huawei's");
    assert_eq!(none(Type::U32, 0xFFFF_FFFF, &[0xFFFF, 0xFFFF]), None);
    assert_eq!(none(Type::U16, 0xFFFF, &[0xFFFE]), Some(65_534.0));
    let float = |words: &[u16]| Encoding::plain(Type::F32).number(words, 0);
    assert_eq!(float(&[0x7FC0, 0]), None, "NaN");
    assert_eq!(float(&[0xFF80, 0]), None, "infinity");
    assert_eq!(float(&[0xFF7F, 0xFFFF]), None, "SolarEdge's -3.4e38");
    assert_eq!(exponent(0x8000), None, "a scale that is not implemented");
    assert_eq!(exponent(11), None);
    assert_eq!(exponent(0xFFFE), Some(-2));
}

#[test]
fn parts_of_registers_are_read() {
    let bits = Encoding { bits: Some((1, 2)), ..Encoding::plain(Type::U16) };
    assert_eq!(bits.number(&[0b1101], 0), Some(2.0));
    assert_eq!(Encoding::plain(Type::U8High).number(&[0x12FF], 0), Some(18.0));
    assert_eq!(Encoding::plain(Type::U8Low).number(&[0x1234], 0), Some(52.0));
    let swapped = Encoding { swap: true, ..Encoding::plain(Type::U16) };
    assert_eq!(swapped.number(&[0x3412], 0), Some(f64::from(0x1234)));
    let text = Encoding { len: 4, ..Encoding::plain(Type::Text) };
    assert_eq!(text.text(&[0x4672, 0x6F6E, 0x2000, 0]), Some("Fron".to_owned()));
    assert_eq!(text.text(&[0, 0, 0, 0]), None);
}

#[test]
fn what_does_not_fit_is_refused_never_wrapped() {
    let write = |kind, value| Encoding::plain(kind).words_for(value, 0);
    assert_eq!(write(Type::U16, -1.0), Err(-1.0));
    assert_eq!(write(Type::U16, 65_535.4), Ok(vec![0xFFFF]));
    assert_eq!(write(Type::U16, 65_535.5), Err(65_535.5));
    assert_eq!(write(Type::I16, 32_768.0), Err(32_768.0));
    assert_eq!(write(Type::I16, -2.5), Ok(vec![0xFFFD]), "half away from zero");
    assert!(write(Type::I16, f64::NAN).is_err());
    assert!(write(Type::F32, 1e39).is_err());
    assert!(write(Type::U64, 1e19).is_err());
    assert_eq!(write(Type::Bool, 2.0), Err(2.0));
    let taken = Encoding { none: vec![0x8000], ..Encoding::plain(Type::I16) };
    assert_eq!(taken.words_for(-32_768.0, 0), Err(-32_768.0), "would read as no value");
}

#[test]
fn decimal_scales_divide() {
    let scaled = |factor| Encoding { factor: Factor::new(factor), ..Encoding::plain(Type::U16) };
    assert_eq!(scaled(0.1).number(&[2301], 0), Some(230.1));
    assert_eq!(scaled(0.001).number(&[1001], 0), Some(1.001));
    assert_eq!(scaled(10.0).number(&[12], 0), Some(120.0));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        kind in prop::sample::select(vec![
            Type::U8Low, Type::U16, Type::I16, Type::U32, Type::I32, Type::U64, Type::I64, Type::F32, Type::F64,
        ]),
        little in any::<bool>(),
        swap in any::<bool>(),
        value in -1e7..1e7,
        factor in prop::sample::select(vec![1.0, 0.1, -0.01, 10.0, 1000.0]),
        exponent in -3_i16..3,
    ) {
        let words = if little { WordOrder::Little } else { WordOrder::Big };
        let encoding = Encoding { swap, factor: Factor::new(factor), ..of(kind, words) };
        if let Ok(words) = encoding.words_for(value, exponent) {
            let back = encoding.number(&words, exponent).unwrap();
            let step = shift(encoding.factor.magnitude(), exponent);
            let error = if kind.is_float() { value.abs() * 1e-6 } else { step / 2.0 };
            prop_assert!((back - value).abs() <= error * (1.0 + 1e-9) + 1e-9, "{value} came back as {back}");
        } else {
            prop_assert!(!kind.is_float());
        }
    }

    #[test]
    fn any_words_make_a_finite_number_or_none(
        kind in prop::sample::select(Type::NAMES.map(|(_, kind)| kind).to_vec()),
        words in prop::collection::vec(any::<u16>(), 0..6),
        exponent in -12_i16..12,
    ) {
        let encoding = Encoding::plain(kind);
        if let Some(number) = encoding.number(&words, exponent) {
            prop_assert!(number.is_finite());
        }
        let _ = encoding.text(&words);
    }
}
