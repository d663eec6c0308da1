//! SunSpec devices, built register by register after the models' JSON.

use std::sync::Arc;

use wattkeeper::profile::{Instance, Overrides, Value};

use crate::device::{Device, at, builtin, identify, number, poll_all};

/// Registers of one model by offset from its ID register; all else is "not implemented" (or padding).
pub fn model(id: u16, len: u16, values: &[(u16, u16)]) -> Vec<u16> {
    let mut words = vec![0xFFFF; usize::from(len) + 2];
    words[0] = id;
    words[1] = len;
    for (at, word) in values {
        words[usize::from(*at)] = *word;
    }
    words
}

pub fn common(len: u16, maker: &str, serial: &str) -> Vec<u16> {
    let mut words = vec![0; usize::from(len) + 2];
    words[0] = 1;
    words[1] = len;
    for (at, text) in [(2, maker), (18, "Model"), (42, "1.0"), (50, serial)] {
        for (index, pair) in text.as_bytes().chunks(2).enumerate() {
            words[at + index] = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        }
    }
    words
}

/// Model 103: 10 kW rating, W -333 with scale 1, 230.1 V, state 4.
pub fn inverter() -> Vec<u16> {
    let values =
        [(2, 145), (6, 0xFFFF), (10, 2301), (11, 2302), (12, 2303), (13, 0xFFFF), (14, 0xFEB3), (15, 1), (38, 4)];
    model(103, 50, &values)
}

/// Model 124: WChaMax 10240, SoC 62.50 %, rates in 0.01 %, revert timer 0.
pub fn storage() -> Vec<u16> {
    let values = [
        (2, 10_240),
        (18, 0),
        (5, 0),
        (7, 500),
        (21, 0xFFFE),
        (8, 6250),
        (22, 0xFFFE),
        (11, 4),
        (12, 10_000),
        (13, 10_000),
        (15, 0),
        (17, 0),
        (25, 0xFFFE),
    ];
    model(124, 24, &values)
}

/// Model 160 with four modules; the third is the battery's charge, the fourth its discharge, in 10 W.
pub fn modules(powers: [u16; 4]) -> Vec<u16> {
    let mut values = vec![(4, 1), (8, 4)];
    values.extend((0_u16..).zip(powers).map(|(index, power)| (10 + 20 * index + 11, power)));
    model(160, 88, &values)
}

pub fn controls() -> Vec<u16> {
    model(123, 24, &[(5, 10_000), (7, 0), (9, 0), (23, 0xFFFE)])
}

pub fn settings() -> Vec<u16> {
    model(121, 30, &[(2, 10_000), (22, 0)])
}

pub fn chain(base: u16, models: &[Vec<u16>], end: bool) -> Device {
    let mut words = vec![0x5375, 0x6E53];
    words.extend(models.iter().flatten());
    if end {
        words.extend([0xFFFF, 0]);
    }
    Device::holding(base, &words)
}

/// A GEN24-like hybrid.
pub fn hybrid() -> Device {
    let models = [
        common(66, "Fronius", "12345"),
        inverter(),
        model(120, 26, &[(2, 82), (3, 10_000), (4, 0)]),
        settings(),
        controls(),
        storage(),
        modules([100, 50, 307, 0]),
    ];
    chain(40_000, &models, true)
}

#[test]
fn a_hybrid_is_found_and_read() {
    let device = hybrid();
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    identify(&mut sunspec, &device).unwrap();
    let values = poll_all(&mut sunspec, &device, at(0));
    assert_eq!(values["inverter.power"], number(-3330.0));
    assert_eq!(values["inverter.voltage_l1"], number(230.1));
    assert_eq!(values["inverter.state"], Value::Text(Arc::from("mppt")));
    assert_eq!(values["inverter.max"], number(10_000.0));
    assert_eq!(values["battery.soc"], number(0.625));
    assert_eq!(values["battery.max_charge"], number(10_240.0));
    assert_eq!(values["battery.power"], number(-3070.0));
    assert_eq!(values["pv.power"], number(1500.0));
    assert_eq!(values["device.manufacturer"], Value::Text(Arc::from("Fronius")));
    assert_eq!(values["device.serial"], Value::Text(Arc::from("12345")));
    assert_eq!(values["inverter.frequency"], Value::Invalid, "not implemented");
    assert!(values.keys().all(|name| !name.starts_with("custom.")), "hidden points stay inside");
}

