//! What a valid config means.

use std::time::Duration;

use super::super::*;
use super::{DESIGN, read, valid};
use crate::units::{Soc, WattHours, Watts};

#[test]
fn the_first_example_means_what_it_says() {
    let (config, diagnostics) = read(DESIGN).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert!(diagnostics.warnings.is_empty(), "{diagnostics}");
    assert_eq!(&*config.site.name, "town-hall");
    let battery = &config.devices[1];
    assert_eq!(battery.capacity, Some(WattHours::kwh(30.0)));
    assert_eq!(battery.soc_max, Soc::from_percent(95.0));
    assert_eq!(battery.roles, [Role::Battery].into());
    assert_eq!(
        config.rules[0].rule,
        Rule::PeakShaving {
            limit: PeakLimit::Fixed(Watts::kw(80.0)),
            window: Some(Duration::from_secs(1800)),
            margin: Watts::ZERO,
            hold: None
        }
    );
    assert_eq!(config.rules[0].line, 25);
    assert_eq!(config.tariff.demand_charge, Some(12.0));
    assert_eq!(config.tariff.currency.as_deref(), Some("EUR"));
    let mqtt = config.mqtt.unwrap();
    assert_eq!((mqtt.host.as_str(), mqtt.port, mqtt.telemetry_qos), ("broker.example", 8883, 1));
    assert_eq!((mqtt.client_id.as_str(), mqtt.topic_prefix.as_str()), ("wattkeeper-town-hall", "wattkeeper/town-hall"));
    assert_eq!(config.telemetry.buffer, 16_000_000);
    assert!(!config.control.enabled);
}

#[test]
fn a_described_site_for_replay_loads_with_warnings_for_what_is_not_built() {
    let (config, diagnostics) = read(
        r#"
[site]
name = "site"
time_zone = "Asia/Tokyo"

[[device]]
name = "battery"
role = "battery"
capacity = "120 kWh"
charge_max = "60 kW"
discharge_max = "60 kW"
soc_min = "5 %"
soc_max = "95 %"
[device.plant]
charge_efficiency = "95 %"
discharge_efficiency = "95 %"
standby = "150 W"
response_delay = "300 ms"
ramp = "60 kW/s"
initial_soc = "50 %"

[tariff]
demand_charge = "12 EUR/kW"
demand_period = "month"

[[rule]]
kind = "grid-limit"

[[rule]]
kind = "export-limit"
limit = "10 kW"

[[rule]]
kind = "reserve"
soc = "auto"

[[rule]]
kind = "peak-shaving"
limit = "auto"
window = "15 min"

[[rule]]
kind = "tariff"

[[rule]]
kind = "self-consumption"
"#,
    )
    .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    insta::assert_snapshot!(diagnostics.to_string());
    let kinds: Vec<_> = config.rules.iter().map(|rule| rule.rule.kind()).collect();
    assert_eq!(kinds, ["grid-limit", "export-limit", "reserve", "peak-shaving", "self-consumption"]);
    let plant = &config.devices[0].plant;
    assert_eq!((plant.ramp, plant.standby), (Some(Watts::kw(60.0)), Watts::new(150.0)));
    assert_eq!(plant.charge_efficiency, 0.95);
}

#[test]
fn a_device_is_what_its_profile_is_and_a_meter_what_it_measures() {
    let config = valid(
        r#"
[site]
name = "a"
[[device]]
name = "hybrid"
profile = "sunspec"
address = "tcp://one"
[[device]]
name = "sun"
profile = "sunspec-pv"
address = "tcp://two"
[[device]]
name = "m"
profile = "eastron-sdm630"
address = "rtu-tcp://gateway:4196"
unit_id = 3
measures = "sun"
[[device]]
name = "n"
profile = "eastron-sdm630"
address = "rtu-tcp://gateway:4196"
unit_id = 4
measures = "hybrid"
"#,
    );
    let roles: Vec<Vec<_>> = config.devices.iter().map(|device| device.roles.iter().copied().collect()).collect();
    assert_eq!(roles, [vec![Role::Pv, Role::Battery], vec![Role::Pv], vec![Role::PvMeter], vec![]]);
}

#[test]
fn a_bus_gives_its_devices_what_they_do_not_say_themselves() {
    let config = valid(
        r#"
[site]
name = "a"
[[bus]]
address = "rtu:/dev/ttyUSB0?baud=9600"
gap = "50 ms"
timeout = "300 ms"
[[device]]
name = "m"
role = "load-meter"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB0"
[[device]]
name = "n"
role = "load-meter"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB0"
unit_id = 2
timeout = "1m 30s"
"#
        .replace("1m 30s", "0.9 s")
        .as_str(),
    );
    let times: Vec<_> = config.devices.iter().map(|d| (d.overrides.gap, d.overrides.timeout)).collect();
    let ms = |ms| Some(Duration::from_millis(ms));
    assert_eq!(times, [(ms(50), ms(300)), (ms(50), ms(900))]);
}

#[test]
fn the_site_is_told_as_it_was_understood() {
    insta::assert_snapshot!(valid(DESIGN).describe());
}

#[test]
fn every_rule_is_told_as_a_sentence() {
    let site = r#"
[site]
name = "a"
time_zone = "Europe/Berlin"
[[device]]
name = "b"
role = "battery"
capacity = "10 kWh"
charge_max = "5 kW"
discharge_max = "5 kW"
"#;
    let rules = [
        "kind = \"grid-limit\"",
        "kind = \"grid-limit\"\nlimit = \"30 kW\"\nexport = \"0 W\"",
        "kind = \"export-limit\"\nlimit = \"10 kW\"",
        "kind = \"reserve\"\nsoc = \"30 %\"\nrecharge = \"2 kW\"",
        "kind = \"peak-shaving\"\nlimit = \"80 kW\"\nwindow = \"15 min\"\nmargin = \"500 W\"\nhold = \"40 %\"",
        "kind = \"peak-shaving\"\nlimit = \"auto\"",
        "kind = \"charge-window\"\nfrom = \"22:00\"\nto = \"24:00\"\ndays = \"weekdays\"\nsoc = \"80 %\"",
        "kind = \"charge-window\"\nfrom = \"01:00\"\nto = \"05:30\"\ndays = [\"mon\", \"weekend\"]\npower = \"3 kW\"",
        "kind = \"self-consumption\"\ntarget = \"-100 W\"",
    ];
    let told: Vec<_> =
        rules.iter().map(|rule| valid(&format!("{site}[[rule]]\n{rule}\n")).rules[0].rule.to_string()).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_poll_that_few_devices_bear_is_warned_of() {
    let text = DESIGN.replace("eastron-sdm630", "fast");
    let (_, diagnostics) = read(&text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let [warning] = diagnostics.warnings.as_slice() else { panic!("{diagnostics}") };
    assert!(warning.contains("polled every 500 µs") && warning.contains("more than 50"), "{warning}");
}
