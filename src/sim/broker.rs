//! A small MQTT broker inside the process, for the demo and for tests: 3.1.1 and 5, retained messages, wills, wildcards.
//!
//! It takes QoS 0 and 1 and delivers at QoS 0; it knows no users and keeps nothing: loopback only. A subscriber that does
//! not keep up is hung up on; whatever a client sends costs at most its own connection.

mod packet;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use packet::{Malformed, Message, Packet, Version};

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Messages that wait for one subscriber; beyond it the subscriber is hung up on.
const WAITING: usize = 2000;
/// Topics kept.
const RETAINED: usize = 10_000;
/// Filters of one client.
const FILTERS: usize = 100;
/// Until a client must have said CONNECT, and until it must have taken what was sent to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A bound broker that does not run yet.
#[derive(Debug)]
pub struct Broker {
    listener: TcpListener,
    address: SocketAddr,
}

impl Broker {
    /// Listens; port 0 takes any.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop; then all connections end.
    pub async fn run(self, stop: CancellationToken) {
        let hall = Arc::new(Hall::default());
        let mut guests = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = guests.join_next() => {}
                accepted = self.listener.accept(), if guests.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        guests.spawn(serve(stream, hall.clone()));
                    }
                    // Out of file descriptors, or a client that left at once: a moment's rest, then on.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
            }
        }
    }
}

/// What all connections share.
#[derive(Default)]
struct Hall(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    clients: HashMap<String, Client>,
    retained: BTreeMap<String, Message>,
    connected: u64,
}

struct Client {
    /// Tells this connection from a later one with the same id.
    number: u64,
    filters: Vec<String>,
    out: mpsc::Sender<Message>,
    kick: CancellationToken,
}

impl Hall {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client in; one with the same id is kicked.
    fn enter(&self, id: &str) -> (u64, mpsc::Receiver<Message>, CancellationToken) {
        let (out, incoming) = mpsc::channel(WAITING);
        let kick = CancellationToken::new();
        let mut inner = self.lock();
        inner.connected += 1;
        let number = inner.connected;
        let client = Client { number, filters: Vec::new(), out, kick: kick.clone() };
        if let Some(former) = inner.clients.insert(id.to_owned(), client) {
            former.kick.cancel();
        }
        (number, incoming, kick)
    }

    fn leave(&self, id: &str, number: u64) {
        let mut inner = self.lock();
        if inner.clients.get(id).is_some_and(|client| client.number == number) {
            inner.clients.remove(id);
        }
    }

    /// Returns what is kept under the filters.
    fn subscribe(&self, id: &str, filters: &[String]) -> Vec<Message> {
        let mut inner = self.lock();
        if let Some(client) = inner.clients.get_mut(id) {
            let new = filters.iter().filter(|filter| !client.filters.contains(filter)).cloned().collect::<Vec<_>>();
            client.filters.extend(new);
            client.filters.truncate(FILTERS);
        }
        let wanted = |message: &&Message| filters.iter().any(|filter| packet::matches(filter, &message.topic));
        inner.retained.values().filter(wanted).cloned().collect()
    }

    fn unsubscribe(&self, id: &str, filters: &[String]) {
        if let Some(client) = self.lock().clients.get_mut(id) {
            client.filters.retain(|filter| !filters.contains(filter));
        }
    }

    fn publish(&self, message: Message) {
        let mut inner = self.lock();
        let passing = Message { retain: false, ..message.clone() };
        inner.clients.retain(|_, client| {
            let wanted = client.filters.iter().any(|filter| packet::matches(filter, &message.topic));
            // A full queue: without its sender the connection ends.
            !wanted || client.out.try_send(passing.clone()).is_ok()
        });
        if message.retain && message.payload.is_empty() {
            inner.retained.remove(&message.topic);
        } else if message.retain && (inner.retained.len() < RETAINED || inner.retained.contains_key(&message.topic)) {
            inner.retained.insert(message.topic.clone(), message);
        }
    }
}

