//! What is wrong is said at once, with its place and what to write.

use super::errors;

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
fn depth_and_size_do_no_harm() {
    for text in ["[".repeat(50_000), format!("a = {}", "[".repeat(50_000)), "a=1\n".repeat(20_000), "\"".repeat(9_999)]
    {
        assert!(!errors(&text).is_empty());
    }
    assert!(errors(&"x = 1\n".repeat(500)).contains("more in site.toml"));
}
