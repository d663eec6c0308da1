//! The walk along a chain of models, as a pure machine: it says what to read and is told what came.
//!
//! Rules (SunSpec Information Model Specification; deviations seen in the field): the base is one of a few addresses; the
//! chain goes on by the device's own lengths; it ends with 0xFFFF, or with an exception where a header should be; a
//! second model 1 begins a sub-device.

use crate::profile::Span;
use crate::profile::define::{ModelRef, SunSpecDef};

const MARKER: [u16; 2] = [0x5375, 0x6E53];
const MOST_MODELS: usize = 64;
const LONGEST_MODEL: u16 = 2000;
const END: u16 = 0xFFFF;

/// A model found in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub id: u16,
    /// Address of its ID register.
    pub start: u16,
    /// Registers after the length register, as the device says.
    pub len: u16,
    /// Sub-device, counted by model 1.
    pub device: usize,
}

/// All models of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    pub models: Vec<Found>,
}

impl Chain {
    /// The sub-device that a profile speaks of: by number, or the first that has all it needs.
    pub(crate) fn device(&self, wanted: &SunSpecDef) -> Result<usize, String> {
        let has = |device, need: &ModelRef| self.find(device, *need).is_some();
        let missing = |device| wanted.need.iter().find(|need| !has(device, need));
        let count = self.models.last().map_or(0, |last| last.device + 1);
        match wanted.device {
            Some(device) if device >= count => {
                Err(format!("has {count} sub-devices, and the profile wants number {device}"))
            }
            Some(device) => match missing(device) {
                Some(need) => Err(format!("has no SunSpec model {need}; it has {}", self.list())),
                None => Ok(device),
            },
            None => (0..count).find(|device| missing(*device).is_none()).ok_or_else(|| {
                let need: Vec<String> = wanted.need.iter().map(ToString::to_string).collect();
                format!("needs SunSpec model {}; the device has {}", need.join(" and "), self.list())
            }),
        }
    }

    /// The first such model of a sub-device.
    pub(crate) fn find(&self, device: usize, model: ModelRef) -> Option<Found> {
        self.models.iter().find(|found| found.device == device && model.is(found.id)).copied()
    }

    fn list(&self) -> String {
        let ids: Vec<String> = self.models.iter().map(|found| found.id.to_string()).collect();
        ids.join(", ")
    }
}

/// How far the walk has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Walk {
    /// Looking for the marker at one of the bases.
    Base(usize),
    /// Reading the header at this address.
    Header(u16, Chain),
    /// At the end.
    Done(Chain),
}

impl Walk {
    /// What to read next; `None` at the end.
    pub(crate) fn next(&self, wanted: &SunSpecDef) -> Option<Span> {
        match self {
            Self::Base(index) => wanted.bases.get(*index).map(|base| Span::holding(*base, 2)),
            Self::Header(at, _) => Some(Span::holding(*at, 2)),
            Self::Done(_) => None,
        }
    }

    /// The answer: words, or `None` where the device refused.
    pub(crate) fn step(self, wanted: &SunSpecDef, words: Option<&[u16]>) -> Result<Self, String> {
        match self {
            Self::Base(index) => match (words, wanted.bases.get(index)) {
                (Some(words), Some(base)) if *words == MARKER => {
                    Ok(Self::Header(base.saturating_add(2), Chain::default()))
                }
                _ if index + 1 < wanted.bases.len() => Ok(Self::Base(index + 1)),
                _ => Err(format!("is no SunSpec device: no marker at {:?}", wanted.bases)),
            },
            Self::Header(at, chain) => header(at, chain, words),
            Self::Done(_) => Ok(self),
        }
    }
}

