//! Whatever a device answers: every built-in profile gives finite numbers or nothing, and what it would write fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattkeeper::clock::Moment;
use wattkeeper::profile::library::Library;
use wattkeeper::profile::{Image, Instance, Overrides, Span, Value};

thread_local! {
    static LIBRARY: Library = Library::builtin();
}

/// Words for a span out of the input, over and over.
fn words(input: &[u8], span: Span, from: &mut usize) -> Vec<u16> {
    (0..span.len)
        .map(|_| {
            let byte = |at: usize| input[at % input.len()];
            let word = u16::from_be_bytes([byte(*from), byte(*from + 1)]);
            *from += 2;
            word
        })
        .collect()
}

fuzz_target!(|input: &[u8]| {
    let [which, power, rest @ ..] = input else { return };
    if rest.is_empty() {
        return;
    }
    let profile = LIBRARY.with(|library| {
        let ids: Vec<&str> = library.ids().collect();
        library.get(ids[usize::from(*which) % ids.len()]).unwrap()
    });
    let mut instance = Instance::new(profile, &Overrides::default());
    let mut from = 0;
    // A walk over a device that answers anything must end.
    for _ in 0..500 {
        let Some(span) = instance.identify() else { break };
        let answer = words(rest, span, &mut from);
        let refused = answer.first().is_some_and(|word| *word == 0xDEAD);
        if instance.identified((!refused).then_some(answer.as_slice())).is_err() {
            return;
        }
    }
    for group in 0..instance.profile().groups.len() {
        let mut image = Image::default();
        for span in instance.spans(group) {
            let mut answer = words(rest, span, &mut from);
            answer.truncate(usize::from(*power) + 1); // a short answer is an answer too
            image.insert(span, answer);
        }
        for (point, value) in instance.decode(group, &image, Moment::default()) {
            assert!(point < instance.points().len());
            if let Value::Number(number) = value {
                assert!(number.is_finite());
            }
        }
    }
    for control in instance.profile().controls.clone() {
        let Ok((least, most)) = instance.bounds(&control.name) else { continue };
        assert!(least <= most, "{}: {least} to {most}", control.name);
        let wish = least + (most - least) * f64::from(*power) / 255.0;
        for step in instance.set(&control.name, wish).unwrap_or_default() {
            assert_eq!(usize::from(step.span.len), step.words.len());
        }
    }
});
