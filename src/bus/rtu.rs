//! RTU frames on a line: encode, find the answer, drain.
//!
//! Our own, because a late answer on a line without transaction numbers is told from a timely one only by silence: the
//! caller must be able to keep the stream after a failure and to read away what still arrives, which a client that owns
//! its stream does not allow. The answer to a request is known but for its values, so it is looked for at any place
//! among the bytes received: a glitch at the turn of the line costs nothing. Frames: "Modbus over Serial Line V1.02",
//! section 2.5.1.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::ErrorKind;
use super::dial::Stream;
use super::request::{Request, is_bits};
use crate::profile::WriteFunction;

/// More than the longest frame (256 bytes) and a glitch before it.
const MOST: usize = 300;

/// A line with one request on it at a time.
#[derive(Debug)]
pub(super) struct Line {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
}

impl Line {
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream, received: Vec::with_capacity(MOST) }
    }

    /// Whether bytes came in since the request was sent.
    pub fn heard(&self) -> bool {
        !self.received.is_empty()
    }

    /// Reads away what has come in, without waiting; whether there was anything. A peer that talks without end is an error:
    /// it is left.
    pub async fn drain(&mut self) -> io::Result<bool> {
        self.received.clear();
        let mut any = false;
        let mut bytes = [0_u8; 256];
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut bytes);
            let stream = &mut self.stream;
            let read = poll_fn(|context| match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            });
            match read.await {
                None => return Ok(any),
                Some(Err(error)) => return Err(error),
                Some(Ok(())) if buffer.filled().is_empty() => return Err(io::ErrorKind::BrokenPipe.into()),
                Some(Ok(())) => any = true,
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Sends a request and waits for its answer, without a deadline of its own.
    pub async fn exchange(&mut self, unit: u8, request: Request<'_>) -> Result<Vec<u16>, ErrorKind> {
        let frame = encode(unit, request);
        self.stream.write_all(&frame).await.map_err(|_| ErrorKind::Transport)?;
        loop {
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return Err(ErrorKind::Transport),
                Ok(_) => {}
            }
            if let Some(answer) = find(&self.received, unit, request, &frame) {
                return answer;
            }
            if self.received.len() > MOST {
                return Err(ErrorKind::Protocol);
            }
        }
    }
}

/// A request as a frame.
fn encode(unit: u8, request: Request<'_>) -> Vec<u8> {
    let mut frame = vec![unit, request.function()];
    match request {
        Request::Read(span) => {
            frame.extend(span.start.to_be_bytes());
            frame.extend(span.len.to_be_bytes());
        }
        Request::Write { span, words, function } => {
            frame.extend(span.start.to_be_bytes());
            let first = words.first().copied().unwrap_or(0);
            match function {
                WriteFunction::SingleCoil => frame.extend(if first == 0 { [0, 0] } else { [0xFF, 0] }),
                WriteFunction::SingleRegister => frame.extend(first.to_be_bytes()),
                WriteFunction::Coils => {
                    frame.extend(span.len.to_be_bytes());
                    frame.push(u8::try_from(words.len().div_ceil(8)).unwrap_or(u8::MAX));
                    frame.extend(words.chunks(8).map(|bits| {
                        bits.iter().enumerate().fold(0, |byte, (i, bit)| byte | (u8::from(*bit != 0) << i))
                    }));
                }
                WriteFunction::Registers => {
                    frame.extend(span.len.to_be_bytes());
                    frame.push(u8::try_from(words.len() * 2).unwrap_or(u8::MAX));
                    frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
                }
            }
        }
    }
    let crc = crc(&frame);
    frame.extend(crc.to_le_bytes());
    frame
}

