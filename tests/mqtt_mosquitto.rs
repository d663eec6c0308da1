//! The gateway against a real mosquitto: nothing that was acknowledged is missing, nothing that was not is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/mqtt_wire.rs"]
mod mqtt_wire;

use gate::Gate;
use mosquitto::{Gateway, Mosquitto, config, decision, free_port};
use mqtt_wire::Subscriber;

const TOPIC: &str = "wattkeeper/x/telemetry/grid/fast";

#[tokio::test]
async fn records_arrive_in_order_and_the_store_ends_empty() {
    for qos in [0, 1] {
        let broker = Mosquitto::open().await;
        let mut subscriber = Subscriber::new(broker.port, None, "wattkeeper/x/telemetry/#").await;
        let gateway = Gateway::start({
            let mut config = config(broker.port);
            config.telemetry_qos = qos;
            config
        });
        gateway.append(TOPIC, 1000);
        for expected in 1..=1000 {
            let message = subscriber.next().await.unwrap();
            assert_eq!(message.payload, expected.to_string());
        }
        gateway.until_empty().await;
        assert_eq!(gateway.status.acknowledged(), 1000);
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_gets_all_when_it_comes() {
    let port = free_port();
    let gateway = Gateway::start(config(port));
    gateway.append(TOPIC, 300);
    gateway.until_error("refused").await;
    assert_eq!(gateway.outbox.stats().records, 300);
    // The broker comes up behind a gate, so that the subscriber is there first.
    let broker = Mosquitto::open().await;
    let mut subscriber = Subscriber::new(broker.port, None, "wattkeeper/x/telemetry/#").await;
    let gate = Gate::at(port).await;
    gate.lead(Some(broker.port));
    for expected in 1..=300 {
        assert_eq!(subscriber.next().await.unwrap().payload, expected.to_string());
    }
    gateway.until_empty().await;
    gateway.end().await;
}

#[tokio::test]
async fn twenty_killed_brokers_cost_no_record() {
    const KILLS: usize = 20;
    let port = free_port();
    let gate = Gate::at(port).await;
    let gateway = Gateway::start(config(port));
    let mut arrived: Vec<u64> = Vec::new();
    for round in 0..=KILLS {
        let mut broker = Mosquitto::open().await;
        let mut subscriber = Subscriber::new(broker.port, None, "wattkeeper/x/telemetry/#").await;
        gateway.append(TOPIC, 150);
        gate.lead(Some(broker.port));
        for _ in 0..(if round < KILLS { 40 + round * 7 } else { 0 }) {
            arrived.extend(subscriber.next().await.map(|message| message.payload.parse::<u64>().unwrap()));
        }
        if round == KILLS {
            gateway.until_empty().await;
        }
        gate.lead(None);
        broker.kill();
        while let Some(message) = subscriber.next().await {
            arrived.push(message.payload.parse().unwrap());
        }
    }
    let total = 150 * (KILLS as u64 + 1);
    let mut first_arrivals = Vec::new();
    for sequence in &arrived {
        if first_arrivals.last().is_none_or(|last| sequence > last) {
            first_arrivals.push(*sequence);
        }
    }
    assert_eq!(first_arrivals, (1..=total).collect::<Vec<_>>(), "each at least once, first arrivals in order");
    assert!(gateway.status.connects() > KILLS as u64);
    assert_eq!(gateway.outbox.stats().dropped, 0);
    gateway.end().await;
}

#[tokio::test]
async fn the_will_says_offline_when_we_are_cut_off_and_we_say_it_ourselves_when_we_leave() {
    let broker = Mosquitto::open().await;
    let mut subscriber = Subscriber::new(broker.port, None, "wattkeeper/x/status").await;
    let gateway = Gateway::start(config(broker.port));
    assert_eq!(subscriber.next().await.unwrap().payload, "online");
    gateway.task.abort();
    assert_eq!(subscriber.next().await.unwrap().payload, "offline");

    let gateway = Gateway::start(config(broker.port));
    assert_eq!(subscriber.next().await.unwrap().payload, "online");
    gateway.append(TOPIC, 100);
    let outbox = gateway.outbox.clone();
    gateway.end().await;
    assert_eq!(outbox.stats().records, 0, "what waits is sent before we leave");
    assert_eq!(subscriber.next().await.unwrap().payload, "offline");
    let mut late = Subscriber::new(broker.port, None, "wattkeeper/x/status").await;
    let status = late.next().await.unwrap();
    assert!(status.retain && status.payload == "offline");
}

#[tokio::test]
async fn live_state_is_retained_and_only_the_latest_is_sent() {
    let broker = Mosquitto::open().await;
    let mut subscriber = Subscriber::new(broker.port, None, "wattkeeper/x/decision").await;
    let gateway = Gateway::start(config(broker.port));
    for serial in 1..=50 {
        gateway.decision.send_replace(std::sync::Arc::new(decision(serial)));
    }
    let seen = subscriber.until(|message| message.json()["serial"] == 50).await.json();
    assert_eq!(seen["standing"], "not-controlling");
    assert_eq!(seen["not_controlling_because"], "the grid meter is silent");
    gateway.decision.send_replace(std::sync::Arc::new(decision(51)));
    assert_eq!(subscriber.next().await.unwrap().json()["serial"], 51, "an unchanged decision is not sent again");
    let mut late = Subscriber::new(broker.port, None, "wattkeeper/x/#").await;
    let site = late.until(|message| message.topic.ends_with("/state/site")).await;
    assert!(site.retain);
    assert!(site.json()["grid"]["power"].is_null(), "no reading, no number");
    gateway.end().await;
}
