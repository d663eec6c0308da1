//! Each driven make, end to end: set, refresh, expiry, release.

use std::time::Duration;

use wattkeeper::bus::SetpointState;
use wattkeeper::sim::device::sunspec::SunSpecStorage;
use wattkeeper::sim::device::{HuaweiSun2000, KostalPlenticore, Sma, SolarEdge, SungrowSh, VictronGx};
use wattkeeper::sim::{Exception, RegisterBank, Table};
use wattkeeper::units::Watts;

use crate::rig::{Rig, battery, near, secs};

/// What is to be proven of a make.
struct Make {
    /// Settings that must be as before after a release: first register, count.
    settings: &'static [(u16, u16)],
    /// When the last command has lapsed by itself; `None` where it stands for ever.
    lapses: Option<Duration>,
    /// How long a release takes to show.
    rests: Duration,
    /// What its measured power may be off: some measure at the cells, behind 5 % of loss.
    loss: f64,
    /// It tells what its battery can do.
    bounded: bool,
}

impl Make {
    #[track_caller]
    fn near(&self, found: f64, wanted: f64) {
        let most = (0.02 + self.loss) * wanted.abs() + 30.0;
        assert!((found - wanted).abs() <= most, "{found} W, not {wanted} W");
    }
}

/// Left to itself with a load of 2 kW and no sun, a device gives nearly all of it.
#[track_caller]
fn alone(found: f64) {
    assert!((1700.0..=2000.0).contains(&found), "{found} W is not what it does by itself");
}

/// With a load of 2 kW, without sun: its own automatic discharges 2 kW.
async fn prove(rig: &mut Rig, make: &Make) {
    let before = rig.settings(make.settings);
    rig.pass(secs(70)).await;
    alone(rig.battery);
    alone(rig.value("battery.power"));

    // Set: it charges, it discharges, it stands still, and the meter shows the same.
    rig.lease(-3000.0, secs(3600));
    rig.pass(secs(30)).await;
    make.near(rig.battery, -3000.0);
    make.near(rig.value("battery.power"), -3000.0);
    rig.load = Watts::new(1000.0); // a device that is told "at least" would give more to a larger load
    rig.lease(1500.0, secs(3600));
    rig.pass(secs(30)).await;
    make.near(rig.battery, 1500.0);
    make.near(rig.value("battery.power"), 1500.0);
    rig.load = Watts::new(2000.0);
    rig.lease(0.0, secs(3600));
    rig.pass(secs(30)).await;
    make.near(rig.battery, 0.0);

    // Refresh: so long as the lease holds it obeys, whatever its time-out.
    let long = make.lapses.unwrap_or(secs(600)) * 3;
    rig.lease(-2000.0, long * 2);
    rig.pass(long).await;
    make.near(rig.battery, -2000.0);
    assert!(rig.keeps_settings());

    // Release: at the lease's end its own automatic and its own settings are back.
    rig.lease(-2000.0, secs(1));
    rig.pass(make.rests + secs(20)).await;
    alone(rig.battery);
    assert_eq!(rig.settings(make.settings), before, "its own settings");
    assert!(matches!(rig.state(), Some(SetpointState::SafeConfirmed)), "{:?}", rig.reports);
    assert!(!rig.keeps_settings());

    // Nobody can widen what it can do: nothing is written. (A GX does not tell what its inverters can.)
    if make.bounded {
        let writes = rig.unit.traffic().writes.len();
        rig.lease(-50_000.0, secs(20));
        rig.pass(secs(10)).await;
        assert!(matches!(rig.state(), Some(SetpointState::Refused(_))), "{:?}", rig.state());
        assert_eq!(rig.unit.traffic().writes.len(), writes);
        rig.pass(secs(90)).await;
    }

    // Expiry: we die while it charges.
    rig.lease(-2500.0, secs(3600));
    rig.pass(secs(30)).await;
    make.near(rig.battery, -2500.0);
    rig.die();
    rig.pass(secs(4)).await;
    make.near(rig.battery, -2500.0);
    match make.lapses {
        Some(lapses) => {
            rig.pass(lapses + secs(5)).await;
            alone(rig.battery);
        }
        None => {
            rig.pass(secs(3600)).await;
            make.near(rig.battery, -2500.0);
        }
    }

    // The next start puts its settings back, if nobody asks for anything.
    rig.start();
    rig.pass(make.rests + secs(90)).await;
    alone(rig.battery);
    assert_eq!(rig.settings(make.settings), before, "its own settings after the crash");
    assert!(!rig.keeps_settings());
}

