//! Demand: the mean import over windows that are aligned to the site's clock, integrated from grid power.
//!
//! A power holds until the next reading. A gap longer than `max_gap` is not filled: it is counted as unseen, and so is
//! the time before the first reading of a window that was joined late. Where the meter has an import counter, it corrects
//! the integral as far as its resolution goes, and vouches for gaps. Time is the site's, so that a demo whose site time
//! runs faster, and a replay, integrate the same way.

use std::time::Duration;

use super::{DemandWindow, WindowMean};
use crate::clock::SiteTime;
use crate::units::{WattHours, Watts};

/// Integrates import over one or more window lengths.
#[derive(Clone, Debug)]
pub struct DemandMeter {
    zone: jiff::tz::TimeZone,
    max_gap: Duration,
    running: Vec<Running>,
    last: Option<(SiteTime, Watts)>,
    counter: Option<WattHours>,
    /// Smallest step that the counter was seen to make: its resolution, or more than that.
    resolution: Option<WattHours>,
}

/// What outlives a restart: the windows that were running. The time without readings counts as unseen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SavedDemand {
    windows: Vec<Running>,
}

impl SavedDemand {
    /// The windows as a snapshot shows them.
    pub fn of(windows: &[DemandWindow]) -> Self {
        let running = |window: &DemandWindow| Running {
            length: window.length,
            start: Some(window.start),
            imported: window.imported,
            unseen: window.unseen,
            elapsed: window.elapsed,
            last: window.last,
            base: window.counter_at_start,
        };
        Self { windows: windows.iter().map(running).collect() }
    }
}

/// One length's window.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Running {
    length: Duration,
    start: Option<SiteTime>,
    imported: WattHours,
    unseen: Duration,
    elapsed: Duration,
    last: Option<WindowMean>,
    /// What the import counter stood at when the window began.
    #[serde(default)]
    base: Option<WattHours>,
}

impl DemandMeter {
    /// One window for each length; each must divide the hour, or be whole hours that divide the day.
    pub fn new(lengths: impl IntoIterator<Item = Duration>, zone: jiff::tz::TimeZone, max_gap: Duration) -> Self {
        let mut running: Vec<Running> =
            lengths.into_iter().filter(|length| !length.is_zero()).map(Running::new).collect();
        running.sort_by_key(|window| window.length);
        running.dedup_by_key(|window| window.length);
        Self { zone, max_gap, running, last: None, counter: None, resolution: None }
    }

    /// A reading of grid power (import positive), taken at `at`. It holds until the next one.
    pub fn observe(&mut self, at: SiteTime, power: Watts) {
        self.advance(at);
        self.last = Some((at, power));
    }

    /// A reading of the import counter, taken at `at`. Sets each window's integral right where it lies further from the
    /// counter's difference than the counter's resolution, and closes its gaps.
    pub fn count(&mut self, at: SiteTime, counter: WattHours) {
        self.advance(at);
        let step = self.counter.map(|last| counter - last);
        self.counter = Some(counter);
        if step.is_some_and(|step| step < WattHours::ZERO) {
            // It was reset or replaced: what was counted from says nothing any more.
            self.running.iter_mut().for_each(|window| window.base = None);
        }
        if let Some(step) = step.filter(|step| *step > WattHours::ZERO) {
            self.resolution = Some(self.resolution.map_or(step, |known| known.min(step)));
        }
        for window in &mut self.running {
            window.count(counter, self.resolution, self.max_gap);
        }
    }

    /// The windows as they stand at `now`: the time since the last reading is counted with its power, or as unseen
    /// where it is longer than the longest gap. One for each length, shortest first.
    pub fn windows(&self, now: SiteTime) -> Vec<DemandWindow> {
        self.running
            .iter()
            .filter_map(|window| {
                let mut window = *window;
                window.advance(now, self.last, self.max_gap, &self.zone);
                window.shown()
            })
            .collect()
    }

