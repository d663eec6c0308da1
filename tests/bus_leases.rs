//! Setpoints, seen from the device: whatever dies, a lease ends in its safe state. Simulated time, in-memory streams.
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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use fake::*;
use hostile::*;
use wattkeeper::bus::*;
use wattkeeper::profile::{Captured, Class, Span};

const DRIVE: [(u16, u16); 2] = [(MODE, 1), (POWER, 5000)];
const RELEASE: [(u16, u16); 2] = [(MODE, 0), (OWN, 77)];

struct Site {
    server: Arc<Server>,
    away: Arc<AtomicBool>,
    notebook: Arc<MemoryNotebook>,
    bus: Bus,
}

fn site(frames: Frames, change: impl FnOnce(&mut Fake)) -> Site {
    let (server, away, notebook) =
        (Server::good(), Arc::new(AtomicBool::new(false)), Arc::new(MemoryNotebook::default()));
    server.put(1, OWN, 77);
    let mut fake = Fake::polling(secs(1), &[&[10]]);
    change(&mut fake);
    let bus = Bus::with(&server, frames, &away, vec![(1, fake)], notebook.clone());
    Site { server, away, notebook, bus }
}

#[tokio::test(start_paused = true)]
async fn a_setpoint_is_captured_written_and_confirmed_and_ends_in_its_release() {
    for frames in [Frames::Tcp, Frames::Rtu] {
        let mut site = site(frames, |_| {});
        site.bus.during(ms(100)).await;
        let serial = site.bus.lease(Some(5000.0), secs(15), SafeState::Release);
        let events = site.bus.during(secs(14)).await;
        assert_eq!(
            setpoints(&events),
            [(serial, Some(5000.0), SetpointState::Written), (serial, Some(5000.0), SetpointState::Confirmed)]
        );
        assert_eq!(site.server.writes(), DRIVE);
        let seen = site.server.seen();
        let place = |fits: &dyn Fn(&Asked) -> bool| seen.iter().position(fits).unwrap();
        assert!(
            place(&|asked| asked.start == OWN) < place(&|asked| asked.function == 6),
            "captured before the first write"
        );
        assert!(site.notebook.captured(&name(1), "battery").is_some(), "kept while it is driven");
        // Nobody renews it.
        let events = site.bus.during(secs(10)).await;
        assert_eq!(
            setpoints(&events),
            [(serial, None, SetpointState::SafeWritten), (serial, None, SetpointState::SafeConfirmed)]
        );
        assert_eq!(site.server.writes(), [DRIVE, RELEASE].concat());
        assert!(site.notebook.captured(&name(1), "battery").is_none());
        site.bus.during(secs(300)).await;
        assert_eq!(site.server.writes().len(), 4, "nothing is written after a release");
    }
}

#[tokio::test(start_paused = true)]
async fn a_safe_state_is_written_at_the_end_of_the_lease_not_later() {
    let mut site = site(Frames::Tcp, |_| {});
    site.bus.during(ms(100)).await;
    let end = tokio::time::Instant::now() + secs(7);
    site.bus.lease(Some(5000.0), secs(7), SafeState::Release);
    site.bus.during(secs(10)).await;
    let released = site.server.seen().into_iter().find(|asked| (asked.function, asked.count) == (6, 0)).unwrap();
    assert!(released.at >= end && released.at - end < ms(50), "{:?}", released.at - end);
}

#[tokio::test(start_paused = true)]
async fn when_the_hub_is_gone_a_lease_still_ends_in_the_safe_state() {
    let mut site = site(Frames::Tcp, |_| {});
    site.bus.lease(Some(5000.0), secs(7), SafeState::Release);
    site.bus.during(secs(5)).await;
    site.bus.events.close();
    tokio::time::sleep(secs(10)).await;
    assert_eq!(site.server.writes(), [DRIVE, RELEASE].concat());
}