/// One connection, from its CONNECT to its end.
async fn serve(mut stream: TcpStream, hall: Arc<Hall>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = BytesMut::with_capacity(4096);
    let hello = tokio::time::timeout(PATIENCE, next(&mut stream, &mut buffer, None)).await;
    let Ok(Ok(Packet::Connect { version, client_id, keep_alive, will })) = hello else { return };
    let peer = stream.peer_addr().map_or(0, |peer| peer.port());
    let assigned = client_id.is_empty().then(|| format!("client-{peer}"));
    let id = assigned.clone().unwrap_or(client_id);
    let (number, incoming, kick) = hall.enter(&id);
    let mut guest = Guest { stream, buffer, version, id, keep_alive, incoming };
    let answer = packet::connack(version, assigned.as_deref());
    let clean = guest.send(&answer).await && guest.stay(&hall, &kick).await;
    hall.leave(&guest.id, number);
    if let Some(will) = will
        && !clean
    {
        hall.publish(will);
    }
}

struct Guest {
    stream: TcpStream,
    buffer: BytesMut,
    version: Version,
    id: String,
    keep_alive: u16,
    incoming: mpsc::Receiver<Message>,
}

impl Guest {
    /// Until the connection ends; true if it took its leave.
    async fn stay(&mut self, hall: &Hall, kick: &CancellationToken) -> bool {
        // "3.1.2.10 Keep Alive": one and a half times.
        let patience = match self.keep_alive {
            0 => Duration::MAX,
            seconds => Duration::from_secs(u64::from(seconds)).mul_f64(1.5),
        };
        loop {
            let packet = tokio::select! {
                // Kicked comes with the end of the queue, and is to be told.
                biased;
                () = kick.cancelled() => {
                    if self.version == Version::V5 {
                        self.send(&packet::taken_over()).await;
                        self.close().await;
                    }
                    return false;
                }
                message = self.incoming.recv() => {
                    let Some(message) = message else { return false };
                    let bytes = self.gather(message);
                    if !self.send(&bytes).await {
                        return false;
                    }
                    continue;
                }
                packet = tokio::time::timeout(patience, next(&mut self.stream, &mut self.buffer, Some(self.version))) => packet,
            };
            let Ok(Ok(packet)) = packet else { return false };
            let answer = match packet {
                Packet::Disconnect { with_will } => return !with_will,
                packet => self.answer(packet, hall),
            };
            if !self.send(&answer).await {
                return false;
            }
        }
    }

    /// False if the client is gone or does not take it.
    async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    /// Closing on unread bytes would reset the connection, and our last word with it.
    async fn close(&mut self) {
        let _ = self.stream.shutdown().await;
        let rest = async { while self.stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {} };
        let _ = tokio::time::timeout(PATIENCE, rest).await;
    }

    fn answer(&self, packet: Packet, hall: &Hall) -> Bytes {
        match packet {
            Packet::Publish { message, id } => {
                hall.publish(message);
                id.map(packet::puback).unwrap_or_default()
            }
            Packet::Subscribe { id, filters } => {
                let mut answer = BytesMut::from(&packet::suback(self.version, id, filters.len())[..]);
                for message in hall.subscribe(&self.id, &filters) {
                    answer.extend_from_slice(&packet::deliver(self.version, &message));
                }
                answer.freeze()
            }
            Packet::Unsubscribe { id, filters } => {
                hall.unsubscribe(&self.id, &filters);
                packet::unsuback(self.version, id, filters.len())
            }
            Packet::Ping => packet::pong(),
            Packet::Acknowledge | Packet::Connect { .. } | Packet::Disconnect { .. } => Bytes::new(),
        }
    }

    /// What waits for this client, in one write.
    fn gather(&mut self, first: Message) -> BytesMut {
        let mut bytes = BytesMut::from(&packet::deliver(self.version, &first)[..]);
        while bytes.len() < 65_536
            && let Ok(message) = self.incoming.try_recv()
        {
            bytes.extend_from_slice(&packet::deliver(self.version, &message));
        }
        bytes
    }
}

/// The next packet. Safe to drop: what was read stays in the buffer.
async fn next(stream: &mut TcpStream, buffer: &mut BytesMut, version: Option<Version>) -> io::Result<Packet> {
    loop {
        let malformed = |error: Malformed| io::Error::new(io::ErrorKind::InvalidData, error);
        if let Some(packet) = packet::read(buffer, version).map_err(malformed)? {
            return Ok(packet);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
