//! From registers to readings: units, signs, sentinels, history.

use std::sync::Arc;
use std::time::Duration;

use wattkeeper::profile::{Instance, Overrides, Table, Unit, Value, WordOrder};

use crate::device::{Device, at, builtin, identify, instance, meter, number, poll, text};

fn f32_words(value: f32) -> [u16; 2] {
    let bits = value.to_bits();
    [(bits >> 16) as u16, bits as u16]
}

#[test]
fn an_sdm630_gives_canonical_names_units_and_values() {
    let mut device = Device::default();
    for start in (0..80).step_by(2) {
        device.put(Table::Input, start, &[0, 0]);
    }
    device.put(Table::Input, 0, &f32_words(230.5));
    device.put(Table::Input, 52, &f32_words(-1234.5));
    device.put(Table::Input, 72, &f32_words(12.5));
    let mut sdm = Instance::new(builtin("eastron-sdm630"), &Overrides::default());
    assert_eq!(sdm.identify(), None);
    let fast = poll(&mut sdm, &device, 0, at(0));
    assert_eq!(fast["meter.voltage_l1"], number(230.5));
    assert_eq!(fast["meter.power"], number(-1234.5));
    let slow = poll(&mut sdm, &device, 1, at(0));
    assert_eq!(slow["meter.energy_import"], number(12_500.0), "kWh become Wh");
    assert_eq!(slow["meter.frequency"], Value::Invalid, "0 Hz is out of range");
    let points = sdm.points();
    assert!(points.iter().any(|point| &*point.name == "meter.energy_export" && point.unit == Unit::WattHours));
}

#[test]
fn inverting_a_meter_turns_power_and_swaps_the_counters() {
    let mut device = Device::default();
    device.put(Table::Input, 0, &[0; 80]);
    device.put(Table::Input, 52, &f32_words(1000.0));
    device.put(Table::Input, 72, &f32_words(7.0));
    device.put(Table::Input, 74, &f32_words(2.0));
    let overrides = Overrides { invert: true, ..Overrides::default() };
    let mut sdm = Instance::new(builtin("eastron-sdm630"), &overrides);
    assert_eq!(poll(&mut sdm, &device, 0, at(0))["meter.power"], number(-1000.0));
    let slow = poll(&mut sdm, &device, 1, at(0));
    assert_eq!(slow["meter.energy_export"], number(7000.0));
    assert_eq!(slow["meter.energy_import"], number(2000.0));
}

#[test]
fn overrides_change_manners_intervals_and_word_order() {
    let overrides = Overrides {
        words: Some(WordOrder::Little),
        max_read: Some(20),
        gap: Some(Duration::from_millis(500)),
        interval: Some(Duration::from_secs(5)),
        ..Overrides::default()
    };
    let mut sdm = Instance::new(builtin("eastron-sdm630"), &overrides);
    assert_eq!(sdm.profile().manners.max_read, 20);
    assert_eq!(sdm.profile().manners.gap, Duration::from_millis(500));
    assert_eq!((sdm.every(0), sdm.every(1)), (Some(Duration::from_secs(5)), Some(Duration::from_secs(30))));
    let mut device = Device::default();
    device.put(Table::Input, 0, &[0; 80]);
    let [high, low] = f32_words(230.5);
    device.put(Table::Input, 0, &[low, high]);
    assert_eq!(poll(&mut sdm, &device, 0, at(0))["meter.voltage_l1"], number(230.5));
}

