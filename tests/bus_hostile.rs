//! Devices that misbehave in every way we know of, on real sockets and on a pair of pseudo-terminals. Real time: nothing
//! here asserts how long something takes.
#![allow(dead_code, clippy::cast_possible_truncation, reason = "each test takes of the support what it needs")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

#[path = "support/bus_fake.rs"]
mod fake;
#[path = "support/hostile.rs"]
mod hostile;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use fake::*;
use hostile::*;
use tokio_serial::SerialPortBuilderExt as _;
use wattkeeper::bus::*;
use wattkeeper::profile::Value;

fn address(frames: Frames, port: u16) -> Address {
    let host = "127.0.0.1".to_owned();
    match frames {
        Frames::Tcp => Address::Tcp { host, port },
        Frames::Rtu => Address::RtuTcp { host, port },
    }
}

fn quick(groups: &[&[u16]]) -> Fake {
    let mut fake = Fake::polling(ms(20), groups);
    fake.manners.timeout = ms(250);
    fake
}

/// Every value that was read is that of its own register.
fn assert_right(events: &[BusEvent], unit: u8, registers: &[u16], what: &str) {
    for (_, values) in events.iter().filter_map(|event| polled(event, unit)) {
        for (point, value) in values {
            assert_eq!(value, Value::Number(registers[point].into()), "{what}");
        }
    }
}

/// What may be said about the first answer of a mode; nothing where it is none the worse.
fn expected(mode: &str, frames: Frames) -> &'static [ErrorKind] {
    use ErrorKind::{Exception, Protocol, Timeout, Transport};
    match (mode, frames) {
        ("drip" | "duplicate", _) | ("noise-before", Frames::Rtu) => &[],
        ("late" | "silent", _) => &[Timeout],
        ("exception-2", _) => &[Exception(2)],
        ("exception-unknown", _) => &[Exception(0x77)],
        ("close" | "close-in-answer" | "reset-always", _) => &[Transport],
        // Bytes that announce more bytes than ever come.
        ("truncated" | "garbage" | "noise-before" | "endless-always", Frames::Tcp) => &[Timeout, Protocol],
        _ => &[Protocol],
    }
}

async fn survive(mode: &'static str, frames: Frames) {
    let server = misbehaving(mode, ms(250));
    let port = server.listen(frames).await;
    let mut bus = Bus::at(address(frames, port), vec![(1, quick(&[&[100]])), (2, quick(&[&[200], &[201]]))]);
    let what = format!("{mode} by {frames:?}");
    let mut events =
        bus.until(|event| polled(event, 1).is_some() || !failures(std::slice::from_ref(event), 1).is_empty()).await;
    for _ in 0..6 {
        events.extend(bus.until(|event| polled(event, 2).is_some()).await);
    }
    if !mode.ends_with("always") {
        events.extend(bus.until(|event| polled(event, 1).is_some()).await);
    }
    assert_right(&events, 1, &[100], &what);
    assert_right(&events, 2, &[200, 201], &what);
    let first = failures(&events, 1).first().copied();
    let expected = expected(mode, frames);
    assert!(
        first.is_none_or(|kind| expected.contains(&kind)) && first.is_some() != expected.is_empty(),
        "{what}: {first:?}"
    );
    assert!(!bus.task.is_finished(), "{what}");
}

#[tokio::test]
async fn no_misbehaviour_ends_a_bus_passes_a_wrong_value_or_stops_the_neighbour() {
    let modes = MODES.into_iter().flat_map(|mode| [(mode, Frames::Tcp), (mode, Frames::Rtu)]);
    let mut tests = tokio::task::JoinSet::new();
    modes.for_each(|(mode, frames)| _ = tests.spawn(survive(mode, frames)));
    while let Some(test) = tests.join_next().await {
        test.unwrap();
    }
}

#[tokio::test]
async fn on_sockets_a_late_answer_of_register_100_is_never_delivered_as_that_of_101() {
    for frames in [Frames::Tcp, Frames::Rtu] {
        // Every third request is answered after 1.6 time-outs, when its successor may be under way.
        let server = Server::new(|server, asked| {
            let late = asked.n % 3 == 0;
            let answer = Act::Send(server.answer(asked));
            if late { vec![Act::Wait(ms(400)), answer] } else { vec![answer] }
        });
        let port = server.listen(frames).await;
        let mut bus = Bus::at(address(frames, port), vec![(1, quick(&[&[100], &[101]]))]);
        let mut events = Vec::new();
        for _ in 0..12 {
            events.extend(bus.until(|event| polled(event, 1).is_some()).await);
        }
        assert_right(&events, 1, &[100, 101], &format!("{frames:?}"));
        assert!(failures(&events, 1).contains(&ErrorKind::Timeout), "{frames:?}");
    }
}

