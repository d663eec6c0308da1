//! The daemon as a process and a real mosquitto with passwords, TLS and client certificates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    dead_code
)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/gate.rs"]
mod gate;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/mqtt_wire.rs"]
mod mqtt_wire;
#[path = "support/process.rs"]
mod process;
#[path = "support/yard.rs"]
mod yard;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gate::Gate;
use mosquitto::{Mosquitto, add_user, free_port};
use mqtt_wire::{Message, Subscriber};
use process::{Daemon, eventually};
use serde_json::Value;
use wattkeeper::units::Watts;
use yard::Yard;

const PASSWORD: &str = "correct-horse-battery";
const RULES: &str = "[[rule]]\nkind = \"peak-shaving\"\nlimit = \"60 kW\"\n";

/// A broker that asks for a password, and on its second port for a certificate too. A viewer looks in at the first.
struct Broker {
    broker: Mosquitto,
    guarded: u16,
    seen: Arc<Mutex<Vec<Message>>>,
    watching: tokio::task::JoinHandle<()>,
}

impl Broker {
    async fn start(certificates: &Path) -> Self {
        let guarded = free_port();
        let own = certificates.display();
        let tls = format!("cafile {own}/ca.pem\ncertfile {own}/server.pem\nkeyfile {own}/server.key");
        let lines = format!(
            "allow_anonymous false\npassword_file FOLDER/passwords\nacl_file FOLDER/acl\n\
             listener {guarded} 127.0.0.1\n{tls}\nrequire_certificate true"
        );
        let broker = Mosquitto::start(&lines, |folder| {
            add_user(&folder.join("passwords"), "yard", PASSWORD);
            add_user(&folder.join("passwords"), "viewer", "look");
            std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/mosquitto.acl"), folder.join("acl")).unwrap();
        })
        .await;
        let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
        let mut subscriber = Subscriber::new(broker.port, Some(("viewer", "look")), "wattkeeper/#").await;
        let kept = seen.clone();
        let watching = tokio::spawn(async move {
            while let Some(message) = subscriber.next().await {
                kept.lock().unwrap().push(message);
            }
        });
        Self { broker, guarded, seen, watching }
    }

    /// SIGKILL; all that it had passed on.
    async fn kill(mut self) -> Vec<Message> {
        self.broker.kill();
        self.watching.await.unwrap();
        self.seen.lock().unwrap().clone()
    }

    fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// The newest message of a topic.
    fn newest(&self, topic: &str) -> Option<Message> {
        self.seen.lock().unwrap().iter().rev().find(|message| message.topic == topic).cloned()
    }

    fn until_status(&self, wanted: &str) {
        eventually(wanted, || (self.newest("wattkeeper/yard/status")?.payload == wanted).then_some(()));
    }
}

