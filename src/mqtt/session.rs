//! One session with the broker, and the only file that names rumqttc.
//!
//! rumqttc loses what it holds when a session ends, forgets a stashed publish, and repeats events of an old connection. So
//! it holds nothing of worth: a session is one fresh (client, event loop) pair with a clean start, any error drops the
//! pair, and what was not acknowledged is still in the store. `poll` is never cancelled within a session.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, DisconnectReasonCode, LastWill, Packet, PubAck, PubAckReason,
};
use rumqttc::v5::mqttbytes::{self, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, MqttOptions, StateError};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, TlsError, Transport};
use tokio::time::MissedTickBehavior;

use super::failure::Failure;
use super::live::Message;
use super::sender::{Flying, Kind, LIVE, RECORDS, Window};
use super::task::Shared;
use super::tls::client_config;
use crate::clock::IoTime;
use crate::telemetry::Record;

/// Largest packet that we take or send, whatever the broker allows. rumqttc's default of 10 KiB makes one large message end
/// every session.
const MAX_PACKET: u32 = 1 << 20;
/// What a publish's packet holds besides topic and payload, at most.
const PACKET_OVERHEAD: usize = 16;
/// rumqttc's queue: it never fills, for less is ever on its way.
const QUEUE: usize = RECORDS + LIVE + 8;
/// Packet ids in use; a broker that allows fewer is obeyed.
const PACKET_IDS: u16 = 128;
/// The least keep-alive that rumqttc takes without a panic.
const LEAST_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// TCP, TLS and the broker's answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Live state goes out once in this time, and silence is looked for.
const ROUND: Duration = Duration::from_secs(1);
/// At the end: for what the store still holds, and then for saying good-bye.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Connecting,
    Open,
    /// Told to stop: what the store holds goes first.
    Draining,
    /// `offline` is on its way, nothing else is begun.
    Leaving,
    /// The disconnect is on its way.
    Disconnecting,
}

struct Session<'a> {
    shared: &'a mut Shared,
    client: AsyncClient,
    window: Window,
    phase: Phase,
    records_qos: QoS,
    others_qos: QoS,
    max_packet: usize,
    accepted_at: Option<IoTime>,
    /// The store may hold records that this session was not given yet.
    behind: bool,
}

/// Runs one session. `Ok` after a clean end that was asked for, else what ended it.
pub(super) async fn run(shared: &mut Shared) -> Result<(), Failure> {
    let options = options(shared).await?;
    let keep_alive = options.keep_alive();
    let (client, mut event_loop) = AsyncClient::new(options, QUEUE);
    let mut session = Session::new(shared, client);
    let result = session.turn(&mut event_loop, keep_alive).await;
    let held = session.accepted_at.map(|at| session.shared.clock.io().since(at));
    result.map_err(|failure| Failure { held, ..failure })
}

async fn options(shared: &Shared) -> Result<MqttOptions, Failure> {
    let config = &shared.config;
    let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
    options
        .set_clean_start(true)
        .set_keep_alive(config.keep_alive.max(LEAST_KEEP_ALIVE))
        .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
        .set_max_packet_size(Some(MAX_PACKET))
        .set_last_will(LastWill::new(&*shared.topics.status(), "offline", QoS::AtLeastOnce, true, None));
    options.set_outgoing_inflight_upper_limit(PACKET_IDS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some(user) = &config.username {
        options.set_credentials(user, config.password.as_ref().map_or("", |password| password.reveal()));
    }
    if let Some(tls) = config.tls.clone() {
        let client = tokio::task::spawn_blocking(move || client_config(&tls)).await;
        let client = client.map_err(|error| Failure::new(error.to_string()))?;
        let client = client.map_err(|error| Failure::new(error.to_string()))?;
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(client)));
    }
    Ok(options)
}

