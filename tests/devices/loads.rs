//! A heating rod that takes a power, and a heat pump on two contacts.

use wattkeeper::bus::{SafeState, SetpointState};
use wattkeeper::profile::Value;
use wattkeeper::sim::Registers;
use wattkeeper::sim::Table::{Coil, Holding};
use wattkeeper::sim::device::{Fed, TableDevice, Watchdog};

use crate::bench::{Bench, secs};

fn rod() -> TableDevice {
    let off = |registers: &mut Registers| registers.put(Holding, 1000, &[0]);
    TableDevice::default()
        .holds(Holding, 1000, &[0, 450, 0, 2])
        .holds(Holding, 1014, &[3500])
        .takes(Holding, 1000, 1)
        .behaves(Watchdog::new(Fed::ByWritesTo(Holding, 1000), |_| Some(secs(60)), off))
}

#[tokio::test(start_paused = true)]
async fn a_heating_rod_is_fed_each_twenty_seconds_and_goes_out_without_us() {
    let mut bench = Bench::new("my-pv-elwa", rod());
    bench.during(secs(10)).await;
    bench.lease("heat", 1750.0, secs(300), SafeState::Release);
    bench.during(secs(290)).await;
    let writes = bench.writes();
    assert!((14..=15).contains(&writes.len()) && writes.iter().all(|write| *write == (1000, vec![1750])), "{writes:?}");
    assert_eq!(bench.values["load.power"], Value::Number(1750.0));
    bench.during(secs(20)).await;
    assert_eq!(bench.writes().last(), Some(&(1000, vec![0])), "nobody renewed it");
    bench.drive("heat", 4000.0);
    let states = bench.during(secs(10)).await;
    assert!(matches!(&states[0], SetpointState::Refused(_)), "more than it can do: {states:?}");
    bench.drive("heat", 3500.0);
    bench.during(secs(70)).await;
    bench.crash();
    bench.during(secs(90)).await;
    assert_eq!(bench.register(Holding, 1000), 0);
}

#[tokio::test(start_paused = true)]
async fn sg_ready_sets_both_contacts_at_once_by_the_truth_table() {
    let board = TableDevice::default().holds(Coil, 0, &[0; 8]).takes(Coil, 0, 8);
    let mut bench = Bench::new("sg-ready-waveshare", board);
    bench.during(secs(5)).await;
    assert_eq!(bench.values["load.mode"], Value::Text("normal".into()));
    let table = [(1.0, [1, 0], "lock"), (3.0, [0, 1], "recommended"), (4.0, [1, 1], "forced"), (2.0, [0, 0], "normal")];
    for (n, (mode, contacts, word)) in table.into_iter().enumerate() {
        bench.drive("sg-ready", mode);
        let states = bench.during(secs(10)).await;
        assert_eq!(states, [SetpointState::Written, SetpointState::Confirmed]);
        assert_eq!(bench.writes().len(), n + 1, "one request, nothing between");
        assert_eq!(bench.writes()[n], (0, contacts.to_vec()));
        assert_eq!(bench.values["load.mode"], Value::Text(word.into()));
    }
    bench.lease("sg-ready", 4.0, secs(30), SafeState::Release);
    bench.during(secs(60)).await;
    assert_eq!(bench.writes().last(), Some(&(0, vec![0, 0])), "released: normal");
    bench.drive("sg-ready", 5.0);
    let states = bench.during(secs(10)).await;
    assert!(matches!(&states[0], SetpointState::Refused(_)), "{states:?}");
}
