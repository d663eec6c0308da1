//! Opening the stream under a link: sockets and serial ports, resolved and set up by ourselves.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_serial::SerialPortBuilderExt as _;

use super::{Address, Parity, SerialLine};

/// What frames travel on.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + Debug> Stream for T {}

/// Opens the stream, anew at each call.
pub type Dial = Box<dyn FnMut() -> Dialing + Send>;
/// A stream being opened.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// How frames are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Framing {
    /// By a header with a transaction number.
    Tcp,
    /// By unit, function, length and checksum alone.
    Rtu {
        /// Silence between frames.
        gap: Duration,
        /// Time on the wire of one character.
        character: Duration,
    },
}

/// Longest wait for the name server, and for one address of a host to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// A dead peer is noticed after `IDLE + 3 * INTERVAL` without any traffic.
const IDLE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(5);

/// How to reach an address.
pub(super) fn to(address: &Address) -> (Framing, Dial) {
    match address.clone() {
        Address::Tcp { host, port } => (Framing::Tcp, Box::new(move || Box::pin(tcp(host.clone(), port)))),
        Address::RtuTcp { host, port } => {
            // The converter keeps the line's gaps and knows its speed; it still needs to see where a frame ends.
            let framing = Framing::Rtu { gap: FAST_GAP, character: Duration::ZERO };
            (framing, Box::new(move || Box::pin(tcp(host.clone(), port))))
        }
        Address::Rtu(line) => (rtu(&line), Box::new(move || Box::pin(std::future::ready(serial(&line))))),
    }
}

/// Silence between frames above 19200 baud ("Modbus over Serial Line V1.02", section 2.5.1.1).
const FAST_GAP: Duration = Duration::from_micros(1750);

fn rtu(line: &SerialLine) -> Framing {
    // 11 bits a character, whatever the parity (the same document, section 2.5.1).
    let character = Duration::from_secs(11) / line.baud.max(1);
    let gap = if line.baud > 19_200 { FAST_GAP } else { character * 7 / 2 };
    Framing::Rtu { gap, character }
}

async fn tcp(host: String, port: u16) -> io::Result<Box<dyn Stream>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer from the name server");
    let addresses =
        tokio::time::timeout(CONNECT, tokio::net::lookup_host((host.as_str(), port))).await.map_err(slow)??;
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                let keepalive = socket2::TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(3);
                socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection attempt"),
        }
    }
    Err(last)
}

fn serial(line: &SerialLine) -> io::Result<Box<dyn Stream>> {
    let parity = match line.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = if line.stop_bits == 2 { tokio_serial::StopBits::Two } else { tokio_serial::StopBits::One };
    let port = tokio_serial::new(line.path.to_string_lossy(), line.baud)
        .parity(parity)
        .stop_bits(stop_bits)
        .open_native_async()
        .map_err(io::Error::from)?;
    Ok(Box::new(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_apart_by_three_and_a_half_characters() {
        let line = |baud| SerialLine { path: "/dev/null".into(), baud, parity: Parity::None, stop_bits: 1 };
        let Framing::Rtu { gap, .. } = rtu(&line(9600)) else { panic!() };
        assert_eq!(gap.as_micros(), 4010);
        let Framing::Rtu { gap, .. } = rtu(&line(115_200)) else { panic!() };
        assert_eq!(gap.as_micros(), 1750);
    }
}
