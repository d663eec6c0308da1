//! Modbus servers with a framing of their own: TCP, and RTU over whatever carries bytes. The simulated devices share no
//! code with the daemon's client, so that a mistake in either shows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::bank::Exception;
use super::fault::{LineFault, spoil_rtu, spoil_tcp};
use super::line::{Line, Reply};

/// Bytes that stay alone this long are no frame. Longer than a network's or a pty's own pauses.
const RTU_IDLE: Duration = Duration::from_millis(50);

/// How requests and answers are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Modbus TCP.
    Tcp,
    /// RTU frames over TCP.
    Rtu,
}

/// Accepts connections and serves a line on each. Ends only when dropped.
pub async fn listen(listener: TcpListener, framing: Framing, line: Line) {
    let open = Arc::new(AtomicUsize::new(0));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await; // out of sockets: try again
            continue;
        };
        let (line, open) = (line.clone(), open.clone());
        connections.spawn(async move {
            let before = open.fetch_add(1, SeqCst);
            if admitted(*line.fault().borrow(), before) {
                let mut fault = line.fault();
                tokio::select! {
                    _ = converse(stream, framing, &line) => {}
                    _ = fault.wait_for(|fault| *fault == LineFault::Closed) => {}
                }
            }
            open.fetch_sub(1, SeqCst);
        });
    }
}

fn admitted(fault: LineFault, others: usize) -> bool {
    match fault {
        LineFault::Healthy => true,
        LineFault::Closed => false,
        LineFault::OneConnection => others == 0,
    }
}

async fn converse(stream: TcpStream, framing: Framing, line: &Line) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match framing {
        Framing::Tcp => serve_tcp(stream, line).await,
        Framing::Rtu => serve_rtu(stream, line).await,
    }
}

/// Serves Modbus TCP on one connection, until it ends or sends what is no Modbus.
///
/// # Errors
/// As the stream reports them.
pub async fn serve_tcp(mut stream: impl AsyncRead + AsyncWrite + Unpin, line: &Line) -> io::Result<()> {
    loop {
        let mut header = [0; 7];
        stream.read_exact(&mut header).await?;
        let [id_high, id_low, protocol_high, protocol_low, len_high, len_low, unit] = header;
        let len = u16::from_be_bytes([len_high, len_low]);
        if (protocol_high, protocol_low) != (0, 0) || !(2..=254).contains(&len) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut pdu = vec![0; usize::from(len) - 1];
        stream.read_exact(&mut pdu).await?;
        let reply = match line.unit(unit) {
            Some(unit) => unit.ask(&pdu),
            None => {
                let function = pdu.first().copied().unwrap_or(0);
                Reply::Answer(vec![function | 0x80, Exception::NoUnit as u8], Duration::ZERO, None)
            }
        };
        if let Reply::Answer(pdu, late, spoilt) = reply {
            wait(late).await;
            let [len_high, len_low] = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
            let mut frame = vec![id_high, id_low, 0, 0, len_high, len_low, unit];
            frame.extend(pdu);
            if let Some(count) = spoilt {
                spoil_tcp(&mut frame, count);
            }
            stream.write_all(&frame).await?;
        }
    }
}

/// Serves RTU frames on a byte stream: a serial line, a pty, a TCP connection. Units that are not there stay silent.
///
/// # Errors
/// As the stream reports them.
pub async fn serve_rtu(mut stream: impl AsyncRead + AsyncWrite + Unpin, line: &Line) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(frame) = read_rtu(&mut stream, &mut buffer).await? else { continue };
        let [unit, pdu @ .., _, _] = &*frame else { continue };
        if *unit == 0 {
            for unit in line.units() {
                unit.ask(pdu); // a broadcast is obeyed and never answered
            }
            continue;
        }
        if let Some(Reply::Answer(pdu, late, spoilt)) = line.unit(*unit).map(|unit| unit.ask(pdu)) {
            wait(late).await;
            let mut frame = vec![*unit];
            frame.extend(pdu);
            frame.extend(crc(&frame).to_le_bytes());
            if let Some(count) = spoilt {
                spoil_rtu(&mut frame, count);
            }
            stream.write_all(&frame).await?;
            stream.flush().await?;
        }
    }
}

/// One frame with a sound CRC, or `None` where what came was none.
async fn read_rtu(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        let whole = match request_len(buffer) {
            Some(len) if buffer.len() >= len => Some(len),
            _ if buffer.is_empty() => {
                read_some(stream, buffer).await?;
                None
            }
            _ => match tokio::time::timeout(RTU_IDLE, read_some(stream, buffer)).await {
                Ok(read) => {
                    read?;
                    None
                }
                Err(_) => Some(buffer.len()), // silence ends the frame, whatever it is
            },
        };
        if let Some(len) = whole {
            let frame: Vec<u8> = buffer.drain(..len).collect();
            let sound = frame.len() >= 4 && crc(&frame) == 0; // a CRC over data and CRC is 0
            if !sound {
                buffer.clear();
            }
            return Ok(sound.then_some(frame));
        }
    }
}

async fn read_some(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<()> {
    if stream.read_buf(buffer).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Length of the request that begins the buffer, where its function tells.
fn request_len(buffer: &[u8]) -> Option<usize> {
    match buffer {
        [_, 1..=6, ..] => Some(8),
        [_, 15 | 16, _, _, _, _, len, ..] => Some(9 + usize::from(*len)),
        _ => None,
    }
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// CRC-16 of "Modbus over serial line V1.02", section 6.2.2; sent low byte first.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests;
