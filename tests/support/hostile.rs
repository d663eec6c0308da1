//! A Modbus server of our own that misbehaves as told, on any stream, with TCP or RTU frames.
//!
//! Register N of every unit holds N until it is written. It knows nothing of the daemon's codec.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    Tcp,
    Rtu,
}

/// One request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Counts all requests of the server from 0.
    pub n: usize,
    pub unit: u8,
    pub function: u8,
    pub start: u16,
    /// Quantity, or the value of fn 5 and 6.
    pub count: u16,
    /// The values of fn 5, 6, 15 and 16.
    pub words: Vec<u16>,
    pub at: tokio::time::Instant,
    frames: Frames,
    transaction: u16,
}

/// What the server does about a request, in order.
#[derive(Clone, Debug)]
pub enum Act {
    Send(Vec<u8>),
    Wait(Duration),
    Close,
}

pub type Script = Box<dyn Fn(&Server, &Asked) -> Vec<Act> + Send + Sync>;

pub struct Server {
    registers: Mutex<BTreeMap<(u8, u16), u16>>,
    seen: Mutex<Vec<Asked>>,
    script: Mutex<Arc<Script>>,
    pub connections: AtomicUsize,
    pub open: AtomicUsize,
}

impl Server {
    pub fn new(script: impl Fn(&Self, &Asked) -> Vec<Act> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            registers: Mutex::default(),
            seen: Mutex::default(),
            script: Mutex::new(Arc::new(Box::new(script))),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        })
    }

    pub fn good() -> Arc<Self> {
        Self::new(|server, asked| vec![Act::Send(server.answer(asked))])
    }

    pub fn become_one_that(&self, script: impl Fn(&Self, &Asked) -> Vec<Act> + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(Box::new(script));
    }

    /// What this server would do about a request to another.
    pub fn act(self: &Arc<Self>, asked: &Asked) -> Vec<Act> {
        let script = self.script.lock().unwrap().clone();
        script(self, asked)
    }

    pub fn recover(&self) {
        self.become_one_that(|server, asked| vec![Act::Send(server.answer(asked))]);
    }

    pub fn get(&self, unit: u8, register: u16) -> u16 {
        self.registers.lock().unwrap().get(&(unit, register)).copied().unwrap_or(register)
    }

    pub fn put(&self, unit: u8, register: u16, word: u16) {
        self.registers.lock().unwrap().insert((unit, register), word);
    }

    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// The writes so far: register and word.
    pub fn writes(&self) -> Vec<(u16, u16)> {
        let write = |asked: Asked| (asked.function > 4).then(|| (asked.start..).zip(asked.words).collect::<Vec<_>>());
        self.seen().into_iter().filter_map(write).flatten().collect()
    }

    /// Carries the request out and makes the right answer.
    pub fn answer(&self, asked: &Asked) -> Vec<u8> {
        let Asked { unit, function, start, count, ref words, .. } = *asked;
        let mut pdu = vec![function];
        match function {
            1 | 2 => {
                let bits: Vec<bool> = (0..count).map(|i| self.get(unit, start + i) != 0).collect();
                pdu.push(bits.len().div_ceil(8) as u8);
                pdu.extend(
                    bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))),
                );
            }
            3 | 4 => {
                pdu.push((count * 2) as u8);
                (0..count).for_each(|i| pdu.extend(self.get(unit, start + i).to_be_bytes()));
            }
            _ => {
                start.to_be_bytes().into_iter().chain(count.to_be_bytes()).for_each(|byte| pdu.push(byte));
                (start..).zip(words).for_each(|(register, word)| self.put(unit, register, *word));
            }
        }
        frame(asked, &pdu)
    }

    /// Serves one stream to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self: Arc<Self>, mut stream: S, frames: Frames) {
        self.connections.fetch_add(1, SeqCst);
        self.open.fetch_add(1, SeqCst);
        let mut bytes = Vec::new();
        'stream: loop {
            while let Some((mut asked, used)) = parse(&bytes, frames) {
                bytes.drain(..used);
                let script = {
                    let mut seen = self.seen.lock().unwrap();
                    asked.n = seen.len();
                    seen.push(asked.clone());
                    self.script.lock().unwrap().clone()
                };
                for act in script(&self, &asked) {
                    match act {
                        Act::Send(answer) if stream.write_all(&answer).await.is_err() => break 'stream,
                        Act::Send(_) => {}
                        Act::Wait(time) => tokio::time::sleep(time).await,
                        Act::Close => break 'stream,
                    }
                }
            }
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        self.open.fetch_sub(1, SeqCst);
    }

    /// Listens on a port of its own.
    pub async fn listen(self: &Arc<Self>, frames: Frames) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream, frames));
            }
        });
        port
    }
}

/// Any PDU as an answer to a request.
pub fn frame(asked: &Asked, pdu: &[u8]) -> Vec<u8> {
    framed(asked.frames, asked.transaction, asked.unit, pdu)
}

pub fn exception(asked: &Asked, code: u8) -> Vec<Act> {
    vec![Act::Send(frame(asked, &[asked.function | 0x80, code]))]
}

