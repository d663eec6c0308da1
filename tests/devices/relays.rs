//! Relay boards: coils, command words, contacts that open by themselves.

use std::time::Duration;

use wattkeeper::bus::{SafeState, SetpointState};
use wattkeeper::sim::Table::{Coil, Holding};
use wattkeeper::sim::device::{Behaviour, TableDevice};
use wattkeeper::sim::{Exception, Registers, Table};

use crate::bench::{Bench, secs};

/// eletechsup: 0x01.. on, 0x02.. off (ignored while a time runs), 0x06ss on for ss seconds (0: off at once); reads 1 or 0.
#[derive(Default)]
struct Commands {
    left: [Option<Duration>; 9],
}

impl Behaviour for Commands {
    fn write(
        &mut self,
        registers: &mut Registers,
        _: Table,
        start: u16,
        words: &[u16],
    ) -> Option<Result<(), Exception>> {
        let ([word], Some(left)) = (words, self.left.get_mut(usize::from(start)).filter(|_| start > 0)) else {
            return Some(Err(Exception::Address));
        };
        let closed = match (word >> 8, word & 0xFF) {
            (1, 0) => 1,
            (2, 0) if left.is_some() => return Some(Ok(())),
            (2, 0) => 0,
            (6, 0) => {
                *left = None;
                0
            }
            (6, seconds) => {
                *left = Some(secs(seconds.into()));
                1
            }
            _ => return Some(Err(Exception::Value)),
        };
        registers.put(Holding, start, &[closed]);
        Some(Ok(()))
    }

    fn pass(&mut self, registers: &mut Registers, time: Duration) {
        for (at, left) in (0..).zip(&mut self.left) {
            *left = left.map(|left| left.saturating_sub(time));
            if *left == Some(Duration::ZERO) {
                *left = None;
                registers.put(Holding, at, &[0]);
            }
        }
    }
}

fn board() -> TableDevice {
    TableDevice::default().holds(Holding, 1, &[0, 1, 0, 0, 0, 0, 0, 0]).behaves(Commands::default())
}

#[tokio::test(start_paused = true)]
async fn a_board_of_commands_is_read_back_as_what_it_shows() {
    let mut bench = Bench::new("eletechsup-relay-8", board());
    bench.during(secs(5)).await;
    bench.lease("relay-1", 1.0, secs(30), SafeState::Release);
    bench.lease("relay-2", 0.0, secs(30), SafeState::Release);
    let states = bench.during(secs(10)).await;
    assert_eq!(states.iter().filter(|state| **state == SetpointState::Confirmed).count(), 2, "{states:?}");
    assert_eq!((bench.register(Holding, 1), bench.register(Holding, 2)), (1, 0));
    // Nobody renews them: each goes back to where it was.
    let states = bench.during(secs(30)).await;
    assert_eq!(states.iter().filter(|state| **state == SetpointState::SafeConfirmed).count(), 2, "{states:?}");
    assert_eq!((bench.register(Holding, 1), bench.register(Holding, 2)), (0, 1));
    let mut writes = bench.writes();
    writes.sort();
    assert_eq!(writes, [(1, vec![0x0100]), (1, vec![0x0200]), (2, vec![0x0100]), (2, vec![0x0200])]);
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_switched_by_hand_is_told_again() {
    let mut bench = Bench::new("eletechsup-relay-8", board());
    bench.drive("relay-1", 1.0);
    bench.during(secs(10)).await;
    bench.device.lock().unwrap().put(Holding, 1, &[0]);
    let states = bench.during(secs(180)).await;
    assert!(states.iter().any(|state| matches!(state, SetpointState::Failed(_))), "it was seen: {states:?}");
    assert_eq!(bench.register(Holding, 1), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timed_contact_is_held_by_refreshes_and_opens_without_us() {
    let mut bench = Bench::new("eletechsup-relay-8-timed", board());
    bench.drive("relay-3", 1.0);
    bench.during(secs(600)).await;
    assert_eq!(bench.register(Holding, 3), 1);
    let writes = bench.writes();
    assert!((19..=22).contains(&writes.len()), "each 30 s: {}", writes.len());
    bench.release();
    let states = bench.during(secs(5)).await;
    assert_eq!(states.last(), Some(&SetpointState::SafeConfirmed));
    assert_eq!((bench.register(Holding, 3), bench.writes().last()), (0, Some(&(3, vec![0x0600]))), "at once");
    bench.drive("relay-3", 1.0);
    bench.during(secs(45)).await;
    bench.crash();
    bench.during(secs(60)).await;
    assert_eq!(bench.register(Holding, 3), 1);
    bench.during(secs(40)).await;
    assert_eq!(bench.register(Holding, 3), 0);
}

#[tokio::test(start_paused = true)]
async fn boards_of_coils_go_back_to_where_they_were_and_stay_when_we_die() {
    for id in ["lc-relay-8", "waveshare-relay-8"] {
        let board = TableDevice::default().holds(Coil, 0, &[0, 0, 0, 0, 0, 0, 0, 1]).takes(Coil, 0, 8);
        let mut bench = Bench::new(id, board);
        bench.lease("relay-8", 0.0, secs(20), SafeState::Release);
        bench.drive("relay-1", 1.0);
        bench.during(secs(15)).await;
        assert_eq!((bench.register(Coil, 0), bench.register(Coil, 7)), (1, 0), "{id}");
        bench.during(secs(15)).await;
        assert_eq!((bench.register(Coil, 0), bench.register(Coil, 7)), (1, 1), "{id}");
        bench.crash();
        bench.during(secs(3600)).await;
        assert_eq!(bench.register(Coil, 0), 1, "{id} has no watchdog");
    }
}
