//! Bounds at the grid point, nested from the top rule down.

use super::BoundRecord;
use crate::units::Watts;

/// What one limit rule asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bound {
    /// Least import.
    pub least: Option<Watts>,
    /// Most import.
    pub most: Option<Watts>,
    /// `least` limits export: where the batteries cannot keep it, PV is curtailed.
    pub curtails: bool,
    /// A sentence.
    pub reason: String,
}

/// The bounds so far.
#[derive(Debug)]
pub(super) struct Nest {
    pub low: Watts,
    pub high: Watts,
    pub records: Vec<BoundRecord>,
    /// Which record set the lower, the upper end.
    pub owners: (Option<usize>, Option<usize>),
    /// Least import for the sake of which PV is curtailed.
    pub export_floor: Option<Watts>,
}

impl Nest {
    pub fn new(rules: usize) -> Self {
        Self {
            low: Watts::new(f64::NEG_INFINITY),
            high: Watts::new(f64::INFINITY),
            records: Vec::with_capacity(rules),
            owners: (None, None),
            export_floor: None,
        }
    }

    /// Takes the next rule's bound in: what does not fit is moved to the nearest edge.
    pub fn add(&mut self, kind: &'static str, bound: Bound) {
        let here = Some(self.records.len());
        let fit = |value: Watts| value.clamp(self.low, self.high);
        let (least, most) = (bound.least.map(fit), bound.most.map(fit));
        let clamped = least != bound.least || most != bound.most;
        // What was moved to an edge stands where the edge's owner put it, not where its own rule wanted it.
        let (low_owner, high_owner) = self.owners;
        if let Some(least) = least {
            if least > self.low {
                (self.low, self.owners.0) = (least, if bound.least > Some(least) { high_owner } else { here });
            }
            if bound.curtails {
                self.export_floor = Some(self.export_floor.map_or(least, |floor| floor.max(least)));
            }
        }
        if let Some(most) = most
            && most < self.high
        {
            (self.high, self.owners.1) = (most, if bound.most < Some(most) { low_owner } else { here });
        }
        let reason = bound.reason;
        self.records.push(BoundRecord { rule: kind.into(), least, most, clamped, binding: false, reason });
    }

    /// The wish inside the bounds, and which record cut it.
    pub fn cut(&mut self, wish: Watts) -> (Watts, Option<usize>) {
        let target = wish.clamp(self.low, self.high);
        let owner = if wish < target {
            self.owners.0
        } else if wish > target {
            self.owners.1
        } else {
            None
        };
        if let Some(record) = owner.and_then(|index| self.records.get_mut(index)) {
            record.binding = true;
        }
        (target, owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(least: Option<f64>, most: Option<f64>) -> Bound {
        Bound { least: least.map(Watts::kw), most: most.map(Watts::kw), ..Bound::default() }
    }

    #[test]
    fn a_lower_rule_that_does_not_fit_is_moved_to_the_nearest_edge() {
        let mut nest = Nest::new(3);
        nest.add("grid-limit", bound(Some(-10.0), Some(80.0)));
        nest.add("reserve", bound(Some(100.0), None));
        nest.add("peak-shaving", bound(None, Some(60.0)));
        assert_eq!((nest.low, nest.high), (Watts::kw(80.0), Watts::kw(80.0)));
        assert_eq!(nest.records.iter().map(|r| r.clamped).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(nest.records[1].least, Some(Watts::kw(80.0)));
    }

    #[test]
    fn the_rule_that_set_the_edge_owns_it() {
        let mut nest = Nest::new(2);
        nest.add("grid-limit", bound(Some(-10.0), Some(80.0)));
        nest.add("peak-shaving", bound(None, Some(60.0)));
        let (target, owner) = nest.cut(Watts::kw(75.0));
        assert_eq!((target, owner), (Watts::kw(60.0), Some(1)));
        let (target, owner) = nest.cut(Watts::kw(-75.0));
        assert_eq!((target, owner), (Watts::kw(-10.0), Some(0)));
        assert!(nest.records.iter().all(|record| record.binding));
        assert_eq!(nest.cut(Watts::kw(20.0)), (Watts::kw(20.0), None));
    }
}
