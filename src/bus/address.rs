//! Where a device is.

use std::fmt;
use std::path::PathBuf;

/// Where a device is: what one bus is made of. Devices with equal addresses share the bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Modbus TCP: `tcp://host:port`.
    Tcp {
        /// Name or IP, resolved at each connect.
        host: String,
        /// Port, 502 by default.
        port: u16,
    },
    /// RTU frames over TCP (a transparent converter): `rtu-tcp://host:port`.
    RtuTcp {
        /// Name or IP, resolved at each connect.
        host: String,
        /// Port.
        port: u16,
    },
    /// A serial line: `rtu:/dev/ttyUSB0?baud=9600&parity=none&stop_bits=1`.
    Rtu(SerialLine),
}

/// Settings of a serial line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialLine {
    /// Device file, best by `/dev/serial/by-id/`.
    pub path: PathBuf,
    /// Baud rate.
    pub baud: u32,
    /// Parity.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// Parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::RtuTcp { host, port } => write!(f, "rtu-tcp://{host}:{port}"),
            Self::Rtu(line) => write!(f, "rtu:{}", line.path.display()),
        }
    }
}
