//! Model 123, immediate controls: the upper limit of an inverter's output, with its revert timer.
//!
//! A limit comes into force when WMaxLim_Ena is written 1, with the values that stand there then; writing WMaxLimPct alone
//! changes nothing. RvrtTms > 0: so long after that write the limit is gone. Conn = 0 takes the inverter off the grid.

use std::time::Duration;

use super::chain::Chain;
use crate::sim::bank::Exception;
use crate::units::Watts;

const MODEL: u16 = 123;
const CONN: usize = 4;
const PCT: usize = 5;
const RVRT_TMS: usize = 7;
const ENA: usize = 9;

/// The limit in force.
#[derive(Clone, Copy, Debug, Default)]
pub struct PowerLimit {
    /// Share of WMax.
    share: Option<f64>,
    until: Option<Duration>,
}

impl PowerLimit {
    /// Puts models 120 and 121 (what the inverter can) and 123 on the chain.
    pub fn describe(chain: &mut Chain, der: u16, rating: Watts) {
        let sf = super::chain::scale_for(rating.watts(), 65_000.0);
        let watts = super::chain::scaled(rating.watts(), sf).round() as u16;
        chain.add(120, super::chain::NAMEPLATE);
        chain.put(120, 2, der);
        chain.put(120, 3, watts);
        chain.put(120, 4, sf.cast_unsigned());
        chain.add(121, super::chain::SETTINGS);
        chain.put(121, 2, watts);
        chain.put(121, 22, sf.cast_unsigned());
        chain.add(MODEL, super::chain::CONTROLS);
        chain.put_all(MODEL, 2, &[0, 0, 1, 10_000, 0, 0, 0, 0]);
        chain.put(MODEL, 23, (-2_i16).cast_unsigned());
    }

    /// Whether a value may be written to an offset of model 123.
    ///
    /// # Errors
    /// The exception that the device answers.
    pub fn check(offset: usize, value: u16) -> Result<(), Exception> {
        match (offset, value) {
            (2 | 3 | 6..=8, 0..=28_800) | (CONN | ENA, 0..=1) | (PCT, 0..=10_000) => Ok(()),
            (2..=9, _) => Err(Exception::Value),
            _ => Err(Exception::Address),
        }
    }

    /// Takes notice that an offset of model 123 was written at `now`.
    pub fn written(&mut self, chain: &Chain, offset: usize, now: Duration) {
        if offset == ENA {
            let on = chain.get(MODEL, ENA) == 1;
            self.share = on.then(|| f64::from(chain.get(MODEL, PCT)) / 10_000.0);
            let seconds = u64::from(chain.get(MODEL, RVRT_TMS));
            self.until = (on && seconds > 0).then(|| now + Duration::from_secs(seconds));
        }
    }

    /// Lets the timer run out.
    pub fn pass(&mut self, chain: &mut Chain, now: Duration) {
        if self.until.is_some_and(|until| until <= now) {
            *self = Self::default();
            chain.put(MODEL, ENA, 0);
        }
    }

    /// The most output in force, of an inverter with this rating.
    pub fn most(&self, chain: &Chain, rating: Watts) -> Watts {
        if chain.get(MODEL, CONN) == 0 { Watts::ZERO } else { rating * self.share.unwrap_or(1.0) }
    }
}
