//! Whatever comes: no panic, no number that is none.

use proptest::prelude::*;
use wattkeeper::profile::{Captured, Image, Instance, Overrides, Span, Value, parse};

use crate::device::{Device, at, builtin, identify};
use crate::sunspec::hybrid;

/// Every span of an instance answered with words from a small supply.
fn answer(instance: &Instance, group: usize, supply: &[u16]) -> Image {
    let mut image = Image::default();
    let mut words = supply.iter().copied().cycle();
    for span in instance.spans(group) {
        image.insert(span, words.by_ref().take(usize::from(span.len)).collect());
    }
    image
}

fn word() -> impl Strategy<Value = u16> {
    prop_oneof![any::<u16>(), prop::sample::select(vec![0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FC0, 0x7F80, 0xFF7F, 4, 10]),]
}

proptest! {
    #[test]
    fn any_registers_give_finite_numbers_and_bounded_writes(
        supply in prop::collection::vec(word(), 7..60),
        polls in 1_u64..6,
        p in -20_000.0..20_000.0,
    ) {
        for id in ["eastron-sdm630", "generic", "sunspec", "sunspec-meter", "victron-gx", "waveshare-relay-8"] {
            let mut instance = Instance::new(builtin(id), &Overrides::default());
            if instance.identify().is_some() {
                identify(&mut instance, &hybrid_or_meter(id)).unwrap();
            }
            for second in 0..polls {
                for group in 0..instance.profile().groups.len() {
                    let image = answer(&instance, group, &supply);
                    for (_, value) in instance.decode(group, &image, at(second)) {
                        if let Value::Number(number) = value {
                            prop_assert!(number.is_finite());
                        }
                    }
                }
            }
            let controls = instance.profile().controls.clone();
            for control in &controls {
                let captured: Captured = instance
                    .captures(&control.name)
                    .into_iter()
                    .map(|span| (span, supply.iter().copied().cycle().take(usize::from(span.len)).collect()))
                    .collect();
                instance.captured(&control.name, &captured);
                let set = instance.set(&control.name, p).unwrap_or_default();
                for step in set.iter().chain(&instance.release(&control.name, &captured)) {
                    prop_assert_eq!(step.words.len(), usize::from(step.span.len));
                }
            }
        }
    }

    #[test]
    fn any_chain_ends(supply in prop::collection::vec(word(), 2..40)) {
        let mut instance = Instance::new(builtin("sunspec"), &Overrides::default());
        let mut words = [0x5375, 0x6E53].into_iter().chain(supply.iter().copied().cycle());
        let mut asked = 0;
        while let Some(span) = instance.identify() {
            asked += 1;
            prop_assert!(asked < 500 && span.end() <= 0x1_0000);
            let answer: Vec<u16> = words.by_ref().take(usize::from(span.len)).collect();
            if instance.identified(Some(&answer)).is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_text_is_a_profile_or_errors(text in any::<String>()) {
        let _ = parse(&text, "x.toml");
    }

    #[test]
    fn a_mangled_profile_is_a_profile_or_errors(
        id in prop::sample::select(vec!["sunspec", "victron-gx", "generic", "waveshare-relay-8"]),
        cut in any::<prop::sample::Index>(),
        len in 0_usize..40,
        insert in "[-0-9a-z\"{}\\[\\]=,. é\n]{0,12}",
    ) {
        let mut text: Vec<char> = builtin(id).source().chars().collect();
        let from = cut.index(text.len());
        let to = (from + len).min(text.len());
        text.splice(from..to, insert.chars());
        let text: String = text.into_iter().collect();
        if let Err(errors) = parse(&text, "x.toml") {
            prop_assert!(!errors.is_empty());
        }
    }
}

fn hybrid_or_meter(id: &str) -> Device {
    use crate::sunspec::{chain, common, model};
    if id == "sunspec-meter" {
        return chain(40_000, &[common(66, "X", "1"), model(203, 105, &[])], true);
    }
    hybrid()
}

#[test]
fn a_span_beyond_the_end_of_an_answer_is_no_value() {
    let mut instance = Instance::new(builtin("victron-gx"), &Overrides::default());
    let mut image = Image::default();
    image.insert(Span::holding(820, 30), vec![1]);
    assert!(
        instance
            .decode(0, &image, at(0))
            .iter()
            .all(|(_, value)| *value == Value::Invalid || !matches!(value, Value::Text(_)))
    );
}
