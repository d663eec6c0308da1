//! Written quantities, right and wrong.

use std::time::Duration;

use super::super::TimeOfDay;
use super::super::written::{Bytes, OrAuto, Price, Ramp, Written};
use crate::units::{Soc, WattHours, Watts};

/// What is to be written instead.
fn instead<T: Written + std::fmt::Debug>(text: &str) -> String {
    T::from_text(text).unwrap_err().write.unwrap_or_default()
}

#[test]
fn quantities_read_in_all_their_units() {
    assert_eq!(Watts::from_text("80 kW"), Ok(Watts::kw(80.0)));
    assert_eq!(Watts::from_text("1.5MW"), Ok(Watts::new(1.5e6)));
    assert_eq!(Watts::from_text(" -250 W "), Ok(Watts::new(-250.0)));
    assert_eq!(WattHours::from_text("1e+06 kWh"), Ok(WattHours::kwh(1e6)));
    assert_eq!(Soc::from_text("62.5 %"), Ok(Soc::from_percent(62.5)));
    assert_eq!(Ramp::from_text("60 kW/s"), Ok(Ramp(Watts::kw(60.0))));
    assert_eq!(Bytes::from_text("1 MiB"), Ok(Bytes(1 << 20)));
    assert_eq!(OrAuto::<Watts>::from_text("auto"), Ok(OrAuto::Auto));
    let price = Price { amount: 31.0, currency: "JPY".to_owned() };
    assert_eq!(Price::<true>::from_text("31 JPY/kWh"), Ok(price));
}

#[test]
fn durations_may_be_composed() {
    let seconds = Duration::from_secs_f64;
    for (text, time) in
        [("500ms", 0.5), ("0 ms", 0.0), ("1m 30s", 90.0), ("30 min", 1800.0), ("1 h 15 min", 4500.0), ("1.5 s", 1.5)]
    {
        assert_eq!(Duration::from_text(text), Ok(seconds(time)), "{text}");
    }
    for text in ["", "5", "s", "-1 s", "1 s -1 s", "1e300 h", "5 days", "1 s 5", "🙂"] {
        assert!(Duration::from_text(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_wrong_is_answered_with_what_to_write() {
    assert_eq!(instead::<Watts>("80"), "\"80 kW\"");
    assert_eq!(instead::<Watts>("80 KW"), "\"80 kW\"");
    assert_eq!(instead::<Watts>("80 kWh"), "\"80 kW\"");
    assert_eq!(instead::<Watts>("80,5 kW"), "\"80.5 kW\"");
    assert_eq!(instead::<Soc>("0.95"), "\"0.95 %\"");
    assert_eq!(instead::<Price<true>>("0.31 €/kWh"), "\"0.31 EUR/kWh\"");
    assert_eq!(instead::<Price<false>>("12 eur/kw"), "\"12 EUR/kW\"");
    assert_eq!(instead::<TimeOfDay>("6:30"), "\"06:30\"");
    assert_eq!(Watts::bare("80").write.unwrap(), "\"80 kW\"");
    assert_eq!(Watts::bare("80_000").write.unwrap(), "\"80000 W\"");
}

#[test]
fn numbers_that_are_none_are_refused() {
    for text in ["nan W", "inf kW", "1e999 W", "1e308 MW", "W", "", "-", "٣ kW", "0x10 W"] {
        assert!(Watts::from_text(text).is_err(), "{text}");
    }
    assert!(Bytes::from_text("-1 MB").is_err());
}
