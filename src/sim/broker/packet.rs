//! MQTT packets as the small broker needs them, 3.1.1 and 5 ("MQTT Version 5.0", OASIS 2019, sections 2 and 3). Whatever
//! comes from a client is checked here: a malformed packet is an error, never a panic.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Protocol level of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1.1.
    V4,
    /// 5.
    V5,
}

/// What a client sent that is not MQTT, or more than this broker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed packet: {0}")]
pub(super) struct Malformed(&'static str);

/// A message to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
}

/// What a client may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Connect {
        version: Version,
        client_id: String,
        keep_alive: u16,
        will: Option<Message>,
    },
    Publish {
        message: Message,
        id: Option<u16>,
    },
    Subscribe {
        id: u16,
        filters: Vec<String>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<String>,
    },
    /// An acknowledgement: everything is delivered at QoS 0, so none is awaited.
    Acknowledge,
    Ping,
    Disconnect {
        with_will: bool,
    },
}

/// Largest packet taken.
const MAX_PACKET: usize = 1 << 20;

/// Takes one packet off the buffer; `None` while it is not complete. Before CONNECT the version is not known.
pub(super) fn read(buffer: &mut BytesMut, version: Option<Version>) -> Result<Option<Packet>, Malformed> {
    let Some(&first) = buffer.first() else { return Ok(None) };
    let mut length = 0;
    let mut header = 1;
    loop {
        let Some(&byte) = buffer.get(header) else {
            return if header > 4 { Err(Malformed("length")) } else { Ok(None) };
        };
        if header > 4 {
            return Err(Malformed("length"));
        }
        length |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if length > MAX_PACKET {
        return Err(Malformed("larger than 1 MiB"));
    }
    if buffer.len() < header + length {
        return Ok(None);
    }
    buffer.advance(header);
    let mut body = Body(buffer.split_to(length).freeze());
    let kind = first >> 4;
    let Some(version) = version else {
        return if kind == 1 { connect(&mut body).map(Some) } else { Err(Malformed("CONNECT comes first")) };
    };
    let packet = match kind {
        3 => publish(first, &mut body, version)?,
        4..=7 => Packet::Acknowledge,
        8 => {
            let (id, filters) = filters(&mut body, version, true)?;
            Packet::Subscribe { id, filters }
        }
        10 => {
            let (id, filters) = filters(&mut body, version, false)?;
            Packet::Unsubscribe { id, filters }
        }
        12 => Packet::Ping,
        14 => Packet::Disconnect { with_will: body.0.first() == Some(&4) },
        _ => return Err(Malformed("not for a broker")),
    };
    Ok(Some(packet))
}

fn connect(body: &mut Body) -> Result<Packet, Malformed> {
    if body.text()? != "MQTT" {
        return Err(Malformed("not MQTT"));
    }
    let version = match body.byte()? {
        4 => Version::V4,
        5 => Version::V5,
        _ => return Err(Malformed("neither MQTT 3.1.1 nor 5")),
    };
    let flags = body.byte()?;
    let keep_alive = body.short()?;
    body.skip_properties(version)?;
    let client_id = body.text()?;
    let mut will = None;
    if flags & 0x04 != 0 {
        body.skip_properties(version)?;
        let topic = checked_topic(body.text()?)?;
        will = Some(Message { topic, payload: body.binary()?, retain: flags & 0x20 != 0 });
    }
    // User and password follow; this broker is open to all that reach it.
    Ok(Packet::Connect { version, client_id, keep_alive, will })
}

fn publish(first: u8, body: &mut Body, version: Version) -> Result<Packet, Malformed> {
    let topic = checked_topic(body.text()?)?;
    let id = match first >> 1 & 3 {
        0 => None,
        1 => Some(body.short()?),
        _ => return Err(Malformed("QoS 2 is not served")),
    };
    body.skip_properties(version)?;
    let payload = std::mem::take(&mut body.0);
    Ok(Packet::Publish { message: Message { topic, payload, retain: first & 1 == 1 }, id })
}

fn filters(body: &mut Body, version: Version, options: bool) -> Result<(u16, Vec<String>), Malformed> {
    let id = body.short()?;
    body.skip_properties(version)?;
    let mut filters = Vec::new();
    while !body.0.is_empty() {
        filters.push(body.text()?);
        if options {
            body.byte()?;
        }
    }
    if filters.is_empty() { Err(Malformed("no filter")) } else { Ok((id, filters)) }
}

fn checked_topic(topic: String) -> Result<String, Malformed> {
    if topic.is_empty() || topic.contains(['+', '#', '\0']) { Err(Malformed("topic")) } else { Ok(topic) }
}

/// The rest of a packet.
struct Body(Bytes);

impl Body {
    fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed("cut short"))
    }

    fn short(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| Malformed("cut short"))
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.0.len() { Err(Malformed("cut short")) } else { Ok(self.0.split_to(length)) }
    }

    fn binary(&mut self) -> Result<Bytes, Malformed> {
        let length = self.short()?;
        self.take(usize::from(length))
    }

    fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.binary()?.to_vec()).map_err(|_| Malformed("not UTF-8"))
    }

    /// MQTT 5 only; none of them matters to this broker.
    fn skip_properties(&mut self, version: Version) -> Result<(), Malformed> {
        if version == Version::V4 {
            return Ok(());
        }
        let mut length = 0;
        for place in 0..4 {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return self.take(length).map(|_| ());
            }
        }
        Err(Malformed("length of properties"))
    }
}

