//! The gateway against brokers that misbehave.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/broker.rs"]
mod broker;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/mqtt_wire.rs"]
mod mqtt_wire;

use std::collections::BTreeSet;
use std::time::Duration;

use broker::{Acks, FakeBroker, Script};
use mosquitto::{Gateway, config};

const TOPIC: &str = "wattkeeper/x/telemetry/grid/fast";

fn all(broker: &FakeBroker) -> BTreeSet<u64> {
    broker.numbers(TOPIC).into_iter().collect()
}

fn up_to(count: u64) -> BTreeSet<u64> {
    (1..=count).collect()
}

#[tokio::test]
async fn acknowledgements_in_any_order_empty_the_store() {
    // Receive Maximum 4: packet ids come round again while their first use is still unacknowledged.
    let few_ids = Script { properties: vec![0x21, 0, 4], ..Script::new(Acks::Reversed) };
    for script in [Script::new(Acks::Reversed), few_ids] {
        let broker = FakeBroker::start(vec![script]).await;
        let gateway = Gateway::start(config(broker.port));
        gateway.append(TOPIC, 100);
        gateway.until_empty().await;
        assert_eq!(broker.numbers(TOPIC), (1..=100).collect::<Vec<_>>(), "each once, in order");
        assert_eq!(gateway.status.connects(), 1);
        gateway.end().await;
    }
}

#[tokio::test]
async fn a_broker_that_hangs_up_again_and_again_gets_each_record() {
    let mut scripts: Vec<Script> = (4..34).map(|after| Script::dropping(Acks::Reversed, after)).collect();
    scripts.push(Script::dropping(Acks::Never, 20));
    scripts.push(Script::new(Acks::InOrder));
    let broker = FakeBroker::start(scripts).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 500);
    gateway.until_empty().await;
    assert_eq!(all(&broker), up_to(500));
    let arrived = broker.numbers(TOPIC);
    let mut highest = 0;
    for number in arrived {
        assert!(number <= highest + 1, "{number} before {}", highest + 1);
        highest = highest.max(number);
    }
    assert!(!broker.clean_end());
    gateway.stop.cancel();
    gateway.until("a clean end", |_| broker.clean_end()).await;
    gateway.end().await;
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_keeps_the_records_here_and_loses_the_session() {
    let broker = FakeBroker::start(vec![Script::new(Acks::Never), Script::new(Acks::InOrder)]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 200);
    gateway.until("the window is full", |_| broker.numbers(TOPIC).len() >= 64).await;
    assert_eq!(gateway.outbox.stats().records, 200, "none leaves without its acknowledgement");
    gateway.until_empty().await;
    assert_eq!(all(&broker), up_to(200));
    assert_eq!(broker.connections(), 2);
    gateway.end().await;
}

#[tokio::test]
async fn a_second_acknowledgement_ends_the_session_and_nothing_else() {
    let broker = FakeBroker::start(vec![Script::new(Acks::Twice), Script::new(Acks::InOrder)]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 50);
    gateway.until_empty().await;
    assert_eq!(all(&broker), up_to(50));
    gateway.end().await;
}

#[tokio::test]
async fn a_refused_record_is_dropped_counted_and_holds_nothing_up() {
    // 0x87: not authorised.
    let broker = FakeBroker::start(vec![Script::new(Acks::Reason(0x87))]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 70);
    gateway.until_empty().await;
    gateway.until("all refused", |gateway| gateway.status.refused() >= 70).await;
    assert_eq!((gateway.status.acknowledged(), gateway.status.connects()), (0, 1));
    gateway.end().await;
}

#[tokio::test]
async fn a_quota_keeps_the_record_for_later() {
    // 0x97: quota exceeded.
    let broker = FakeBroker::start(vec![Script::new(Acks::Reason(0x97)), Script::new(Acks::InOrder)]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 5);
    gateway.until_empty().await;
    assert_eq!((gateway.status.acknowledged(), gateway.status.refused()), (5, 0));
    gateway.end().await;
}

#[tokio::test]
async fn a_record_larger_than_the_broker_takes_does_not_end_the_session() {
    // Maximum Packet Size 300.
    let script = Script { properties: vec![0x27, 0, 0, 1, 44], ..Script::new(Acks::InOrder) };
    let broker = FakeBroker::start(vec![script]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 3);
    gateway.outbox.append(TOPIC.into(), |_| vec![b'7'; 5000].into());
    gateway.append(TOPIC, 3);
    gateway.until_empty().await;
    assert_eq!(broker.numbers(TOPIC), [1, 2, 3, 5, 6, 7]);
    assert_eq!(gateway.status.connects(), 1);
    gateway.end().await;
}

#[tokio::test]
async fn a_broker_without_qos_1_is_sent_qos_0() {
    let script = Script { properties: vec![0x24, 0], ..Script::new(Acks::Never) };
    let broker = FakeBroker::start(vec![script]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 10);
    gateway.until_empty().await;
    gateway.until("all arrive", |_| broker.numbers(TOPIC).len() == 10).await;
    assert!(broker.messages().iter().all(|message| message.qos == 0));
    gateway.end().await;
}

#[tokio::test]
async fn another_client_with_our_id_is_named_and_not_fought() {
    // 0x8e: session taken over.
    let script = Script { farewell: Some(0x8e), ..Script::dropping(Acks::InOrder, 2) };
    let broker = FakeBroker::start(vec![script]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 5);
    let error = gateway.until_error("client id").await;
    assert!(error.contains("`wattkeeper-x`"), "{error}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(broker.connections(), 1, "no quick retry");
    gateway.end().await;
}

#[tokio::test]
async fn a_broker_that_hangs_does_not_hold_up_the_end() {
    let broker = FakeBroker::start(vec![Script::new(Acks::Never)]).await;
    let gateway = Gateway::start(config(broker.port));
    gateway.append(TOPIC, 10);
    gateway.until("connected", |gateway| gateway.status.connected()).await;
    gateway.end().await;
}
