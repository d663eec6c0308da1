//! Whatever the registers hold: finite numbers, whole writes, and never more than the device itself said it can.

use proptest::prelude::*;
use wattkeeper::profile::{Captured, Image, Instance, Overrides, Value};

use crate::decoding::fronius;
use crate::device::{at, builtin, identify};
use crate::plans::INVERTERS;

fn word() -> impl Strategy<Value = u16> {
    prop_oneof![any::<u16>(), prop::sample::select(vec![0, 1, 2, 4, 7, 100, 0x7FFF, 0x8000, 0xFFFF, 0x7FC0, 0x45BB])]
}

proptest! {
    #[test]
    fn any_registers_give_finite_numbers_and_writes_within_bounds(
        supply in prop::collection::vec(word(), 7..60),
        p in -20_000.0..20_000.0,
    ) {
        for id in INVERTERS {
            let mut instance = Instance::new(builtin(id), &Overrides::default());
            if id == "fronius-gen24" {
                identify(&mut instance, &fronius(4)).unwrap();
            }
            let mut words = supply.iter().copied().cycle();
            for poll in 0..2 {
                for group in 0..instance.profile().groups.len() {
                    let mut image = Image::default();
                    for span in instance.spans(group) {
                        image.insert(span, words.by_ref().take(usize::from(span.len)).collect());
                    }
                    for (_, value) in instance.decode(group, &image, at(poll)) {
                        if let Value::Number(number) = value {
                            prop_assert!(number.is_finite(), "{}", id);
                        }
                    }
                }
            }
            for control in instance.profile().controls.clone() {
                let spans = instance.captures(&control.name);
                let settings: Captured =
                    spans.into_iter().map(|span| (span, words.by_ref().take(usize::from(span.len)).collect())).collect();
                instance.captured(&control.name, &settings);
                if let Ok(steps) = instance.set(&control.name, p) {
                    let (min, max) = instance.bounds(&control.name).unwrap();
                    prop_assert!((min - 1.0..=max + 1.0).contains(&p), "{}: {} of {}..{}", id, p, min, max);
                    prop_assert!(steps.iter().all(|step| step.words.len() == usize::from(step.span.len)));
                }
                let release = instance.release(&control.name, &settings);
                prop_assert!(release.iter().all(|step| step.words.len() == usize::from(step.span.len)));
                prop_assert!(!release.is_empty(), "{}", id);
            }
        }
    }
}
