use std::time::Duration;

use super::chain::BASE;
use super::*;
use crate::clock::SiteTime;
use crate::config::PlantConfig;
use crate::sim::bank::{Exception, RegisterBank, Table};
use crate::sim::busbar::{self, Balance, Feed, Part, Step};
use crate::sim::device::BatterySize;
use crate::units::{Soc, WattHours, Watts};

/// Reads the chain as a client would: id -> address of the ID register.
fn walk(device: &mut dyn RegisterBank) -> Vec<(u16, u16, u16)> {
    let mut read = |at, count| device.read(Table::Holding, at, count).unwrap();
    assert_eq!(read(BASE, 2), [0x5375, 0x6e53]);
    let (mut at, mut models) = (BASE + 2, Vec::new());
    loop {
        let [id, len] = read(at, 2)[..] else { panic!() };
        if id == 0xffff {
            assert_eq!(len, 0);
            return models;
        }
        models.push((id, len, at));
        at += 2 + len;
    }
}

fn size() -> BatterySize {
    BatterySize {
        capacity: WattHours::kwh(60.0),
        charge_max: Watts::kw(40.0),
        discharge_max: Watts::kw(40.0),
        soc: (Soc::from_percent(5.0), Soc::FULL),
        plant: PlantConfig { response_delay: Duration::from_millis(20), ..PlantConfig::default() },
    }
}

/// A storage device on a bar with a load.
struct Bench {
    device: SunSpecStorage,
    load: Watts,
    sun: f64,
    last: (Balance, Feed),
}

impl Bench {
    fn new(pv: Option<Watts>, load: f64) -> Self {
        let device = SunSpecStorage::new(size(), pv, 1.0, "1");
        Self { device, load: Watts::kw(load), sun: 0.0, last: Default::default() }
    }

    fn pass(&mut self, seconds: f64) -> &mut Self {
        let io = Duration::from_millis(10);
        let step = Step { io, site: io, at: SiteTime::default(), load: self.load, sun: self.sun };
        for _ in 0..(seconds * 100.0) as u32 {
            let (balance, feeds) = busbar::step([&mut self.device as &mut dyn Part].into_iter(), &step);
            self.last = (balance, feeds[0]);
        }
        self
    }

    fn at(&mut self, model: u16, offset: u16) -> u16 {
        walk(&mut self.device).into_iter().find(|(id, ..)| *id == model).unwrap().2 + offset
    }

    fn read(&mut self, model: u16, offset: u16) -> u16 {
        let at = self.at(model, offset);
        self.device.read(Table::Holding, at, 1).unwrap()[0]
    }

    fn write(&mut self, model: u16, offset: u16, value: i16) -> Result<(), Exception> {
        let at = self.at(model, offset);
        self.device.write(Table::Holding, at, &[value.cast_unsigned()])
    }

    fn kw(&self) -> f64 {
        self.last.1.battery.watts() / 1000.0
    }
}

fn close(value: f64, to: f64) -> bool {
    (value - to).abs() < 0.25
}

#[test]
fn the_chains_are_those_of_the_model_tables() {
    let lens = |device: &mut dyn RegisterBank| walk(device).iter().map(|(id, len, _)| (*id, *len)).collect::<Vec<_>>();
    let common = [(1, 66), (103, 50), (120, 26), (121, 30), (123, 24)];
    assert_eq!(lens(&mut SunSpecPv::new(Watts::kw(60.0), "1")), common);
    let storage = lens(&mut SunSpecStorage::new(size(), None, 1.0, "1"));
    assert_eq!(storage[..5], common);
    assert_eq!(storage[5..], [(124, 24), (160, 88)]);
    assert_eq!(lens(&mut SunSpecMeter::new(crate::sim::device::MeterScope::Grid, false, "1")), [(1, 66), (203, 105)]);
}

#[test]
fn left_to_itself_it_does_self_consumption() {
    let mut bench = Bench::new(None, 12.0);
    assert!(close(bench.pass(5.0).kw(), 12.0), "{}", bench.kw());
    assert!(bench.last.0.grid.abs() < Watts::new(250.0));
    assert_eq!(bench.read(103, 15), 1, "44 kW need a scale factor of 10 in 16 bits");
    assert_eq!(bench.read(103, 14), (bench.kw() * 100.0).round() as u16);
    assert_eq!(bench.read(124, 8), (bench.device_soc() * 10_000.0).round() as u16);
    assert_eq!(bench.read(124, 11), 3, "discharging");
}

impl Bench {
    fn device_soc(&self) -> f64 {
        self.last.1.soc.unwrap().ratio()
    }
}

