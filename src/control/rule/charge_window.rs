//! `charge-window`: charge at certain hours, up to a SoC.

use std::time::Duration;

use super::super::site::Site;
use super::Wish;
use crate::config::{TimeOfDay, Weekdays};
use crate::units::{Soc, WattHours, Watts};

const DAY: i64 = 24 * 3600;

pub(in super::super) fn wish(
    from: TimeOfDay,
    to: TimeOfDay,
    days: Weekdays,
    soc: Soc,
    power: Option<Watts>,
    site: &Site<'_>,
) -> Option<Wish> {
    if !site.snapshot.clock_trusted {
        return None;
    }
    let left = time_left(from, to, days, site)?;
    let now = site.soc()?;
    if now >= soc {
        // What was charged at these hours is not spent at these hours; PV left over may still come in.
        let reason = format!("SoC {now:.0} has reached {soc}: kept until {}", clock(to));
        return Some(Wish { kind: "charge-window", target: site.net.max(Watts::ZERO), reason });
    }
    let missing = site.capacity().unwrap_or(WattHours::ZERO) * (soc - now).ratio();
    let even = || if missing > WattHours::ZERO { missing.per(left) } else { site.charge() };
    let charge = power.unwrap_or_else(even).min(site.charge());
    let reason = format!("charging to {soc} by {} with {charge}", clock(to));
    Some(Wish { kind: "charge-window", target: site.net + charge, reason })
}

/// Time left of the window, at least a minute; `None` outside of it.
fn time_left(from: TimeOfDay, to: TimeOfDay, days: Weekdays, site: &Site<'_>) -> Option<Duration> {
    let local = site.policy.time_zone.to_datetime(site.now.site);
    let second = i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60 + i64::from(local.second());
    let start = i64::from(from.0) * 60;
    let length = (i64::from(to.0) * 60 - start).rem_euclid(DAY);
    // The same time twice is the whole day.
    let length = if length == 0 { DAY } else { length };
    let gone = (second - start).rem_euclid(DAY);
    let today = local.weekday().to_monday_zero_offset();
    // After midnight the day that counts is yesterday's.
    let day = if second < start { (today + 6) % 7 } else { today };
    if gone >= length || days.0 & (1 << day) == 0 {
        return None;
    }
    Some(Duration::from_secs(u64::try_from(length - gone).unwrap_or(0).max(60)))
}

fn clock(time: TimeOfDay) -> String {
    format!("{:02}:{:02}", time.0 / 60, time.0 % 60)
}
