//! Addresses as written: `tcp://…`, `rtu-tcp://…`, `rtu:…`.

use std::path::PathBuf;

use super::written::{Fault, Written, any_of, nearest};
use crate::bus::{Address, Parity, SerialLine};

const MODBUS_PORT: u16 = 502;
const BAUDS: [u32; 9] = [1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400];

impl Written for Address {
    const WHAT: &'static str = "an address";
    const EXAMPLE: &'static str = "tcp://192.168.1.20:502";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if let Some(rest) = text.strip_prefix("tcp://") {
            let (host, port) = host_and_port(rest)?;
            return Ok(Self::Tcp { host, port: port.unwrap_or(MODBUS_PORT) });
        }
        if let Some(rest) = text.strip_prefix("rtu-tcp://") {
            let (host, port) = host_and_port(rest)?;
            let port = port.ok_or_else(|| Fault::new("needs a port").write(format!("rtu-tcp://{host}:4196")))?;
            return Ok(Self::RtuTcp { host, port });
        }
        if let Some(rest) = text.strip_prefix("rtu:") {
            return serial_line(rest).map(Self::Rtu);
        }
        let fault = Fault::new("is an address: `tcp://HOST`, `rtu-tcp://HOST:PORT` or `rtu:/dev/…`");
        Err(if text.starts_with("/dev/") {
            fault.write(format!("rtu:{text}"))
        } else if !text.contains("://") && host_and_port(text).is_ok() {
            fault.write(format!("tcp://{text}"))
        } else {
            fault.write(Self::EXAMPLE)
        })
    }
}

/// `host`, `host:port`, `[v6]:port`. Host names are kept in lower case, so that equal ones are one bus.
pub(super) fn host_and_port(text: &str) -> Result<(String, Option<u16>), Fault> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, rest.strip_prefix(':').or(Some(rest))),
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if text.contains('@') {
        return Err(Fault::new("holds a user name; `username` and `password_file` are keys of their own"));
    }
    if text.contains(['/', '?', '#']) {
        return Err(Fault::new("ends after the port: no path, no query"));
    }
    let v6 = host.contains(':');
    if v6 && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(Fault::new(format!("has no valid host: {host:?}")));
    }
    if v6 && !text.starts_with('[') {
        return Err(Fault::new("has an IPv6 address, which stands in brackets: `[fd00::1]:502`"));
    }
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(letter) {
        return Err(Fault::new(format!("has no valid host: {host:?}")));
    }
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(Fault::new(format!("has no valid port: {port:?} is not within 1 to 65535"))),
        },
    };
    Ok((host.to_ascii_lowercase(), port))
}

fn serial_line(text: &str) -> Result<SerialLine, Fault> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if !path.starts_with('/') {
        return Err(Fault::new("needs the device file's full path").write("rtu:/dev/ttyUSB0?baud=9600&parity=none"));
    }
    let mut line = SerialLine { path: PathBuf::from(path), baud: 9600, parity: Parity::None, stop_bits: 1 };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "baud" => {
                line.baud = value.parse().ok().filter(|baud| BAUDS.contains(baud)).ok_or_else(|| {
                    Fault::new(format!("has no valid baud rate: {value:?} is not {}", any_of(&BAUDS)))
                })?;
            }
            "parity" => {
                line.parity = match value {
                    "none" => Parity::None,
                    "even" => Parity::Even,
                    "odd" => Parity::Odd,
                    _ => return Err(Fault::new(format!("has parity {value:?}: it is `none`, `even` or `odd`"))),
                }
            }
            "stop_bits" => {
                line.stop_bits = match value {
                    "1" => 1,
                    "2" => 2,
                    _ => return Err(Fault::new(format!("has {value:?} stop bits: they are 1 or 2"))),
                }
            }
            _ => {
                let near = nearest(name, ["baud", "parity", "stop_bits"]);
                let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                return Err(Fault::new(format!("has an unknown setting `{name}`{near}")));
            }
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, String> {
        Address::from_text(text).map_err(|fault| format!("{}|{}", fault.what, fault.write.unwrap_or_default()))
    }

    #[test]
    fn addresses_read_and_show_as_written() {
        for text in ["tcp://192.168.1.20:502", "rtu-tcp://gateway.local:4196", "rtu:/dev/ttyUSB0", "tcp://meter:1502"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        assert_eq!(read("tcp://Meter"), read("tcp://meter:502"));
        assert_eq!(read("tcp://[fd00::1]").unwrap(), Address::Tcp { host: "fd00::1".into(), port: 502 });
        let line = SerialLine { path: "/dev/ttyS1".into(), baud: 19_200, parity: Parity::Even, stop_bits: 2 };
        assert_eq!(read("rtu:/dev/ttyS1?baud=19200&parity=even&stop_bits=2"), Ok(Address::Rtu(line)));
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        assert!(read("192.168.1.20").unwrap_err().ends_with("|\"tcp://192.168.1.20\""));
        assert!(read("/dev/ttyUSB0").unwrap_err().ends_with("|\"rtu:/dev/ttyUSB0\""));
        for text in [
            "tcp://",
            "tcp://a:0",
            "tcp://a:70000",
            "tcp://a b",
            "tcp://u@h",
            "tcp://h/x",
            "tcp://fd00::1",
            "rtu-tcp://h",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["rtu:ttyUSB0", "rtu:/dev/a?baud=9601", "rtu:/dev/a?parity=n", "rtu:/dev/a?stop_bits=3"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("rtu:/dev/a?buad=9600").unwrap_err().contains("did you mean `baud`"));
    }
}