#[test]
fn a_negative_bound_is_a_minimum_of_the_other_direction() {
    let mut bench = Bench::new(None, 12.0);
    bench.write(124, 12, -2500).unwrap(); // discharge at most -25 % of 40 kW
    assert!(close(bench.pass(3.0).kw(), 12.0), "a bound without its bit is none");
    bench.write(124, 5, 2).unwrap();
    assert!(close(bench.pass(3.0).kw(), -10.0), "{}", bench.kw());
    assert_eq!(bench.read(103, 14).cast_signed(), -1000, "charging from the grid shows negative");
    bench.write(124, 13, -5000).unwrap();
    bench.write(124, 5, 1).unwrap();
    assert!(close(bench.pass(3.0).kw(), 20.0), "{}", bench.kw());
    bench.write(124, 12, 0).unwrap();
    bench.write(124, 5, 2).unwrap();
    assert!(close(bench.pass(3.0).kw(), 0.0), "no discharge");
}

#[test]
fn the_grid_charges_it_only_where_the_owner_lets_it() {
    let mut bench = Bench::new(None, 12.0);
    bench.write(124, 17, 0).unwrap();
    bench.write(124, 12, -2500).unwrap();
    bench.write(124, 5, 2).unwrap();
    assert!(close(bench.pass(3.0).kw(), 0.0), "{}", bench.kw());
    bench.write(124, 17, 1).unwrap();
    assert!(close(bench.pass(3.0).kw(), -10.0));
}

#[test]
fn the_revert_timer_really_runs_out_and_each_write_winds_it_up() {
    let mut bench = Bench::new(None, 12.0);
    bench.write(124, 15, 5).unwrap();
    bench.write(124, 12, 0).unwrap();
    bench.write(124, 5, 2).unwrap();
    assert!(close(bench.pass(4.0).kw(), 0.0));
    bench.write(124, 12, 0).unwrap();
    assert!(close(bench.pass(4.0).kw(), 0.0), "wound up");
    assert_eq!(bench.read(124, 5), 2);
    assert!(close(bench.pass(3.0).kw(), 12.0), "back in its own self-consumption");
    assert_eq!((bench.read(124, 5), bench.read(124, 12)), (0, 10_000));
    assert_eq!(bench.read(124, 15), 5, "the time stays stored");
}

#[test]
fn a_limit_of_123_needs_its_enable_and_runs_out() {
    let mut device = SunSpecPv::new(Watts::kw(60.0), "1");
    let at = walk(&mut device)[4].2;
    let io = Duration::from_millis(10);
    let step = Step { io, site: io, at: SiteTime::default(), load: Watts::ZERO, sun: 0.8 };
    let pass = |device: &mut SunSpecPv, seconds: u32| {
        (0..seconds * 100).map(|_| device.act(&step).pv.watts()).last().unwrap() / 1000.0
    };
    assert!(close(pass(&mut device, 2), 48.0));
    device.write(Table::Holding, at + 5, &[5000]).unwrap();
    assert!(close(pass(&mut device, 2), 48.0), "not enabled yet");
    device.write(Table::Holding, at + 5, &[5000, 0, 3, 0, 1]).unwrap();
    assert!(close(pass(&mut device, 2), 30.0));
    device.write(Table::Holding, at + 5, &[2500]).unwrap();
    assert!(close(pass(&mut device, 2), 48.0), "ran out after 3 s");
    assert_eq!(device.read(Table::Holding, at + 9, 1).unwrap(), [0]);
    device.write(Table::Holding, at + 4, &[0]).unwrap();
    assert!(close(pass(&mut device, 2), 0.0), "disconnected");
    assert_eq!(device.write(Table::Holding, at + 5, &[10_001]), Err(Exception::Value));
    assert_eq!(device.write(Table::Holding, at + 23, &[0]), Err(Exception::Address));
}

#[test]
fn a_hybrid_shows_both_behind_one_output() {
    let mut bench = Bench::new(Some(Watts::kw(20.0)), 5.0);
    bench.sun = 0.5;
    bench.pass(5.0);
    assert!(close(bench.kw(), -5.0), "PV's surplus charges: {}", bench.kw());
    assert_eq!(bench.read(103, 14), (1000.0 + bench.kw() * 100.0).round() as u16);
    assert_eq!(bench.read(160, 8), 4);
    let charge = (bench.kw() * -950.0).round() as u16;
    assert_eq!((bench.read(160, 10 + 11), bench.read(160, 50 + 11), bench.read(160, 70 + 11)), (10_000, charge, 0));
}

#[test]
fn a_write_that_is_wrong_anywhere_changes_nothing() {
    let mut bench = Bench::new(None, 0.0);
    let at = bench.at(124, 12);
    assert_eq!(bench.device.write(Table::Holding, at, &[0, 20_000]), Err(Exception::Value));
    assert_eq!(bench.read(124, 12), 10_000);
    assert_eq!(bench.write(124, 5, 4), Err(Exception::Value));
    assert_eq!(bench.write(124, 2, 4), Err(Exception::Address));
    assert_eq!(bench.device.read(Table::Holding, 0, 2), Err(Exception::Address));
    assert_eq!(bench.device.read(Table::Input, BASE, 2), Err(Exception::Function));
}