#[tokio::test(start_paused = true)]
async fn a_fronius_obeys_lapses_and_gets_its_settings_back() {
    let mut device = SunSpecStorage::new(battery(), None, 1.0, "1234567").made_by("Fronius", "Symo GEN24 10.0 Plus");
    const STORAGE: u16 = 40_002 + 68 + 52 + 28 + 32 + 26;
    // Its owner had a revert timer of an hour and no charging from the grid.
    device.write(Table::Holding, STORAGE + 15, &[3600]).unwrap();
    device.write(Table::Holding, STORAGE + 17, &[0]).unwrap();
    let mut rig = Rig::new("fronius-gen24", 1, device).await;
    let settings = &[(STORAGE + 5, 1), (STORAGE + 12, 2), (STORAGE + 15, 1), (STORAGE + 17, 1)];
    prove(&mut rig, &Make { settings, lapses: Some(secs(90)), rests: secs(1), loss: 0.05, bounded: true }).await;
}

#[tokio::test(start_paused = true)]
async fn a_sungrow_obeys_and_stays_until_the_next_start_puts_it_back() {
    let mut rig = Rig::new("sungrow-sh", 1, SungrowSh::new(battery(), None, 1.0)).await;
    let settings = &[(13_049, 3), (33_046, 2)];
    prove(&mut rig, &Make { settings, lapses: None, rests: secs(1), loss: 0.0, bounded: true }).await;
    let modes: Vec<u16> = rig.unit.traffic().writes.iter().map(|write| write.start).collect();
    assert_eq!(modes[..3], [13_049, 13_051, 13_050], "the mode goes first");
}

