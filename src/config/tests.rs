//! Configs as a user writes them, right and wrong.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::profile::{Kind, Manners, Profile, Status};
use crate::units::{Soc, WattHours, Watts};

fn profile(id: &str, kind: Kind) -> (Arc<str>, Arc<Profile>) {
    let id: Arc<str> = id.into();
    let profile = Profile {
        id: id.clone(),
        name: id.to_string(),
        kind,
        status: Status::Confirmed,
        sources: Vec::new(),
        manners: Manners::default(),
        groups: Vec::new(),
        controls: Vec::new(),
        points: Vec::new(),
    };
    (id, Arc::new(profile))
}

fn around() -> Surroundings {
    let profiles = ProfileSource::new(|_| {
        Ok([
            profile("eastron-sdm630", Kind::Meter),
            profile("sunspec", Kind::Hybrid),
            profile("sunspec-pv", Kind::Pv),
            profile("relay-board", Kind::Relay),
        ]
        .into())
    });
    Surroundings { profiles, ..Surroundings::default() }
}

fn read(text: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    parse(text, "site.toml", &around())
}

fn errors(text: &str) -> String {
    match read(text) {
        Ok((_, diagnostics)) => format!("valid\n{diagnostics}"),
        Err(diagnostics) => diagnostics.to_string(),
    }
}

fn valid(text: &str) -> Config {
    read(text).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).0
}

const DESIGN: &str = r#"
[site]
name      = "town-hall"
time_zone = "Asia/Tokyo"

[[device]]
name    = "grid"
role    = "grid-meter"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB0?baud=9600&parity=none"
unit_id = 1

[[device]]
name     = "battery"
role     = "battery"
profile  = "sunspec"
address  = "tcp://192.168.1.20:502"
unit_id  = 1
capacity = "30 kWh"
charge_max = "15 kW"
discharge_max = "15 kW"
soc_min = "10 %"
soc_max = "95 %"

[[rule]]
kind  = "peak-shaving"
limit = "80 kW"
window = "30 min"

[[rule]]
kind = "self-consumption"

[tariff]
import = "0.31 EUR/kWh"
export = "0.08 EUR/kWh"
demand_charge = "12 EUR/kW"
demand_period = "month"
billed_peak   = "64 kW"

[mqtt]
broker = "mqtts://broker.example:8883"
username = "town-hall"

[http]
listen = "127.0.0.1:9810"
"#;

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
fn all_errors_come_at_once_each_with_its_place() {
    insta::assert_snapshot!(errors(
        r#"
[site]
name = "town hall"
time_zone = "Europe/Berln"

[[device]]
name = "grid"
role = "grid-metre"
profile = "eastron-sdm360"
adress = "tcp://192.168.1.10"

[[device]]
name = "grid"
role = "battery"
capacity = "30 kW"
charge_max = "15,5 kW"
discharge_max = 15
soc_min = "110 %"

[[rule]]
kind = "peak-shavng"

[[rule]]
kind = "peak-shaving"
limit = 80
window = "20 min"

[mqtt]
broker = "mqtt://8.8.8.8"
password = "hunter2"
keep_alive = "1 s"

[http]
listen = "localhost:9810"

[bogus]
"#
    ));
}

#[test]
fn syntax_errors_are_all_told_and_what_may_follow_from_them_is_not() {
    insta::assert_snapshot!(errors(
        r#"
[site]
name = "hall
time_zone = "Europe/Berlin"

[[device]]
name = battery
role = "battery"

[[rule]]
kind = "self-consumption"
target = = "50 W"
"#
    ));
}

#[test]
fn devices_that_do_not_fit_together_are_told_with_both_places() {
    insta::assert_snapshot!(errors(
        r#"
[site]
name = "hall"
time_zone = "Europe/Berlin"

[[device]]
name = "a"
role = "grid-meter"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB0?baud=9600"

[[device]]
name = "b"
role = "grid-meter"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB0?baud=9600"

[[device]]
name = "c"
role = "battery"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB0?baud=19200"
unit_id = 0
soc_min = "50 %"
soc_max = "40 %"

[[device]]
name = "d"
profile = "eastron-sdm630"
address = "rtu:/dev/ttyUSB1"
unit_id = 248

[[device]]
name = "e"
profile = "eastron-sdm630"
address = "tcp://meter"
measures = "f"
"#
    ));
}