#[tokio::test(start_paused = true)]
async fn when_dispatch_is_gone_or_the_lease_is_taken_back_the_safe_state_comes_at_once() {
    for gone in [true, false] {
        let mut site = site(Frames::Tcp, |_| {});
        site.bus.lease(Some(5000.0), secs(3600), SafeState::Release);
        site.bus.during(secs(5)).await;
        match gone {
            true => site.bus.leases[0] = None,
            false => _ = site.bus.leases[0].as_ref().unwrap().send_replace(Leases::new()),
        }
        site.bus.during(ms(50)).await;
        assert_eq!(site.server.writes(), [DRIVE, RELEASE].concat(), "gone: {gone}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_the_safe_state_is_answered_also_where_nothing_was_ever_written() {
    let mut site = site(Frames::Tcp, |_| {});
    site.away.store(true, SeqCst);
    let serial = site.bus.lease(None, secs(10), SafeState::Release);
    let events = site.bus.during(secs(5)).await;
    assert_eq!(setpoints(&events), [(serial, None, SetpointState::SafeConfirmed)]);
    site.away.store(false, SeqCst);
    site.bus.during(secs(60)).await;
    assert!(site.server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn standby_is_zero_and_kept_fed_for_as_long_as_the_bus_lives() {
    let mut site = site(Frames::Tcp, |fake| fake.beat = Some(secs(5)));
    let serial = site.bus.lease(Some(5000.0), secs(15), SafeState::Standby);
    // The safe state is read back at once: only whether a setpoint has its effect waits for the settling time.
    let events = site.bus.during(secs(16)).await;
    assert_eq!(setpoints(&events).last(), Some(&(serial, Some(0.0), SetpointState::SafeConfirmed)));
    let before = site.server.writes().len();
    let events = site.bus.during(secs(100)).await;
    assert_eq!(setpoints(&events), [], "nothing new");
    let writes = &site.server.writes()[before..];
    assert_eq!(writes.iter().filter(|write| **write == (POWER, 0)).count(), 5, "refreshed: {writes:?}");
    assert!((18..=21).contains(&writes.iter().filter(|write| write.0 == ALIVE).count()), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn only_a_change_or_the_refresh_is_written_and_every_lease_is_answered_for() {
    let mut site = site(Frames::Tcp, |_| {});
    for _ in 0..15 {
        site.bus.lease(Some(5000.0), secs(5), SafeState::Release);
        site.bus.during(secs(1)).await;
    }
    assert_eq!(site.server.writes(), DRIVE);
    let near = site.bus.lease(Some(5040.0), secs(60), SafeState::Release);
    let events = site.bus.during(ms(100)).await;
    assert_eq!(setpoints(&events), [(near, Some(5000.0), SetpointState::Confirmed)], "inside the dead band");
    site.bus.during(secs(10)).await;
    assert_eq!(site.server.writes(), [DRIVE, DRIVE].concat(), "refreshed after 20 s");
    let far = site.bus.lease(Some(-2009.0), secs(60), SafeState::Release);
    let events = site.bus.during(ms(100)).await;
    assert_eq!(setpoints(&events), [(far, Some(-2000.0), SetpointState::Written)], "in whole steps, towards zero");
    assert_eq!(site.server.get(1, POWER), -2000_i16 as u16);
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_before_the_reads_that_wait() {
    // Each exchange takes 100 ms: the bus is never idle.
    let mut site =
        site(Frames::Tcp, |fake| *fake = Fake::polling(ms(100), &[&[10], &[11], &[12], &[13], &[14], &[15]]));
    site.server.become_one_that(|server, asked| vec![Act::Wait(ms(100)), Act::Send(server.answer(asked))]);
    site.bus.during(ms(2050)).await;
    let before = site.server.seen().len();
    site.bus.lease(Some(5000.0), secs(60), SafeState::Release);
    site.bus.during(ms(800)).await;
    let after: Vec<_> =
        site.server.seen()[before..].iter().map(|asked| (asked.function, asked.start)).take(3).collect();
    assert_eq!(after, [(3, OWN), (6, MODE), (6, POWER)]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_came_while_the_device_was_away_is_written_if_it_still_holds_else_never() {
    for (holds, expected) in [(secs(3600), DRIVE.to_vec()), (secs(30), Vec::new())] {
        let mut site = site(Frames::Tcp, |_| {});
        site.away.store(true, SeqCst);
        site.bus.lease(Some(5000.0), holds, SafeState::Release);
        site.bus.during(secs(40)).await;
        site.away.store(false, SeqCst);
        site.bus.during(secs(70)).await;
        let mut writes = site.server.writes();
        writes.dedup();
        writes.truncate(2);
        assert_eq!(writes, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_goes_away_while_it_is_driven_is_released_as_soon_as_it_is_back() {
    let mut site = site(Frames::Tcp, |_| {});
    site.bus.lease(Some(5000.0), secs(10), SafeState::Release);
    site.bus.during(secs(5)).await;
    site.server.become_one_that(|_, _| Vec::new());
    site.bus.during(secs(3600)).await;
    site.server.recover();
    let before = site.server.seen().len();
    let events = site
        .bus
        .until(
            |event| matches!(event, BusEvent::Setpoint { report, .. } if report.state == SetpointState::SafeConfirmed),
        )
        .await;
    assert!(setpoints(&events).iter().all(|(_, value, _)| value.is_none()));
    let writes: Vec<_> = site.server.seen()[before..]
        .iter()
        .filter(|asked| asked.function == 6)
        .map(|asked| (asked.start, asked.count))
        .collect();
    assert_eq!(writes, RELEASE);
}

#[tokio::test(start_paused = true)]
async fn settings_left_over_from_a_crash_are_put_back_first_and_never_captured_anew() {
    for leased in [false, true] {
        let notebook = Arc::new(MemoryNotebook::default());
        notebook.keep(&name(1), "battery", &Captured::from([(Span::holding(OWN, 1), vec![77])])).unwrap();
        let (server, away) = (Server::good(), Arc::new(AtomicBool::new(false)));
        server.put(1, OWN, 5);
        let fake = Fake::polling(secs(1), &[&[10]]);
        let mut bus = Bus::with(&server, Frames::Tcp, &away, vec![(1, fake)], notebook.clone());
        if leased {
            bus.lease(Some(5000.0), secs(10), SafeState::Release);
        }
        bus.during(secs(20)).await;
        let expected = if leased { [DRIVE, RELEASE].concat() } else { RELEASE.to_vec() };
        assert_eq!(server.writes(), expected);
        assert_eq!(server.get(1, OWN), 77);
        assert!(notebook.captured(&name(1), "battery").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_flash_budget_holds_and_the_release_is_set_aside_from_it() {
    let mut site = site(Frames::Tcp, |fake| {
        (fake.control.class, fake.control.budget, fake.control.refresh) = (Class::Flash, Some(10), None);
    });
    let mut events = Vec::new();
    for n in 1..=6 {
        site.bus.lease(Some(f64::from(n) * 1000.0), secs(3600), SafeState::Release);
        events.extend(site.bus.during(secs(5)).await);
    }
    // 2 registers a setpoint, 2 a release: 4 setpoints and the release make 10.
    assert_eq!(site.server.writes().len(), 10);
    assert_eq!(site.server.writes()[8..], RELEASE);
    let refused =
        setpoints(&events).into_iter().filter(|(_, _, state)| matches!(state, SetpointState::Refused(_))).count();
    assert_eq!(refused, 2, "the fifth and the sixth: {:#?}", setpoints(&events));
    let day = (tokio::time::Instant::now(), site.bus.clock.now().site.as_second().div_euclid(86_400)).1;
    assert_eq!(site.notebook.writes(&name(1), "battery", day), 10);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_breaks_off_is_released_and_tried_again_later() {
    let mut site = site(Frames::Tcp, |_| {});
    site.server.become_one_that(|server, asked| match (asked.function, asked.start) {
        (6, POWER) => exception(asked, 4),
        _ => vec![Act::Send(server.answer(asked))],
    });
    let serial = site.bus.lease(Some(5000.0), secs(3600), SafeState::Release);
    let events = site.bus.during(ms(500)).await;
    let expected = SetpointState::Failed(format!("writing register {POWER}: exception 4"));
    assert_eq!(setpoints(&events)[..2], [(serial, None, expected), (serial, None, SetpointState::SafeWritten)]);
    assert_eq!(site.server.get(1, MODE), 0, "no half set is left standing");
    site.server.recover();
    site.bus.during(secs(30)).await;
    assert_eq!(site.server.get(1, POWER), 5000);
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_cannot_be_encoded_is_refused_and_the_device_released() {
    let mut site = site(Frames::Tcp, |_| {});
    site.bus.lease(Some(5000.0), secs(3600), SafeState::Release);
    site.bus.during(secs(5)).await;
    let serial = site.bus.lease(Some(99_000.0), secs(3600), SafeState::Release);
    let events = site.bus.during(ms(500)).await;
    assert!(matches!(&setpoints(&events)[0], (s, _, SetpointState::Refused(_)) if *s == serial), "{events:?}");
    assert_eq!(site.server.get(1, MODE), 0);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_says_yes_and_does_no_is_found_out_by_reading_back() {
    let mut site = site(Frames::Tcp, |_| {});
    site.server.become_one_that(|server, asked| {
        let answer = server.answer(asked);
        if (asked.function, asked.start) == (6, POWER) {
            server.put(1, POWER, 4200);
        }
        vec![Act::Send(answer)]
    });
    let serial = site.bus.lease(Some(5000.0), secs(60), SafeState::Release);
    let events = site.bus.during(secs(4)).await;
    let reason = format!("register {POWER} reads 4200, 5000 was written");
    assert!(setpoints(&events).contains(&(serial, Some(5000.0), SetpointState::Failed(reason))), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_setting_that_is_taken_back_later_is_noticed() {
    let mut site = site(Frames::Tcp, |fake| fake.control.refresh = None);
    let serial = site.bus.lease(Some(5000.0), secs(3600), SafeState::Release);
    site.bus.during(secs(30)).await;
    site.server.put(1, MODE, 2);
    let events = site.bus.during(secs(130)).await;
    let reason = format!("register {MODE} reads 2, 1 was written");
    assert_eq!(setpoints(&events)[0], (serial, Some(5000.0), SetpointState::Failed(reason)));
}

#[tokio::test(start_paused = true)]
async fn a_release_is_repeated_until_the_device_has_taken_it() {
    let mut site = site(Frames::Rtu, |_| {});
    site.bus.lease(Some(5000.0), secs(10), SafeState::Release);
    site.bus.during(secs(5)).await;
    site.server.become_one_that(|server, asked| match asked.function {
        6 => exception(asked, 4),
        _ => vec![Act::Send(server.answer(asked))],
    });
    let events = site.bus.during(secs(600)).await;
    let failed =
        setpoints(&events).into_iter().filter(|(_, _, state)| matches!(state, SetpointState::Failed(_))).count();
    assert_eq!(failed, 1, "told once, tried for ever");
    assert!(site.notebook.captured(&name(1), "battery").is_some());
    site.server.recover();
    site.bus.during(secs(70)).await;
    assert_eq!(site.server.get(1, MODE), 0);
    assert!(site.notebook.captured(&name(1), "battery").is_none());
}

#[tokio::test(start_paused = true)]
async fn without_a_place_to_keep_its_settings_a_device_is_not_written_to() {
    #[derive(Default)]
    struct Full(MemoryNotebook);
    impl Notebook for Full {
        fn captured(&self, device: &wattkeeper::reading::DeviceName, control: &str) -> Option<Captured> {
            self.0.captured(device, control)
        }
        fn keep(&self, _: &wattkeeper::reading::DeviceName, _: &str, _: &Captured) -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn put_back(&self, _: &wattkeeper::reading::DeviceName, _: &str) -> std::io::Result<()> {
            Ok(())
        }
        fn writes(&self, _: &wattkeeper::reading::DeviceName, _: &str, _: i64) -> u32 {
            0
        }
        fn count(&self, _: &wattkeeper::reading::DeviceName, _: &str, _: i64, _: u32) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (server, away) = (Server::good(), Arc::new(AtomicBool::new(false)));
    let fake = Fake::polling(secs(1), &[&[10]]);
    let mut bus = Bus::with(&server, Frames::Tcp, &away, vec![(1, fake)], Arc::new(Full::default()));
    bus.lease(Some(5000.0), secs(60), SafeState::Release);
    let events = bus.during(secs(30)).await;
    assert!(matches!(&setpoints(&events)[0].2, SetpointState::Failed(reason) if reason.contains("kept")));
    assert!(server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_ever_written_to_unit_0_nor_by_a_stopped_bus() {
    let (server, away) = (Server::good(), Arc::new(AtomicBool::new(false)));
    let mut bus = Bus::on(&server, Frames::Tcp, &away, vec![(0, Fake::polling(secs(1), &[&[10]]))]);
    bus.lease(Some(5000.0), secs(60), SafeState::Release);
    let events = bus.during(secs(5)).await;
    assert!(matches!(&setpoints(&events)[0].2, SetpointState::Refused(_)));
    assert!(server.writes().is_empty());
    let mut site = site(Frames::Tcp, |_| {});
    site.bus.during(secs(1)).await;
    site.bus.stop.cancel();
    site.bus.lease(Some(5000.0), secs(60), SafeState::Release);
    while site.bus.events.recv().await.is_some() {}
    assert!(site.server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn of_a_shared_register_only_our_bits_are_written_and_compared() {
    let mut site = site(Frames::Tcp, |fake| fake.mask = Some(1));
    site.server.put(1, MODE, 0xFF00);
    let serial = site.bus.lease(Some(5000.0), secs(60), SafeState::Release);
    site.bus.during(secs(1)).await;
    assert_eq!(site.server.get(1, MODE), 0xFF01);
    site.server.put(1, MODE, 0x0F01);
    let events = site.bus.during(secs(3)).await;
    assert_eq!(setpoints(&events), [(serial, Some(5000.0), SetpointState::Confirmed)]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_busy_is_told_again_and_polled_meanwhile() {
    let mut site = site(Frames::Tcp, |_| {});
    let busy = std::sync::atomic::AtomicUsize::new(3);
    site.server.become_one_that(move |server, asked| {
        let refused = asked.function == 6 && busy.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if refused { exception(asked, 6) } else { vec![Act::Send(server.answer(asked))] }
    });
    let serial = site.bus.lease(Some(5000.0), secs(60), SafeState::Release);
    let events = site.bus.during(secs(8)).await;
    assert_eq!(setpoints(&events), [(serial, Some(5000.0), SetpointState::Written)]);
    assert!(events.iter().filter(|event| polled(event, 1).is_some()).count() >= 8);
}

#[tokio::test(start_paused = true)]
async fn settings_are_not_kept_where_the_first_write_was_refused() {
    let mut site = site(Frames::Tcp, |_| {});
    site.server.become_one_that(|server, asked| match asked.function {
        6 => exception(asked, 1),
        _ => vec![Act::Send(server.answer(asked))],
    });
    site.bus.lease(Some(5000.0), secs(60), SafeState::Release);
    let events = site.bus.during(ms(1500)).await;
    assert!(matches!(&setpoints(&events)[..], [(_, None, SetpointState::Failed(_))]), "{events:?}");
    assert!(site.notebook.captured(&name(1), "battery").is_none());
    assert_eq!(site.server.writes().len(), 1, "a refusal at the first step needs no release");
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Lease(i16, u64),
    Nobody,
    Silent,
    Late,
    Refusing(u8),
    Away,
    Well,
}

fn any_turn() -> impl proptest::strategy::Strategy<Value = (Turn, u64)> {
    use proptest::prelude::*;
    let turn = prop_oneof![
        3 => (-9000_i16..9000, 1_u64..20).prop_map(|(value, holds)| Turn::Lease(value, holds)),
        1 => Just(Turn::Nobody),
        1 => Just(Turn::Silent),
        1 => Just(Turn::Late),
        1 => (1_u8..12).prop_map(Turn::Refusing),
        1 => Just(Turn::Away),
        2 => Just(Turn::Well),
    ];
    (turn, 100_u64..15_000)
}

/// Plays turns of fortune; then everything is well again and nobody renews a lease.
async fn play(frames: Frames, turns: &[(Turn, u64)]) {
    let mut site = site(frames, |fake| fake.manners.timeout = ms(300));
    for (turn, lasts) in turns {
        let driven = |server: &Server| server.get(1, MODE) == 1;
        match *turn {
            Turn::Lease(value, holds) => _ = site.bus.lease(Some(value.into()), secs(holds), SafeState::Release),
            Turn::Nobody => _ = site.bus.leases[0].as_ref().unwrap().send_replace(Leases::new()),
            Turn::Silent => site.server.become_one_that(|_, _| Vec::new()),
            Turn::Late => {
                site.server.become_one_that(|server, asked| vec![Act::Wait(ms(450)), Act::Send(server.answer(asked))])
            }
            Turn::Refusing(code) => site.server.become_one_that(move |_, asked| exception(asked, code)),
            Turn::Away => site.away.store(true, SeqCst),
            Turn::Well => {
                site.away.store(false, SeqCst);
                site.server.recover();
            }
        }
        site.bus.during(ms(*lasts)).await;
        let kept = site.notebook.captured(&name(1), "battery").is_some();
        assert!(kept || !driven(&site.server), "driven without its own settings kept");
    }
    site.away.store(false, SeqCst);
    site.server.recover();
    site.bus.during(secs(200)).await;
    assert_eq!((site.server.get(1, MODE) == 1, site.server.get(1, OWN)), (false, 77));
    assert!(site.notebook.captured(&name(1), "battery").is_none());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_happens_a_driven_device_ends_in_its_own_settings(
        turns in proptest::collection::vec(any_turn(), 1..14),
        line in proptest::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(if line { Frames::Rtu } else { Frames::Tcp }, &turns));
    }
}
