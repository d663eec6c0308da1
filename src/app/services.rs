//! MQTT, HTTP, the local socket: what serves others.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::socket::{self, SocketPorts};
use super::start::App;
use super::tasks::Phase;
use crate::config::{Config, DeviceConfig, HttpConfig};
use crate::http::{self, Figures, HttpPorts, MqttFigures, Sources};
use crate::mqtt::{self, Capacities, MqttPorts, MqttStats, Retry};
use crate::telemetry::{Naming, StoreStats, Topics, group_names};

/// Opens the HTTP listener, if there shall be one.
pub(super) async fn listen(config: Option<&HttpConfig>) -> io::Result<Option<http::Listener>> {
    match config {
        Some(config) => http::bind(config).await.map(Some),
        None => Ok(None),
    }
}

/// What things are called at the broker, if there is one.
pub(super) fn naming(config: &Config) -> Option<Naming> {
    let mqtt = config.mqtt.as_ref()?;
    Some(Naming { topics: Topics::new(&mqtt.topic_prefix), groups: group_names(&config.devices) })
}

impl App {
    /// Starts the MQTT session, if the config has a broker.
    pub(super) fn start_mqtt(&mut self) {
        let Some(config) = self.config.mqtt.clone() else { return };
        let status = Arc::new(MqttStats::default());
        let ports = MqttPorts {
            config,
            capacities: self.capacities(),
            retry: Retry::default(),
            clock: self.environment.clock.clone(),
            outbox: self.outbox.clone(),
            snapshot: self.channels.snapshot.clone(),
            decision: self.channels.decision.clone(),
            status: status.clone(),
            stop: CancellationToken::new(),
        };
        let part = self.tasks.spawn(Phase::Mqtt, "mqtt", |stop| mqtt::run(MqttPorts { stop, ..ports }));
        self.mqtt = Some((part, status));
    }

    fn capacities(&self) -> Capacities {
        let capacity = |device: &DeviceConfig| Some((device.name.clone(), device.capacity?));
        self.config.devices.iter().filter_map(capacity).collect()
    }

    /// Serves HTTP on a listener that stands.
    pub(super) fn start_http(&mut self, listener: Option<http::Listener>) {
        let Some(listener) = listener else { return };
        let address = listener.address();
        let ports = HttpPorts { stop: CancellationToken::new(), ..self.http_ports() };
        let part = self.tasks.spawn(Phase::Service, "http", |stop| async move {
            if let Err(error) = http::run(listener, HttpPorts { stop, ..ports }).await {
                tracing::error!(%error, "http");
            }
        });
        self.http = Some((part, address));
    }

    /// Answers on the local socket.
    pub(super) fn start_socket(&mut self, listener: UnixListener) {
        let ports = SocketPorts {
            listener,
            lines: self.lines.clone(),
            state: http::state_source(&self.http_ports()),
            clock: self.environment.clock.clone(),
        };
        self.tasks.spawn(Phase::Service, "socket", |stop| socket::run(ports, stop));
    }

    fn http_ports(&self) -> HttpPorts {
        HttpPorts {
            snapshot: self.channels.snapshot.clone(),
            decision: self.channels.decision.clone(),
            sources: self.channels.sources.subscribe(),
            clock: self.environment.clock.clone(),
            stop: CancellationToken::new(),
        }
    }

    /// Tells the metrics what there is to show.
    pub(super) fn publish_sources(&self) {
        let (outbox, dropped) = (self.outbox.clone(), self.dropped.clone());
        let store: Figures<StoreStats> = Arc::new(move || {
            let stats = outbox.stats();
            StoreStats { dropped: stats.dropped + dropped.load(Relaxed), ..stats }
        });
        let mqtt = self.mqtt.as_ref().map(|(_, stats)| {
            let stats = stats.clone();
            let figures: Figures<MqttFigures> = Arc::new(move || MqttFigures {
                connected: stats.connected(),
                connects: stats.connects(),
                published: stats.published(),
                acknowledged: stats.acknowledged(),
                refused: stats.refused(),
                inflight: stats.in_flight(),
                last_error: stats.last_error(),
            });
            figures
        });
        self.channels.sources.send_replace(Arc::new(Sources {
            site: self.config.site.name.clone(),
            rules: self.config.rules.iter().map(|rule| rule.rule.kind().into()).collect(),
            stats: self.stats.clone(),
            store: mqtt.is_some().then_some(store),
            mqtt,
            loops: self.vitals.loops(),
            reload: self.reload,
        }));
    }
}