#[test]
fn rules_that_cannot_work_here_are_told() {
    insta::assert_snapshot!(errors(
        r#"
[site]
name = "hall"
time_zone = "Europe/Berlin"

[[device]]
name = "sun"
profile = "sunspec-pv"
address = "tcp://sun"

[[rule]]
kind = "export-limit"
limit = "5 kW"

[[rule]]
kind = "reserve"
soc = "30 %"
hysteresys = "5 %"

[[rule]]
kind = "charge-window"
from = 22:00:00
to = "6:00"
days = ["mon", "tuesday"]
soc = 80

[[rule]]
kind = "reserve"
soc = "20 %"
circuit = "cellar"

[[circuit]]
name = "cellar"

[tariff]
import = 0.31
export = "0.08 CHF/kWh"
demand_charge = "12 EUR"
"#
    ));
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
fn the_tables_of_defaults_agree_with_the_model() {
    let config = valid("[site]\nname = \"a\"\n[[device]]\nname = \"r\"\nrole = \"relay\"\n");
    let device = &config.devices[0];
    let plain = DeviceConfig::new("r", [Role::Relay]);
    assert_eq!(format!("{device:?}"), format!("{plain:?}"));
}

#[test]
fn every_default_and_range_in_the_tables_can_be_read() {
    use super::keys::{Form, RULES, TABLES, Without};
    use super::written::{Bytes, OrAuto, Price, Ramp, Written};
    for shape in TABLES.iter().chain(&RULES) {
        for key in shape.keys {
            let default = match key.without {
                Without::Default(text) => Some(text),
                _ => None,
            };
            for text in default.into_iter().chain(key.range.into_iter().flat_map(|(low, high)| [low, high])) {
                let readable = match key.form {
                    Form::Text | Form::Choice(_) | Form::Choices(_) => true,
                    Form::Flag => bool::from_text(text).is_ok(),
                    Form::Count => u16::from_text(text).is_ok(),
                    Form::Power => Watts::from_text(text).is_ok(),
                    Form::Energy => WattHours::from_text(text).is_ok(),
                    Form::Share => Soc::from_text(text).is_ok(),
                    Form::Time => Duration::from_text(text).is_ok(),
                    Form::Ramp => Ramp::from_text(text).is_ok(),
                    Form::EnergyPrice => Price::<true>::from_text(text).is_ok(),
                    Form::PowerPrice => Price::<false>::from_text(text).is_ok(),
                    Form::Size => Bytes::from_text(text).is_ok(),
                    Form::Clock => TimeOfDay::from_text(text).is_ok(),
                    Form::PowerOrAuto => OrAuto::<Watts>::from_text(text).is_ok(),
                    Form::ShareOrAuto => OrAuto::<Soc>::from_text(text).is_ok(),
                    Form::Table(_) | Form::Tables(_) => false,
                };
                assert!(readable, "{} {}: {text}", shape.title, key.name);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn no_damage_to_a_config_makes_it_panic(at in 0..DESIGN.len(), cut in 0..40_usize, put in "[\\PC\n]{0,12}") {
        let end = (at + cut).min(DESIGN.len());
        let text = format!("{}{put}{}", &DESIGN[..at], &DESIGN[end..]);
        let _ = read(&text);
    }

    #[test]
    fn no_value_makes_it_panic(key in prop::sample::select(vec![
        "capacity", "ramp", "unit_id", "address", "role", "max_age", "soc_min", "plant", "measures", "words",
    ]), value in prop_oneof![
        "\"\\PC{0,12}\"", "-?[0-9]{1,30}", "[0-9.eE+-]{1,10}", Just("nan".to_owned()), Just("[[1], {a = 2}]".to_owned()),
        "\"-?[0-9e.]{1,9} (k?Wh?|%|ms|kW/s)\"",
    ]) {
        let _ = read(&format!("[site]\nname = \"a\"\n[[device]]\nname = \"b\"\n{key} = {value}\n"));
    }
}
