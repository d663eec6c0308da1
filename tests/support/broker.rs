//! A broker that does what it is told to: MQTT 5, one publisher, faults by script.

#![allow(dead_code)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::mqtt_wire::{Message, packet, publish, read_packet};

/// How publishes are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// At once, in order.
    InOrder,
    /// All that came, in reverse order, whenever nothing more comes for a moment.
    Reversed,
    /// Not at all.
    Never,
    /// Each twice.
    Twice,
    /// Each with this reason code.
    Reason(u8),
}

/// What one connection does.
#[derive(Clone, Debug)]
pub struct Script {
    /// The properties of CONNACK.
    pub properties: Vec<u8>,
    /// How publishes are acknowledged.
    pub acks: Acks,
    /// Hangs up after so many publishes.
    pub drop_after: Option<usize>,
    /// Says this DISCONNECT reason before it hangs up.
    pub farewell: Option<u8>,
}

impl Script {
    pub fn new(acks: Acks) -> Self {
        Self { properties: Vec::new(), acks, drop_after: None, farewell: None }
    }

    pub fn dropping(acks: Acks, after: usize) -> Self {
        Self { drop_after: Some(after), ..Self::new(acks) }
    }
}

/// A running fake broker. Each connection takes the next script; the last is used for ever.
pub struct FakeBroker {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    messages: Vec<Message>,
    clean_end: bool,
}

impl FakeBroker {
    pub async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = {
                    let mut seen = shared.lock().unwrap();
                    seen.connections += 1;
                    seen.connections
                };
                let script = scripts[(connection - 1).min(scripts.len() - 1)].clone();
                let _ = serve(stream, script, &shared).await;
            }
        });
        Self { port, seen }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// All messages so far, in order of arrival.
    pub fn messages(&self) -> Vec<Message> {
        self.seen.lock().unwrap().messages.clone()
    }

    /// The numbers that arrived on a topic.
    pub fn numbers(&self, topic: &str) -> Vec<u64> {
        self.messages().iter().filter(|m| m.topic == topic).map(|m| m.payload.parse().unwrap()).collect()
    }

    /// Whether a client has said DISCONNECT.
    pub fn clean_end(&self) -> bool {
        self.seen.lock().unwrap().clean_end
    }
}

async fn serve(mut stream: TcpStream, script: Script, seen: &Mutex<Seen>) -> Option<()> {
    read_packet(&mut stream).await?;
    let mut answer = vec![0, 0, script.properties.len() as u8];
    answer.extend_from_slice(&script.properties);
    stream.write_all(&packet(0x20, &answer)).await.ok()?;
    let mut waiting: Vec<u16> = Vec::new();
    let mut count = 0;
    loop {
        // Only a peek may be given up without harm: it takes nothing off the stream.
        let patience = if waiting.is_empty() { Duration::from_secs(60) } else { Duration::from_millis(30) };
        if tokio::time::timeout(patience, stream.peek(&mut [0])).await.is_err() {
            for id in waiting.drain(..).rev() {
                stream.write_all(&packet(0x40, &id.to_be_bytes())).await.ok()?;
            }
            continue;
        }
        let (first, body) = read_packet(&mut stream).await?;
        match first >> 4 {
            3 => {
                let message = publish(first, &body, true);
                let id = message.id;
                seen.lock().unwrap().messages.push(message);
                count += 1;
                let ack = packet(0x40, &id.to_be_bytes());
                match script.acks {
                    _ if id == 0 => {}
                    Acks::InOrder => stream.write_all(&ack).await.ok()?,
                    Acks::Twice => stream.write_all(&[ack.clone(), ack].concat()).await.ok()?,
                    Acks::Reversed => waiting.push(id),
                    Acks::Never => {}
                    Acks::Reason(reason) => {
                        let [high, low] = id.to_be_bytes();
                        stream.write_all(&packet(0x40, &[high, low, reason])).await.ok()?;
                    }
                }
            }
            12 => stream.write_all(&[0xd0, 0]).await.ok()?,
            14 => {
                seen.lock().unwrap().clean_end = true;
                return Some(());
            }
            _ => return None,
        }
        if script.drop_after.is_some_and(|most| count >= most) {
            if let Some(reason) = script.farewell {
                stream.write_all(&packet(0xe0, &[reason, 0])).await.ok()?;
                // Closing on unread bytes would reset the connection, and the farewell with it.
                stream.shutdown().await.ok()?;
                while read_packet(&mut stream).await.is_some() {}
            }
            return None;
        }
    }
}