#[tokio::test(start_paused = true)]
async fn a_kostal_obeys_in_either_word_order_and_lapses_after_thirty_seconds() {
    let inverter = KostalPlenticore::new(battery(), None, 1.0);
    for inverter in [inverter.clone(), inverter.high_word_first()] {
        let mut rig = Rig::new("kostal-plenticore", 71, inverter).await;
        prove(
            &mut rig,
            &Make { settings: &[(1038, 4)], lapses: Some(secs(30)), rests: secs(30), loss: 0.0, bounded: true },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_kostal_without_external_control_is_not_written_to() {
    let mut rig = Rig::new("kostal-plenticore", 71, KostalPlenticore::new(battery(), None, 1.0).not_external()).await;
    rig.pass(secs(40)).await;
    rig.lease(-1000.0, secs(60));
    rig.pass(secs(10)).await;
    assert!(matches!(rig.state(), Some(SetpointState::Refused(why)) if why.contains("installer")), "{:?}", rig.state());
    assert!(rig.unit.traffic().writes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sunny_island_obeys_and_lapses() {
    let mut rig = Rig::new("sma-sunny-island", 3, Sma::new(battery(), None, secs(60), 1.0)).await;
    prove(&mut rig, &Make { settings: &[], lapses: Some(secs(60)), rests: secs(1), loss: 0.0, bounded: true }).await;
}

#[tokio::test(start_paused = true)]
async fn a_tripower_is_told_what_battery_and_pv_make_together() {
    let mut rig = Rig::new("sma-tripower-se", 3, Sma::new(battery(), Some(Watts::kw(8.0)), secs(60), 1.0)).await;
    rig.sun = 0.5;
    rig.pass(secs(70)).await;
    near(rig.pv, 4000.0);
    near(rig.value("pv.power"), 4000.0);
    // 1 kW in all from 4 kW of sun: 3 kW go into the battery.
    rig.lease(1000.0, secs(3600));
    rig.pass(secs(300)).await;
    near(rig.battery, -3000.0);
    near(rig.value("battery.power"), -3000.0);
    near(rig.value("inverter.power"), 1000.0);
    near(rig.value("grid.power"), 1000.0);
    rig.sun = 0.0;
    rig.lease(-2000.0, secs(3600));
    rig.pass(secs(30)).await;
    near(rig.battery, -2000.0);
    rig.die();
    rig.pass(secs(70)).await;
    alone(rig.battery);
    rig.start();
    rig.pass(secs(10)).await;
    alone(rig.battery);
    assert!(!rig.keeps_settings());
}

#[tokio::test(start_paused = true)]
async fn a_huawei_obeys_for_its_period() {
    let mut rig = Rig::new("huawei-sun2000", 1, HuaweiSun2000::new(battery(), None, 1.0)).await;
    let settings = &[(47_075, 4), (47_083, 1), (47_087, 1), (47_100, 1), (47_246, 5)];
    prove(&mut rig, &Make { settings, lapses: Some(secs(1800)), rests: secs(1), loss: 0.0, bounded: true }).await;
}

#[tokio::test(start_paused = true)]
async fn a_solaredge_obeys_until_its_command_lapses() {
    let mut rig = Rig::new("solaredge-storedge", 1, SolarEdge::new(battery(), None, 1.0)).await;
    let settings = &[(57_344, 18)];
    prove(&mut rig, &Make { settings, lapses: Some(secs(1500)), rests: secs(1), loss: 0.0, bounded: true }).await;
}

#[tokio::test(start_paused = true)]
async fn a_solaredge_out_of_remote_control_is_not_written_to() {
    let mut device = SolarEdge::new(battery(), None, 1.0);
    device.write(Table::Holding, 57_348, &[1]).unwrap();
    let mut rig = Rig::new("solaredge-storedge", 1, device).await;
    rig.pass(secs(40)).await;
    rig.lease(-1000.0, secs(60));
    rig.pass(secs(10)).await;
    assert!(matches!(rig.state(), Some(SetpointState::Refused(why)) if why.contains("57348")), "{:?}", rig.state());
    assert!(rig.unit.traffic().writes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_victron_is_driven_by_its_grid_point_and_stays_until_the_next_start() {
    let mut rig = Rig::new("victron-gx", 100, VictronGx::new(battery(), 1.0)).await;
    let settings = &[(2700, 3), (2716, 2), (2901, 2)];
    prove(&mut rig, &Make { settings, lapses: None, rests: secs(5), loss: 0.05, bounded: false }).await;
}

#[test]
fn the_devices_refuse_what_their_makers_refuse() {
    let holding = Table::Holding;
    let mut sma = Sma::new(battery(), None, secs(60), 1.0);
    assert_eq!(sma.write(holding, 40_149, &[0]), Err(Exception::Address), "one word");
    assert_eq!(sma.write(holding, 40_151, &[0, 801]), Err(Exception::Value));
    assert_eq!(sma.write(holding, 40_149, &[0, 6000, 0, 802]), Err(Exception::Value), "above the rating");
    assert_eq!(sma.read(holding, 40_149, 2), Err(Exception::Address), "write-only");
    let mut sungrow = SungrowSh::new(battery(), None, 1.0);
    assert_eq!(sungrow.write(holding, 13_051, &[5001]), Err(Exception::Failure), "above the rating");
    assert_eq!(sungrow.write(holding, 13_050, &[0xAB]), Err(Exception::Failure));
    assert_eq!(sungrow.write(Table::Input, 13_049, &[2]), Err(Exception::Address));
    let mut kostal = KostalPlenticore::new(battery(), None, 1.0).not_external();
    assert_eq!(kostal.write(holding, 1034, &[0, 0]), Err(Exception::Value), "not under external control");
    let mut huawei = HuaweiSun2000::new(battery(), None, 1.0);
    assert_eq!(huawei.write(holding, 47_100, &[1]), Err(Exception::Value), "no period");
    assert_eq!(huawei.write(holding, 47_247, &[0, 5001]), Err(Exception::Value), "above 37046");
    let mut edge = SolarEdge::new(battery(), None, 1.0);
    assert_eq!(edge.write(holding, 57_357, &[6]), Err(Exception::Value));
    assert_eq!(edge.write(holding, 57_358, &[0x4000, 0x45BB]), Err(Exception::Value), "5992 W");
}