impl<'a> Session<'a> {
    fn new(shared: &'a mut Shared, client: AsyncClient) -> Self {
        Self {
            window: Window::new(shared.clock.io()),
            phase: Phase::Connecting,
            records_qos: if shared.config.telemetry_qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce },
            others_qos: QoS::AtLeastOnce,
            max_packet: MAX_PACKET as usize,
            accepted_at: None,
            behind: true,
            shared,
            client,
        }
    }

    async fn turn(&mut self, event_loop: &mut rumqttc::v5::EventLoop, keep_alive: Duration) -> Result<(), Failure> {
        let outbox = self.shared.outbox.clone();
        let stop = self.shared.stop.clone();
        let mut round = tokio::time::interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline = pin!(tokio::time::sleep(Duration::MAX));
        let mut stopped = pin!(stop.cancelled());
        loop {
            let mut poll = pin!(event_loop.poll());
            let event = loop {
                tokio::select! {
                    biased;
                    () = &mut stopped, if self.phase < Phase::Draining => {
                        if self.phase == Phase::Connecting {
                            return Ok(());
                        }
                        self.phase = Phase::Draining;
                        self.behind = true;
                        self.shared.live.begin_round();
                        deadline.as_mut().reset(tokio::time::Instant::now() + LAST_WORDS);
                        self.advance()?;
                    }
                    () = deadline.as_mut() => {
                        if self.phase != Phase::Draining {
                            return Ok(());
                        }
                        deadline.as_mut().reset(tokio::time::Instant::now() + LAST_WORDS);
                        self.leave()?;
                    }
                    _ = round.tick(), if self.phase == Phase::Open => {
                        self.look_for_silence(keep_alive)?;
                        self.shared.live.begin_round();
                        self.advance()?;
                    }
                    () = outbox.notified(), if matches!(self.phase, Phase::Open | Phase::Draining) => {
                        self.behind = true;
                        self.advance()?;
                    }
                    event = poll.as_mut() => break event,
                }
            };
            match event.map_err(|error| self.failure(&error))? {
                Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
                Event::Outgoing(Outgoing::Publish(id)) => {
                    if let Some(flying) = self.window.written(id, self.shared.clock.io()) {
                        self.delivered(&flying);
                    }
                }
                Event::Incoming(Packet::ConnAck(answer)) => self.accepted(&answer)?,
                Event::Incoming(Packet::PubAck(ack)) => self.acknowledged(&ack)?,
                _ => continue,
            }
            self.advance()?;
        }
    }

    /// The broker took us: what it allows, then `online`.
    fn accepted(&mut self, answer: &ConnAck) -> Result<(), Failure> {
        if let Some(allowed) = &answer.properties {
            let most = allowed.max_packet_size.map_or(usize::MAX, |most| most as usize);
            self.max_packet = self.max_packet.min(most);
            if allowed.max_qos == Some(0) {
                (self.records_qos, self.others_qos) = (QoS::AtMostOnce, QoS::AtMostOnce);
            }
        }
        self.accepted_at = Some(self.shared.clock.io());
        self.phase = Phase::Open;
        self.shared.accepted();
        let status = Message { topic: self.shared.topics.status(), payload: "online".into() };
        self.publish_retained(status, Kind::Status)?;
        self.shared.live.begin_round();
        Ok(())
    }

    fn acknowledged(&mut self, ack: &PubAck) -> Result<(), Failure> {
        let Some(flying) = self.window.acknowledged(ack.pkid, self.shared.clock.io()) else { return Ok(()) };
        match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => self.delivered(&flying),
            // It may take it later: the record stays, the session ends, the wait grows.
            PubAckReason::QuotaExceeded => return Err(Failure::new("the broker's quota is exceeded".to_owned())),
            reason => self.refused(&flying, refusal(reason)),
        }
        Ok(())
    }

    fn delivered(&mut self, flying: &Flying) {
        if let Kind::Record(sequence) = flying.kind {
            self.shared.outbox.acknowledged(sequence);
            self.shared.status.acknowledge();
        }
        self.shared.status.flying(self.window.len());
    }

    /// Said once a topic, counted, and dropped: what the broker will never take must not hold up the rest.
    fn refused(&mut self, flying: &Flying, why: &str) {
        if let Kind::Record(sequence) = flying.kind {
            self.shared.outbox.acknowledged(sequence);
        }
        self.shared.refused(&flying.topic, why);
    }

    /// Gives the connection what it has room for, and takes the next step towards the end.
    fn advance(&mut self) -> Result<(), Failure> {
        if matches!(self.phase, Phase::Open | Phase::Draining) {
            self.send_live()?;
            self.send_records()?;
        }
        match self.phase {
            Phase::Draining if self.window.len() == 0 => self.leave(),
            Phase::Leaving if self.window.len() == 0 => {
                self.phase = Phase::Disconnecting;
                self.client.try_disconnect().map_err(|_| queue_full())
            }
            _ => Ok(()),
        }
    }

    /// From here on only `offline` is sent.
    fn leave(&mut self) -> Result<(), Failure> {
        self.phase = Phase::Leaving;
        let status = Message { topic: self.shared.topics.status(), payload: "offline".into() };
        self.publish_retained(status, Kind::Status)
    }

    fn send_live(&mut self) -> Result<(), Failure> {
        while self.window.room_for_live() {
            let Some(message) = self.shared.next_live() else { break };
            self.publish_retained(message, Kind::Live)?;
        }
        Ok(())
    }

    fn send_records(&mut self) -> Result<(), Failure> {
        while self.behind {
            let room = self.window.room_for_records();
            if room == 0 {
                return Ok(());
            }
            let records = self.shared.outbox.after(self.window.cursor, room);
            self.behind = records.len() == room;
            for Record { sequence, topic, payload } in records {
                self.publish(topic, payload, Kind::Record(sequence), self.records_qos, false)?;
            }
        }
        Ok(())
    }

    fn publish_retained(&mut self, message: Message, kind: Kind) -> Result<(), Failure> {
        self.publish(message.topic, message.payload, kind, self.others_qos, true)
    }

    fn publish(
        &mut self,
        topic: std::sync::Arc<str>,
        payload: bytes::Bytes,
        kind: Kind,
        qos: QoS,
        retain: bool,
    ) -> Result<(), Failure> {
        let flying = Flying { topic, kind, at_most_once: qos == QoS::AtMostOnce };
        if flying.topic.len() + payload.len() + PACKET_OVERHEAD > self.max_packet {
            if let Kind::Record(sequence) = kind {
                self.window.cursor = Some(sequence);
            }
            self.refused(&flying, "larger than the broker takes");
            return Ok(());
        }
        self.client.try_publish(&*flying.topic, qos, retain, payload).map_err(|_| queue_full())?;
        self.window.add(flying, self.shared.clock.io());
        self.shared.status.publish(self.window.len());
        Ok(())
    }

    /// Ends a session in which publishes stay unanswered: a half-open link, or a broker that has hung. rumqttc's own ping
    /// does not run while it waits for a full socket.
    fn look_for_silence(&self, keep_alive: Duration) -> Result<(), Failure> {
        match self.window.stuck_since() {
            Some(since) if self.shared.clock.io().since(since) > keep_alive => {
                Err(Failure::new(format!("no acknowledgement for {keep_alive:?}")))
            }
            _ => Ok(()),
        }
    }

    fn closed(&self, how: &str) -> String {
        match self.accepted_at {
            Some(_) => how.to_owned(),
            None => format!("{how} before it answered; does it speak MQTT 5, and is TLS as it wants it?"),
        }
    }

    fn failure(&self, error: &ConnectionError) -> Failure {
        let config = &self.shared.config;
        let text = match error {
            ConnectionError::ConnectionRefused(code) => return Failure::new(connect_refusal(*code, config)),
            ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
                if *reason_code == DisconnectReasonCode::SessionTakenOver {
                    return Failure::taken_over(&config.client_id);
                }
                let detail = reason_string.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
                format!("the broker ended the session: {reason_code:?}{detail}")
            }
            ConnectionError::MqttState(StateError::ConnectionAborted) => {
                self.closed("the broker closed the connection")
            }
            ConnectionError::MqttState(
                StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
            )
            | ConnectionError::Tls(TlsError::Io(error))
            | ConnectionError::Io(error) => match error.kind() {
                ErrorKind::ConnectionReset => self.closed(&error.to_string()),
                ErrorKind::UnexpectedEof => self.closed("the broker closed the connection"),
                _ => error.to_string(),
            },
            ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker does not answer pings".to_owned(),
            ConnectionError::Timeout(_) => format!("no answer within {CONNECT_TIMEOUT:?}"),
            other => other.to_string(),
        };
        let hint = match &config.tls {
            Some(tls) if text.contains("UnknownIssuer") && tls.ca_file.is_none() => {
                "; if the broker's CA is your own, name it in [mqtt] ca_file"
            }
            Some(_) if text.contains("UnknownIssuer") => "; the certificate is not from the CA in [mqtt] ca_file",
            Some(tls) if text.contains("CertificateRequired") && tls.client.is_none() => {
                "; the broker wants a client certificate: [mqtt] client_cert_file and client_key_file"
            }
            _ => "",
        };
        Failure::new(format!("{text}{hint}"))
    }
}

fn queue_full() -> Failure {
    // Cannot be, for less is ever on its way than the queue holds; if it is, a fresh pair mends it.
    Failure::new("the connection's queue is full".to_owned())
}

fn refusal(reason: PubAckReason) -> &'static str {
    match reason {
        PubAckReason::NotAuthorized => "not authorised: the broker's access list must let this user write it",
        PubAckReason::TopicNameInvalid => "the broker does not take this topic",
        PubAckReason::PayloadFormatInvalid => "the broker does not take this payload",
        _ => "the broker refused it without a reason that we know",
    }
}

fn connect_refusal(code: ConnectReturnCode, config: &crate::config::MqttConfig) -> String {
    let user = config.username.as_deref().map_or("without a user".to_owned(), |user| format!("as user `{user}`"));
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            format!("the broker refuses us {user}: check [mqtt] username and password_file")
        }
        ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => {
            format!("the broker refuses the client id `{}`: set [mqtt] client_id", config.client_id)
        }
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            "the broker does not speak MQTT 5".to_owned()
        }
        other => format!("the broker refuses the connection: {other:?}"),
    }
}
