//! Each profile in a site's config, and the simulated site that `wattkeeper simulate` makes of it.

use wattkeeper::config::{Surroundings, parse};
use wattkeeper::sim::{Wanted, site_plan};

use crate::plans::INVERTERS;

fn config(id: &str) -> String {
    let roles = match id {
        "fronius-gen24" => "[\"pv\", \"battery\"]",
        "sma-sunny-island" => "[\"grid-meter\", \"battery\"]",
        _ => "[\"grid-meter\", \"pv\", \"battery\"]",
    };
    let meter = "[[device]]\nname = \"meter\"\nrole = [\"grid-meter\"]\nprofile = \"sunspec-meter\"\naddress = \"tcp://10.0.0.2\"\n";
    let meter = if id == "fronius-gen24" { meter } else { "" };
    format!(
        "[site]\nname = \"home\"\ntime_zone = \"Europe/Vienna\"\n{meter}[[device]]\nname = \"hybrid\"\nrole = {roles}\n\
         profile = \"{id}\"\naddress = \"tcp://10.0.0.1\"\ncapacity = \"10 kWh\"\ncharge_max = \"5 kW\"\n\
         discharge_max = \"5 kW\"\n[[rule]]\nkind = \"self-consumption\"\n"
    )
}

#[test]
fn every_inverter_fits_a_site_and_six_makes_can_be_simulated() {
    let mut simulated = Vec::new();
    for id in INVERTERS {
        let text = config(id);
        let (config, said) =
            parse(&text, "site.toml", &Surroundings::default()).unwrap_or_else(|said| panic!("{id}: {said}"));
        assert!(said.warnings.is_empty(), "{id}: {said}");
        if site_plan(&config, &Wanted::default()).is_ok() {
            simulated.push(id);
        }
    }
    let driven = [
        "fronius-gen24",
        "huawei-sun2000",
        "kostal-plenticore",
        "sma-sunny-island",
        "sma-tripower-se",
        "solaredge-storedge",
        "sungrow-sh",
    ];
    assert_eq!(simulated, driven);
}
