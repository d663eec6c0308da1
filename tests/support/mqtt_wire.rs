//! Just enough of MQTT on the wire to play a broker or a subscriber.

#![allow(dead_code)]

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A message as a subscriber or a broker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub retain: bool,
    pub qos: u8,
    pub id: u16,
}

impl Message {
    /// The payload as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.payload).unwrap_or_else(|error| panic!("{error}: {}", self.payload))
    }
}

/// One packet: its first byte and its body; `None` at the end of the stream.
pub async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let mut length = 0usize;
    for place in 0..4 {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((first, body))
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128, "short packets only");
    let mut packet = vec![first, body.len() as u8];
    packet.extend_from_slice(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Takes a PUBLISH apart; in MQTT 5 its properties (fewer than 128 bytes) are skipped.
pub fn publish(first: u8, body: &[u8], v5: bool) -> Message {
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
    let mut rest = &body[2 + length..];
    let qos = first >> 1 & 3;
    let mut id = 0;
    if qos > 0 {
        id = u16::from_be_bytes([rest[0], rest[1]]);
        rest = &rest[2..];
    }
    if v5 {
        rest = &rest[1 + usize::from(rest[0])..];
    }
    Message { topic, payload: String::from_utf8(rest.to_vec()).unwrap(), retain: first & 1 == 1, qos, id }
}

/// A subscriber, MQTT 3.1.1, QoS 0.
pub struct Subscriber {
    stream: TcpStream,
}

impl Subscriber {
    /// Connects and subscribes; the broker has confirmed both.
    pub async fn new(port: u16, login: Option<(&str, &str)>, filter: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut body = text("MQTT");
        body.extend_from_slice(&[4, if login.is_some() { 0xc2 } else { 2 }, 0, 0]);
        body.extend_from_slice(&text(&format!("subscriber-{port}-{}", stream.local_addr().unwrap().port())));
        if let Some((user, password)) = login {
            body.extend_from_slice(&text(user));
            body.extend_from_slice(&text(password));
        }
        stream.write_all(&packet(0x10, &body)).await.unwrap();
        let (first, answer) = read_packet(&mut stream).await.unwrap();
        assert_eq!((first, answer[1]), (0x20, 0), "the broker takes the subscriber");
        let mut body = vec![0, 1];
        body.extend_from_slice(&text(filter));
        body.push(0);
        stream.write_all(&packet(0x82, &body)).await.unwrap();
        let (first, _) = read_packet(&mut stream).await.unwrap();
        assert_eq!(first, 0x90, "the broker takes the subscription");
        Self { stream }
    }

    /// The next message; `None` once the broker is gone.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let (first, body) = read_packet(&mut self.stream).await?;
            if first & 0xf0 == 0x30 {
                return Some(publish(first, &body, false));
            }
        }
    }

    /// The next message that `wanted` takes; panics when none comes.
    pub async fn until(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        let search = async {
            loop {
                let message = self.next().await.expect("the broker stays");
                if wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), search).await.expect("the message comes")
    }
}
