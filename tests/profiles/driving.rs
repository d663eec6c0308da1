//! From wishes to writes.

use std::sync::Arc;

use wattkeeper::profile::{Captured, Instance, Overrides, Refusal, Span, Table, WriteFunction};

use crate::device::{Device, at, builtin, identify, instance, poll_all, text, writes};
use crate::sunspec::hybrid;

/// Where model 124 and 123 begin in `hybrid()`.
const STORAGE: u16 = 40_208;
const CONTROLS: u16 = 40_182;

fn sunspec(device: &Device) -> Instance {
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    identify(&mut sunspec, device).unwrap();
    poll_all(&mut sunspec, device, at(0));
    sunspec
}

fn raw(value: i16) -> Vec<u16> {
    vec![value.cast_unsigned()]
}

#[test]
fn storage_is_charged_held_and_discharged_by_124() {
    let sunspec = sunspec(&hybrid());
    assert_eq!(sunspec.bounds("battery"), Ok((-10_240.0, 10_240.0)));
    let revert = (STORAGE + 15, raw(90));
    let charge = sunspec.set("battery", -3072.0).unwrap();
    let expected = vec![(STORAGE + 17, raw(1)), (STORAGE + 12, raw(-3000)), revert.clone(), (STORAGE + 5, raw(2))];
    assert_eq!(writes(&charge), expected, "the revert timer goes before the last step");
    assert!(charge.iter().all(|step| step.function == WriteFunction::SingleRegister));
    assert_eq!(charge.iter().map(|step| step.verify.is_some()).collect::<Vec<_>>(), [false, false, false, true]);

    let discharge = writes(&sunspec.set("battery", 2048.0).unwrap());
    assert_eq!(discharge, [(STORAGE + 13, raw(-2000)), revert.clone(), (STORAGE + 5, raw(1))]);
    let hold = writes(&sunspec.set("battery", 0.0).unwrap());
    assert_eq!(hold, [(STORAGE + 12, raw(0)), revert, (STORAGE + 5, raw(2))]);
}

#[test]
fn release_stops_first_and_puts_back_what_the_device_had() {
    let mut device = hybrid();
    // Its owner had a discharge limit of 80 % and a revert timer of an hour.
    device.put(Table::Holding, STORAGE + 5, &[2]);
    device.put(Table::Holding, STORAGE + 12, &[8000]);
    device.put(Table::Holding, STORAGE + 15, &[3600]);
    let before = device.clone();
    let mut sunspec = sunspec(&device);
    let captured = device.capture(&sunspec, "battery");
    sunspec.captured("battery", &captured);
    assert_eq!(sunspec.bounds("battery"), Ok((-10_240.0, 8192.0)), "its own limit is not widened");
    assert!(matches!(sunspec.set("battery", 9000.0), Err(Refusal::Bounds { .. })));
    device.obey(&sunspec.set("battery", -5000.0).unwrap());
    assert_ne!(device.registers, before.registers);

    let release = sunspec.release("battery", &captured);
    let expected = [
        (STORAGE + 5, raw(0)),
        (STORAGE + 13, raw(10_000)),
        (STORAGE + 12, raw(8000)),
        (STORAGE + 15, raw(3600)),
        (STORAGE + 17, raw(0)),
        (STORAGE + 5, raw(2)),
    ];
    assert_eq!(writes(&release), expected);
    device.obey(&release);
    assert_eq!(device.registers, before.registers);
}

#[test]
fn release_without_captured_settings_is_plain_self_consumption() {
    let release = sunspec(&hybrid()).release("battery", &Captured::new());
    let expected = [(STORAGE + 5, raw(0)), (STORAGE + 13, raw(10_000)), (STORAGE + 12, raw(10_000))];
    assert_eq!(writes(&release), expected);
}

