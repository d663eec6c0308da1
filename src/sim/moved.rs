//! A config whose devices have moved to where they are simulated; all else, comments too, stays as it was written.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::running::OpenLine;
use crate::bus::{Address, Parity};

/// The text with the addresses of the simulated devices. A described device gets an address, and a profile if it has none.
///
/// # Errors
/// A sentence when the text is no TOML.
pub fn moved(text: &str, lines: &[OpenLine]) -> Result<String, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    let devices = match table.get_ref().get("device").map(|value| value.get_ref()) {
        Some(DeValue::Array(devices)) => devices.iter().collect(),
        _ => Vec::new(),
    };
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for device in devices {
        let DeValue::Table(device) = device.get_ref() else { continue };
        let Some(name) = device.get("name") else { continue };
        let Some(address) = name.get_ref().as_str().and_then(|name| address_of(lines, name)) else { continue };
        let address = toml::Value::from(address).to_string();
        match device.get("address") {
            Some(old) => edits.push((old.span(), address)),
            None => {
                let profile = if device.contains_key("profile") { "" } else { "\nprofile = \"sunspec\"" };
                let end = name.span().end;
                edits.push((end..end, format!("{profile}\naddress = {address}")));
            }
        }
    }
    edits.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    let mut text = text.to_owned();
    for (place, new) in edits {
        text.replace_range(place, &new);
    }
    Ok(text)
}

fn address_of(lines: &[OpenLine], name: &str) -> Option<String> {
    let line = lines.iter().find(|line| line.names.iter().any(|device| device.as_str() == name))?;
    Some(written(&line.address))
}

/// As the config has it.
fn written(address: &Address) -> String {
    match address {
        Address::Rtu(line) => {
            let parity = match line.parity {
                Parity::None => "none",
                Parity::Even => "even",
                Parity::Odd => "odd",
            };
            format!("rtu:{}?baud={}&parity={parity}&stop_bits={}", line.path.display(), line.baud, line.stop_bits)
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::DeviceName;
    use crate::sim::Line;

    #[test]
    fn only_addresses_change() {
        let text = r#"# my site
[[device]]
name = "grid"   # the meter
address = "rtu:/dev/ttyUSB0" # far away
[[device]]
name = "box"
role = "battery"
[[device]]
name = "other"
address = "tcp://10.0.0.1"
"#;
        let line = |name: &str, port| OpenLine {
            address: Address::RtuTcp { host: "127.0.0.1".into(), port },
            names: vec![DeviceName::new(name)],
            line: Line::new(Vec::new()),
        };
        let text = moved(text, &[line("grid", 1), line("box", 2)]).unwrap();
        assert_eq!(
            text,
            r#"# my site
[[device]]
name = "grid"   # the meter
address = "rtu-tcp://127.0.0.1:1" # far away
[[device]]
name = "box"
profile = "sunspec"
address = "rtu-tcp://127.0.0.1:2"
role = "battery"
[[device]]
name = "other"
address = "tcp://10.0.0.1"
"#
        );
    }
}