    /// Takes up the windows of before a restart, for the lengths that are still asked for.
    pub fn restore(&mut self, saved: &SavedDemand) {
        for window in &mut self.running {
            if let Some(old) = saved.windows.iter().find(|old| old.length == window.length) {
                *window = *old;
            }
        }
    }

    fn advance(&mut self, to: SiteTime) {
        for window in &mut self.running {
            window.advance(to, self.last, self.max_gap, &self.zone);
        }
    }
}

impl Running {
    const fn new(length: Duration) -> Self {
        Self {
            length,
            start: None,
            imported: WattHours::ZERO,
            unseen: Duration::ZERO,
            elapsed: Duration::ZERO,
            last: None,
            base: None,
        }
    }

    /// Holds the integral against the counter.
    fn count(&mut self, counter: WattHours, resolution: Option<WattHours>, max_gap: Duration) {
        match (self.base, resolution) {
            (None, _) if self.unseen.is_zero() && self.elapsed <= max_gap => self.base = Some(counter - self.imported),
            (Some(base), Some(resolution)) => {
                let counted = counter - base;
                self.imported = self.imported.clamp(counted - resolution, counted + resolution).max(WattHours::ZERO);
                self.unseen = Duration::ZERO;
            }
            _ => {}
        }
    }

    /// Lets the time up to `to` pass, at the power of the last reading where it is recent enough.
    fn advance(&mut self, to: SiteTime, last: Option<(SiteTime, Watts)>, max_gap: Duration, zone: &jiff::tz::TimeZone) {
        let power = last.and_then(|(at, power)| (between(at, to) <= max_gap && at <= to).then_some(power));
        let Some(mut start) = self.start else { return self.join(to, zone) };
        let mut from = start + self.elapsed;
        // The clock stepped back, or a whole window passed unseen.
        if to < start || (power.is_none() && between(from, to) > self.length) {
            return self.join(to, zone);
        }
        while to >= start + self.length {
            self.pass(between(from, start + self.length), power);
            self.last = self.mean(start);
            start += self.length;
            from = start;
            *self = Self { start: Some(start), last: self.last, ..Self::new(self.length) };
        }
        // A small step back of the clock passes no time.
        self.pass(between(from, to), power);
    }

    fn pass(&mut self, time: Duration, power: Option<Watts>) {
        self.elapsed += time;
        match power {
            Some(power) => self.imported += power.max(Watts::ZERO).over(time),
            None => self.unseen += time,
        }
    }

    /// Begins in the middle of a window whose beginning was not seen.
    fn join(&mut self, at: SiteTime, zone: &jiff::tz::TimeZone) {
        let start = aligned(at, self.length, zone);
        let missed = between(start, at);
        *self = Self { start: Some(start), unseen: missed, elapsed: missed, ..Self::new(self.length) };
    }

    fn mean(&self, start: SiteTime) -> Option<WindowMean> {
        let seen = self.length.saturating_sub(self.unseen);
        (!seen.is_zero()).then(|| WindowMean { start, mean: self.imported.per(seen), unseen: self.unseen })
    }

    fn shown(&self) -> Option<DemandWindow> {
        Some(DemandWindow {
            length: self.length,
            start: self.start?,
            imported: self.imported,
            unseen: self.unseen,
            elapsed: self.elapsed,
            counter_at_start: self.base,
            last: self.last,
        })
    }
}

/// The start of the window that `at` lies in, on the wall clock of the zone.
fn aligned(at: SiteTime, length: Duration, zone: &jiff::tz::TimeZone) -> SiteTime {
    let length = i128::try_from(length.as_nanos()).unwrap_or(i128::MAX).max(1);
    let local = at.as_nanosecond() + i128::from(zone.to_offset(at).seconds()) * 1_000_000_000;
    SiteTime::from_nanosecond(at.as_nanosecond() - local.rem_euclid(length)).unwrap_or(at)
}

