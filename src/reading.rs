//! A value with the moment it was taken and what it is worth. A rule reaches the number only through its age.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;

/// The name of a device as the config has it: its identity everywhere, reloads included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct DeviceName(Arc<str>);

impl DeviceName {
    /// From the config's text.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a value is worth (after IEC 61850's validity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Measured, in range.
    Good,
    /// Older than its age limit.
    Stale,
    /// The device gave no value, or one that cannot be.
    Invalid,
    /// Not measured: put in by us (an inverter asleep at night makes 0 W).
    Substituted,
}

impl Quality {
    /// As in telemetry and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Stale => "stale",
            Self::Invalid => "invalid",
            Self::Substituted => "substituted",
        }
    }
}

/// Why a number was not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nothing was ever read.
    #[error("never read")]
    Never,
    /// Read, but too long ago.
    #[error("{age:.1?} old, at most {limit:.1?} allowed")]
    Stale {
        /// Age at the time of asking.
        age: Duration,
        /// Age allowed.
        limit: Duration,
    },
    /// The device gave no usable value.
    #[error("no valid value")]
    Invalid,
}

/// A value, when it was taken, and what it is worth. The number is private: [`Reading::fresh`] is the way to it for
/// whoever decides; [`Reading::show`] for whoever only shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading<T> {
    value: Option<T>,
    at: Moment,
    quality: Quality,
}

impl<T: Copy> Reading<T> {
    /// A measured value. `at` is when the request was sent: the value is at least as young.
    pub const fn good(value: T, at: Moment) -> Self {
        Self { value: Some(value), at, quality: Quality::Good }
    }

    /// A value of ours in place of a measured one.
    pub const fn substituted(value: T, at: Moment) -> Self {
        Self { value: Some(value), at, quality: Quality::Substituted }
    }

    /// The device answered, without a usable value.
    pub const fn invalid(at: Moment) -> Self {
        Self { value: None, at, quality: Quality::Invalid }
    }

    /// The number, if it is usable and at most `limit` old.
    ///
    /// # Errors
    /// [`Why`] it is not.
    pub fn fresh(&self, now: Moment, limit: Duration) -> Result<T, Why> {
        let age = self.at.age(now);
        match self.value {
            None => Err(Why::Invalid),
            Some(_) if age > limit => Err(Why::Stale { age, limit }),
            Some(value) => Ok(value),
        }
    }

    /// The last number whatever its age, for showing and counting only.
    pub const fn show(&self) -> Option<T> {
        self.value
    }

    /// When it was taken.
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// Quality at `now`: a good value goes stale.
    pub fn quality(&self, now: Moment, limit: Duration) -> Quality {
        if self.value.is_some() && self.at.age(now) > limit { Quality::Stale } else { self.quality }
    }

    /// The same reading with its number converted.
    pub fn map<U: Copy>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        Reading { value: self.value.map(f), at: self.at, quality: self.quality }
    }
}

/// Asks for the number of a reading that may not exist yet.
///
/// # Errors
/// [`Why`] there is none.
pub fn fresh<T: Copy>(reading: Option<&Reading<T>>, now: Moment, limit: Duration) -> Result<T, Why> {
    reading.ok_or(Why::Never)?.fresh(now, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::IoTime;

    fn at(seconds: u64) -> Moment {
        Moment { io: IoTime::after_start(Duration::from_secs(seconds)), ..Moment::default() }
    }

    #[test]
    fn a_stale_number_cannot_be_reached() {
        let reading = Reading::good(5.0, at(10));
        let limit = Duration::from_secs(3);
        assert_eq!(reading.fresh(at(13), limit), Ok(5.0));
        assert_eq!(reading.fresh(at(14), limit), Err(Why::Stale { age: Duration::from_secs(4), limit }));
        assert_eq!(reading.quality(at(14), limit), Quality::Stale);
        assert_eq!(Reading::<f64>::invalid(at(10)).fresh(at(10), limit), Err(Why::Invalid));
        assert_eq!(fresh::<f64>(None, at(10), limit), Err(Why::Never));
    }
}