#[test]
fn a_value_and_its_scale_are_asked_for_together() {
    let mut meter = meter(
        "power = { at = 10, type = \"i16\", sf = 20, unit = \"W\" }\nvoltage = { at = 100, type = \"u16\", unit = \"V\" }",
    );
    let spans: Vec<(u16, u16)> = meter.spans(0).iter().map(|span| (span.start, span.len)).collect();
    assert_eq!(spans, [(10, 11), (100, 1)]);
    let mut device = Device::holding(10, &[0xFEB3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(poll(&mut meter, &device, 0, at(0))["meter.power"], number(-3330.0));
    assert_eq!(poll(&mut meter, &device, 0, at(0))["meter.voltage"], Value::Invalid, "not in the image");
    device.put(Table::Holding, 20, &[0x8000]);
    assert_eq!(poll(&mut meter, &device, 0, at(0))["meter.power"], Value::Invalid, "no scale, no value");
}

#[test]
fn registers_apart_make_one_value() {
    // Deye: the high word of a 32-bit power is elsewhere (evcc deye-hybrid-3p).
    let mut meter = meter("power = { at = 5, high = 9, type = \"i32\", unit = \"W\" }");
    let device = Device::holding(5, &[0x5678, 0, 0, 0, 0xFFFF]);
    let expected = f64::from(0xFFFF_5678_u32.cast_signed());
    assert_eq!(poll(&mut meter, &device, 0, at(0))["meter.power"], number(expected));
}

#[test]
fn a_rejected_frame_and_the_warm_up_give_no_value() {
    let bus = "warmup = 2";
    let group = "g = { every = \"1s\", reject = \"voltage == 0\" }";
    let points = "power = { at = 0, type = \"u16\", unit = \"W\" }\nvoltage = { at = 1, type = \"u16\", unit = \"V\" }";
    let mut meter = instance(&text(bus, group, points));
    let device = Device::holding(0, &[500, 230]);
    let mut power = |device: &Device, second| poll(&mut meter, device, 0, at(second))["meter.power"].clone();
    assert_eq!(power(&device, 0), Value::Invalid);
    assert_eq!(power(&device, 1), Value::Invalid);
    assert_eq!(power(&device, 2), number(500.0));
    assert_eq!(power(&Device::holding(0, &[0, 0]), 3), Value::Invalid, "a frame of zeros");
    assert_eq!(power(&device, 4), number(500.0));
    meter.forget();
    assert_eq!(poll(&mut meter, &device, 0, at(5))["meter.power"], Value::Invalid, "warms up again");
}

#[test]
fn a_total_that_falls_is_believed_only_the_third_time() {
    let mut meter = meter("energy_import = { at = 0, type = \"u16\", unit = \"Wh\", counter = \"total\" }");
    let mut second = 0;
    let mut count = |meter: &mut Instance, raw: u16| {
        second += 1;
        poll(meter, &Device::holding(0, &[raw]), 0, at(second))["meter.energy_import"].clone()
    };
    assert_eq!(count(&mut meter, 1000), number(1000.0));
    assert_eq!(count(&mut meter, 998), number(1000.0), "two digits down hold the old value");
    assert_eq!(count(&mut meter, 0), Value::Invalid);
    assert_eq!(count(&mut meter, 0), Value::Invalid);
    assert_eq!(count(&mut meter, 1001), number(1001.0), "it was a bounce");
    for raw in [5, 6] {
        assert_eq!(count(&mut meter, raw), Value::Invalid);
    }
    assert_eq!(count(&mut meter, 7), number(7.0), "a new meter");
    assert_eq!(count(&mut meter, 8), number(8.0));
}

#[test]
fn a_total_of_zero_at_first_waits_too() {
    let mut meter = meter("energy_import = { at = 0, type = \"u16\", unit = \"Wh\", counter = \"total\" }");
    let values: Vec<Value> =
        (0..4).map(|n| poll(&mut meter, &Device::holding(0, &[0]), 0, at(n))["meter.energy_import"].clone()).collect();
    assert_eq!(values, [Value::Invalid, Value::Invalid, number(0.0), number(0.0)]);
}

#[test]
fn an_impossible_jump_is_believed_only_the_third_time() {
    let mut meter = meter("power = { at = 0, type = \"u16\", unit = \"kW\", step_max = 10 }");
    let mut second = 0;
    let mut power = |raw: u16| {
        second += 1;
        poll(&mut meter, &Device::holding(0, &[raw]), 0, at(second))["meter.power"].clone()
    };
    assert_eq!(power(1), number(1000.0));
    assert_eq!(power(60), Value::Invalid);
    assert_eq!(power(2), number(2000.0));
    assert_eq!([power(60), power(60), power(61)], [Value::Invalid, Value::Invalid, number(61_000.0)]);
}

#[test]
fn computed_points_follow_their_inputs() {
    let points = "power_l = { at = [0, 1, 2], type = \"i16\", unit = \"W\", none = [0x7FFF] }\n\
                  power = { is = \"power_l1 + power_l2 + power_l3\", unit = \"W\" }\n\
                  custom.any = { any = [\"power_l1\", \"power_l2\"], unit = \"W\" }";
    let mut meter = meter(points);
    let values = poll(&mut meter, &Device::holding(0, &[100, 0xFFCE, 7]), 0, at(0));
    assert_eq!(values["meter.power"], number(57.0));
    let values = poll(&mut meter, &Device::holding(0, &[0x7FFF, 50, 7]), 0, at(1));
    assert_eq!(values["meter.power"], Value::Invalid, "a part of a sum is missing");
    assert_eq!(values["custom.any"], number(50.0));
}

#[test]
fn states_have_words_and_checks_know_the_device() {
    let checked = text("", "g = { every = \"1s\" }", "state = { at = 9, type = \"u16\", map = { 4 = \"running\" } }")
        .replace(
            "sources = []",
            "sources = []\ncheck = [{ at = 0, type = \"string\", len = 4, starts = \"SUN2000\" }]",
        );
    let mut good = Device::holding(0, &[0x5355, 0x4E32, 0x3030, 0x3000]);
    good.put(Table::Holding, 9, &[4]);
    let mut device = instance(&checked);
    assert_eq!(identify(&mut device, &good), Ok(()));
    assert_eq!(poll(&mut device, &good, 0, at(0))["meter.state"], Value::Text(Arc::from("running")));
    let error = identify(&mut instance(&checked), &Device::holding(0, &[0x4142; 4])).unwrap_err();
    assert_eq!(error, "is no T: register 0 has \"ABABABAB\", not a text that starts with \"SUN2000\"");
}

/// The group that the benchmarks poll: 50 registers at 0 and 10 at 100.
#[test]
fn sixty_registers_in_one_group_are_two_runs() {
    let mut points = String::new();
    for at in (0..50).chain(100..110) {
        points += &format!("custom.r{at} = {{ at = {at}, type = \"u16\" }}\n");
    }
    let mut meter = meter(&points);
    assert_eq!(meter.spans(0).len(), 60);
    let mut device = Device::holding(0, &(0..50).collect::<Vec<u16>>());
    device.put(Table::Holding, 100, &[7; 10]);
    let values = poll(&mut meter, &device, 0, at(0));
    assert_eq!(values.len(), 60);
    assert_eq!(values["custom.r49"], number(49.0));
}