#[test]
fn a_revert_timer_that_is_not_implemented_is_not_written_nor_put_back() {
    let mut device = hybrid();
    device.put(Table::Holding, STORAGE + 15, &[0xFFFF]);
    let sunspec = sunspec(&device);
    let steps = writes(&sunspec.set("battery", 2000.0).unwrap());
    assert_eq!(steps.iter().map(|(at, _)| at - STORAGE).collect::<Vec<_>>(), [13, 5]);
    let captured = device.capture(&sunspec, "battery");
    let release = writes(&sunspec.release("battery", &captured));
    assert!(release.iter().all(|(at, _)| *at != STORAGE + 15));
}

#[test]
fn what_a_sequence_needs_must_be_there_and_fresh() {
    let device = hybrid();
    let mut sunspec = Instance::new(builtin("sunspec"), &Overrides::default());
    assert_eq!(sunspec.set("battery", 0.0), Err(Refusal::Missing("the SunSpec chain of models".to_owned())));
    identify(&mut sunspec, &device).unwrap();
    assert_eq!(sunspec.set("battery", 0.0), Err(Refusal::Missing("battery.max_charge".to_owned())));
    poll_all(&mut sunspec, &device, at(0));
    sunspec.tick(at(179));
    assert!(sunspec.set("battery", 0.0).is_ok());
    sunspec.tick(at(181));
    assert!(matches!(sunspec.set("battery", 0.0), Err(Refusal::Missing(_))), "older than three intervals");
    assert!(!sunspec.release("battery", &Captured::new()).is_empty(), "giving back works all the same");
    assert_eq!(sunspec.set("toaster", 0.0), Err(Refusal::NoControl("toaster".to_owned())));
}

#[test]
fn the_limit_of_123_never_rises_above_the_devices_own() {
    let mut device = hybrid();
    device.put(Table::Holding, CONTROLS + 5, &[6000]);
    device.put(Table::Holding, CONTROLS + 9, &[1]);
    let mut sunspec = sunspec(&device);
    assert_eq!(sunspec.set("pv", 3000.0), Err(Refusal::Missing("own.limited".to_owned())), "not while it is unknown");
    let captured = device.capture(&sunspec, "pv");
    sunspec.captured("pv", &captured);
    let percent = |p| writes(&sunspec.set("pv", p).unwrap())[0].1[0];
    assert_eq!((percent(3000.0), percent(9000.0)), (3000, 6000));
    let steps = writes(&sunspec.set("pv", 3000.0).unwrap());
    assert_eq!(steps.iter().map(|(at, _)| at - CONTROLS).collect::<Vec<_>>(), [5, 7, 9]);
    device.obey(&sunspec.set("pv", 3000.0).unwrap());
    device.obey(&sunspec.release("pv", &captured));
    assert_eq!(device.read(Span::holding(CONTROLS + 5, 5)), hybrid_with_limit().read(Span::holding(CONTROLS + 5, 5)));
}

fn hybrid_with_limit() -> Device {
    let mut device = hybrid();
    device.put(Table::Holding, CONTROLS + 5, &[6000]);
    device.put(Table::Holding, CONTROLS + 9, &[1]);
    device
}

fn victron() -> Device {
    let mut device = Device::holding(800, &[0x3131; 60]);
    device.put(Table::Holding, 808, &[0; 6]);
    // 1200 W import, battery charging with 500 W at 50.0 V, SoC 80 %.
    device.put(Table::Holding, 820, &[400, 400, 400]);
    device.put(Table::Holding, 840, &[500, 100, 500, 80, 1]);
    device.put(Table::Holding, 850, &[0]);
    device.put(Table::Holding, 2902, &[1]);
    device.put(Table::Holding, 2702, &[100]);
    device
}