/// The answer to `request` (which was sent as `sent`), at any place among `bytes`; `None` while there is none.
fn find(bytes: &[u8], unit: u8, request: Request<'_>, sent: &[u8]) -> Option<Result<Vec<u16>, ErrorKind>> {
    let function = request.function();
    (0..bytes.len()).find_map(|at| {
        let rest = bytes.get(at..)?;
        if let [u, f, code, ..] = *rest
            && (u, f) == (unit, function | 0x80)
            && sealed(rest, 5)
        {
            return Some(Err(ErrorKind::Exception(code)));
        }
        match request {
            Request::Read(span) => {
                let count = if is_bits(span.table) { span.len.div_ceil(8) } else { span.len * 2 };
                let count = usize::from(count);
                let [u, f, c, ..] = *rest else { return None };
                if (u, f, usize::from(c)) != (unit, function, count) || !sealed(rest, 3 + count + 2) {
                    return None;
                }
                let data = rest.get(3..3 + count)?;
                Some(Ok(if is_bits(span.table) { bits(data, span.len) } else { words(data) }))
            }
            // The answer to a write repeats unit, function, address and value (or quantity).
            Request::Write { .. } => (sealed(rest, 8) && rest.get(..6) == sent.get(..6)).then(|| Ok(Vec::new())),
        }
    })
}

/// Whether the first `len` bytes end in their checksum.
fn sealed(bytes: &[u8], len: usize) -> bool {
    bytes
        .get(..len)
        .and_then(|frame| frame.split_last_chunk())
        .is_some_and(|(body, seal)| crc(body).to_le_bytes() == *seal)
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair.first().copied().unwrap_or(0), pair.last().copied().unwrap_or(0)]))
        .collect()
}

fn bits(bytes: &[u8], len: u16) -> Vec<u16> {
    let all = bytes.iter().flat_map(|byte| (0..8).map(move |i| u16::from((byte >> i) & 1)));
    all.take(usize::from(len)).collect()
}

/// CRC-16/MODBUS ("Modbus over Serial Line V1.02", section 6.2.2).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::{Span, Table};

    fn sealed_frame(body: &[u8]) -> Vec<u8> {
        [body, &crc(body).to_le_bytes()].concat()
    }

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // "Modbus over Serial Line V1.02", section 6.2.2: 02 07 gives 41 12.
        assert_eq!(crc(&[0x02, 0x07]).to_le_bytes(), [0x41, 0x12]);
    }

    #[test]
    fn coils_are_packed_from_the_lowest_bit() {
        // "Modbus Application Protocol V1.1b3", section 6.11: 10 coils at 0x13, CD 01.
        let words = [1, 0, 1, 1, 0, 0, 1, 1, 1, 0];
        let span = Span { table: Table::Coil, start: 0x13, len: 10 };
        let frame = encode(0x11, Request::Write { span, words: &words, function: WriteFunction::Coils });
        assert_eq!(frame[..9], [0x11, 0x0F, 0, 0x13, 0, 0x0A, 2, 0xCD, 0x01]);
        assert_eq!(bits(&[0xCD, 0x01], 10), words);
    }

    #[test]
    fn an_answer_is_found_behind_a_glitch_and_an_echo_must_match() {
        let read = Request::Read(Span::holding(100, 1));
        let frame = [vec![0, 0xFF, 7], sealed_frame(&[7, 3, 2, 0, 100])].concat();
        assert_eq!(find(&frame, 7, read, &[]), Some(Ok(vec![100])));
        assert_eq!(find(&frame[..9], 7, read, &[]), None);
        assert_eq!(find(&sealed_frame(&[7, 0x83, 6]), 7, read, &[]), Some(Err(ErrorKind::Exception(6))));
        assert_eq!(find(&sealed_frame(&[8, 3, 2, 0, 100]), 7, read, &[]), None, "another unit's answer");
        assert_eq!(find(&sealed_frame(&[7, 3, 4, 0, 100, 0, 100]), 7, read, &[]), None, "an answer of another length");
        let write = Request::Write { span: Span::holding(5, 1), words: &[9], function: WriteFunction::SingleRegister };
        let sent = encode(7, write);
        assert_eq!(find(&sent, 7, write, &sent), Some(Ok(Vec::new())));
        assert_eq!(find(&sealed_frame(&[7, 6, 0, 5, 0, 8]), 7, write, &sent), None, "the echo of another value");
    }

    proptest! {
        #[test]
        fn noise_is_never_an_answer_nor_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300), len in 1_u16..125) {
            let found = find(&noise, 1, Request::Read(Span::holding(0, len)), &[]);
            // Noise that happens to be sealed is as likely as any 16-bit checksum allows; its length is still right.
            if let Some(Ok(words)) = found {
                prop_assert_eq!(words.len(), usize::from(len));
            }
        }
    }
}
