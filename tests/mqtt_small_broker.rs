//! The small broker of the demo: real mosquitto_sub and mosquitto_pub against it, and the gateway itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/mqtt_wire.rs"]
mod mqtt_wire;

use std::time::Duration;

use mosquitto::{Gateway, config};
use mqtt_wire::Subscriber;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use wattkeeper::sim::Broker;

const TOPIC: &str = "wattkeeper/x/telemetry/grid/fast";

async fn broker() -> (u16, tokio_util::sync::DropGuard) {
    let broker = Broker::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = broker.address().port();
    let stop = CancellationToken::new();
    tokio::spawn(broker.run(stop.clone()));
    (port, stop.drop_guard())
}

async fn tool(name: &str, port: u16, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(name);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let output =
        output.unwrap_or_else(|_| panic!("{name} {arguments:?} does not end")).expect("install mosquitto-clients");
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn mosquitto_sub_of_either_version_reads_what_the_gateway_says() {
    let (port, _guard) = broker().await;
    let gateway = Gateway::start(config(port));
    gateway.until("connected", |gateway| gateway.status.connected()).await;
    gateway.until("told", |gateway| gateway.status.published() >= 2 && gateway.status.in_flight() == 0).await;
    for version in ["mqttv311", "mqttv5"] {
        let status = tool("mosquitto_sub", port, &["-V", version, "-t", "wattkeeper/+/status", "-C", "1"]).await;
        assert_eq!(status, "online\n");
        let live = ["-V", version, "-t", "wattkeeper/x/state/#", "-C", "1", "-F", "%r %t"];
        assert_eq!(tool("mosquitto_sub", port, &live).await, "1 wattkeeper/x/state/site\n");
        // QoS 1 is asked for and 0 granted; live messages come through as they are made.
        let arguments = ["-V", version, "-q", "1", "-t", TOPIC, "-C", "200"];
        let (output, ()) = tokio::join!(tool("mosquitto_sub", port, &arguments), async {
            for _ in 0..200 {
                gateway.append(TOPIC, 5);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert_eq!(output.lines().count(), 200);
    }
    gateway.until_empty().await;
    gateway.end().await;
    assert_eq!(tool("mosquitto_sub", port, &["-t", "wattkeeper/x/status", "-C", "1"]).await, "offline\n");
}

#[tokio::test]
async fn retained_messages_come_late_and_go_when_emptied() {
    let (port, _guard) = broker().await;
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1"] {
            tool("mosquitto_pub", port, &["-V", version, "-q", qos, "-r", "-t", "a/b", "-m", qos]).await;
        }
        assert_eq!(tool("mosquitto_sub", port, &["-V", version, "-t", "a/+", "-C", "1"]).await, "1\n");
    }
    tool("mosquitto_pub", port, &["-r", "-t", "a/b", "-n"]).await;
    tool("mosquitto_pub", port, &["-r", "-t", "z", "-m", "last"]).await;
    assert_eq!(tool("mosquitto_sub", port, &["-t", "#", "-C", "1"]).await, "last\n");
}

#[tokio::test]
async fn the_will_is_published_when_the_gateway_is_cut_off() {
    let (port, _guard) = broker().await;
    let mut subscriber = Subscriber::new(port, None, "wattkeeper/x/status").await;
    let gateway = Gateway::start(config(port));
    assert_eq!(subscriber.next().await.unwrap().payload, "online");
    gateway.task.abort();
    assert_eq!(subscriber.next().await.unwrap().payload, "offline");
}

#[tokio::test]
async fn a_second_client_with_the_same_id_takes_over_and_the_first_learns_why() {
    let (port, _guard) = broker().await;
    let first = Gateway::start(config(port));
    first.until("connected", |gateway| gateway.status.connected()).await;
    let second = Gateway::start(config(port));
    first.until_error("another client has connected").await;
    second.until("connected", |gateway| gateway.status.connected()).await;
    second.end().await;
    first.end().await;
}

#[tokio::test]
async fn a_client_that_sends_rubbish_or_never_reads_costs_only_its_own_connection() {
    let (port, _guard) = broker().await;
    let mut rubbish = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    rubbish.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rubbish.read(&mut [0; 16]).await.unwrap_or(0), 0, "hung up on");
    let _idle = Subscriber::new(port, None, "#").await;
    let gateway = Gateway::start(config(port));
    for _ in 0..20 {
        gateway.outbox.append(TOPIC.into(), |_| vec![b'1'; 500_000].into());
    }
    gateway.append(TOPIC, 5000);
    gateway.until_empty().await;
    let mut subscriber = Subscriber::new(port, None, "wattkeeper/x/status").await;
    assert_eq!(subscriber.next().await.unwrap().payload, "online");
    gateway.end().await;
}
