//! What is written by the controls that no simulated device drives (and are `unconfirmed`).

use wattkeeper::profile::{Captured, Instance, Overrides, Status, Table, WriteFunction};

use crate::device::{Device, at, builtin, identify, poll_all, writes};
use crate::plans::INVERTERS;

/// An instance that has read a device, with the device's settings captured.
fn ready(id: &str, device: &Device) -> (Instance, Captured) {
    let mut instance = Instance::new(builtin(id), &Overrides::default());
    identify(&mut instance, device).unwrap();
    // What is computed from a fast and a slow group is known at the second poll.
    (0..2).for_each(|n| _ = poll_all(&mut instance, device, at(n)));
    let captured = device.capture(&instance, "battery");
    instance.captured("battery", &captured);
    (instance, captured)
}

/// Sets, releases, and checks that all is as before.
fn set_and_release(id: &str, device: &Device, p: f64) -> Vec<(u16, Vec<u16>)> {
    let (instance, captured) = ready(id, device);
    let steps = instance.set("battery", p).unwrap();
    let mut told = device.clone();
    told.obey(&steps);
    told.obey(&instance.release("battery", &captured));
    for ((table, at), word) in &device.registers {
        assert_eq!(told.registers.get(&(*table, *at)), Some(word), "{id}: register {at} after the release");
    }
    writes(&steps)
}

#[test]
fn what_was_not_proven_by_a_device_is_unconfirmed() {
    let unproven = ["deye-3p", "goodwe-et", "growatt-tl-xh", "sofar-hyd", "solis-hybrid"];
    for id in INVERTERS {
        for control in &builtin(id).controls {
            let wanted = if unproven.contains(&id) { Status::Unconfirmed } else { Status::Confirmed };
            assert_eq!(control.status, wanted, "{id} {}", control.name);
        }
    }
    assert!(builtin("deye-1p").controls.is_empty());
}

#[test]
fn a_timer_outlives_two_refreshes_and_flash_has_a_budget() {
    for id in INVERTERS {
        for control in &builtin(id).controls {
            if let (Some(revert), Some(refresh)) = (control.revert, control.refresh) {
                assert!(revert >= refresh * 2, "{id}");
            }
            assert_eq!(control.budget.is_some(), control.class == wattkeeper::profile::Class::Flash, "{id}");
        }
    }
}

/// OpenEMS EmsPowerMode: 11 charges, 12 discharges, 8 stands by, 1 is the inverter's own.
#[test]
fn a_goodwe_is_told_mode_and_power_in_one_request() {
    let mut goodwe = Device::holding(35_001, &[10_000]);
    goodwe.put(Table::Holding, 35_180, &[2542]);
    goodwe.put(Table::Holding, 37_004, &[20, 25]);
    goodwe.put(Table::Holding, 47_511, &[1, 0]);
    assert_eq!(set_and_release("goodwe-et", &goodwe, -3000.0), [(47_511, vec![11, 3000])]);
    assert_eq!(set_and_release("goodwe-et", &goodwe, 3000.0), [(47_511, vec![12, 3000])]);
    assert_eq!(set_and_release("goodwe-et", &goodwe, 0.0), [(47_511, vec![8, 0])]);
    assert_eq!(ready("goodwe-et", &goodwe).0.bounds("battery"), Ok((-5084.0, 6355.0)), "the BMS's currents");
}

#[test]
fn a_deye_is_told_currents_by_fn_16_and_never_more_than_its_owner_allows() {
    let mut deye = Device::holding(0, &[5]);
    deye.put(Table::Holding, 20, &[0xD4C0, 1]); // 120000 in 0.1 W, low word first
    deye.put(Table::Holding, 587, &[5000]);
    deye.put(Table::Holding, 108, &[100, 80]);
    deye.put(Table::Holding, 127, &[30, 40]);
    deye.put(Table::Holding, 130, &[0]);
    deye.put(Table::Holding, 146, &[0xFF]);
    let (instance, _) = ready("deye-3p", &deye);
    assert_eq!(instance.bounds("battery"), Ok((-5000.0, 4000.0)));
    let charge = [(109, vec![0]), (127, vec![100]), (128, vec![60]), (146, vec![0]), (130, vec![1])];
    assert_eq!(set_and_release("deye-3p", &deye, -3000.0), charge);
    assert_eq!(set_and_release("deye-3p", &deye, 2000.0), [(109, vec![40]), (130, vec![0])]);
    let steps = instance.set("battery", -3000.0).unwrap();
    assert!(steps.iter().all(|step| step.function == WriteFunction::Registers));
}

/// WouterTuinstra/Homeassistant-Growatt-Local-Modbus issue 43: -50 discharges with 5 kW of 10 kW.
#[test]
fn a_growatt_is_told_minutes_and_percent() {
    let mut growatt = Device::default();
    growatt.put(Table::Holding, 30_016, &[1, 0x86A0]);
    growatt.put(Table::Input, 31_210, &[0, 60_000, 0, 60_000]);
    growatt.put(Table::Holding, 30_100, &[0]);
    growatt.put(Table::Holding, 30_407, &[0, 0, 0, 0]);
    let minus = |value: i16| vec![value.cast_unsigned()];
    let discharge = [(30_409, minus(-50)), (30_407, vec![1]), (30_408, vec![10]), (30_100, vec![1])];
    assert_eq!(set_and_release("growatt-tl-xh", &growatt, 5000.0), discharge);
    let charge = set_and_release("growatt-tl-xh", &growatt, -3000.0);
    assert_eq!(charge[..2], [(30_410, vec![1]), (30_409, vec![30])]);
}

#[test]
fn a_solis_is_told_a_command_and_tens_of_watts() {
    let mut solis = Device::default();
    solis.put(Table::Input, 33_133, &[500]);
    solis.put(Table::Input, 33_143, &[1000, 1000]);
    solis.put(Table::Holding, 43_129, &[0]);
    solis.put(Table::Holding, 43_135, &[0, 0]);
    assert_eq!(set_and_release("solis-hybrid", &solis, -1505.0), [(43_136, vec![150]), (43_135, vec![1])]);
    assert_eq!(set_and_release("solis-hybrid", &solis, 2000.0), [(43_129, vec![200]), (43_135, vec![2])]);
    assert_eq!(set_and_release("solis-hybrid", &solis, 0.0), [(43_136, vec![0]), (43_135, vec![1])]);
}

#[test]
fn a_sofar_is_told_a_battery_window_and_its_own_time_out() {
    let mut sofar = Device::holding(4368, &[0]);
    sofar.put(Table::Holding, 4484, &[0, 0]);
    let steps = set_and_release("sofar-hyd", &sofar, -2000.0);
    let expected = [(4487, vec![0, 0, 0, 2000, 0, 2000]), (4484, vec![1500, 1]), (4368, vec![3])];
    assert_eq!(steps, expected);
    let (instance, captured) = ready("sofar-hyd", &sofar);
    let release = instance.release("battery", &captured);
    assert!(release.iter().all(|step| step.function == WriteFunction::Registers), "it knows only fn 16");
    assert_eq!(writes(&release), [(4368, vec![0]), (4484, vec![0, 0])]);
}
