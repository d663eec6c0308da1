//! A true meter at the connection point: energy, demand windows, the bill.

use std::time::Duration;

use crate::clock::SiteTime;
use crate::config::Tariff;
use crate::units::{WattHours, Watts};

/// Energy and demand at the connection point since the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// Length of a demand window.
    pub window: Duration,
    /// Imported.
    pub imported: WattHours,
    /// Exported, positive.
    pub exported: WattHours,
    /// Complete windows: their beginning and mean import, oldest first.
    pub windows: Vec<(SiteTime, Watts)>,
    /// The running window: its beginning, import so far and how much of it was seen.
    running: Option<(SiteTime, WattHours, Duration)>,
    offset: Duration,
}

impl Ledger {
    /// Windows are aligned to the clock of a place this far ahead of UTC (modulo the window).
    pub fn new(window: Duration, offset: Duration) -> Self {
        Self {
            window,
            imported: WattHours::ZERO,
            exported: WattHours::ZERO,
            windows: Vec::new(),
            running: None,
            offset,
        }
    }

    /// Books a power (import positive) over a time.
    pub fn add(&mut self, from: SiteTime, time: Duration, grid: Watts) {
        let (import, export) = (grid.max(Watts::ZERO), (-grid).max(Watts::ZERO));
        self.imported += import.over(time);
        self.exported += export.over(time);
        let (mut at, mut left) = (from, time);
        while left > Duration::ZERO {
            let into = self.offset_in_window(at);
            let part = left.min(self.window - into);
            let start = at - into;
            match &mut self.running {
                Some((began, energy, seen)) if *began == start => {
                    *energy += import.over(part);
                    *seen += part;
                }
                other => *other = Some((start, import.over(part), part)),
            }
            if let Some((began, energy, seen)) = self.running
                && into + part == self.window
            {
                // A window whose beginning was not seen has no true mean.
                if seen == self.window {
                    self.windows.push((began, energy.per(self.window)));
                }
                self.running = None;
            }
            at += part;
            left -= part;
        }
    }

    /// The highest complete window.
    pub fn peak(&self) -> Watts {
        self.windows.iter().map(|(_, mean)| *mean).fold(Watts::ZERO, Watts::max)
    }

    /// What this costs: energy, and the peak's demand charge.
    pub fn cost(&self, tariff: &Tariff) -> f64 {
        let price = |price: Option<f64>, amount: f64| price.unwrap_or(0.0) * amount / 1000.0;
        price(tariff.import, self.imported.watt_hours()) - price(tariff.export, self.exported.watt_hours())
            + price(tariff.demand_charge, self.peak().watts())
    }

    fn offset_in_window(&self, at: SiteTime) -> Duration {
        let window = i128::try_from(self.window.as_nanos()).unwrap_or(i128::MAX).max(1);
        let offset = i128::try_from(self.offset.as_nanos()).unwrap_or(0);
        let into = (at.as_nanosecond() + offset).rem_euclid(window);
        Duration::from_nanos(u64::try_from(into).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> SiteTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_step_over_a_window_border_is_split() {
        let mut ledger = Ledger::new(Duration::from_secs(900), Duration::ZERO);
        ledger.add(time("2026-04-14T10:05:00Z"), Duration::from_secs(600), Watts::kw(90.0));
        assert_eq!(ledger.windows, [], "the first window's beginning was not seen");
        ledger.add(time("2026-04-14T10:15:00Z"), Duration::from_secs(600), Watts::kw(60.0));
        ledger.add(time("2026-04-14T10:25:00Z"), Duration::from_secs(600), Watts::kw(-30.0));
        assert_eq!(ledger.windows, [(time("2026-04-14T10:15:00Z"), Watts::kw(40.0))]);
        assert_eq!(ledger.imported, WattHours::kwh(25.0));
        assert_eq!(ledger.exported, WattHours::kwh(5.0));
        assert_eq!(ledger.peak(), Watts::kw(40.0));
        let tariff = Tariff { import: Some(0.3), export: Some(0.1), demand_charge: Some(10.0), ..Tariff::default() };
        assert!((ledger.cost(&tariff) - (7.5 - 0.5 + 400.0)).abs() < 1e-9);
    }

    #[test]
    fn windows_follow_the_clock_of_the_place() {
        let mut ledger = Ledger::new(Duration::from_secs(1800), Duration::from_secs(20_700)); // Nepal: +05:45
        ledger.add(time("2026-04-14T00:15:00Z"), Duration::from_secs(1800), Watts::kw(1.0));
        assert_eq!(ledger.windows, [(time("2026-04-14T00:15:00Z"), Watts::kw(1.0))]);
    }
}