/// From `early` to `late`; zero when they are the other way round.
fn between(early: SiteTime, late: SiteTime) -> Duration {
    Duration::try_from(late.duration_since(early)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: Duration = Duration::from_secs(900);
    const GAP: Duration = Duration::from_secs(10);

    fn meter() -> DemandMeter {
        DemandMeter::new([QUARTER], jiff::tz::TimeZone::UTC, GAP)
    }

    fn t(text: &str) -> SiteTime {
        format!("2026-03-02T{text}Z").parse().unwrap()
    }

    fn run(meter: &mut DemandMeter, from: &str, seconds: u64, power: f64) {
        (0..seconds).for_each(|s| meter.observe(t(from) + Duration::from_secs(s), Watts::new(power)));
    }

    fn one(meter: &DemandMeter, now: SiteTime) -> DemandWindow {
        meter.windows(now)[0]
    }

    #[test]
    fn a_window_joined_late_counts_its_beginning_as_unseen_and_the_next_one_is_whole() {
        let mut meter = meter();
        run(&mut meter, "12:05:00", 600, 60_000.0);
        let first = one(&meter, t("12:14:59"));
        assert_eq!((first.start, first.unseen), (t("12:00:00"), Duration::from_secs(300)));
        assert!((first.imported.watt_hours() - 60_000.0 * 599.0 / 3600.0).abs() < 1e-6);
        assert_eq!(first.left(), Duration::from_secs(1));
        run(&mut meter, "12:15:00", 60, 30_000.0);
        let second = one(&meter, t("12:16:00"));
        assert_eq!((second.start, second.unseen), (t("12:15:00"), Duration::ZERO));
        assert!((second.imported.watt_hours() - 500.0).abs() < 1e-6, "one minute at 30 kW");
        let last = second.last.unwrap();
        assert_eq!((last.start, last.unseen), (t("12:00:00"), Duration::from_secs(300)));
        assert!((last.mean.watts() - 60_000.0).abs() < 1e-6, "the mean over what was seen");
    }

    #[test]
    fn export_is_no_import_and_does_not_pay_it_back() {
        let mut meter = meter();
        run(&mut meter, "12:00:00", 60, 6000.0);
        run(&mut meter, "12:01:00", 60, -60_000.0);
        assert!((one(&meter, t("12:02:00")).imported.watt_hours() - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_gap_is_unseen_as_a_whole_and_a_short_one_is_held() {
        let mut meter = meter();
        run(&mut meter, "12:00:00", 1, 3600.0);
        assert!((one(&meter, t("12:00:10")).imported.watt_hours() - 10.0).abs() < 1e-6, "held for ten seconds");
        let late = one(&meter, t("12:00:11"));
        assert_eq!((late.imported, late.unseen), (WattHours::ZERO, Duration::from_secs(11)));
        meter.observe(t("12:01:00"), Watts::new(3600.0));
        let after = one(&meter, t("12:01:05"));
        assert_eq!((after.elapsed, after.unseen), (Duration::from_secs(65), Duration::from_secs(60)));
        assert!((after.imported.watt_hours() - 5.0).abs() < 1e-6);
    }

    #[test]
    fn a_power_held_over_the_boundary_is_split_there() {
        let mut meter = meter();
        run(&mut meter, "12:00:00", 896, 3600.0);
        meter.observe(t("12:15:04"), Watts::ZERO);
        let window = one(&meter, t("12:15:04"));
        assert!((window.imported.watt_hours() - 4.0).abs() < 1e-6);
        assert!((window.last.unwrap().mean.watts() - 3600.0).abs() < 1e-6);
    }

    #[test]
    fn days_without_a_reading_start_afresh_and_a_clock_set_back_too() {
        let mut meter = meter();
        run(&mut meter, "12:00:00", 30, 3600.0);
        meter.observe("2026-03-09T08:07:00Z".parse().unwrap(), Watts::new(3600.0));
        let window = one(&meter, "2026-03-09T08:07:00Z".parse().unwrap());
        assert_eq!((window.imported, window.unseen), (WattHours::ZERO, Duration::from_secs(420)));
        assert_eq!(window.last, None);
        meter.observe(t("08:01:00"), Watts::new(3600.0));
        assert_eq!(one(&meter, t("08:01:00")).start, t("08:00:00"));
    }

    #[test]
    fn windows_follow_the_clock_of_the_zone() {
        let half = Duration::from_secs(1800);
        let zone = jiff::tz::TimeZone::get("Asia/Kathmandu").unwrap();
        let mut meter = DemandMeter::new([half, QUARTER, half], zone, GAP);
        meter.observe(t("12:20:00"), Watts::ZERO);
        let windows = meter.windows(t("12:20:00"));
        assert_eq!(windows.iter().map(|w| w.length).collect::<Vec<_>>(), [QUARTER, half], "one each");
        assert_eq!(windows[1].start, t("12:15:00"), "18:00 there");
    }

    #[test]
    fn the_counter_corrects_what_the_powers_missed_and_vouches_for_a_gap() {
        let mut meter = meter();
        meter.observe(t("12:00:00"), Watts::new(36_000.0));
        meter.count(t("12:00:00"), WattHours::new(5000.0));
        // The powers say 10 Wh a second; the counter, which shows 10 Wh, says 11.
        for second in 1..=100 {
            let at = t("12:00:00") + Duration::from_secs(second);
            meter.observe(at, Watts::new(36_000.0));
            meter.count(at, WattHours::new(5000.0 + 10.0 * (second as f64 * 1.1).floor()));
        }
        assert!((one(&meter, t("12:01:40")).imported.watt_hours() - 1090.0).abs() < 1e-6, "1100 less its resolution");
        meter.observe(t("12:05:00"), Watts::ZERO);
        assert_eq!(one(&meter, t("12:05:00")).unseen, Duration::from_secs(200));
        meter.count(t("12:05:00"), WattHours::new(8000.0));
        let window = one(&meter, t("12:05:00"));
        assert_eq!((window.unseen, window.imported), (Duration::ZERO, WattHours::new(2990.0)));
    }

    #[test]
    fn a_counter_that_was_reset_or_joined_late_corrects_nothing() {
        let mut meter = meter();
        run(&mut meter, "12:01:00", 60, 36_000.0);
        meter.count(t("12:02:00"), WattHours::new(5000.0));
        meter.count(t("12:02:01"), WattHours::new(5900.0));
        assert_eq!(one(&meter, t("12:02:01")).unseen, Duration::from_secs(60), "its beginning was not counted");
        run(&mut meter, "12:14:55", 10, 36_000.0);
        meter.count(t("12:15:05"), WattHours::new(7000.0));
        meter.count(t("12:15:06"), WattHours::new(3.0));
        meter.count(t("12:15:07"), WattHours::new(5.0));
        assert!((one(&meter, t("12:15:07")).imported.watt_hours() - 70.0).abs() < 11.0, "7 s at 36 kW");
    }

    #[test]
    fn a_restart_keeps_the_window_and_counts_its_own_time_as_unseen() {
        let mut before = meter();
        run(&mut before, "12:00:00", 121, 6000.0);
        let saved = serde_json::to_string(&SavedDemand::of(&before.windows(t("12:02:00")))).unwrap();
        let mut after = meter();
        after.restore(&serde_json::from_str(&saved).unwrap());
        after.observe(t("12:04:00"), Watts::new(6000.0));
        let window = one(&after, t("12:04:00"));
        assert!((window.imported.watt_hours() - 200.0).abs() < 1e-6);
        assert_eq!((window.unseen, window.elapsed), (Duration::from_secs(120), Duration::from_secs(240)));
    }
}
