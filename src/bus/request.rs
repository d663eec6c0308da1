//! One request, and what counts as its answer.

use crate::profile::{Span, Step, Table, WriteFunction};

/// What is asked of a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Request<'a> {
    /// Fn 1 to 4.
    Read(Span),
    /// Fn 5, 6, 15, 16.
    Write {
        /// Where.
        span: Span,
        /// One word a register, 0 or 1 a coil; as many as the span is long.
        words: &'a [u16],
        /// By which function.
        function: WriteFunction,
    },
}

impl<'a> Request<'a> {
    /// The write of a step with these words, if the protocol can carry it: "Modbus Application Protocol V1.1b3",
    /// sections 6.5, 6.6, 6.11, 6.12.
    pub fn write(step: &Step, words: &'a [u16]) -> Option<Self> {
        let most = match step.function {
            WriteFunction::SingleCoil | WriteFunction::SingleRegister => 1,
            WriteFunction::Registers => 123,
            WriteFunction::Coils => 1968,
        };
        let table = match step.function {
            WriteFunction::SingleCoil | WriteFunction::Coils => Table::Coil,
            WriteFunction::SingleRegister | WriteFunction::Registers => Table::Holding,
        };
        let fits = step.span.table == table
            && (1..=most).contains(&words.len())
            && words.len() == usize::from(step.span.len)
            && step.span.end() <= 0x1_0000;
        fits.then_some(Self::Write { span: step.span, words, function: step.function })
    }

    /// The read of a span, if the protocol can carry it (sections 6.1 to 6.4).
    pub fn read(span: Span) -> Option<Self> {
        let most = if is_bits(span.table) { 2000 } else { 125 };
        ((1..=most).contains(&span.len) && span.end() <= 0x1_0000).then_some(Self::Read(span))
    }

    /// Function code.
    pub const fn function(self) -> u8 {
        match self {
            Self::Read(Span { table: Table::Coil, .. }) => 1,
            Self::Read(Span { table: Table::DiscreteInput, .. }) => 2,
            Self::Read(Span { table: Table::Holding, .. }) => 3,
            Self::Read(Span { table: Table::Input, .. }) => 4,
            Self::Write { function: WriteFunction::SingleCoil, .. } => 5,
            Self::Write { function: WriteFunction::SingleRegister, .. } => 6,
            Self::Write { function: WriteFunction::Coils, .. } => 15,
            Self::Write { function: WriteFunction::Registers, .. } => 16,
        }
    }
}

/// Whether a table holds bits.
pub(super) const fn is_bits(table: Table) -> bool {
    matches!(table, Table::Coil | Table::DiscreteInput)
}