#[test]
fn without_storage_the_battery_is_simply_absent() {
    // A common model of 65 registers, another base, and an exception where the end should be.
    let device = chain(50_000, &[common(65, "SMA", "1"), inverter(), settings(), controls()], false);
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    identify(&mut sunspec, &device).unwrap();
    let values = poll_all(&mut sunspec, &device, at(0));
    assert_eq!(values["pv.power"], number(-3330.0));
    assert!(!values.keys().any(|name| name.starts_with("battery.")), "{:?}", values.keys());
    assert!(sunspec.set("battery", 0.0).is_err());
    assert!(sunspec.spans(0).iter().all(|span| span.len <= 40));
}

#[test]
fn storage_without_modules_is_measured_on_the_ac_side() {
    let device = chain(40_000, &[common(66, "X", "1"), inverter(), storage()], true);
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    identify(&mut sunspec, &device).unwrap();
    let values = poll_all(&mut sunspec, &device, at(0));
    assert_eq!(values["battery.power"], number(-3330.0));
    assert!(!values.contains_key("pv.power"));
}

#[test]
fn a_frame_of_zeros_is_thrown_away() {
    let mut device = hybrid();
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    identify(&mut sunspec, &device).unwrap();
    for (at, word) in [(14, 0), (10, 0), (38, 7)] {
        device.registers.insert((wattkeeper::profile::Table::Holding, 40_070 + at), word);
    }
    let values = poll_all(&mut sunspec, &device, at(0));
    assert_eq!(values["inverter.power"], Value::Invalid);
    assert_eq!(values["battery.soc"], Value::Invalid);
}

#[test]
fn a_meter_is_found_as_a_sub_device_in_both_layouts() {
    let ints = model(203, 105, &[(18, 0xFF9C), (22, 1), (38, 0), (39, 0), (46, 0), (47, 4567), (54, 1)]);
    let mut floats = model(213, 124, &[]);
    floats[28..30].copy_from_slice(&[0xC47A, 0]); // -1000
    floats[68..70].copy_from_slice(&[0x4732, 0x6400]); // 45668
    for (meter, import) in [(ints, 45_670.0), (floats, 45_668.0)] {
        let models = [common(65, "SolarEdge", "1"), inverter(), common(65, "Meter", "2"), meter];
        let device = chain(40_000, &models, true);
        let mut sunspec = Instance::new(builtin("sunspec-meter"), &Overrides::default());
        identify(&mut sunspec, &device).unwrap();
        let values = poll_all(&mut sunspec, &device, at(0));
        assert_eq!(values["meter.power"], number(-1000.0));
        assert_eq!(values["meter.energy_import"], number(import));
        assert_eq!(values["meter.energy_export"], Value::Invalid, "an accumulator of 0 has not counted");
        assert_eq!(values["device.serial"], Value::Text(Arc::from("2")));
    }
}

#[test]
fn what_is_not_the_device_is_told_in_a_sentence() {
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    let meter = chain(40_000, &[common(66, "X", "1"), model(203, 105, &[])], true);
    let error = identify(&mut sunspec, &meter).unwrap_err();
    assert_eq!(error, "needs SunSpec model 101-103 or 111-113 (inverter); the device has 1, 203");
    let error = identify(&mut sunspec, &Device::default()).unwrap_err();
    assert_eq!(error, "is no SunSpec device: no marker at [40000, 50000, 0]");
    assert!(sunspec.identify().is_some(), "it can be tried again");
    assert!(sunspec.spans(0).is_empty(), "and nothing is asked for meanwhile");
}
