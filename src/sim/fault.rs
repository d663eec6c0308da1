//! What can go wrong with a simulated device, switched while it runs.

use std::time::Duration;

use super::bank::Exception;

/// A fault of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// None.
    #[default]
    Healthy,
    /// Takes requests and never answers.
    Silent,
    /// Answers, but this much later (the connection's next request waits meanwhile).
    Late(Duration),
    /// Answers are spoilt: in turn wrong id or unit, wrong function, cut short, flipped bits.
    Garbled,
    /// Answers every read with the same words as when the fault began.
    Frozen,
    /// Refuses writes.
    RefuseWrites(Exception),
    /// Acknowledges writes and ignores them.
    IgnoreWrites,
}

/// A fault of the connection, for all devices on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFault {
    /// None.
    #[default]
    Healthy,
    /// Closes all connections, and each new one at once.
    Closed,
    /// Serves one connection; a second is closed at once.
    OneConnection,
}

/// A fault as written on a line: of the device or of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyFault {
    /// Of the device.
    Device(Fault),
    /// Of its connection.
    Line(LineFault),
}

impl std::str::FromStr for AnyFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Ok(match (word, rest.trim()) {
            ("healthy", "") => Self::Device(Fault::Healthy),
            ("silent", "") => Self::Device(Fault::Silent),
            ("late", ms) => {
                let ms = ms.trim_end_matches("ms").trim();
                let ms =
                    ms.parse().map_err(|_| format!("`{ms}` is no number of milliseconds: write `late 1500 ms`"))?;
                Self::Device(Fault::Late(Duration::from_millis(ms)))
            }
            ("garbled", "") => Self::Device(Fault::Garbled),
            ("frozen", "") => Self::Device(Fault::Frozen),
            ("refuse-writes", "") => Self::Device(Fault::RefuseWrites(Exception::Failure)),
            ("ignore-writes", "") => Self::Device(Fault::IgnoreWrites),
            ("connected", "") => Self::Line(LineFault::Healthy),
            ("closed", "") => Self::Line(LineFault::Closed),
            ("one-connection", "") => Self::Line(LineFault::OneConnection),
            _ => {
                return Err(format!(
                    "`{text}` is no fault: write healthy, silent, late MS, garbled, frozen, refuse-writes, ignore-writes, \
                     connected, closed or one-connection"
                ));
            }
        })
    }
}

/// Spoils a Modbus TCP answer, each time in another way. A cut answer keeps its announced length.
pub(super) fn spoil_tcp(frame: &mut Vec<u8>, count: u64) {
    match count % 4 {
        0 => flip(frame, 1, 0x40), // transaction id
        1 => flip(frame, 7, 0x10), // function
        2 => frame.truncate(frame.len().saturating_sub(1)),
        _ => flip(frame, 2, 0xff), // protocol id
    }
}

/// Spoils an RTU answer, each time in another way.
pub(super) fn spoil_rtu(frame: &mut Vec<u8>, count: u64) {
    match count % 3 {
        0 => flip(frame, 2, 0x55), // a payload that the CRC betrays
        1 => frame.truncate(frame.len().saturating_sub(1)),
        _ => frame.insert(0, 0xff), // noise in front
    }
}

fn flip(frame: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = frame.get_mut(at) {
        *byte ^= bits;
    }
}