fn framed(frames: Frames, transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    match frames {
        Frames::Tcp => {
            let len = pdu.len() as u16 + 1;
            [&transaction.to_be_bytes()[..], &[0, 0], &len.to_be_bytes(), &[unit], pdu].concat()
        }
        Frames::Rtu => {
            let body = [&[unit], pdu].concat();
            [&body[..], &crc(&body).to_le_bytes()].concat()
        }
    }
}

fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}

fn parse(bytes: &[u8], frames: Frames) -> Option<(Asked, usize)> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let (transaction, at) = match frames {
        Frames::Tcp => (word(0)?, 6),
        Frames::Rtu => (0, 0),
    };
    let (unit, function) = (*bytes.get(at)?, *bytes.get(at + 1)?);
    let (start, count) = (word(at + 2)?, word(at + 4)?);
    let mut end = at + 6;
    let words = match function {
        5 | 6 => vec![count],
        15 => {
            let len = usize::from(*bytes.get(end)?);
            let packed = bytes.get(end + 1..end + 1 + len)?;
            end += 1 + len;
            (0..usize::from(count)).map(|i| u16::from(packed[i / 8] >> (i % 8) & 1)).collect()
        }
        16 => {
            let len = usize::from(*bytes.get(end)?);
            let from = end + 1;
            end = from + len;
            (from..end).step_by(2).map(word).collect::<Option<_>>()?
        }
        _ => Vec::new(),
    };
    if frames == Frames::Rtu {
        end += 2;
    }
    bytes.get(..end)?;
    let at = tokio::time::Instant::now();
    Some((Asked { n: 0, unit, function, start, count, words, at, frames, transaction }, end))
}

/// The misbehaviours, by name: the first request is answered so, or every one where the name says `always`.
pub const MODES: [&str; 20] = [
    "wrong-seal",
    "late",
    "wrong-unit",
    "wrong-function",
    "short",
    "long",
    "odd",
    "truncated",
    "drip",
    "garbage",
    "duplicate",
    "exception-2",
    "exception-unknown",
    "close",
    "close-in-answer",
    "reset-always",
    "silent",
    "empty-frame",
    "endless-always",
    "noise-before",
];

/// A server that misbehaves in a named way towards unit 1; other units are served well.
pub fn misbehaving(mode: &'static str, timeout: Duration) -> Arc<Server> {
    let times = std::sync::atomic::AtomicUsize::new(0);
    Server::new(move |server, asked| {
        let right = server.answer(asked);
        let good = vec![Act::Send(right.clone())];
        if asked.unit != 1 || times.fetch_add(1, SeqCst) > 0 && !mode.ends_with("always") {
            return good;
        }
        let Asked { start, count, .. } = *asked;
        let words = |n: u16| (start..start + n).flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let pdu = |bytes: &[u8]| vec![Act::Send(frame(asked, bytes))];
        match mode {
            // What tells answers apart: a transaction number, or on a line the checksum.
            "wrong-seal" => {
                let mut answer = framed(asked.frames, asked.transaction ^ 7, 1, &[3, 2, 0xBA, 0xD0]);
                if asked.frames == Frames::Rtu {
                    *answer.last_mut().unwrap() ^= 1;
                }
                vec![Act::Send(answer)]
            }
            "late" => vec![Act::Wait(timeout * 8 / 5), Act::Send(right)],
            "wrong-unit" => vec![Act::Send(framed(
                asked.frames,
                asked.transaction,
                9,
                &[&[3, count as u8 * 2], &words(count)[..]].concat(),
            ))],
            "wrong-function" => pdu(&[&[asked.function ^ 7, count as u8 * 2], &words(count)[..]].concat()),
            "short" => pdu(&[&[3, 0][..]].concat()),
            "long" => pdu(&[&[3, count as u8 * 2 + 2], &words(count + 1)[..]].concat()),
            "odd" => pdu(&[3, 3, 1, 2, 3]),
            "truncated" => vec![Act::Send(right[..right.len() - 3].to_vec())],
            "drip" => right.iter().flat_map(|byte| [Act::Send(vec![*byte]), Act::Wait(timeout / 40)]).collect(),
            "garbage" => vec![Act::Send(vec![0xFF; 300])],
            "duplicate" => vec![Act::Send([right.clone(), right].concat())],
            "exception-2" => exception(asked, 2),
            "exception-unknown" => exception(asked, 0x77),
            "close" | "reset-always" => vec![Act::Close],
            "close-in-answer" => vec![Act::Send(right[..5].to_vec()), Act::Close],
            "silent" => Vec::new(),
            "empty-frame" => vec![Act::Send(vec![0; 12])],
            "endless-always" => (0..50)
                .flat_map(|_| [Act::Send(vec![0x55; 4096]), Act::Wait(timeout / 50)])
                .chain([Act::Close])
                .collect(),
            "noise-before" => vec![Act::Send([vec![0, 0xFF, 0x13], right].concat())],
            _ => panic!("no mode {mode}"),
        }
    })
}
