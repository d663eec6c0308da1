//! What it came to: energy, demand, the bill with and without the batteries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Row, Step};
use crate::clock::SiteTime;
use crate::config::{Config, DemandPeriod, Rule};
use crate::state::DemandMeter;
use crate::units::{WattHours, Watts};

/// Less than this above a limit is not counted: the meter's own error.
const SLACK: f64 = 0.005;
/// Demand window of a site whose rules name none.
const WINDOW: Duration = Duration::from_secs(900);

/// What a replay came to. Energies in kWh, powers in kW, money in the site's currency.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// First step's start.
    pub from: String,
    /// Steps.
    pub steps: u64,
    /// Length of a step.
    pub step_seconds: f64,
    /// Currency, where the tariff names one.
    pub currency: Option<Arc<str>>,
    /// What the building used.
    pub load_kwh: f64,
    /// What PV gave.
    pub pv_kwh: f64,
    /// What PV would have given more.
    pub pv_curtailed_kwh: f64,
    /// As it ran.
    pub with_battery: Side,
    /// As it would have been without any battery.
    pub without_battery: Side,
    /// What the batteries saved.
    pub saved: f64,
    /// Share of PV that was used at the site.
    pub self_consumption: Option<f64>,
    /// Share of the load that did not come from the grid.
    pub self_sufficiency: Option<f64>,
    /// Full cycles of the usable energy.
    pub cycles: f64,
    /// What nobody could serve in blackouts.
    pub unserved_kwh: f64,
    /// Each billing period's highest demand window.
    pub peaks: Vec<Peak>,
    /// Seconds that each rule set the target; `none` = no rule did.
    pub rule_seconds: BTreeMap<String, f64>,
    /// Limits that were broken.
    pub broken: Vec<Broken>,
}

/// The bill of one case.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Side {
    /// Imported energy.
    pub import_kwh: f64,
    /// Exported energy.
    pub export_kwh: f64,
    /// Paid for imported energy.
    pub energy_cost: f64,
    /// Got for exported energy.
    pub feed_in: f64,
    /// Paid for demand.
    pub demand_cost: f64,
    /// All together.
    pub bill: f64,
}

/// One billing period's peak.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Peak {
    /// `2026-03`, `2026` or `term`.
    pub period: String,
    /// As it ran.
    pub with_battery_kw: f64,
    /// Without any battery.
    pub without_battery_kw: f64,
}

/// A limit that was broken.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Broken {
    /// `import` or `export`.
    pub limit: &'static str,
    /// Why.
    pub why: &'static str,
    /// For so long.
    pub seconds: f64,
    /// By at most so much.
    pub most_kw: f64,
    /// By so much energy.
    pub energy_kwh: f64,
}

/// Books step by step.
#[derive(Clone, Debug)]
pub struct Book {
    zone: jiff::tz::TimeZone,
    period: DemandPeriod,
    prices: (f64, f64),
    demand_charge: f64,
    step: Duration,
    usable: WattHours,
    moved: WattHours,
    windows: [DemandMeter; 2],
    counted: [Option<SiteTime>; 2],
    peaks: BTreeMap<String, [Watts; 2]>,
    broken: BTreeMap<(&'static str, &'static str), Broken>,
    summary: Summary,
}

impl Book {
    /// An empty book. `usable` is the batteries' energy between their SoC limits.
    pub fn new(config: &Config, step: Duration, usable: WattHours) -> Self {
        let window = config.rules.iter().filter_map(|rule| match rule.rule {
            Rule::PeakShaving { window, .. } => window,
            _ => None,
        });
        let window = window.max().unwrap_or(WINDOW);
        let zone = config.site.time_zone.clone();
        let meter = || DemandMeter::new([window], zone.clone(), step);
        let summary = Summary {
            from: String::new(),
            steps: 0,
            step_seconds: step.as_secs_f64(),
            currency: config.tariff.currency.clone(),
            load_kwh: 0.0,
            pv_kwh: 0.0,
            pv_curtailed_kwh: 0.0,
            with_battery: Side::default(),
            without_battery: Side::default(),
            saved: 0.0,
            self_consumption: None,
            self_sufficiency: None,
            cycles: 0.0,
            unserved_kwh: 0.0,
            peaks: Vec::new(),
            rule_seconds: BTreeMap::new(),
            broken: Vec::new(),
        };
        Self {
            period: config.tariff.demand_period,
            prices: (config.tariff.import.unwrap_or(0.0), config.tariff.export.unwrap_or(0.0)),
            demand_charge: config.tariff.demand_charge.unwrap_or(0.0),
            step,
            usable,
            moved: WattHours::ZERO,
            windows: [meter(), meter()],
            counted: [None, None],
            peaks: BTreeMap::new(),
            broken: BTreeMap::new(),
            summary,
            zone,
        }
    }