/// CONNACK. MQTT 5: no session, QoS 1 at most, and an id for a client that brought none.
pub(super) fn connack(version: Version, assigned: Option<&str>) -> Bytes {
    let mut body = BytesMut::new();
    body.put_slice(&[0, 0]);
    if version == Version::V5 {
        let mut properties = BytesMut::new();
        properties.put_slice(&[0x24, 1]); // Maximum QoS
        if let Some(id) = assigned {
            properties.put_u8(0x12); // Assigned Client Identifier
            put_text(&mut properties, id);
        }
        put_length(&mut body, properties.len());
        body.put(properties);
    }
    packet(0x20, &body)
}

/// PUBLISH at QoS 0. `retain` only for a message that was kept.
pub(super) fn deliver(version: Version, message: &Message) -> Bytes {
    let mut body = BytesMut::with_capacity(message.topic.len() + message.payload.len() + 3);
    put_text(&mut body, &message.topic);
    if version == Version::V5 {
        body.put_u8(0);
    }
    body.put_slice(&message.payload);
    packet(0x30 | u8::from(message.retain), &body)
}

/// PUBACK.
pub(super) fn puback(id: u16) -> Bytes {
    packet(0x40, &id.to_be_bytes())
}

/// SUBACK: all granted, at QoS 0.
pub(super) fn suback(version: Version, id: u16, count: usize) -> Bytes {
    granted(0x90, version, id, count)
}

/// UNSUBACK.
pub(super) fn unsuback(version: Version, id: u16, count: usize) -> Bytes {
    granted(0xb0, version, id, if version == Version::V5 { count } else { 0 })
}

fn granted(first: u8, version: Version, id: u16, count: usize) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u16(id);
    if version == Version::V5 {
        body.put_u8(0);
    }
    body.put_bytes(0, count);
    packet(first, &body)
}

/// PINGRESP.
pub(super) fn pong() -> Bytes {
    packet(0xd0, &[])
}

/// DISCONNECT because another client took the id (MQTT 5 only).
pub(super) fn taken_over() -> Bytes {
    packet(0xe0, &[0x8e, 0])
}

fn packet(first: u8, body: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(body.len() + 5);
    packet.put_u8(first);
    put_length(&mut packet, body.len());
    packet.put_slice(body);
    packet.freeze()
}

fn put_length(buffer: &mut BytesMut, mut length: usize) {
    loop {
        let more = length > 0x7f;
        buffer.put_u8((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            return;
        }
    }
}

fn put_text(buffer: &mut BytesMut, text: &str) {
    buffer.put_u16(text.len() as u16);
    buffer.put_slice(text.as_bytes());
}

/// Whether a topic filter takes a topic ("4.7 Topic Names and Topic Filters").
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        if wanted == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filters_take_what_they_should() {
        for (filter, topic, taken) in [
            ("#", "a/b", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/+/c", "a//c", true),
            ("+", "a/b", false),
            ("#", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a", "a/b", false),
        ] {
            assert_eq!(matches(filter, topic), taken, "{filter} {topic}");
        }
    }

    #[test]
    fn a_packet_is_taken_only_when_it_is_whole() {
        let whole = b"\x32\x08\x00\x01t\x00\x07abc";
        for cut in 0..whole.len() {
            assert_eq!(read(&mut BytesMut::from(&whole[..cut]), Some(Version::V4)), Ok(None));
        }
        let message = Message { topic: "t".to_owned(), payload: Bytes::from_static(b"abc"), retain: false };
        let mut buffer = BytesMut::from(&whole[..]);
        assert_eq!(read(&mut buffer, Some(Version::V4)), Ok(Some(Packet::Publish { message, id: Some(7) })));
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_is_not_mqtt_is_refused() {
        for bytes in [&b"\x30\x00"[..], b"\x10\xff\xff\xff\xff\x01", b"\x10\x02\x00\x09", b"\x10\xff\xff\xff\x7f"] {
            assert!(read(&mut BytesMut::from(bytes), None).is_err(), "{bytes:?}");
        }
        assert!(read(&mut BytesMut::from(&b"\x30\x03\x00\x01#"[..]), Some(Version::V4)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            first in prop_oneof![Just(0x10u8), Just(0x30), Just(0x32), Just(0x82), Just(0xa2), any::<u8>()],
            version in prop_oneof![Just(None), Just(Some(Version::V4)), Just(Some(Version::V5))],
        ) {
            let mut buffer = BytesMut::from(&[first][..]);
            put_length(&mut buffer, bytes.len());
            buffer.put_slice(&bytes);
            buffer.put_slice(&bytes);
            for _ in 0..300 {
                let before = buffer.len();
                match read(&mut buffer, version) {
                    Ok(Some(_)) => prop_assert!(buffer.len() < before),
                    Ok(None) | Err(_) => break,
                }
            }
        }

        #[test]
        fn what_is_delivered_reads_back(topic in "[a-z/]{1,40}", length in 0usize..40_000, byte: u8, retain: bool) {
            let payload = vec![byte; length];
            for version in [Version::V4, Version::V5] {
                let message = Message { topic: topic.clone(), payload: payload.clone().into(), retain };
                let mut buffer = BytesMut::from(&deliver(version, &message)[..]);
                prop_assert_eq!(read(&mut buffer, Some(version)), Ok(Some(Packet::Publish { message, id: None })));
            }
        }
    }
}
