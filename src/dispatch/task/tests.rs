use super::*;
use crate::bus::{Lease, LinkState, SafeState, SetpointReport};
use crate::clock::Moment;
use crate::control::{Outcome, Setpoint, Standing};
use crate::state::DeviceState;
use crate::units::Watts;

const PATIENCE: Duration = Duration::from_secs(3);

fn name() -> DeviceName {
    DeviceName::new("a")
}

fn decision(value: Option<f64>) -> Decision {
    let setpoint = Setpoint { device: name(), control: "battery".into(), value, reason: String::new() };
    Decision {
        serial: 1,
        at: Moment::default(),
        standing: Standing::Controlling,
        outcome: Outcome::None { reason: String::new() },
        bounds: Vec::new(),
        range: (Watts::ZERO, Watts::ZERO),
        demand: None,
        inputs: Vec::new(),
        setpoints: vec![setpoint],
    }
}

fn site(serial: u64, state: SetpointState) -> Arc<Snapshot> {
    let report = SetpointReport {
        control: "battery".into(),
        serial,
        value: None,
        takes: None,
        state,
        at: Moment::default(),
        writes_today: 0,
        budget: None,
    };
    let device = DeviceState {
        name: name(),
        roles: BTreeSet::new(),
        profile: "p".into(),
        link: LinkState::Up,
        link_since: Moment::default(),
        last_success: None,
        interval: IDLE,
        points: [].into(),
        values: Vec::new(),
        max_age: [].into(),
        setpoints: vec![report],
    };
    Arc::new(Snapshot { devices: vec![Arc::new(device)], ..Snapshot::default() })
}

struct Scene {
    _decision: watch::Sender<Arc<Decision>>,
    _wiring: watch::Sender<Arc<Wiring>>,
    leases: watch::Receiver<Leases>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Vec<DeviceName>>,
}

async fn driving() -> Scene {
    let (to_device, mut leases) = watch::channel(Leases::new());
    let policy = DispatchPolicy { lease: Duration::from_secs(15), patience: PATIENCE, ..DispatchPolicy::default() };
    let wiring = Wiring { leases: BTreeMap::from([(name(), to_device)]), policy, retired: BTreeSet::new() };
    let (decided, decision_of) = watch::channel(Arc::new(decision(None)));
    let (wiring, wiring_of) = watch::channel(Arc::new(wiring));
    let (snapshot, snapshot_of) = watch::channel(site(0, SetpointState::SafeConfirmed));
    let stop = CancellationToken::new();
    let ports = DispatchPorts {
        decision: decision_of,
        wiring: wiring_of,
        snapshot: snapshot_of,
        clock: Clock::system(),
        pulse: Pulse::default(),
        stop: stop.clone(),
    };
    let task = tokio::spawn(run(ports));
    decided.send_replace(Arc::new(decision(Some(5.0))));
    leases.wait_for(|leases| !leases.is_empty()).await.unwrap();
    Scene { _decision: decided, _wiring: wiring, leases, snapshot, stop, task }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_until_every_device_has_confirmed() {
    let mut scene = driving().await;
    scene.stop.cancel();
    let ended = scene.leases.wait_for(|leases| leases["battery"].value.is_none()).await.unwrap()["battery"];
    scene.snapshot.send_replace(site(ended.serial - 1, SetpointState::SafeConfirmed));
    tokio::time::sleep(PATIENCE / 3).await;
    assert!(!scene.task.is_finished(), "that was a safe state of before");
    scene.snapshot.send_replace(site(ended.serial, SetpointState::SafeConfirmed));
    assert_eq!(scene.task.await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn without_a_hub_the_buses_have_their_time_all_the_same() {
    let Scene { snapshot, stop, task, _decision, _wiring, .. } = driving().await;
    let begun = tokio::time::Instant::now();
    drop(snapshot);
    stop.cancel();
    assert_eq!(task.await.unwrap(), [name()], "not known to be confirmed");
    assert_eq!(begun.elapsed(), PATIENCE);
}

#[test]
fn a_device_is_at_rest_when_it_confirmed_the_safe_state_of_its_present_lease() {
    let lease = |value| {
        let lease = Lease { serial: 7, value, valid_until: Default::default(), safe: SafeState::Release };
        Leases::from([("battery".into(), lease)])
    };
    let rests = |snapshot: &Snapshot, value| at_rest(snapshot, &name(), &lease(value));
    assert!(rests(&site(7, SetpointState::SafeConfirmed), None));
    assert!(!rests(&site(6, SetpointState::SafeConfirmed), None), "before it was driven once more");
    assert!(!rests(&site(7, SetpointState::SafeConfirmed), Some(5.0)), "it is to be driven");
    assert!(!rests(&site(7, SetpointState::SafeWritten), None));
    assert!(!rests(&Snapshot::default(), None), "no word of it");
    assert!(at_rest(&Snapshot::default(), &name(), &Leases::new()), "never told anything");
}