    /// Books one row and what came of it.
    pub fn add(&mut self, row: &Row, made: &Step) {
        let kwh = |power: Watts| power.over(self.step).watt_hours() / 1000.0;
        let summary = &mut self.summary;
        if summary.steps == 0 {
            summary.from = row.stamp.to_string();
        }
        summary.steps += 1;
        summary.load_kwh += kwh(row.load);
        summary.pv_kwh += kwh(made.pv);
        summary.pv_curtailed_kwh += kwh(row.pv - made.pv);
        summary.unserved_kwh += kwh(made.unserved);
        let rule = made.rule.as_deref().unwrap_or("none");
        match summary.rule_seconds.get_mut(rule) {
            Some(seconds) => *seconds += self.step.as_secs_f64(),
            None => drop(summary.rule_seconds.insert(rule.to_owned(), self.step.as_secs_f64())),
        }
        self.moved += made.batteries.iter().map(|(_, power)| power.abs().over(self.step)).sum();

        let alone = if row.grid { row.load - row.pv } else { Watts::ZERO };
        // Without a battery, too, no more is exported than is allowed.
        let alone = made.limits.1.map_or(alone, |least| alone.max(least));
        let prices = (row.import_price.unwrap_or(self.prices.0), row.export_price.unwrap_or(self.prices.1));
        for (side, grid) in [(&mut summary.with_battery, made.grid), (&mut summary.without_battery, alone)] {
            let (import, export) = (kwh(grid.max(Watts::ZERO)), kwh((-grid).max(Watts::ZERO)));
            side.import_kwh += import;
            side.export_kwh += export;
            side.energy_cost += import * prices.0;
            side.feed_in += export * prices.1;
        }
        self.windows.iter_mut().zip([made.grid, alone]).for_each(|(meter, grid)| meter.observe(row.at, grid));
        self.count(row.at);
        self.check(made);
    }

    /// Closes the book.
    pub fn close(mut self, last: Option<&Row>) -> Summary {
        if let Some(last) = last {
            self.count(last.at + self.step);
        }
        let mut summary = self.summary;
        for (period, [with, without]) in self.peaks {
            let (with_battery_kw, without_battery_kw) = (with.watts() / 1000.0, without.watts() / 1000.0);
            summary.with_battery.demand_cost += with_battery_kw * self.demand_charge;
            summary.without_battery.demand_cost += without_battery_kw * self.demand_charge;
            summary.peaks.push(Peak { period, with_battery_kw, without_battery_kw });
        }
        for side in [&mut summary.with_battery, &mut summary.without_battery] {
            side.bill = side.energy_cost + side.demand_cost - side.feed_in;
        }
        summary.saved = summary.without_battery.bill - summary.with_battery.bill;
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0));
        summary.self_consumption = share(summary.pv_kwh - summary.with_battery.export_kwh, summary.pv_kwh);
        summary.self_sufficiency = share(summary.load_kwh - summary.with_battery.import_kwh, summary.load_kwh);
        summary.cycles = share_of(self.moved, self.usable) / 2.0;
        summary.broken = self.broken.into_values().collect();
        summary
    }

    /// Takes in the windows that are complete at `now`.
    fn count(&mut self, now: SiteTime) {
        for (index, (meter, counted)) in self.windows.iter().zip(&mut self.counted).enumerate() {
            let Some(last) = meter.windows(now).first().and_then(|window| window.last) else { continue };
            // A window whose beginning lies before the record is no window.
            if *counted >= Some(last.start) || !last.unseen.is_zero() {
                continue;
            }
            *counted = Some(last.start);
            let local = self.zone.to_datetime(last.start);
            let period = match self.period {
                DemandPeriod::Month => format!("{:04}-{:02}", local.year(), local.month()),
                DemandPeriod::Year => format!("{:04}", local.year()),
                DemandPeriod::Term => "term".to_owned(),
            };
            if let Some(peak) = self.peaks.entry(period).or_default().get_mut(index) {
                *peak = peak.max(last.mean);
            }
        }
    }

    fn check(&mut self, made: &Step) {
        let slack = |limit: Watts| limit.abs() * SLACK + Watts::new(50.0);
        let over = |limit: Option<Watts>, grid: Watts| limit.map(|limit| (grid - limit, slack(limit)));
        let import = over(made.limits.0, made.grid).map(|over| ("import", over));
        let export = over(made.limits.1.map(|least| -least), -made.grid).map(|over| ("export", over));
        for (limit, (over, slack)) in [import, export].into_iter().flatten() {
            if over <= slack {
                continue;
            }
            let told: Watts = made.batteries.iter().filter_map(|(told, _)| *told).sum();
            let does: Watts = made.batteries.iter().map(|(_, power)| *power).sum();
            let why = if (told - does).abs() > slack {
                "the batteries were on their way"
            } else {
                "more than the batteries have"
            };
            let entry = self.broken.entry((limit, why)).or_insert(Broken {
                limit,
                why,
                seconds: 0.0,
                most_kw: 0.0,
                energy_kwh: 0.0,
            });
            entry.seconds += self.step.as_secs_f64();
            entry.most_kw = entry.most_kw.max(over.watts() / 1000.0);
            entry.energy_kwh += over.over(self.step).watt_hours() / 1000.0;
        }
    }
}

fn share_of(part: WattHours, whole: WattHours) -> f64 {
    if whole > WattHours::ZERO { part.watt_hours() / whole.watt_hours() } else { 0.0 }
}
