use proptest::prelude::*;

use super::*;

/// Points a, b, c are 0, 1, 2; c has no value.
fn eval(text: &str) -> Option<f64> {
    let mut names = |name: &str| match name {
        "a" => Ok(0),
        "b" => Ok(1),
        "part.c" => Ok(2),
        _ => Err(format!("no point `{name}`")),
    };
    let expr = parse(text, &mut names).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    expr.eval(Some(-3000.0), &|index| [Some(2.0), Some(5.0), None].get(index).copied().flatten())
}

fn fault(text: &str) -> (usize, String) {
    let error = parse(text, &mut |name| Err(format!("no point `{name}`"))).expect_err(text);
    (error.span.start, error.message)
}

#[test]
fn operators_bind_as_written() {
    assert_eq!(eval("1 + 2 * 3 - 8 / 4"), Some(5.0));
    assert_eq!(eval("(1 + 2) * -3"), Some(-9.0));
    assert_eq!(eval("10 - 3 - 2"), Some(5.0));
    assert_eq!(eval("7 & 2 == 2 && 8 | 1 == 9"), Some(1.0), "bits bind tighter than comparison");
    assert_eq!(eval("a < b ? b >= 5 ? 1 : 2 : 3"), Some(1.0));
    assert_eq!(eval("!a || b != 5"), Some(0.0));
    assert_eq!(eval("p > 0 ? 1 : 2"), Some(2.0));
    assert_eq!(eval("-100 * p / 10_240"), Some(29.296_875));
    assert_eq!(eval("min(a, b) + max(a, b) * abs(-2) + round(-2.5)"), Some(9.0));
    assert_eq!(eval("clamp(p, -2500, 0xFF)"), Some(-2500.0));
    assert_eq!(eval("1.5e-3 * 2E3"), Some(3.0));
}

#[test]
fn missing_in_is_missing_out() {
    assert_eq!(eval("a + part.c"), None);
    assert_eq!(eval("part.c == 0 ? 1 : 2"), None);
    assert_eq!(eval("a == 2 ? b : part.c"), Some(5.0), "the other branch is not looked at");
    assert_eq!(eval("or(part.c, 7)"), Some(7.0));
    assert_eq!(eval("0 && part.c"), Some(0.0));
    assert_eq!(eval("b / (a - 2)"), None, "no infinity");
    assert_eq!(eval("1.5 & 1"), None, "no bits in a fraction");
}

#[test]
fn faults_say_where() {
    assert_eq!(fault("1 + power"), (4, "no point `power`".to_owned()));
    assert_eq!(fault("1 +"), (3, "a number, a point or `(` was expected here".to_owned()));
    assert_eq!(fault("1 / 0"), (4, "divides by 0".to_owned()));
    assert_eq!(fault("(1"), (2, "`)` was expected here".to_owned()));
    assert_eq!(fault("1 1"), (2, "nothing more was expected here".to_owned()));
    assert!(fault("sqrt(2)").1.starts_with("no function `sqrt`"));
    assert_eq!(fault("min(1)").1, "`min` does not take 1 arguments");
    assert_eq!(fault("12a").1, "`12a` is no number");
}

#[test]
fn depth_and_length_are_bounded() {
    assert_eq!(fault(&"(".repeat(400)).1, "nested too deeply");
    assert_eq!(fault(&"-".repeat(400)).1, "nested too deeply");
    assert_eq!(fault(&format!("1{}", "+1".repeat(200))).1, "too many terms");
    assert!(fault(&"1".repeat(501)).1.starts_with("longer than"));
}

#[test]
fn watts_and_watt_hours_do_not_mix() {
    let units = [Some(Unit::Watts), Some(Unit::WattHours)];
    let unit = |text: &str| {
        let expr = parse(text, &mut |name| if name == "a" { Ok(0) } else { Ok(1) }).unwrap();
        expr.unit(&|index| units.get(index).copied().flatten(), Unit::Watts)
    };
    assert_eq!(unit("a + b"), Err((Unit::Watts, Unit::WattHours)));
    assert_eq!(unit("p < b"), Err((Unit::Watts, Unit::WattHours)));
    assert_eq!(unit("-a + p"), Ok(Some(Unit::Watts)));
    assert_eq!(unit("100 * p / a"), Ok(None));
}

proptest! {
    #[test]
    fn no_text_panics_and_no_result_is_infinite(text in "[-+*/&|<>=!?:(),.abp0-9eE _]{0,60}") {
        if let Ok(expr) = parse(&text, &mut |name| if name.is_empty() { Err(String::new()) } else { Ok(name.len() % 2) }) {
            for p in [None, Some(0.0), Some(1e300)] {
                let result = expr.eval(p, &|index| [Some(1e300), None].get(index).copied().flatten());
                prop_assert!(result.is_none_or(f64::is_finite));
            }
        }
    }

    #[test]
    fn any_text_at_all_is_survived(text in any::<String>()) {
        let _ = parse(&text, &mut |_| Ok(0));
    }
}
