//! EV chargers: a current is set, kept, let go and lost, against devices that count their own time.

use std::time::Duration;

use wattkeeper::bus::{SafeState, SetpointState};
use wattkeeper::profile::{Overrides, Value, WordOrder};
use wattkeeper::sim::Table::{Coil, Holding, Input};
use wattkeeper::sim::device::{Behaviour, Fed, TableDevice, Watchdog};
use wattkeeper::sim::{Exception, Registers, Table};

use crate::bench::{Bench, secs};

fn u32_words(value: u32) -> [u16; 2] {
    [(value >> 16) as u16, value as u16]
}

fn f32_words(value: f32) -> [u16; 2] {
    u32_words(value.to_bits())
}

fn u32_at(bench: &Bench, at: u16) -> u32 {
    u32::from(bench.register(Holding, at)) << 16 | u32::from(bench.register(Holding, at + 1))
}

fn f32_at(bench: &Bench, at: u16) -> f32 {
    f32::from_bits(u32_at(bench, at))
}

/// KEBA: 1100 is the current in force, 1000 the state; input 0 (ours) counts writes that came within 5 s and were lost.
struct Keba {
    since_write: Duration,
}

impl Keba {
    fn charge(registers: &mut Registers, milliamperes: u16) {
        registers.put(Holding, 1100, &u32_words(milliamperes.into()));
    }

    fn enable(registers: &mut Registers, enabled: bool) {
        registers.put(Holding, 1000, &u32_words(if enabled { 3 } else { 5 }));
    }
}

impl Behaviour for Keba {
    fn write(
        &mut self,
        registers: &mut Registers,
        _: Table,
        start: u16,
        words: &[u16],
    ) -> Option<Result<(), Exception>> {
        let [word] = words else { return Some(Err(Exception::Function)) };
        if self.since_write < secs(5) {
            let lost = registers.get(Input, 0).unwrap_or(0);
            registers.put(Input, 0, &[lost + 1]);
            return Some(Ok(()));
        }
        self.since_write = Duration::ZERO;
        match start {
            5004 => {
                registers.put(Holding, 5004, &[*word]);
                Self::charge(registers, *word);
                if registers.get(Input, 1) == Some(40) {
                    Self::enable(registers, *word > 0);
                }
            }
            5014 if registers.get(Input, 1) == Some(30) => Self::enable(registers, *word == 1),
            5016 => registers.put(Holding, 1600, &u32_words((*word).into())),
            5018 => registers.put(Holding, 1602, &u32_words((*word).into())),
            _ => return Some(Err(Exception::Address)),
        }
        Some(Ok(()))
    }

    fn pass(&mut self, _: &mut Registers, time: Duration) {
        self.since_write += time;
    }
}

fn keba(model: u16) -> TableDevice {
    let failsafe = |registers: &Registers| {
        registers.get(Holding, 1603).filter(|seconds| *seconds > 0).map(|seconds| secs(seconds.into()))
    };
    let ends = |registers: &mut Registers| {
        Keba::charge(registers, registers.get(Holding, 1601).unwrap_or(0));
        Keba::enable(registers, false);
    };
    let held = [1000, 1004, 1008, 1010, 1012, 1020, 1036, 1040, 1042, 1044, 1502, 1602];
    held.into_iter()
        .fold(TableDevice::default(), |device, at| device.holds(Holding, at, &[0, 0]))
        .holds(Holding, 1000, &[0, 3])
        .holds(Holding, 1100, &u32_words(16_000))
        .holds(Holding, 1600, &u32_words(13_000))
        .holds(Holding, 5004, &[16_000])
        .holds(Input, 0, &[0])
        .holds(Input, 1, &[model])
        .one_value_a_read()
        .behaves(Watchdog::new(Fed::ByWrites, failsafe, ends))
        .behaves(Keba { since_write: secs(60) })
}

const LOST: (Table, u16) = (Input, 0);

