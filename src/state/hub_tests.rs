use super::*;
use crate::clock::IoTime;
use crate::profile::Unit;

const AGE: Duration = Duration::from_secs(3);

fn at(second: u64) -> Moment {
    let io = Duration::from_secs(second);
    Moment { io: IoTime::after_start(io), site: SiteTime::default() + io }
}

fn device(name: &str, roles: &[Role]) -> DeviceSpec {
    DeviceSpec {
        name: DeviceName::new(name),
        roles: roles.iter().copied().collect(),
        profile: "p".into(),
        interval: Duration::from_secs(1),
        max_age: [AGE].into(),
        measured: false,
    }
}

fn hub(devices: Vec<DeviceSpec>) -> Hub {
    Hub::new(Arc::new(SiteSpec {
        devices,
        windows: Vec::new(),
        time_zone: jiff::tz::TimeZone::UTC,
        longest_gap: AGE,
        not_before: SiteTime::default(),
    }))
}

fn identified(device: &str, points: &[&str]) -> BusEvent {
    let point =
        |name: &&str| PointSpec { name: (*name).into(), unit: Unit::Watts, group: 0, counter: None, wrap: None };
    BusEvent::Identified { device: DeviceName::new(device), points: points.iter().map(point).collect() }
}

fn polled(device: &str, second: u64, values: &[f64]) -> BusEvent {
    let values = values.iter().enumerate().map(|(index, value)| (index, Value::Number(*value))).collect();
    BusEvent::Polled { device: DeviceName::new(device), group: 0, sent: at(second), values }
}

fn feed(hub: &Hub, second: u64) -> Option<f64> {
    hub.snapshot(at(second)).grid.feed.and_then(|feed| feed.show()).map(Watts::watts)
}

fn play(hub: &mut Hub, events: impl IntoIterator<Item = BusEvent>) {
    events.into_iter().for_each(|event| _ = hub.apply(event));
}

#[test]
fn a_hybrid_counts_once_by_what_it_feeds_in() {
    let mut hub = hub(vec![device("grid", &[Role::GridMeter]), device("hybrid", &[Role::Pv, Role::Battery])]);
    play(
        &mut hub,
        [
            identified("grid", &["meter.power"]),
            identified("hybrid", &["inverter.power", "pv.power", "battery.power"]),
            polled("hybrid", 1, &[4700.0, 8000.0, -3000.0]),
            polled("grid", 1, &[1000.0]),
        ],
    );
    let power = super::super::SitePower::of(&hub.snapshot(at(1)), at(1));
    assert_eq!((power.pv, power.battery), (Some(Watts::kw(8.0)), Some(Watts::kw(-3.0))), "shown");
    assert_eq!(power.consumption, Some(Watts::new(5700.0)), "the inverter's losses are no consumption");
}

#[test]
fn a_part_without_a_power_leaves_the_sum_unknown_and_one_that_sleeps_makes_nothing() {
    let mut hub = hub(vec![device("grid", &[Role::GridMeter]), device("roof", &[Role::Pv])]);
    play(&mut hub, [identified("grid", &["meter.power"]), polled("grid", 1, &[1000.0])]);
    assert_eq!(feed(&hub, 1), None, "never read");
    play(&mut hub, [identified("roof", &["pv.power"]), polled("roof", 2, &[500.0]), polled("grid", 4, &[1000.0])]);
    assert_eq!(feed(&hub, 4), Some(500.0));
    play(&mut hub, [polled("grid", 6, &[1000.0])]);
    assert_eq!(feed(&hub, 6), None, "stale");
    play(&mut hub, [BusEvent::Link { device: DeviceName::new("roof"), state: LinkState::Asleep, at: at(6) }]);
    assert_eq!(feed(&hub, 6), Some(0.0));
}

#[test]
fn what_a_meter_measures_counts_by_the_meter() {
    let measured = DeviceSpec { measured: true, ..device("roof", &[Role::Pv]) };
    let mut hub = hub(vec![device("grid", &[Role::GridMeter]), measured, device("m", &[Role::PvMeter])]);
    play(
        &mut hub,
        [
            identified("grid", &["meter.power"]),
            identified("roof", &["pv.power"]),
            identified("m", &["meter.power"]),
            polled("roof", 1, &[510.0]),
            polled("m", 1, &[-500.0]),
            polled("grid", 1, &[1000.0]),
        ],
    );
    let power = super::super::SitePower::of(&hub.snapshot(at(1)), at(1));
    assert_eq!((power.pv, power.consumption), (Some(Watts::new(500.0)), Some(Watts::new(1500.0))));
}

#[test]
fn powers_are_added_at_the_moment_of_the_grid_reading() {
    let mut hub = hub(vec![device("grid", &[Role::GridMeter]), device("battery", &[Role::Battery])]);
    play(
        &mut hub,
        [
            identified("grid", &["meter.power"]),
            identified("battery", &["battery.power"]),
            polled("battery", 1, &[1000.0]),
            polled("grid", 2, &[0.0]),
            polled("battery", 3, &[3000.0]),
        ],
    );
    assert_eq!(hub.snapshot(at(3)).grid.battery.and_then(|power| power.show()), Some(Watts::new(2000.0)));
    assert_eq!(feed(&hub, 3), Some(2000.0));
}
