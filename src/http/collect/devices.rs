//! Devices: link, points, setpoints, bus counters. A point that is not fresh, or whose device is away, has no series.

use std::time::Duration;

use crate::bus::{DeviceStats, ErrorKind, LATENCY_BUCKETS, LinkState, SetpointReport, SetpointState};
use crate::clock::Moment;
use crate::config::Role;
use crate::http::family::*;
use crate::http::sheet::{Buckets, Sheet};
use crate::http::view::View;
use crate::profile::{PointSpec, Unit};
use crate::reading::Reading;
use crate::state::{DeviceState, PointValue};
use crate::units::WattHours;

pub(super) fn fill(sheet: &mut Sheet, view: &View) {
    for device in &view.snapshot.devices {
        fill_link(sheet, device);
        if matches!(device.link, LinkState::Up | LinkState::Asleep) {
            for (point, value) in device.points.iter().zip(&device.values) {
                if let PointValue::Number(reading) = value {
                    fill_point(sheet, device.name.as_str(), point, reading, view.now, device.limit_of(point));
                }
            }
        }
        for report in &device.setpoints {
            fill_setpoint(sheet, device.name.as_str(), report);
        }
    }
    for (name, stats) in &view.sources.stats {
        fill_stats(sheet, name.as_str(), stats);
    }
}

fn fill_link(sheet: &mut Sheet, device: &DeviceState) {
    let name = device.name.as_str();
    let roles: Vec<&str> = device.roles.iter().map(|role| role_name(*role)).collect();
    let text = |wanted: &str| text_point(device, wanted).unwrap_or_default();
    let labels = [name, &device.profile, &roles.join(","), text("manufacturer"), text("model"), text("serial")];
    sheet.put(&DEVICE_INFO, labels, 1.0);
    sheet.put_bool(&DEVICE_UP, [name], device.link == LinkState::Up);
    let present = link_name(&device.link);
    for state in ["starting", "up", "down", "asleep"] {
        sheet.put_bool(&DEVICE_LINK, [name, state], state == present);
    }
    let success = device.last_success.map_or(0.0, |at| at.site.as_duration().as_secs_f64());
    sheet.put(&DEVICE_SUCCESS, [name], success);
}

fn fill_point(
    sheet: &mut Sheet,
    device: &str,
    point: &PointSpec,
    reading: &Reading<f64>,
    now: Moment,
    limit: Duration,
) {
    let Ok(value) = reading.fresh(now, limit) else { return };
    let name = &*point.name;
    let family = match point.unit {
        Unit::Watts => &POWER,
        Unit::VoltAmperes => &APPARENT,
        Unit::Vars => &REACTIVE,
        Unit::Volts => &VOLTAGE,
        Unit::Amperes => &CURRENT,
        Unit::Hertz => &FREQUENCY,
        Unit::Celsius => &TEMPERATURE,
        Unit::Ratio => &RATIO,
        Unit::None => &POINT,
        Unit::WattHours => {
            let joules = WattHours::new(value).joules();
            match point.counter {
                Some(_) => sheet.put(&ENERGY, [device, name, direction(name)], joules),
                None => sheet.put(&STORED, [device, name], joules),
            }
            return;
        }
    };
    sheet.put(family, [device, name], value);
}

fn fill_setpoint(sheet: &mut Sheet, device: &str, report: &SetpointReport) {
    let control = &*report.control;
    let present = match report.state {
        SetpointState::Written => "written",
        SetpointState::Confirmed => "confirmed",
        SetpointState::Refused(_) => "refused",
        SetpointState::Failed(_) => "failed",
        SetpointState::SafeWritten => "safe-written",
        SetpointState::SafeConfirmed => "safe-confirmed",
    };
    for state in ["written", "confirmed", "refused", "failed", "safe-written", "safe-confirmed"] {
        sheet.put_bool(&SETPOINT_STATE, [device, control, state], state == present);
    }
    sheet.put_some(&IN_FORCE, [device, control], report.value);
    sheet.put(&WRITES_TODAY, [device, control], f64::from(report.writes_today));
    sheet.put_some(&BUDGET, [device, control], report.budget.map(f64::from));
}

fn fill_stats(sheet: &mut Sheet, device: &str, stats: &DeviceStats) {
    sheet.put(&REQUESTS, [device], stats.requests() as f64);
    for (kind, errors) in ErrorKind::LABELS.iter().zip(stats.errors()) {
        sheet.put(&ERRORS, [device, kind], errors as f64);
    }
    let counts = stats.latency();
    let sum = stats.latency_sum().as_secs_f64();
    sheet.put_histogram(&DURATION, [device], &Buckets { edges: &LATENCY_BUCKETS, counts: &counts, sum });
    sheet.put(&WRITES, [device], stats.writes() as f64);
}

/// A text that the device gave about itself, whatever part it stands under.
fn text_point<'a>(device: &'a DeviceState, wanted: &str) -> Option<&'a str> {
    let last = |point: &PointSpec| point.name.rsplit('.').next() == Some(wanted);
    device.points.iter().zip(&device.values).find_map(|(point, value)| match value {
        PointValue::Text(text, _) if last(point) => Some(&**text),
        _ => None,
    })
}

/// `meter.energy_import_l1` → `import`; empty where the name says none.
fn direction(point: &str) -> &str {
    let named = |word: &&str| ["import", "export", "charge", "discharge"].contains(word);
    point.split(['.', '_']).find(named).unwrap_or_default()
}

const fn link_name(link: &LinkState) -> &'static str {
    match link {
        LinkState::Starting => "starting",
        LinkState::Up => "up",
        LinkState::Down { .. } => "down",
        LinkState::Asleep => "asleep",
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::GridMeter => "grid-meter",
        Role::PvMeter => "pv-meter",
        Role::LoadMeter => "load-meter",
        Role::Pv => "pv",
        Role::Battery => "battery",
        Role::Charger => "charger",
        Role::HeatPump => "heat-pump",
        Role::Relay => "relay",
    }
}

#[cfg(test)]
mod tests {
    use super::direction;

    #[test]
    fn the_direction_of_an_energy_is_a_word_of_its_name() {
        assert_eq!(direction("meter.energy_import"), "import");
        assert_eq!(direction("grid.energy_export_l2"), "export");
        assert_eq!(direction("battery.energy_discharge"), "discharge");
        assert_eq!(direction("pv.energy"), "");
    }
}
