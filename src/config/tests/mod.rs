//! Configs as a user writes them, right and wrong.

mod diff;
mod errors;
mod meaning;
mod mqtt;
mod reference;
mod written;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::profile::{BatteryControl, Class, Control, ControlKind, Group, Kind, Manners, Profile, Status};
use crate::units::{Soc, WattHours, Watts};

fn profile(id: &str, kind: Kind) -> (Arc<str>, Arc<Profile>) {
    let id: Arc<str> = id.into();
    static SOME: std::sync::LazyLock<Arc<Profile>> = std::sync::LazyLock::new(|| {
        crate::profile::library::Library::builtin().get("generic").expect("a built-in profile")
    });
    let profile = Profile {
        id: id.clone(),
        name: id.to_string(),
        kind,
        status: Status::Confirmed,
        manners: Manners::default(),
        groups: Vec::new(),
        controls: Vec::new(),
        points: Vec::new(),
        ..(**SOME).clone()
    };
    (id, Arc::new(profile))
}

/// Gives a profile a control, so that its device can be told something.
fn with_control(mut profile: Arc<Profile>) -> Arc<Profile> {
    Arc::make_mut(&mut profile).controls.push(Control {
        name: "battery".into(),
        kind: ControlKind::BatteryPower(BatteryControl::Exact),
        status: Status::Confirmed,
        step: 0.0,
        deadband: 0.0,
        min_on: 0.0,
        class: Class::Ram,
        budget: None,
        refresh: None,
        revert: None,
        settle: Duration::from_secs(2),
        effect: None,
    });
    profile
}

/// Gives a profile a group.
fn polled_each(mut profile: Arc<Profile>, every: Duration) -> Arc<Profile> {
    Arc::make_mut(&mut profile).groups.push(Group { name: "all".into(), every });
    profile
}

fn around() -> Surroundings {
    let profiles = ProfileSource::new(|_| {
        Ok([
            profile("eastron-sdm630", Kind::Meter),
            (Arc::from("sunspec"), with_control(profile("sunspec", Kind::Hybrid).1)),
            profile("sunspec-pv", Kind::Pv),
            profile("relay-board", Kind::Relay),
            (Arc::from("fast"), polled_each(profile("fast", Kind::Meter).1, Duration::from_micros(500))),
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
