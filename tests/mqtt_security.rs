//! Passwords, TLS and access lists against a real mosquitto, and what the owner is told when they are wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/mqtt_wire.rs"]
mod mqtt_wire;

use certificates::certificates;
use mosquitto::{Gateway, Mosquitto, add_user, config};
use mqtt_wire::Subscriber;
use wattkeeper::config::{MqttConfig, MqttTls, Secret};

const TOPIC: &str = "wattkeeper/town-hall/telemetry/grid/fast";

fn town_hall(port: u16, password: &str) -> MqttConfig {
    let mut config = config(port);
    config.username = Some("town-hall".to_owned());
    config.password = Some(Secret::new(password));
    config.topic_prefix = "wattkeeper/town-hall".to_owned();
    config
}

/// With the access list that is shipped, one gateway and one viewer.
async fn guarded() -> Mosquitto {
    Mosquitto::start("allow_anonymous false\npassword_file FOLDER/passwords\nacl_file FOLDER/acl", |folder| {
        add_user(&folder.join("passwords"), "town-hall", "right");
        add_user(&folder.join("passwords"), "viewer", "look");
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/mosquitto.acl"), folder.join("acl")).unwrap();
    })
    .await
}

#[tokio::test]
async fn the_shipped_access_list_lets_a_gateway_write_its_own_site_alone() {
    let broker = guarded().await;
    let mut viewer = Subscriber::new(broker.port, Some(("viewer", "look")), "wattkeeper/#").await;
    let gateway = Gateway::start(town_hall(broker.port, "right\n"));
    gateway.append("wattkeeper/library/telemetry/grid/fast", 3);
    gateway.append(TOPIC, 3);
    gateway.until_empty().await;
    assert_eq!(viewer.until(|message| message.topic.contains("telemetry")).await.payload, "4");
    assert_eq!(gateway.status.refused(), 3, "a refusal is seen, not taken for a success");
    assert_eq!(gateway.status.connects(), 1);
    gateway.end().await;
}

#[tokio::test]
async fn a_wrong_password_is_said_so_and_never_shown() {
    let broker = guarded().await;
    let gateway = Gateway::start(town_hall(broker.port, "hunter2"));
    gateway.append(TOPIC, 3);
    let error = gateway.until_error("refuses us").await;
    assert!(error.contains("as user `town-hall`") && error.contains("password_file"), "{error}");
    assert!(!error.contains("hunter2"));
    assert_eq!(gateway.outbox.stats().records, 3);
    gateway.end().await;
}

const TLS: &str = "allow_anonymous true\ncafile FOLDER/ca.pem\ncertfile FOLDER/server.pem\nkeyfile FOLDER/server.key";

fn with_tls(broker: &Mosquitto, ca: Option<&str>, client: bool) -> MqttConfig {
    let file = |name: &str| broker.folder.path().join(name);
    let mut config = config(broker.port);
    config.host = "localhost".to_owned();
    config.topic_prefix = "wattkeeper/town-hall".to_owned();
    config.tls =
        Some(MqttTls { ca_file: ca.map(file), client: client.then(|| (file("client.pem"), file("client.key"))) });
    config
}

#[tokio::test]
async fn tls_with_a_ca_of_ones_own_and_a_client_certificate_delivers() {
    let broker = Mosquitto::start(&format!("{TLS}\nrequire_certificate true"), certificates).await;
    let gateway = Gateway::start(with_tls(&broker, Some("ca.pem"), true));
    gateway.append(TOPIC, 100);
    gateway.until_empty().await;
    assert_eq!(gateway.status.acknowledged(), 100);
    gateway.end().await;
}

#[tokio::test]
async fn a_broker_that_wants_a_client_certificate_is_understood() {
    let broker = Mosquitto::start(&format!("{TLS}\nrequire_certificate true"), certificates).await;
    let gateway = Gateway::start(with_tls(&broker, Some("ca.pem"), false));
    let error = gateway.until_error("ertificate").await;
    assert!(error.contains("client_cert_file"), "{error}");
    gateway.end().await;
}

#[tokio::test]
async fn a_broker_of_another_ca_is_not_talked_to() {
    let broker = Mosquitto::start(TLS, certificates).await;
    for (ca, remedy) in [(Some("other.pem"), "not from the CA in [mqtt] ca_file"), (None, "name it in [mqtt] ca_file")]
    {
        let gateway = Gateway::start(with_tls(&broker, ca, false));
        gateway.append(TOPIC, 1);
        let error = gateway.until_error("UnknownIssuer").await;
        assert!(error.contains(remedy), "{error}");
        assert_eq!((gateway.status.published(), gateway.outbox.stats().records), (0, 1));
        gateway.end().await;
    }
}

#[tokio::test]
async fn plain_text_to_a_tls_port_is_told_apart() {
    let broker = Mosquitto::start(TLS, certificates).await;
    let gateway = Gateway::start(config(broker.port));
    let error = gateway.until_error("TLS").await;
    assert!(error.contains("before it answered"), "{error}");
    gateway.end().await;
}