#[test]
fn victron_is_told_the_grid_power_at_which_its_battery_obeys() {
    let mut gx = Instance::new(builtin("victron-gx"), &Overrides::default());
    let mut device = victron();
    let values = poll_all(&mut gx, &device, at(0));
    assert_eq!(values["battery.power"], crate::device::number(-500.0));
    assert_eq!(values["grid.power"], crate::device::number(1200.0));
    // Discharge 2000 W: 1200 - 500 - 2000 = -1300 W at the grid.
    let steps = gx.set("battery", 2000.0).unwrap();
    assert_eq!(writes(&steps), [(2716, vec![0xFFFF, 0xFAEC])]);
    assert_eq!(steps[0].function, WriteFunction::Registers);
    assert_eq!(writes(&gx.release("battery", &Captured::new())), [(2716, vec![0, 0])]);

    gx.tick(at(4));
    assert!(matches!(gx.set("battery", 2000.0), Err(Refusal::Missing(_))), "not on old readings");
    device.put(Table::Holding, 2902, &[3]);
    poll_all(&mut gx, &device, at(5));
    assert!(matches!(gx.set("battery", 0.0), Err(Refusal::Need(sentence)) if sentence.contains("ESS mode")));
}

#[test]
fn victron_without_data_is_not_taken_for_zero_watts() {
    let mut gx = Instance::new(builtin("victron-gx"), &Overrides::default());
    let mut device = victron();
    device.put(Table::Holding, 840, &[0; 5]);
    let values = poll_all(&mut gx, &device, at(0));
    assert_eq!(values["grid.power"], wattkeeper::profile::Value::Invalid);
    assert!(gx.set("battery", 0.0).is_err());
}

#[test]
fn a_relay_closes_and_goes_back_to_where_it_was() {
    let mut board = Device::default();
    board.put(Table::Coil, 0, &[0, 1, 0, 0, 0, 0, 0, 0]);
    let relays = Instance::new(builtin("waveshare-relay-8"), &Overrides::default());
    assert_eq!(relays.spans(0), [Span { table: Table::Coil, start: 0, len: 8 }]);
    let captured = board.capture(&relays, "relay-2");
    let steps = relays.set("relay-2", 0.0).unwrap();
    assert_eq!((writes(&steps), steps[0].function), (vec![(1, vec![0])], WriteFunction::SingleCoil));
    board.obey(&steps);
    assert_eq!(writes(&relays.release("relay-2", &captured)), [(1, vec![1])], "once, without a chatter");
    assert!(matches!(relays.set("relay-2", 2.0), Err(Refusal::Bounds { .. })));
}

#[test]
fn steps_masks_blocks_and_heartbeats_are_carried_along() {
    let control = r#"
[control.load]
kind = "power-limit"
max = 70000
min_on = 500
step = 100
class = "ram"
heartbeat = { at = 99, type = "u16", value = 0x55AA, every = "5s" }
set = [
  { at = 5, type = "u16", value = "p", fn = 16, wait = "300ms" },
  { at = 6, type = "u16", value = 1, mask = 1 },
  { at = 7, type = "u16", value = 2, block = [{ type = "i32", value = "-p" }] },
]
release = [{ at = 5, type = "u16", value = 0 }]
"#;
    let device =
        instance(&(text("", "g = { every = \"1s\" }", "power = { at = 0, type = \"u16\", unit = \"W\" }") + control));
    let steps = device.set("load", 650.0).unwrap();
    assert_eq!((steps[0].function, steps[0].wait.as_millis()), (WriteFunction::Registers, 300));
    assert_eq!(steps[1].mask, Some(1));
    assert_eq!((steps[2].span, steps[2].words.clone()), (Span::holding(7, 3), vec![2, 0xFFFF, 0xFDA8]));
    let (every, beat) = device.heartbeat("load").unwrap();
    assert_eq!((every.as_secs(), beat.words), (5, vec![0x55AA]));
    assert_eq!(device.set("load", 66_000.0), Err(Refusal::Range { value: 66_000.0, address: 5 }), "never wrapped");
    assert_eq!(device.set("load", 400.0).unwrap()[0].words, [0], "below the least power it is off");
    assert!(device.set("load", f64::NAN).is_err());
    let profile = Arc::clone(device.profile());
    assert_eq!(&*profile.controls[0].name, "load");
}
