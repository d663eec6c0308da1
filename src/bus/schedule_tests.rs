use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> IoTime {
    IoTime::after_start(ms(millis))
}

fn known(intervals: &[&[u64]]) -> Schedule {
    let mut schedule = Schedule::new(intervals.iter().map(|unit| unit.iter().map(|m| ms(*m)).collect()), at(0));
    (0..intervals.len()).for_each(|unit| schedule.known(unit, true));
    schedule
}

/// One exchange of `took`, as the task reports it.
fn exchange(schedule: &mut Schedule, action: Action, now: IoTime, took: Duration, answers: bool) -> IoTime {
    let end = now + took;
    let unit = match action {
        Action::Poll(unit, group) => {
            schedule.started(unit, group, now);
            schedule.finished(unit);
            unit
        }
        Action::Identify(unit) => {
            schedule.known(unit, answers);
            schedule.identify_at(unit, end);
            unit
        }
        Action::Write(unit) => {
            schedule.write_at(unit, None);
            unit
        }
        Action::Answer(unit) => {
            schedule.asked(unit, None);
            unit
        }
        Action::Wait(until) => return until,
    };
    if answers {
        schedule.heard(unit, end, Duration::ZERO)
    } else {
        schedule.silent(unit, end, took)
    }
    end
}

#[test]
fn a_group_keeps_to_its_grid_and_skips_what_it_missed() {
    assert_eq!(following(at(0), ms(1000), at(3)), at(1000));
    assert_eq!(following(at(1000), ms(1000), at(2500)), at(3000));
    assert_eq!(following(at(1000), ms(1000), at(3000)), at(4000));
    let mut schedule = known(&[&[1000]]);
    let (mut now, mut polls) = (at(0), Vec::new());
    while now < at(10_000) {
        let action = schedule.next(now);
        if matches!(action, Action::Poll(..)) {
            polls.push(now);
        }
        now = exchange(&mut schedule, action, now, ms(7), true);
    }
    assert_eq!(polls, (0..10).map(|n| at(n * 1000)).collect::<Vec<_>>());
}

#[test]
fn a_write_goes_before_the_reads_that_are_due_and_a_question_between_them() {
    let mut schedule = known(&[&[1000], &[1000]]);
    schedule.asked(0, Some(at(0)));
    schedule.write_at(1, Some(at(5)));
    assert_eq!(schedule.next(at(5)), Action::Write(1));
    schedule.write_at(1, None);
    assert_eq!(schedule.next(at(6)), Action::Answer(0));
    assert_eq!(schedule.next(at(7)), Action::Poll(0, 0), "a second question in a row waits");
    schedule.started(0, 0, at(7));
    schedule.asked(0, None);
    schedule.write_at(0, Some(at(8)));
    assert_eq!(schedule.next(at(8)), Action::Write(0), "also between two reads of one group");
    schedule.write_at(0, None);
    assert_eq!(schedule.next(at(9)), Action::Poll(0, 0), "which then goes on");
}

#[test]
fn an_unknown_unit_is_identified_before_it_is_written_to() {
    let mut schedule = known(&[&[1000]]);
    schedule.known(0, false);
    schedule.write_at(0, Some(at(0)));
    assert_eq!(schedule.next(at(0)), Action::Identify(0));
}

#[test]
fn a_silent_unit_is_left_alone_for_longer_and_longer_and_tried_with_all_its_groups() {
    let mut schedule = known(&[&[1000, 2000]]);
    let (mut now, mut tries) = (at(0), Vec::new());
    while now < at(400_000) {
        let action = schedule.next(now);
        if let Action::Poll(_, group) = action {
            tries.push((now, group));
        }
        now = exchange(&mut schedule, action, now, ms(500), false);
    }
    let pauses: Vec<Duration> = tries.windows(2).map(|pair| pair[1].0.since(pair[0].0)).collect();
    assert!(pauses.iter().all(|pause| *pause <= ms(500) + SILENT_CAP + REST), "{pauses:?}");
    assert!(tries.len() < 35, "{}", tries.len());
    assert!(tries.iter().any(|(_, group)| *group == 1) && tries.iter().any(|(_, group)| *group == 0));
}

proptest! {
    /// Units with random groups on a bus that is often too slow for them; some units never answer.
    #[test]
    fn nobody_starves_and_the_silent_take_no_more_than_their_share(
        units in proptest::collection::vec((proptest::collection::vec(50_u64..5000, 1..4), prop::bool::weighted(0.3)), 1..6),
        took in 1_u64..80,
        timeout in 100_u64..2000,
    ) {
        let intervals: Vec<&[u64]> = units.iter().map(|(groups, _)| groups.as_slice()).collect();
        let mut schedule = known(&intervals);
        let groups: usize = units.iter().map(|(groups, _)| groups.len()).sum();
        let silent_units = units.iter().filter(|(_, silent)| *silent).count();
        let end = at(300_000);
        let (mut now, mut silent_time) = (at(0), Duration::ZERO);
        let mut last: BTreeMap<(usize, usize), IoTime> = BTreeMap::new();
        let mut worst: BTreeMap<(usize, usize), Duration> = BTreeMap::new();
        while now < end {
            let action = schedule.next(now);
            let mut answers = true;
            if let Action::Poll(unit, group) = action {
                answers = !units[unit].1;
                let gap = now.since(last.insert((unit, group), now).unwrap_or(at(0)));
                let worst = worst.entry((unit, group)).or_default();
                *worst = gap.max(*worst);
            }
            let next = exchange(&mut schedule, action, now, ms(if answers { took } else { timeout }), answers);
            prop_assert!(next > now, "time stands still at {action:?}");
            if !answers {
                silent_time += next.since(now);
            }
            now = next;
        }
        // First tries are not bounded by the share: one time-out a silent unit.
        let first = ms(timeout) * u32::try_from(silent_units).unwrap_or(0);
        prop_assert!(silent_time <= end.elapsed() / 5 + first * 2, "{silent_time:?}");
        for (u, (intervals, silent)) in units.iter().enumerate() {
            for (g, every) in intervals.iter().enumerate() {
                let gap = worst.get(&(u, g)).copied();
                prop_assert!(gap.is_some(), "unit {u} group {g} was never tried");
                if !silent {
                    // One round of everybody else, and one time-out of each silent unit.
                    let bound = ms(*every) + ms(took) * u32::try_from(groups).unwrap_or(0) * 2 + first * 2;
                    prop_assert!(gap <= Some(bound), "unit {u} group {g}: {gap:?} > {bound:?}");
                }
            }
        }
    }
}
