//! Which reads fetch a group: as few as the device's manners allow. Pure.

use super::request::is_bits;
use crate::profile::{Manners, Span};

/// One read, and the values (spans that must not be torn) that it fetches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// What is read.
    pub span: Span,
    parts: Vec<Span>,
}

impl Block {
    fn of(part: Span) -> Self {
        Self { span: part, parts: vec![part] }
    }

    fn take(&mut self, part: Span) {
        let end = self.span.end().max(part.end());
        self.span.len = u16::try_from(end - u32::from(self.span.start)).unwrap_or(u16::MAX);
        self.parts.push(part);
    }

    /// The smaller reads to try after the device refused this one: without the registers that nobody asked for, else in
    /// halves. `None` when it is a single value.
    pub fn split(&self) -> Option<Vec<Self>> {
        let mut runs: Vec<Self> = Vec::new();
        for part in &self.parts {
            match runs.last_mut() {
                Some(run) if u32::from(part.start) <= run.span.end() => run.take(*part),
                _ => runs.push(Self::of(*part)),
            }
        }
        if runs.len() > 1 {
            return Some(runs);
        }
        // Only where no value lies across can a run be cut.
        let cuts = 1..self.parts.len();
        let fits = |at: &usize| {
            let (left, right) = self.parts.split_at(*at);
            let left_end = left.iter().map(|part| part.end()).max();
            left_end <= right.first().map(|part| u32::from(part.start))
        };
        let middle = self.parts.len() / 2;
        let at = cuts.filter(fits).min_by_key(|at| at.abs_diff(middle))?;
        let (left, right) = self.parts.split_at(at);
        Some([left, right].into_iter().filter_map(Self::join).collect())
    }

    fn join(parts: &[Span]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let mut block = Self::of(*first);
        rest.iter().for_each(|part| block.take(*part));
        Some(block)
    }
}

/// The reads that fetch `spans`, ordered by table and address.
pub(super) fn plan(mut spans: Vec<Span>, manners: &Manners) -> Vec<Block> {
    spans.sort_unstable();
    spans.dedup();
    let mut blocks: Vec<Block> = Vec::new();
    for span in spans {
        match blocks.last_mut() {
            Some(block) if joins(block.span, span, manners) => block.take(span),
            _ => blocks.push(Block::of(span)),
        }
    }
    blocks
}

/// The reads that fetch `spans`, as a device's manners allow them: what the bus asks for while nothing is refused.
pub fn reads(spans: Vec<Span>, manners: &Manners) -> Vec<Span> {
    plan(spans, manners).into_iter().map(|block| block.span).collect()
}

/// Whether a read may be made longer so that it fetches `next`, too, which starts at or behind its start.
fn joins(block: Span, next: Span, manners: &Manners) -> bool {
    if block.table != next.table {
        return false;
    }
    if block.contains(next) {
        return true;
    }
    let most = if is_bits(block.table) { 2000 } else { u32::from(manners.max_read.min(125)) };
    let len = next.end().max(block.end()) - u32::from(block.start);
    let gap = u32::from(next.start).saturating_sub(block.end());
    let Ok(joined) = u16::try_from(len).map(|len| Span { len, ..block }) else { return false };
    len <= most && gap <= u32::from(manners.max_gap) && !manners.holes.iter().any(|hole| hole.overlaps(joined))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::Table;

    fn spans(blocks: &[Block]) -> Vec<(u16, u16)> {
        blocks.iter().map(|block| (block.span.start, block.span.len)).collect()
    }

    fn manners(max_read: u16, max_gap: u16, holes: &[Span]) -> Manners {
        Manners { max_read, max_gap, holes: holes.to_vec(), ..Manners::default() }
    }

    #[test]
    fn neighbours_are_read_at_once_and_far_ones_apart() {
        let wanted = vec![Span::holding(0, 2), Span::holding(2, 2), Span::holding(10, 2), Span::holding(40, 1)];
        assert_eq!(spans(&plan(wanted.clone(), &manners(120, 8, &[]))), [(0, 12), (40, 1)]);
        assert_eq!(spans(&plan(wanted.clone(), &manners(120, 5, &[]))), [(0, 4), (10, 2), (40, 1)]);
        assert_eq!(spans(&plan(wanted.clone(), &manners(11, 8, &[]))), [(0, 4), (10, 2), (40, 1)]);
        let hole = [Span::holding(6, 1)];
        assert_eq!(spans(&plan(wanted, &manners(120, 8, &hole))), [(0, 4), (10, 2), (40, 1)]);
    }

    #[test]
    fn a_refused_read_loses_its_gaps_first_and_is_then_halved() {
        let wanted = vec![Span::holding(0, 2), Span::holding(2, 2), Span::holding(10, 2)];
        let blocks = plan(wanted, &manners(120, 8, &[]));
        let runs = blocks[0].split().unwrap();
        assert_eq!(spans(&runs), [(0, 4), (10, 2)]);
        assert_eq!(spans(&runs[0].split().unwrap()), [(0, 2), (2, 2)]);
        assert_eq!(runs[1].split(), None);
        let nested = plan(vec![Span::holding(0, 6), Span::holding(2, 2)], &manners(120, 8, &[]));
        assert_eq!(nested[0].split(), None, "a value is never torn");
    }

    fn any_span() -> impl Strategy<Value = Span> {
        (prop_oneof![Just(Table::Holding), Just(Table::Input)], 0_u16..300, 1_u16..8)
            .prop_map(|(table, start, len)| Span { table, start, len })
    }

    proptest! {
        #[test]
        fn every_value_lies_whole_in_one_read_that_keeps_the_manners(
            wanted in proptest::collection::vec(any_span(), 1..60),
            holes in proptest::collection::vec(any_span(), 0..5),
            max_read in 8_u16..=125,
            max_gap in 0_u16..20,
        ) {
            let wanted: Vec<Span> = wanted.into_iter().filter(|span| !holes.iter().any(|hole| hole.overlaps(*span))).collect();
            let manners = manners(max_read, max_gap, &holes);
            let mut blocks = plan(wanted.clone(), &manners);
            for _ in 0..8 {
                for span in &wanted {
                    let homes = blocks.iter().filter(|block| block.parts.contains(span)).count();
                    prop_assert_eq!(homes, 1);
                    prop_assert!(blocks.iter().any(|block| block.span.contains(*span)));
                }
                for block in &blocks {
                    prop_assert!(block.span.len <= max_read);
                    prop_assert!(!holes.iter().any(|hole| hole.overlaps(block.span)));
                }
                blocks = blocks.into_iter().flat_map(|block| block.split().unwrap_or_else(|| vec![block])).collect();
            }
        }

        #[test]
        fn adjoining_values_take_no_more_reads_than_their_length_asks(count in 1_u16..300, max_read in 2_u16..=125) {
            let wanted = (0..count).map(|i| Span::holding(i, 1)).collect();
            let blocks = plan(wanted, &manners(max_read, 0, &[]));
            prop_assert_eq!(blocks.len(), usize::from(count.div_ceil(max_read)));
        }
    }
}