/// The site, its broker's address and the daemon's files.
struct Scene {
    yard: Yard,
    gate: Gate,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates::certificates(folder.path());
        private(&folder.path().join("client.key"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let gate = runtime.block_on(Gate::at(0));
        Self { yard: Yard::new(Watts::kw(80.0)), gate, runtime, folder }
    }

    fn broker(&self) -> Broker {
        self.runtime.block_on(Broker::start(self.folder.path()))
    }

    /// What somebody sees who comes later.
    fn retained(&self, broker: &Broker, topic: &str) -> Message {
        self.runtime.block_on(async {
            let mut late = Subscriber::new(broker.broker.port, Some(("viewer", "look")), topic).await;
            late.until(|message| message.retain).await
        })
    }

    fn config(&self) -> String {
        let mqtt = format!(
            "[mqtt]\nbroker = \"mqtts://localhost:{}\"\nusername = \"yard\"\npassword_file = \"secret\"\n\
             ca_file = \"ca.pem\"\nclient_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"\nkeep_alive = \"5 s\"\n",
            self.gate.port
        );
        self.yard.config(self.folder.path(), true, &format!("{RULES}{mqtt}"))
    }

    fn password(&self, password: &str) {
        let file = self.folder.path().join("secret");
        std::fs::write(&file, format!("{password}\n")).unwrap();
        private(&file);
    }

    /// With the right password, once it controls.
    fn daemon(&self) -> Daemon {
        self.password(PASSWORD);
        let daemon = Daemon::start(self.folder.path(), &self.config());
        eventually("it shaves", || (self.yard.grid() < Watts::kw(61.5)).then_some(()));
        daemon
    }
}

fn private(file: &Path) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The records among messages, in order of arrival: topic below the site's telemetry, payload.
fn records(messages: &[Message]) -> Vec<(String, Value)> {
    let below = |message: &Message| {
        Some((message.topic.strip_prefix("wattkeeper/yard/telemetry/")?.to_owned(), message.json()))
    };
    messages.iter().filter_map(below).collect()
}

/// Their numbers, in order of first arrival.
fn numbers(messages: &[Message]) -> Vec<u64> {
    let mut known = BTreeSet::new();
    let numbers = records(messages).into_iter().map(|(_, record)| record["seq"].as_u64().unwrap());
    numbers.filter(|number| known.insert(*number)).collect()
}

fn no_secret_in(log: &str) {
    assert!(!log.contains(PASSWORD) && !log.contains("wrong-horse"), "{log}");
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[test]
fn what_was_read_and_decided_reaches_a_guarded_broker_in_the_units_of_its_readers() {
    let scene = Scene::new();
    let broker = scene.broker();
    scene.gate.lead(Some(broker.guarded));
    let before = jiff::Timestamp::now();
    let daemon = scene.daemon();
    eventually("some hundred records", || (records(&broker.seen()).len() > 200).then_some(()));
    let seen = records(&broker.seen());
    assert_eq!(numbers(&broker.seen()), (1..=seen.len() as u64).collect::<Vec<_>>(), "no gap, none twice");
    for (topic, record) in &seen {
        let ts: jiff::Timestamp = record["ts"].as_str().unwrap().parse().unwrap();
        let text = record["ts"].as_str().unwrap();
        assert!(text.len() == "2026-03-02T12:00:05.000Z".len() && text.ends_with('Z'), "{text}");
        assert!(
            before <= ts + jiff::SignedDuration::from_millis(1) && ts <= jiff::Timestamp::now(),
            "{topic}: {record}"
        );
    }
    let newest =
        |topic: &str| seen.iter().rev().find(|(at, _)| at == topic).unwrap_or_else(|| panic!("{topic}")).1.clone();
    let of =
        |record: &Value, point: &str| record["values"][point].as_f64().unwrap_or_else(|| panic!("{point}: {record}"));

    let grid = newest("grid/fast");
    assert!((20_000.0..90_000.0).contains(&of(&grid, "meter.power")), "W: {grid}");
    assert_eq!(grid["quality"], "good");
    // A counter of 0 is not believed at once: a meter that starts shows it.
    let slow = newest("grid/slow");
    assert_eq!(
        (&slow["quality"], &slow["bad"]["meter.energy_import"]),
        (&"partial".into(), &"invalid".into()),
        "{slow}"
    );
    assert!((of(&slow, "meter.frequency") - 50.0).abs() < 0.1, "Hz: {slow}");
    let hall = newest("hall/live");
    assert!((of(&hall, "battery.soc") - 50.0).abs() < 2.0, "%: {hall}");
    assert!((of(&newest("hall/slow"), "battery.soc_min") - 5.0).abs() < 0.01, "%: {}", newest("hall/slow"));
    assert_eq!(newest("hall/plate")["values"]["device.manufacturer"], "Sunmill");

    // A decision says who asked for what, why, and on inputs how old.
    let shaving = |(at, record): &&(String, Value)| at == "decision" && record["standing"] == "controlling";
    let decision = &seen.iter().rev().find(shaving).expect("a decision").1;
    let bound = &decision["bounds"][0];
    assert_eq!(
        (&bound["rule"], bound["most"].as_f64(), &bound["binding"]),
        (&"peak-shaving".into(), Some(60_000.0), &true.into())
    );
    assert!(decision["reason"].as_str().unwrap().len() > 10, "{decision}");
    let told: f64 = decision["setpoints"].as_array().unwrap().iter().filter_map(|s| s["value"].as_f64()).sum();
    assert!((10_000.0..40_001.0).contains(&told), "{decision}");
    let inputs = decision["inputs"].as_array().unwrap();
    let input =
        |name: &str| inputs.iter().find(|input| input["name"] == name).unwrap_or_else(|| panic!("{name}: {decision}"));
    assert!((0.0..1.0).contains(&input("grid.power")["age"].as_f64().unwrap()), "{decision}");
    assert!((0.4..0.6).contains(&input("hall.soc")["value"].as_f64().unwrap()), "{decision}");

    // Live state is there for whoever comes later.
    for topic in ["status", "state/site", "state/grid", "state/hall", "decision"] {
        scene.retained(&broker, &format!("wattkeeper/yard/{topic}"));
    }
    assert_eq!(scene.retained(&broker, "wattkeeper/yard/status").payload, "online");
    let site = scene.retained(&broker, "wattkeeper/yard/state/site").json();
    assert!((30_000.0..63_000.0).contains(&site["grid"]["power"].as_f64().unwrap()), "W: {site}");
    assert!((site["battery"]["soc"].as_f64().unwrap() - 50.0).abs() < 2.0, "%: {site}");
    let hall = scene.retained(&broker, "wattkeeper/yard/state/hall").json();
    assert_eq!((&hall["link"], hall["setpoints"][0]["control"].as_str()), (&"up".into(), Some("battery")), "{hall}");

    let (status, log) = daemon.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    broker.until_status("offline");
    assert_eq!(scene.retained(&broker, "wattkeeper/yard/status").payload, "offline");
    let all = numbers(&broker.seen());
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>(), "what waited was sent before the end");
    no_secret_in(&log);
}

#[test]
fn a_broker_that_dies_in_mid_run_costs_no_record_and_nobody_else_notices() {
    let scene = Scene::new();
    // Away at the start.
    let daemon = scene.daemon();
    eventually("it is said", || daemon.log().contains("MQTT").then_some(()));
    let mut messages = Vec::new();
    for round in 0..3 {
        let broker = scene.broker();
        scene.gate.lead(Some(broker.guarded));
        let so_far = numbers(&messages).len();
        eventually("records come again", || {
            let news = numbers(&[messages.clone(), broker.seen()].concat()).len() - so_far;
            (news > 100).then_some(())
        });
        if round == 2 {
            assert_eq!(daemon.metric("wattkeeper_mqtt_connected"), Some(1.0));
            daemon.signal("KILL");
            broker.until_status("offline");
            assert_eq!(scene.retained(&broker, "wattkeeper/yard/status").payload, "offline", "by the will");
            messages.extend(broker.seen());
            break;
        }
        scene.gate.lead(None);
        messages.extend(scene.runtime.block_on(broker.kill()));
        // Without a broker the site goes on.
        let serial = || daemon.state()["control"]["serial"].as_u64().unwrap();
        let (decided, asked) = (serial(), scene.yard.traffic("grid").requests);
        eventually("it decides and polls", || {
            (serial() > decided + 10 && scene.yard.traffic("grid").requests > asked + 10).then_some(())
        });
        assert_eq!(daemon.state()["control"]["state"], "controlling");
    }
    let numbers = numbers(&messages);
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each came, first arrivals in order");
    let log = daemon.log();
    let since = log.split_once("INFO controlling").unwrap().1;
    assert!(!since.contains("does not answer") && !since.contains("controlling"), "{log}");
    assert!(log.contains("the broker closed the connection; trying for ever"), "{log}");
    assert_eq!(log.matches("MQTT connected").count(), 3, "{log}");
    no_secret_in(&log);
}

#[test]
fn a_wrong_password_is_one_clear_line_and_a_reload_with_the_right_one_connects() {
    let scene = Scene::new();
    let broker = scene.broker();
    scene.gate.lead(Some(broker.guarded));
    scene.password("wrong-horse");
    let daemon = Daemon::start(scene.folder.path(), &scene.config());
    eventually("it tries again and again", || (scene.gate.tries() >= 3).then_some(()));
    eventually("it shaves all the same", || (scene.yard.grid() < Watts::kw(61.5)).then_some(()));
    let log = daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("refuses us")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("as user `yard`") && lines[0].contains("password_file"), "{}", lines[0]);
    assert!(numbers(&broker.seen()).is_empty());

    scene.password(PASSWORD);
    daemon.signal("HUP");
    broker.until_status("online");
    eventually("what was read meanwhile comes too", || (numbers(&broker.seen()).first() == Some(&1)).then_some(()));
    let (_, log) = daemon.stop();
    assert!(!log.contains("does not answer"), "{log}");
    no_secret_in(&log);
}