#[tokio::test]
async fn a_device_that_serves_one_client_is_waited_for_and_never_asked_for_a_second_connection() {
    let server = Server::good();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, refused) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (served, occupied, turned_away) = (server.clone(), taken.clone(), refused.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if occupied.load(SeqCst) || served.open.load(SeqCst) > 0 {
                turned_away.fetch_add(1, SeqCst);
                continue;
            }
            tokio::spawn(served.clone().serve(stream, Frames::Tcp));
        }
    });
    let mut fake = quick(&[&[100]]);
    fake.manners.clients = 1;
    let mut bus = Bus::at(address(Frames::Tcp, port), vec![(1, fake)]);
    let events = bus.until(|event| matches!(event, BusEvent::Link { .. })).await;
    assert!(matches!(links(&events, 1)[0], LinkState::Down { .. }));
    assert!(failures(&events, 1).contains(&ErrorKind::Transport));
    taken.store(false, SeqCst);
    let before = refused.load(SeqCst);
    for _ in 0..10 {
        bus.until(|event| polled(event, 1).is_some()).await;
    }
    assert_eq!(server.connections.load(SeqCst), 1);
    assert!(refused.load(SeqCst) <= before + 1);
    bus.stop.cancel();
    bus.task.await.unwrap();
    for _ in 0..500 {
        if server.open.load(SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(ms(10)).await;
    }
    panic!("a stopped bus keeps the device's only place");
}

#[tokio::test]
async fn a_thousand_dropped_connections_are_followed_by_as_many_new_ones_and_one_line_in_the_log() {
    // Answers once a connection: then it is closed.
    let server = Server::new(|server, asked| vec![Act::Send(server.answer(asked)), Act::Close]);
    let port = server.listen(Frames::Tcp).await;
    let mut fake = quick(&[&[100]]);
    fake.groups[0].0 = ms(1);
    let mut bus = Bus::at(address(Frames::Tcp, port), vec![(1, fake)]);
    let mut events = Vec::new();
    while server.connections.load(SeqCst) < 1000 {
        events.extend(bus.until(|event| polled(event, 1).is_some()).await);
    }
    assert_right(&events, 1, &[100], "closing");
    assert_eq!(links(&events, 1), [LinkState::Up]);
}

/// A pair of joined pseudo-terminals; they go when it is dropped.
struct Ptys {
    folder: tempfile::TempDir,
    socat: std::process::Child,
}

impl Ptys {
    async fn new(folder: tempfile::TempDir) -> Self {
        let end = |name: &str| format!("pty,raw,echo=0,link={}", folder.path().join(name).display());
        let socat = std::process::Command::new("socat").args([end("ours"), end("theirs")]).spawn();
        let socat = socat.expect("this test needs socat (apt-get install socat)");
        for _ in 0..500 {
            if folder.path().join("ours").exists() && folder.path().join("theirs").exists() {
                break;
            }
            tokio::time::sleep(ms(10)).await;
        }
        Self { folder, socat }
    }

    fn serve(&self, server: &Arc<Server>) {
        let port = tokio_serial::new(self.folder.path().join("theirs").to_string_lossy(), 115_200).open_native_async();
        tokio::spawn(server.clone().serve(port.unwrap(), Frames::Rtu));
    }

    fn unplug(mut self) -> tempfile::TempDir {
        self.socat.kill().unwrap();
        self.socat.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Ptys {
    fn drop(&mut self) {
        _ = self.socat.kill();
        _ = self.socat.wait();
    }
}

fn line(folder: &Path) -> Address {
    Address::Rtu(SerialLine { path: folder.join("ours"), baud: 115_200, parity: Parity::None, stop_bits: 1 })
}

#[tokio::test]
async fn on_a_serial_line_late_answers_are_told_apart_and_an_unplugged_adapter_is_opened_again() {
    let ptys = Ptys::new(tempfile::tempdir().unwrap()).await;
    let server = Server::new(|server, asked| {
        let answer = Act::Send(server.answer(asked));
        if asked.unit == 1 && asked.n % 5 == 0 { vec![Act::Wait(ms(400)), answer] } else { vec![answer] }
    });
    ptys.serve(&server);
    let mut bus = Bus::at(line(ptys.folder.path()), vec![(1, quick(&[&[100], &[101]])), (2, quick(&[&[200]]))]);
    let mut events = Vec::new();
    for unit in [1, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1] {
        events.extend(bus.until(|event| polled(event, unit).is_some()).await);
    }
    assert_right(&events, 1, &[100, 101], "late");
    assert_right(&events, 2, &[200], "late");
    assert!(failures(&events, 1).contains(&ErrorKind::Timeout));
    let folder = ptys.unplug();
    let events = bus.until(|event| links(std::slice::from_ref(event), 2).len() == 1).await;
    assert!(matches!(&links(&events, 2)[..], [LinkState::Down { .. }]), "{events:?}");
    server.recover();
    let ptys = Ptys::new(folder).await;
    ptys.serve(&server);
    let events = bus.until(|event| polled(event, 2).is_some()).await;
    assert_eq!(links(&events, 2), [LinkState::Up]);
}
