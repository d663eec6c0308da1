//! The HTTP server, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panic"
)]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/sample_site.rs"]
mod sample_site;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ask::{get, send};
use sample_site::Shown;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wattkeeper::clock::{IoTime, Pulse};
use wattkeeper::http::{Loop, Sources};

#[tokio::test]
async fn it_reads_only_and_says_so() {
    let shown = Shown::full().await;
    let host = shown.address;
    let post = format!("POST /metrics HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello");
    let refused = send(host, &post).await;
    assert_eq!(refused.status, 405, "{refused:?}");
    assert!(refused.head.contains("allow: GET, HEAD"), "{}", refused.head);
    let head = send(host, &format!("HEAD /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(get(host, "/nothing").await.status, 404);
    assert_eq!(get(host, "/metrics?a=b").await.status, 200);
    assert!(get(host, "/").await.body.contains("/api/v1/state"));
}

#[tokio::test]
async fn a_web_page_that_points_its_name_at_us_gets_nothing() {
    let shown = Shown::full().await;
    for request in [
        "GET /api/v1/state HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/api/v1/state HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let answer = send(shown.address, request).await;
        assert_eq!(answer.status, 421, "{answer:?}");
        assert!(!answer.body.contains("grid"), "{answer:?}");
    }
    assert_eq!(send(shown.address, "GET /metrics HTTP/1.0\r\n\r\n").await.status, 400);
    assert_eq!(send(shown.address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 200);
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let shown = Shown::empty().await;
    assert_eq!(get(shown.address, "/healthz").await.status, 200);
    let missing = get(shown.address, "/readyz").await;
    assert_eq!((missing.status, missing.body.as_str()), (503, "no snapshot of the site yet\nno decision yet\n"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    shown.refresh(1).await;
    let ready = get(shown.address, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn a_loop_that_no_longer_turns_is_no_health() {
    let shown = Shown::full().await;
    let pulse = Pulse::default();
    pulse.mark(IoTime::START);
    let stuck = Loop { name: "bus tcp://10.0.0.7:502".into(), pulse, limit: Duration::ZERO };
    let sources = sample_site::sources(&shown.clock);
    shown.sources.send_replace(Arc::new(Sources { loops: vec![stuck], ..sources }));
    let sick = get(shown.address, "/healthz").await;
    assert_eq!(sick.status, 503);
    assert!(sick.body.starts_with("bus tcp://10.0.0.7:502 has not turned for"), "{}", sick.body);
}

#[tokio::test]
async fn many_idle_connections_take_no_more_than_their_share_and_keep_nobody_out() {
    let shown = Shown::with(|listener| {
        listener.limits.connections = 4;
        listener.limits.header = Duration::from_millis(300);
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(shown.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        idle.push(stream);
    }
    // It stands behind all of them and is answered all the same.
    assert_eq!(get(shown.address, "/metrics").await.status, 200);
    for mut stream in idle {
        let mut rest = String::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut rest)).await;
        assert!(closed.is_ok(), "an idle connection was never closed");
        assert!(!rest.contains("200 OK"), "{rest}");
    }
}

#[tokio::test]
async fn beyond_the_limit_a_connection_waits_until_another_ends() {
    let shown = Shown::with(|listener| listener.limits.connections = 2).await;
    let idle = [TcpStream::connect(shown.address).await.unwrap(), TcpStream::connect(shown.address).await.unwrap()];
    let mut third = tokio::spawn(get(shown.address, "/metrics"));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut third).await;
    assert!(early.is_err(), "it was served beside two others: {early:?}");
    drop(idle);
    assert_eq!(third.await.unwrap().status, 200);
}

#[tokio::test]
async fn at_the_end_it_waits_for_nobody_for_long() {
    let shown = Shown::full().await;
    let mut idle = TcpStream::connect(shown.address).await.unwrap();
    idle.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
    assert_eq!(get(shown.address, "/healthz").await.status, 200);
    shown.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(4), shown.server).await.expect("ends before the header limit");
    ended.unwrap().unwrap();
    assert!(TcpStream::connect(shown.address).await.is_err(), "it listens no more");
}

#[tokio::test]
async fn a_taken_port_is_an_error_of_the_start_that_names_it() {
    let shown = Shown::empty().await;
    let config = wattkeeper::config::HttpConfig { listen: shown.address };
    let error = wattkeeper::http::bind(&config).await.unwrap_err().to_string();
    assert!(error.contains(&shown.address.to_string()) && error.contains("[http] listen"), "{error}");
}

#[tokio::test]
async fn the_state_shows_values_with_quality_and_the_reason_of_the_decision() {
    let shown = Shown::full().await;
    let answer = get(shown.address, "/api/v1/state").await;
    assert!(answer.head.contains("application/json"), "{}", answer.head);
    let state: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(state["site"]["name"], "town-hall");
    assert_eq!(state["site"]["power"]["consumption_watts"], 81_500.0);
    let grid = &state["devices"][0];
    assert_eq!(grid["link"]["state"], "up");
    assert_eq!(grid["points"][0]["name"], "meter.power");
    assert_eq!(grid["points"][0]["value"], sample_site::GRID);
    assert_eq!(grid["points"][0]["quality"], "good");
    assert_eq!(grid["points"][10]["quality"], "never");
    let battery = &state["devices"][1];
    assert_eq!(battery["points"][4]["quality"], "invalid");
    assert_eq!(battery["setpoints"][0]["state"], "confirmed");
    assert_eq!(state["devices"][3]["link"]["reason"], "no answer");
    assert_eq!(state["control"]["state"], "controlling");
    assert_eq!(state["control"]["outcome"]["reason"], "peak-shaving holds the window");
    assert_eq!(state["control"]["bounds"][2]["binding"], true);
    assert_eq!(state["demand"]["left"], 900.0);
    assert_eq!(state["telemetry"]["records"], 12);
}

#[tokio::test]
async fn before_the_first_snapshot_the_state_is_empty_but_sound() {
    let shown = Shown::empty().await;
    let state: Value = serde_json::from_str(&get(shown.address, "/api/v1/state").await.body).unwrap();
    assert_eq!(state["control"], Value::Null);
    assert_eq!(state["site"]["snapshot_age_seconds"], Value::Null);
    assert_eq!(state["devices"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn every_key_of_the_state_stands_in_its_documentation() {
    let shown = Shown::full().await;
    let state: Value = serde_json::from_str(&get(shown.address, "/api/v1/state").await.body).unwrap();
    let mut keys = BTreeSet::new();
    collect_keys(&state, &mut keys);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let missing: Vec<_> = keys
        .iter()
        .filter(|key| !page.contains(&format!("`{key}`")) && !page.contains(&format!("`{key}[]`")))
        .collect();
    assert!(missing.is_empty(), "docs/api.md lacks {missing:?}");
}

fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                keys.insert(key.clone());
                collect_keys(inner, keys);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}
