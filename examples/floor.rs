//! The least that reads devices and publishes what it read, on the crates that the daemon stands on: what they cost without
//! any of its features. `benches/bench.py` holds the daemon's CPU time against it.
//!
//! `floor BASE_PORT DEVICES INTERVAL_MS BROKER_PORT`: device `i` listens on 127.0.0.1:BASE_PORT+i; 50 registers at 0 and 10 at
//! 100 become one message at QoS 0. INTERVAL_MS 0: as fast as they answer.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench tool may stop at whatever goes wrong")]

use std::fmt::Write;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{AsyncClient, MqttOptions};
use tokio_modbus::prelude::*;

async fn device(port: u16, interval: Duration, client: AsyncClient) {
    let mut modbus = tcp::connect_slave(([127, 0, 0, 1], port).into(), Slave(1)).await.unwrap();
    let mut ticks = (!interval.is_zero()).then(|| tokio::time::interval(interval));
    loop {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let mut text = String::with_capacity(400);
        for (start, count) in [(0, 50), (100, 10)] {
            for word in modbus.read_holding_registers(start, count).await.unwrap().unwrap() {
                write!(text, "{}{word}", if text.is_empty() { '[' } else { ',' }).unwrap();
            }
        }
        text.push(']');
        client.publish(format!("floor/{port}"), QoS::AtMostOnce, false, text).await.unwrap();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let numbers: Vec<u16> = std::env::args().skip(1).map(|number| number.parse().unwrap()).collect();
    let (client, mut events) = AsyncClient::new(MqttOptions::new("floor", "127.0.0.1", numbers[3]), 256);
    for n in 0..numbers[1] {
        tokio::spawn(device(numbers[0] + n, Duration::from_millis(numbers[2].into()), client.clone()));
    }
    loop {
        events.poll().await.unwrap();
    }
}
