//! Polling, seen from the hub and from the wire, in simulated time over in-memory streams.
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
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use fake::*;
use hostile::*;
use wattkeeper::bus::*;
use wattkeeper::profile::{Span, Value};

fn here() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

/// Longest time between two polls of a unit.
fn longest_gap(events: &[BusEvent], unit: u8) -> Duration {
    let sent: Vec<_> = events.iter().filter_map(|event| polled(event, unit)).map(|(sent, _)| sent).collect();
    assert!(sent.len() > 2, "hardly polled");
    sent.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_group_is_polled_at_its_own_interval_without_drift_in_one_event() {
    let server = Server::new(|server, asked| vec![Act::Wait(ms(7)), Act::Send(server.answer(asked))]);
    let mut fake = Fake::polling(secs(1), &[&[10, 11, 100], &[200]]);
    fake.groups[1].0 = secs(5);
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), vec![(1, fake)]);
    let events = bus.during(secs(60)).await;
    assert!(
        matches!(&events[0], BusEvent::Identified { points, .. } if points.len() == 4),
        "points come before values"
    );
    let of_group = |group| {
        let event = move |event: &BusEvent| match event {
            BusEvent::Polled { group: g, sent, values, .. } if *g == group => Some((sent.io, values.clone())),
            _ => None,
        };
        events.iter().filter_map(event).collect::<Vec<_>>()
    };
    let fast = of_group(0);
    assert_eq!((fast.len(), of_group(1).len()), (60, 12));
    // The first round is late by the other group's read, never more.
    assert!(fast.iter().enumerate().skip(1).all(|(n, (sent, _))| sent.since(fast[1].0 + secs(n as u64 - 1)) < ms(8)));
    assert_eq!(fast[0].1, [(0, Value::Number(10.0)), (1, Value::Number(11.0)), (2, Value::Number(100.0))]);
    assert_eq!(server.seen().len(), 60 * 2 + 12, "10 and 11 in one read, 100 in another");
    assert_eq!(links(&events, 1), [LinkState::Up], "told once");
    assert_eq!(bus.stats[0].requests(), 132);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_back_is_read_whole_at_once_however_rare_a_group_is() {
    let server = Server::good();
    let away = here();
    let mut fake = Fake::polling(secs(1), &[&[10], &[200]]);
    fake.groups[1].0 = secs(3600);
    let mut bus = Bus::on(&server, Frames::Tcp, &away, vec![(1, fake)]);
    bus.during(secs(10)).await;
    server.become_one_that(|_, _| vec![Act::Close]);
    bus.during(secs(10)).await;
    server.recover();
    let events = bus.during(secs(40)).await;
    let slow = |event: &&BusEvent| matches!(event, BusEvent::Polled { group: 1, .. });
    assert_eq!(events.iter().filter(slow).count(), 1);
    assert_eq!(links(&events, 1), [LinkState::Up]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_unit_costs_its_neighbour_at_most_its_own_time_out() {
    // On a line a failure is followed by a silence as long as the time-out.
    for (frames, cost) in [(Frames::Tcp, ms(500)), (Frames::Rtu, ms(1000))] {
        let server = Server::new(|server, asked| match asked.unit {
            1 => vec![Act::Wait(ms(5)), Act::Send(server.answer(asked))],
            _ => Vec::new(),
        });
        let units = vec![(1, Fake::polling(secs(1), &[&[10]])), (2, Fake::polling(secs(1), &[&[20], &[200]]))];
        let mut bus = Bus::on(&server, frames, &here(), units);
        let events = bus.during(secs(600)).await;
        assert!(longest_gap(&events, 1) <= secs(1) + cost + ms(20), "{frames:?}: {:?}", longest_gap(&events, 1));
        let polls = events.iter().filter(|event| polled(event, 1).is_some()).count();
        assert!(polls >= 590, "{frames:?}: {polls}");
        assert_eq!(links(&events, 2), [LinkState::Down { reason: "no answer".into() }]);
        let tries = failures(&events, 2).len();
        assert!((20..60).contains(&tries), "tried with back-off, for ever: {tries}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_never_taken_for_that_of_a_later_request() {
    for frames in [Frames::Tcp, Frames::Rtu] {
        let latency = Arc::new(AtomicU64::new(0));
        let slow = latency.clone();
        // Answers come in their own time, also when the next request is there already.
        let server =
            Server::new(move |server, asked| vec![Act::Wait(ms(slow.load(SeqCst))), Act::Send(server.answer(asked))]);
        // One register a group, all of one length: on a line nothing but order tells the answers apart.
        let fake = Fake::polling(ms(700), &[&[100], &[101], &[102], &[103]]);
        let mut bus = Bus::on(&server, frames, &here(), vec![(1, fake)]);
        let mut events = Vec::new();
        for millis in [5, 800, 5, 650, 900, 5] {
            latency.store(millis, SeqCst);
            events.extend(bus.during(secs(100)).await);
        }
        let values: Vec<(usize, Value)> =
            events.iter().filter_map(|event| polled(event, 1)).flat_map(|(_, v)| v).collect();
        assert!(values.len() > 800, "{frames:?}: {}", values.len());
        for (point, value) in values {
            assert_eq!(value, Value::Number(100.0 + point as f64), "{frames:?}");
        }
        assert!(failures(&events, 1).len() > 10, "{frames:?}: it was late indeed");
        if frames == Frames::Tcp {
            assert!(server.connections.load(SeqCst) > 10, "each time-out ended the connection");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_answers_to_a_repeated_read_are_waited_for_before_another_is_asked() {
    // Later than the repetition was sent: then two answers come, and the second must not answer what is asked next.
    for late in [1200, 1400, 1700] {
        let server = Server::new(move |server, asked| {
            let latency = if asked.n % 7 == 3 { late } else { 5 };
            vec![Act::Wait(ms(latency)), Act::Send(server.answer(asked))]
        });
        let fake = Fake::polling(ms(700), &[&[100], &[101], &[102], &[103]]);
        let mut bus = Bus::on(&server, Frames::Rtu, &here(), vec![(1, fake)]);
        let events = bus.during(secs(300)).await;
        let values: Vec<(usize, Value)> =
            events.iter().filter_map(|event| polled(event, 1)).flat_map(|(_, v)| v).collect();
        assert!(values.len() > 200, "{late} ms: {}", values.len());
        for (point, value) in values {
            assert_eq!(value, Value::Number(100.0 + point as f64), "{late} ms");
        }
        assert!(failures(&events, 1).len() > 10, "{late} ms: it was late indeed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_is_silent_after_a_failure_and_the_same_read_is_repeated_first() {
    let server = misbehaving("silent", ms(500));
    let units = vec![(1, Fake::polling(secs(1), &[&[100], &[101]])), (2, Fake::polling(ms(100), &[&[200]]))];
    let mut bus = Bus::on(&server, Frames::Rtu, &here(), units);
    bus.during(secs(4)).await;
    let seen = server.seen();
    assert!(seen[1].at - seen[0].at >= ms(1000), "a time-out, then a silence as long, whoever is next");
    let reads: Vec<u16> = seen.iter().filter(|asked| asked.unit == 1).map(|asked| asked.start).collect();
    assert_eq!(reads[..3], [100, 100, 101], "the same read first");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_tried_for_ever_with_pauses_up_to_a_minute() {
    let (server, away) = (Server::good(), Arc::new(AtomicBool::new(true)));
    let mut bus = Bus::on(&server, Frames::Tcp, &away, vec![(1, Fake::polling(secs(1), &[&[10]]))]);
    let events = bus.during(secs(24 * 3600)).await;
    let tries = bus.stats[0].errors()[ErrorKind::Connect.index()];
    assert!((24 * 60..24 * 140).contains(&tries), "{tries}");
    assert_eq!(links(&events, 1).len(), 1, "told once");
    assert!(bus.pulse.last() >= bus.clock.io() - secs(1), "it turned all the while");
    away.store(false, SeqCst);
    let events = bus.during(secs(65)).await;
    assert!(events.iter().any(|event| polled(event, 1).is_some()));
    assert_eq!(links(&events, 1), [LinkState::Up]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_is_identified_before_it_is_polled_and_again_after_it_was_away() {
    let server = Server::good();
    let mut fake = Fake::polling(secs(1), &[&[10]]);
    fake.identity = Some(7000);
    server.put(1, 7000, 1);
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), vec![(1, fake)]);
    let events = bus.during(secs(30)).await;
    assert!(events.iter().all(|event| polled(event, 1).is_none()));
    assert_eq!(links(&events, 1), [LinkState::Down { reason: "another device".into() }]);
    assert!(failures(&events, 1).iter().all(|kind| *kind == ErrorKind::Identity));
    assert!(server.seen().len() < 12, "asked with pauses");
    server.put(1, 7000, 7000);
    let events = bus.during(secs(65)).await;
    let known = events.iter().position(|event| matches!(event, BusEvent::Identified { .. })).unwrap();
    let first = events.iter().position(|event| polled(event, 1).is_some()).unwrap();
    assert!(known < first);
    server.become_one_that(|_, _| Vec::new());
    bus.during(secs(10)).await;
    server.recover();
    let events = bus.during(secs(65)).await;
    assert!(matches!(
        events.iter().find(|event| !matches!(event, BusEvent::Failed { .. })),
        Some(BusEvent::Identified { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_refused_register_is_found_and_left_out_and_the_others_are_read() {
    let server = Server::new(|server, asked| match (asked.start..asked.start + asked.count).contains(&13) {
        true => exception(asked, 2),
        false => vec![Act::Send(server.answer(asked))],
    });
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), vec![(1, Fake::polling(secs(1), &[&[10, 11, 12, 13, 14]]))]);
    let events = bus.during(secs(20)).await;
    let (_, values) = events.iter().find_map(|event| polled(event, 1)).unwrap();
    let expected =
        [10.0, 11.0, 12.0, f64::NAN, 14.0].map(|n| if n.is_nan() { Value::Invalid } else { Value::Number(n) });
    assert_eq!(values.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), expected);
    let asked = server.seen().iter().filter(|asked| (asked.start..asked.start + asked.count).contains(&13)).count();
    assert!(asked <= 4, "remembered: asked {asked} times");
    assert!(failures(&events, 1).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_busy_unit_is_waited_for_and_the_others_go_on() {
    let server =
        Server::new(|server, asked| match (asked.unit, server.seen().iter().filter(|seen| seen.unit == 2).count()) {
            (2, ..=3) => exception(asked, 6),
            _ => vec![Act::Send(server.answer(asked))],
        });
    let units = vec![(1, Fake::polling(secs(1), &[&[10]])), (2, Fake::polling(secs(1), &[&[20]]))];
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), units);
    let events = bus.during(secs(20)).await;
    assert!(longest_gap(&events, 1) <= ms(1010));
    let asked: Vec<_> = server.seen().into_iter().filter(|seen| seen.unit == 2).map(|seen| seen.at).take(4).collect();
    let pauses: Vec<u64> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_millis() as u64).collect();
    assert!(pauses.iter().zip([1000, 2000, 4000]).all(|(pause, want)| pause.abs_diff(want) < 20), "{pauses:?}");
    assert!(failures(&events, 2).is_empty());
    assert_eq!(server.connections.load(SeqCst), 1, "an exception leaves the connection");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_cannot_reach_a_unit_marks_that_unit_alone() {
    let server = Server::new(|server, asked| match asked.unit {
        2 => exception(asked, 0x0B),
        _ => vec![Act::Send(server.answer(asked))],
    });
    let units = vec![(1, Fake::polling(secs(1), &[&[10]])), (2, Fake::polling(secs(1), &[&[20]]))];
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), units);
    let events = bus.during(secs(60)).await;
    assert!(longest_gap(&events, 1) <= ms(1010));
    assert_eq!(links(&events, 2), [LinkState::Down { reason: "exception 11".into() }]);
    assert_eq!(server.connections.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_loop_turns_while_a_slow_device_is_waited_for_and_stops_between_exchanges() {
    let server = Server::new(|server, asked| vec![Act::Wait(secs(8)), Act::Send(server.answer(asked))]);
    let mut fake = Fake::polling(secs(20), &[&[10]]);
    fake.manners.timeout = secs(10);
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), vec![(1, fake)]);
    for _ in 0..60 {
        tokio::time::advance(ms(100)).await;
        tokio::task::yield_now().await;
        assert!(bus.clock.io().since(bus.pulse.last()) <= ms(1200), "{:?} {:?}", bus.clock.io(), bus.pulse.last());
    }
    bus.stop.cancel();
    let mut events = Vec::new();
    while let Some(event) = bus.events.recv().await {
        events.push(event);
    }
    assert!(events.iter().any(|event| polled(event, 1).is_some()), "the answer in flight was awaited");
    bus.task.await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn questions_are_answered_from_the_running_bus() {
    let server = Server::good();
    let mut bus = Bus::on(&server, Frames::Rtu, &here(), vec![(1, Fake::polling(secs(1), &[&[10, 100], &[200]]))]);
    let ask = async |bus: &Bus, question| {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let until = bus.clock.io() + secs(5);
        bus.asks.send(Ask { device: name(1), question, until, reply }).await.unwrap();
        answer.await.unwrap()
    };
    bus.during(secs(3)).await;
    let answer = ask(&bus, Question::Registers(Span::holding(4000, 3))).await;
    assert!(matches!(&answer, Answer::Registers(words, _) if words == &[4000, 4001, 4002]), "{answer:?}");
    let Answer::Points(points, values) = ask(&bus, Question::Points).await else { panic!() };
    assert_eq!((points.len(), values.len()), (3, 3));
    let answer = ask(&bus, Question::Registers(Span::holding(0, 126))).await;
    assert!(matches!(answer, Answer::Error(_)), "{answer:?}");
    server.become_one_that(|_, _| Vec::new());
    let answer = ask(&bus, Question::Points).await;
    assert!(matches!(answer, Answer::Error(_)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn polls_after_a_connect_are_thrown_away_where_the_device_wants_it() {
    let server = Server::good();
    let mut fake = Fake::polling(secs(1), &[&[10]]);
    fake.manners.warmup = 2;
    fake.manners.connect_delay = secs(3);
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), vec![(1, fake)]);
    let events = bus.during(ms(7500)).await;
    let first = events.iter().find_map(|event| polled(event, 1)).unwrap().0;
    assert!(first.elapsed() >= secs(5), "{first:?}");
    assert_eq!(server.seen().len() - events.iter().filter(|event| polled(event, 1).is_some()).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_to_be_held_is_closed_between_polls() {
    let server = Server::good();
    let mut fake = Fake::polling(secs(10), &[&[10]]);
    fake.manners.hold = false;
    let mut bus = Bus::on(&server, Frames::Tcp, &here(), vec![(1, fake)]);
    let events = bus.during(secs(35)).await;
    assert_eq!(events.iter().filter(|event| polled(event, 1).is_some()).count(), 4);
    assert_eq!((server.connections.load(SeqCst), server.open.load(SeqCst)), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_sleeps_at_night_is_asleep_not_down() {
    let (server, away) = (Server::good(), Arc::new(AtomicBool::new(true)));
    let mut fake = Fake::polling(secs(1), &[&[10]]);
    fake.manners.sleeps = true;
    let mut bus = Bus::on(&server, Frames::Tcp, &away, vec![(1, fake)]);
    let events = bus.during(secs(600)).await;
    assert_eq!(links(&events, 1), [LinkState::Asleep]);
    away.store(false, SeqCst);
    assert_eq!(links(&bus.during(secs(65)).await, 1), [LinkState::Up]);
}