#[tokio::test(start_paused = true)]
async fn a_keba_p30_is_armed_driven_fed_and_given_back_with_five_seconds_between_writes() {
    let mut bench = Bench::new("keba-p30", keba(30));
    bench.during(secs(20)).await;
    bench.drive("charge", 10.0);
    bench.during(secs(40)).await;
    let set = [(5016, vec![0]), (5004, vec![10_000]), (5014, vec![1]), (5018, vec![120])];
    assert_eq!(bench.writes(), set);
    assert_eq!((u32_at(&bench, 1100), bench.register(Holding, 1001)), (10_000, 3));
    let seen = bench.writes().len();
    bench.during(secs(600)).await;
    let (beats, refreshes): (Vec<_>, Vec<_>) = bench.writes_since(seen).into_iter().partition(|(at, _)| *at == 5018);
    assert!((11..=13).contains(&beats.len()) && beats.iter().all(|write| *write == (5018, vec![120])), "{beats:?}");
    let both = vec![(5004, vec![10_000]), (5014, vec![1])];
    assert_eq!(refreshes, [both.clone(), both].concat());
    assert_eq!(u32_at(&bench, 1100), 10_000, "the failsafe never came");

    // It had its failsafe all the same, behind our back: both are sent again.
    bench.device.lock().unwrap().put(Holding, 1100, &[0, 0]);
    bench.device.lock().unwrap().put(Holding, 1000, &[0, 5]);
    bench.during(secs(320)).await;
    assert_eq!((u32_at(&bench, 1100), bench.register(Holding, 1001)), (10_000, 3));

    let seen = bench.writes().len();
    bench.drive("charge", 4.0);
    bench.during(secs(20)).await;
    assert_eq!(bench.writes_since(seen)[0], (5014, vec![0]), "below 6 A it is stopped, not limited");
    assert_eq!(bench.register(Holding, 1001), 5);

    let seen = bench.writes().len();
    bench.release();
    bench.during(secs(60)).await;
    let release = [(5018, vec![0]), (5016, vec![13_000]), (5004, vec![16_000]), (5014, vec![1])];
    assert_eq!(bench.writes_since(seen), release, "its own failsafe and limit are back");
    assert_eq!((u32_at(&bench, 1100), bench.register(Holding, 1001)), (16_000, 3));
    assert_eq!(bench.register(LOST.0, LOST.1), 0, "no write came too early");
    assert_eq!(bench.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_current_never_comes_too_early_behind_a_heartbeat() {
    let mut bench = Bench::new("keba-p30", keba(30));
    bench.during(secs(20)).await;
    for n in 0..60 {
        bench.drive("charge", 10.0 + f64::from(n % 3));
        bench.during(Duration::from_millis(17_300)).await;
    }
    assert_eq!(bench.register(LOST.0, LOST.1), 0);
    assert_eq!(bench.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_keba_stops_when_the_gateway_dies() {
    for (id, model) in [("keba-p30", 30), ("keba-p40", 40)] {
        let mut bench = Bench::new(id, keba(model));
        bench.during(secs(20)).await;
        bench.drive("charge", 16.0);
        bench.during(secs(60)).await;
        bench.crash();
        bench.during(secs(60)).await;
        assert_eq!(u32_at(&bench, 1100), 16_000, "{id}: not yet");
        bench.during(secs(80)).await;
        assert_eq!((u32_at(&bench, 1100), bench.register(Holding, 1001)), (0, 5), "{id}: stopped by itself");
    }
}

#[tokio::test(start_paused = true)]
async fn a_keba_p40_is_stopped_by_no_current_and_read_back() {
    let mut bench = Bench::new("keba-p40", keba(40));
    bench.during(secs(20)).await;
    bench.lease("charge", 12.5, secs(50), SafeState::Release);
    let states = bench.during(secs(40)).await;
    assert_eq!(states, [SetpointState::Written, SetpointState::Confirmed]);
    assert_eq!(bench.writes(), [(5016, vec![0]), (5004, vec![12_500]), (5018, vec![120])]);
    // Nobody renews it.
    let states = bench.during(secs(60)).await;
    assert_eq!(states.last(), Some(&SetpointState::SafeConfirmed));
    let release = [(5018, vec![0]), (5016, vec![13_000]), (5004, vec![16_000])];
    assert_eq!(bench.writes_since(3), release);
    bench.drive("charge", 0.0);
    bench.during(secs(20)).await;
    assert_eq!((u32_at(&bench, 1100), bench.register(Holding, 1001)), (0, 5));
    assert_eq!(bench.register(LOST.0, LOST.1), 0);
}

/// Alfen: what is written to 1210 is in force (1206) for the validity time, then the safe current (1212) is.
struct Alfen;

impl Behaviour for Alfen {
    fn write(
        &mut self,
        registers: &mut Registers,
        _: Table,
        start: u16,
        words: &[u16],
    ) -> Option<Result<(), Exception>> {
        if start == 1210 {
            registers.put(Holding, 1206, words);
        }
        None
    }
}

fn alfen(order: impl Fn([u16; 2]) -> [u16; 2]) -> TableDevice {
    let (volts, safe) = (order(f32_words(230.5)), order(f32_words(6.0)));
    TableDevice::default()
        .holds(Holding, 306, &[0; 20])
        .holds(Holding, 306, &volts)
        .holds(Holding, 344, &[0, 0])
        .holds(Holding, 374, &[0; 4])
        .holds(Holding, 1201, &[0x4232, 0, 0, 0, 0])
        .holds(Holding, 1206, &safe)
        .holds(Holding, 1208, &[0, 0])
        .holds(Holding, 1210, &[0, 0])
        .holds(Holding, 1212, &safe)
        .holds(Holding, 1214, &[1, 3])
        .takes(Holding, 1210, 2)
        .behaves(Alfen)
        .behaves(Watchdog::new(
            Fed::ByWritesTo(Holding, 1210),
            |_| Some(secs(60)),
            |registers| {
                let safe = [registers.get(Holding, 1212).unwrap(), registers.get(Holding, 1213).unwrap()];
                registers.put(Holding, 1206, &safe);
            },
        ))
}

#[tokio::test(start_paused = true)]
async fn an_alfen_is_told_again_in_time_and_falls_back_to_its_safe_current_without_us() {
    let mut bench = Bench::new("alfen-eve", alfen(|words| words));
    bench.during(secs(10)).await;
    bench.drive("charge", 13.5);
    let states = bench.during(secs(20)).await;
    assert_eq!(states, [SetpointState::Written, SetpointState::Confirmed]);
    assert_eq!(f32_at(&bench, 1206), 13.5);
    let seen = bench.writes().len();
    bench.during(secs(600)).await;
    assert_eq!(f32_at(&bench, 1206), 13.5);
    assert!((23..=25).contains(&bench.writes_since(seen).len()), "each 25 s");
    bench.release();
    let states = bench.during(secs(10)).await;
    assert_eq!(states.last(), Some(&SetpointState::SafeConfirmed));
    assert_eq!(f32_at(&bench, 1210), 6.0, "the safe current of its owner");

    bench.drive("charge", 10.0);
    bench.during(secs(10)).await;
    assert_eq!(f32_at(&bench, 1206), 10.0);
    bench.crash();
    bench.during(secs(90)).await;
    assert_eq!(f32_at(&bench, 1206), 6.0);
}

#[tokio::test(start_paused = true)]
async fn an_alfen_with_swapped_words_is_not_written_until_its_config_says_so() {
    let swapped = |[high, low]: [u16; 2]| [low, high];
    let mut bench = Bench::new("alfen-eve", alfen(swapped));
    bench.during(secs(10)).await;
    bench.drive("charge", 10.0);
    let states = bench.during(secs(10)).await;
    assert!(matches!(&states[0], SetpointState::Refused(why) if why.contains("words")), "{states:?}");
    assert_eq!(bench.writes(), []);
    let overrides = Overrides { words: Some(WordOrder::Little), ..Overrides::default() };
    let mut bench = Bench::with("alfen-eve", &overrides, alfen(swapped));
    bench.during(secs(10)).await;
    bench.drive("charge", 10.0);
    bench.during(secs(10)).await;
    assert_eq!(bench.writes(), [(1210, vec![0, 0x4120])]);
    assert_eq!(bench.values["charger.voltage_l1"], Value::Number(230.5));
}

/// ABB: 0x4100 sets the limit that 0x400E shows; below 6 A it pauses. Silence brings the fallback limit (0x4024).
struct Terra;

impl Behaviour for Terra {
    fn write(
        &mut self,
        registers: &mut Registers,
        _: Table,
        start: u16,
        words: &[u16],
    ) -> Option<Result<(), Exception>> {
        match (start, words) {
            (0x4100, [0, low]) => {
                registers.put(Holding, 0x400E, &[0, if *low < 6000 { 0 } else { *low }]);
                Some(Ok(()))
            }
            (0x4105 | 0x4102, _) => panic!("start, stop and lock are never touched"),
            _ => None,
        }
    }
}

fn terra() -> TableDevice {
    TableDevice::default()
        .holds(Holding, 0x4006, &u32_words(16_000))
        .holds(Holding, 0x4008, &[0; 24])
        .holds(Holding, 0x400D, &[0x0400])
        .holds(Holding, 0x400E, &u32_words(16_000))
        .holds(Holding, 0x4024, &[6])
        .holds(Holding, 0x4106, &[120])
        .behaves(Terra)
        .behaves(Watchdog::new(
            Fed::ByRequests,
            |registers: &Registers| registers.get(Holding, 0x4106).map(|seconds| secs(seconds.into())),
            |registers| {
                let fallback = u32::from(registers.get(Holding, 0x4024).unwrap()) * 1000;
                registers.put(Holding, 0x400E, &u32_words(fallback));
            },
        ))
}

#[tokio::test(start_paused = true)]
async fn an_abb_terra_is_fed_by_our_reads_and_falls_back_when_they_end() {
    let mut bench = Bench::new("abb-terra-ac", terra());
    bench.during(secs(40)).await;
    bench.drive("charge", 10.0);
    bench.during(secs(900)).await;
    assert_eq!(bench.writes(), [(0x4100, vec![0, 10_000])], "written once");
    assert_eq!(u32_at(&bench, 0x400E), 10_000);
    bench.drive("charge", 20.0);
    let states = bench.during(secs(10)).await;
    assert!(matches!(&states[0], SetpointState::Refused(_)), "above its rating: {states:?}");
    bench.drive("charge", 0.0);
    bench.during(secs(30)).await;
    assert_eq!(u32_at(&bench, 0x400E), 0);
    bench.release();
    bench.during(secs(30)).await;
    assert_eq!(u32_at(&bench, 0x400E), 16_000, "as it was before us");

    bench.drive("charge", 12.0);
    bench.during(secs(30)).await;
    bench.crash();
    bench.during(secs(100)).await;
    assert_eq!(u32_at(&bench, 0x400E), 12_000);
    bench.during(secs(40)).await;
    assert_eq!(u32_at(&bench, 0x400E), 6_000, "its fallback limit");
}

fn phoenix(limit: u16) -> (TableDevice, TableDevice) {
    let device = |limit_at, enabled| {
        TableDevice::default()
            .holds(Input, 100, &[0; 40])
            .holds(Input, 100, &[0x0042])
            .holds(Holding, 904, &[0, 0])
            .holds(Holding, limit_at, &[limit])
            .holds(Coil, 400, &[enabled])
            .takes(Holding, limit_at, 1)
            .takes(Coil, 400, 1)
    };
    (device(528, 0), device(300, 0))
}

#[tokio::test(start_paused = true)]
async fn a_phoenix_controller_gets_whole_amperes_and_its_release_and_both_back() {
    let (ev, em) = phoenix(16);
    for (id, device, limit) in [("phoenix-ev-eth", ev, 528), ("phoenix-em-cp", em, 300)] {
        let mut bench = Bench::new(id, device);
        bench.during(secs(10)).await;
        bench.lease("charge", 10.7, secs(60), SafeState::Release);
        let states = bench.during(secs(20)).await;
        assert_eq!(states, [SetpointState::Written, SetpointState::Confirmed], "{id}");
        assert_eq!(bench.writes(), [(limit, vec![10]), (400, vec![1])], "{id}");
        bench.lease("charge", 0.0, secs(60), SafeState::Release);
        bench.during(secs(20)).await;
        assert_eq!((bench.register(Holding, limit), bench.register(Coil, 400)), (10, 0), "{id}: the release is taken");
        let states = bench.during(secs(120)).await;
        assert_eq!(states.last(), Some(&SetpointState::SafeConfirmed), "{id}: nobody renewed it");
        assert_eq!((bench.register(Holding, limit), bench.register(Coil, 400)), (16, 0), "{id}: as it was");
        // It knows no time-out: what was told last stays.
        bench.drive("charge", 8.0);
        bench.during(secs(20)).await;
        bench.crash();
        bench.during(secs(3600)).await;
        assert_eq!((bench.register(Holding, limit), bench.register(Coil, 400)), (8, 1), "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_firmware_of_wallbe_is_not_given_ten_times_the_current() {
    let mut bench = Bench::new("phoenix-ev-eth", phoenix(160).0);
    bench.during(secs(10)).await;
    bench.drive("charge", 16.0);
    let states = bench.during(secs(10)).await;
    assert!(matches!(&states[0], SetpointState::Refused(why) if why.contains("Wallbe")), "{states:?}");
    assert_eq!(bench.writes(), []);
}
