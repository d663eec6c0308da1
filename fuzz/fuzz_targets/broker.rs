//! Whatever a client sends to the small broker costs at most its own connection: the broker serves the next one.
#![no_main]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wattkeeper::sim::Broker;

/// A CONNECT of 3.1.1 with a clean session, and of 5, so that the input reaches what comes after.
const CONNECTS: [&[u8]; 3] =
    [b"", b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01f", b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01f"];

thread_local! {
    static BROKER: RefCell<(Runtime, SocketAddr, JoinHandle<()>)> = RefCell::new(started());
}

fn started() -> (Runtime, SocketAddr, JoinHandle<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let broker = runtime.block_on(Broker::bind(([127, 0, 0, 1], 0).into())).unwrap();
    let address = broker.address();
    let task = runtime.spawn(broker.run(CancellationToken::new()));
    (runtime, address, task)
}

async fn client(address: SocketAddr, input: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    // Linger 0: a million closed connections must not wait for their ports.
    stream.set_zero_linger()?;
    let [which, rest @ ..] = input else { return Ok(()) };
    stream.write_all(CONNECTS[usize::from(*which) % CONNECTS.len()]).await?;
    stream.write_all(rest).await?;
    let mut answer = [0; 1024];
    let wait = tokio::time::timeout(Duration::from_millis(2), stream.read(&mut answer));
    let _ = wait.await;
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    BROKER.with_borrow(|(runtime, address, task)| {
        let _ = runtime.block_on(client(*address, input));
        assert!(!task.is_finished(), "the broker ended");
    });
});
