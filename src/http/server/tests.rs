//! Time-outs, in simulated time over in-memory streams.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::Clock;
use crate::control::{Decision, Outcome, Standing};
use crate::http::Sources;
use crate::state::Snapshot;
use crate::units::Watts;

fn routes(clock: &Clock) -> Arc<Routes> {
    let decision = Decision {
        serial: 0,
        at: clock.now(),
        standing: Standing::DryRun,
        outcome: Outcome::None { reason: String::new() },
        bounds: Vec::new(),
        range: (Watts::new(f64::NEG_INFINITY), Watts::new(f64::INFINITY)),
        demand: None,
        inputs: Vec::new(),
        setpoints: Vec::new(),
    };
    let ports = HttpPorts {
        snapshot: watch::channel(Arc::new(Snapshot::default())).1,
        decision: watch::channel(Arc::new(decision)).1,
        sources: watch::channel(Arc::new(Sources::default())).1,
        clock: clock.clone(),
        stop: CancellationToken::new(),
    };
    Arc::new(Routes::new(SocketAddr::from(([127, 0, 0, 1], 9810)), Viewer::new(&ports)).unwrap())
}

async fn time_until_closed(mut client: DuplexStream, clock: &Clock) -> Duration {
    let mut rest = Vec::new();
    // A closed pipe ends the reading either way.
    let _ = client.read_to_end(&mut rest).await;
    clock.io().elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dribbles_its_header_is_cut_off_after_five_seconds() {
    let clock = Clock::system();
    let (client, server) = duplex(1024);
    tokio::spawn(exchange(server, routes(&clock), Limits::default()));
    let (mut reader, mut writer) = tokio::io::split(client);
    writer.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ").await.unwrap();
    let dribble = tokio::spawn(async move {
        for _ in 0..60 {
            sleep(Duration::from_secs(1)).await;
            if writer.write_all(b"x").await.is_err() {
                return;
            }
        }
    });
    let mut rest = Vec::new();
    let _ = reader.read_to_end(&mut rest).await;
    let took = clock.io().elapsed();
    assert!(took >= Duration::from_secs(5) && took <= Duration::from_secs(6), "took {took:?}");
    dribble.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off_after_fifteen_seconds() {
    let clock = Clock::system();
    let (mut client, server) = duplex(64);
    let served = tokio::spawn(exchange(server, routes(&clock), Limits::default()));
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    served.await.unwrap();
    let took = time_until_closed(client, &clock).await;
    assert!(took >= Duration::from_secs(15) && took <= Duration::from_secs(16), "took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_header_without_end_is_refused() {
    let clock = Clock::system();
    let (client, server) = duplex(4096);
    tokio::spawn(exchange(server, routes(&clock), Limits::default()));
    let (mut reader, mut writer) = tokio::io::split(client);
    tokio::spawn(async move {
        let _ = writer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ").await;
        for _ in 0..1000 {
            if writer.write_all(&[b'x'; 1024]).await.is_err() {
                return;
            }
        }
    });
    let mut answer = String::new();
    let _ = reader.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}