fn header(at: u16, mut chain: Chain, words: Option<&[u16]>) -> Result<Walk, String> {
    let (id, len) = match words {
        Some([id, len, ..]) => (*id, *len),
        // Some devices refuse the header where the end should be, once they have shown more than their nameplate.
        _ if chain.models.iter().any(|found| found.id != 1) => return Ok(Walk::Done(chain)),
        _ => return Err(format!("broke off the SunSpec chain at register {at}")),
    };
    let device = match (id, chain.models.last()) {
        (END, Some(_)) => return Ok(Walk::Done(chain)),
        (1, None) => 0,
        (1, Some(last)) => last.device + 1,
        (0, _) | (_, None) => {
            return Err(format!("has model {id} at register {at}, where no such SunSpec model can be"));
        }
        (_, Some(last)) => last.device,
    };
    let next = u32::from(at) + 2 + u32::from(len);
    if len > LONGEST_MODEL || chain.models.len() >= MOST_MODELS || next > 0xFFFE {
        return Err(format!("has a SunSpec chain that cannot be: model {id} with {len} registers at {at}"));
    }
    chain.models.push(Found { id, start: at, len, device });
    u16::try_from(next).map(|next| Walk::Header(next, chain)).map_err(|_| format!("has a chain beyond register {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(need: Vec<ModelRef>) -> SunSpecDef {
        SunSpecDef { bases: vec![40000, 50000, 0], need, device: None }
    }

    /// Walks a map of headers: (address, id, length). Anything else is refused.
    fn walk(base: u16, headers: &[(u16, u16, u16)], wanted: &SunSpecDef) -> Result<Chain, String> {
        let mut walk = Walk::Base(0);
        for _ in 0..200 {
            let Some(span) = walk.next(wanted) else { break };
            let header = headers.iter().find(|(at, ..)| *at == span.start).map(|(_, id, len)| [*id, *len]);
            let words = if span.start == base { Some(MARKER) } else { header };
            walk = walk.step(wanted, words.as_ref().map(|words| &words[..]))?;
        }
        match walk {
            Walk::Done(chain) => Ok(chain),
            other => panic!("not at the end: {other:?}"),
        }
    }

    #[test]
    fn the_chain_goes_on_by_the_devices_own_lengths() {
        // A Fronius-like chain; model 1 of 65 registers as SolarEdge sends it.
        let headers = [(40002, 1, 65), (40069, 103, 50), (40121, 124, 24), (40147, 0xFFFF, 0)];
        let chain = walk(40000, &headers, &wanted(vec![])).unwrap();
        assert_eq!(chain.models.iter().map(|found| found.start).collect::<Vec<_>>(), [40002, 40069, 40121]);
    }

    #[test]
    fn bases_are_tried_in_turn() {
        let headers = [(50002, 1, 66), (50070, 103, 50), (50122, 0xFFFF, 0)];
        assert_eq!(walk(50000, &headers, &wanted(vec![])).unwrap().models.len(), 2);
        assert!(walk(7, &headers, &wanted(vec![])).unwrap_err().contains("no marker"));
    }

    #[test]
    fn an_exception_at_a_header_ends_the_chain_only_after_a_measuring_model() {
        let chain = walk(40000, &[(40002, 1, 66), (40070, 203, 105)], &wanted(vec![])).unwrap();
        assert_eq!(chain.models.len(), 2);
        assert!(walk(40000, &[(40002, 1, 66)], &wanted(vec![])).unwrap_err().contains("broke off"));
    }

    #[test]
    fn a_second_common_model_begins_a_sub_device() {
        let headers = [(40002, 1, 65), (40069, 103, 50), (40121, 1, 65), (40188, 203, 105), (40295, 0xFFFF, 0)];
        let chain = walk(40000, &headers, &wanted(vec![])).unwrap();
        assert_eq!(chain.device(&wanted(vec![ModelRef::Meter])), Ok(1));
        assert_eq!(chain.device(&wanted(vec![ModelRef::Inverter])), Ok(0));
        let error = chain.device(&wanted(vec![ModelRef::Id(124)])).unwrap_err();
        assert_eq!(error, "needs SunSpec model 124; the device has 1, 103, 1, 203");
    }

    #[test]
    fn nonsense_is_refused_within_bounds() {
        assert!(walk(40000, &[(40002, 0, 0)], &wanted(vec![])).is_err(), "a frame of zeros");
        assert!(walk(40000, &[(40002, 1, 60_000)], &wanted(vec![])).is_err(), "longer than any model");
        let endless: Vec<(u16, u16, u16)> =
            (0..100).map(|n| (40002 + n * 2, if n == 0 { 1 } else { 103 }, 0)).collect();
        assert!(walk(40000, &endless, &wanted(vec![])).is_err(), "more models than any device has");
    }
}
