//! `[tariff]`, `[control]`, `[http]`, `[telemetry]`.

use std::net::SocketAddr;
use std::time::Duration;

use toml::de::DeValue;

use super::section::Section;
use super::written::{Bytes, Fault, Price, shown};
use super::{ControlConfig, DemandPeriod, HttpConfig, Tariff, TelemetryConfig};

/// `[tariff]`.
pub(super) fn tariff(section: &Section<'_>) -> Tariff {
    let import = energy_price(section, "import");
    let export = energy_price(section, "export");
    let demand = section.get::<Price<false>>("demand_charge");
    for (name, amount) in
        [("import", import.as_ref().map(|p| p.amount)), ("demand_charge", demand.as_ref().map(|p| p.amount))]
    {
        if amount.is_some_and(|amount| amount < 0.0) {
            section.refuse(name, Fault::new("is negative"));
        }
    }
    let named = [
        ("import", import.as_ref().map(|price| &price.currency)),
        ("export", export.as_ref().map(|price| &price.currency)),
        ("demand_charge", demand.as_ref().map(|price| &price.currency)),
    ];
    let mut named = named.into_iter().filter_map(|(name, currency)| currency.map(|currency| (name, currency)));
    let first = named.next();
    if let Some((first_name, first)) = first {
        for (name, currency) in named.filter(|(_, currency)| *currency != first) {
            let title = format!("`{name}` is in {currency}, `{first_name}` in {first}: one currency a site");
            section.report().add(section.problem(name, title).also(section.span_of(first_name), "the other"));
        }
    }
    let currency = first.map(|(_, currency)| currency.as_str().into());
    let periods = [("month", DemandPeriod::Month), ("year", DemandPeriod::Year), ("term", DemandPeriod::Term)];
    Tariff {
        import: import.as_ref().map(|price| price.amount),
        export: export.as_ref().map(|price| price.amount),
        demand_charge: demand.as_ref().map(|price| price.amount),
        demand_period: section.choice("demand_period", &periods).unwrap_or_default(),
        billed_peak: section.get("billed_peak"),
        currency,
    }
}

/// A fixed price. Tables of times and prices by MQTT are words of the language that nothing acts on yet.
fn energy_price(section: &Section<'_>, name: &str) -> Option<Price<true>> {
    if section.raw(name).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_))) {
        let title = format!("`{name}`: prices that change are not built yet: ignored");
        section.report().add(section.problem(name, title).warning());
        return None;
    }
    section.get(name)
}

/// `[control]`.
pub(super) fn control(section: &Section<'_>) -> ControlConfig {
    let (interval, lease): (Duration, Duration) = (section.value("interval"), section.value("lease"));
    if lease < interval * 2 {
        let fault =
            format!("is below twice `interval` ({}): setpoints would end between two decisions", shown(interval));
        section.refuse("lease", Fault::new(fault));
    }
    ControlConfig { enabled: section.value("enabled"), interval, lease }
}

/// `[http]`.
pub(super) fn http(section: &Section<'_>) -> Option<HttpConfig> {
    let text = section.value::<String>("listen");
    if text == "off" {
        return None;
    }
    let Ok(listen) = text.parse::<SocketAddr>() else {
        let port = text.rsplit_once(':').map_or("9810", |(_, port)| port);
        let port = if port.parse::<u16>().is_ok() { port } else { "9810" };
        let fault = Fault::new(format!("is an IP address with a port, or `off`: not {text:?}"));
        section.refuse("listen", fault.write(format!("127.0.0.1:{port}")));
        return None;
    };
    if !listen.ip().is_loopback() {
        let title = format!("`listen = \"{listen}\"` can be read from the network, without a password");
        section.report().add(section.problem("listen", title).warning());
    }
    Some(HttpConfig { listen })
}

/// `[telemetry]`.
pub(super) fn telemetry(section: &Section<'_>) -> TelemetryConfig {
    TelemetryConfig { buffer: section.value::<Bytes>("buffer").0 }
}
