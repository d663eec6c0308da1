//! The small language of profiles: sums over points, no loops, bounded in depth and length.
//!
//! A missing input makes the result missing (but for the branch not taken, and `or`). The result is finite or missing.

mod parse;

pub(crate) use parse::parse;

use super::Unit;

/// What an expression reads: the value at an index, or the setpoint.
pub(crate) type Lookup<'a> = &'a dyn Fn(usize) -> Option<f64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    BitOr,
    BitAnd,
    Add,
    Subtract,
    Multiply,
    Divide,
    Min,
    Max,
    /// The first, or where it is missing the second.
    Else,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unary {
    Negate,
    Not,
    Abs,
    Round,
}

/// A parsed expression; points are indices of the profile's values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Number(f64),
    /// The setpoint, in the control's unit.
    Setpoint,
    Value(usize),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<(Expr, Expr)>),
    /// `c ? a : b`, and `clamp(a, low, high)` by the loader of `Min` and `Max`.
    If(Box<(Expr, Expr, Expr)>),
}

impl Expr {
    /// The result; `None` when something that it needs is missing or the sum has no finite result.
    pub(crate) fn eval(&self, setpoint: Option<f64>, values: Lookup<'_>) -> Option<f64> {
        let result = match self {
            Self::Number(number) => *number,
            Self::Setpoint => setpoint?,
            Self::Value(index) => values(*index)?,
            Self::Unary(op, a) => {
                let a = a.eval(setpoint, values)?;
                match op {
                    Unary::Negate => -a,
                    Unary::Not => truth(a == 0.0),
                    Unary::Abs => a.abs(),
                    Unary::Round => a.round(),
                }
            }
            Self::Binary(op, pair) => {
                let (a, b) = (&pair.0, &pair.1);
                let left = a.eval(setpoint, values);
                match (op, left) {
                    (Binary::Else, None) => b.eval(setpoint, values)?,
                    (Binary::Else, Some(left)) => left,
                    (Binary::And, Some(0.0)) => 0.0,
                    (Binary::Or, Some(left)) if left != 0.0 => 1.0,
                    _ => combine(*op, left?, b.eval(setpoint, values)?)?,
                }
            }
            Self::If(parts) => {
                let (condition, yes, no) = &**parts;
                let branch = if condition.eval(setpoint, values)? == 0.0 { no } else { yes };
                branch.eval(setpoint, values)?
            }
        };
        result.is_finite().then_some(result)
    }

    /// All value indices it reads.
    pub(crate) fn inputs(&self, found: &mut Vec<usize>) {
        match self {
            Self::Number(_) | Self::Setpoint => {}
            Self::Value(index) => found.push(*index),
            Self::Unary(_, a) => a.inputs(found),
            Self::Binary(_, pair) => {
                pair.0.inputs(found);
                pair.1.inputs(found);
            }
            Self::If(parts) => {
                parts.0.inputs(found);
                parts.1.inputs(found);
                parts.2.inputs(found);
            }
        }
    }

    /// Whether it reads the setpoint.
    pub(crate) fn uses_setpoint(&self) -> bool {
        match self {
            Self::Number(_) | Self::Value(_) => false,
            Self::Setpoint => true,
            Self::Unary(_, a) => a.uses_setpoint(),
            Self::Binary(_, pair) => pair.0.uses_setpoint() || pair.1.uses_setpoint(),
            Self::If(parts) => [&parts.0, &parts.1, &parts.2].into_iter().any(Self::uses_setpoint),
        }
    }

    /// The first value that is missing, for the sentence that says why there is no result.
    pub(crate) fn first_missing(&self, values: Lookup<'_>) -> Option<usize> {
        let mut inputs = Vec::new();
        self.inputs(&mut inputs);
        inputs.into_iter().find(|index| values(*index).is_none())
    }

    /// Its unit where that is known. `Err` names two units that were added or compared.
    pub(crate) fn unit(
        &self,
        of: &dyn Fn(usize) -> Option<Unit>,
        setpoint: Unit,
    ) -> Result<Option<Unit>, (Unit, Unit)> {
        let known = |unit: Unit| (unit != Unit::None).then_some(unit);
        let same = |a: Option<Unit>, b: Option<Unit>| match (a, b) {
            (Some(a), Some(b)) if a != b => Err((a, b)),
            _ => Ok(a.or(b)),
        };
        match self {
            Self::Number(_) => Ok(None),
            Self::Setpoint => Ok(known(setpoint)),
            Self::Value(index) => Ok(of(*index).and_then(known)),
            Self::Unary(Unary::Not, a) => a.unit(of, setpoint).map(|_| None),
            Self::Unary(_, a) => a.unit(of, setpoint),
            Self::Binary(op, pair) => {
                let (a, b) = (pair.0.unit(of, setpoint)?, pair.1.unit(of, setpoint)?);
                match op {
                    Binary::Add | Binary::Subtract | Binary::Min | Binary::Max | Binary::Else => same(a, b),
                    Binary::Multiply | Binary::Divide | Binary::And | Binary::Or => Ok(None),
                    Binary::BitAnd | Binary::BitOr => Ok(None),
                    _ => same(a, b).map(|_| None),
                }
            }
            Self::If(parts) => {
                parts.0.unit(of, setpoint)?;
                same(parts.1.unit(of, setpoint)?, parts.2.unit(of, setpoint)?)
            }
        }
    }
}

const fn truth(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

fn combine(op: Binary, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        Binary::Or => truth(a != 0.0 || b != 0.0),
        Binary::And => truth(a != 0.0 && b != 0.0),
        Binary::Equal => truth(a == b),
        Binary::NotEqual => truth(a != b),
        Binary::Less => truth(a < b),
        Binary::LessEqual => truth(a <= b),
        Binary::Greater => truth(a > b),
        Binary::GreaterEqual => truth(a >= b),
        Binary::BitOr => bits(a, b, |a, b| a | b)?,
        Binary::BitAnd => bits(a, b, |a, b| a & b)?,
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Else => a,
    })
}

/// Bits exist only in whole numbers that a float holds exactly.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "both are whole and below 2^53")]
fn bits(a: f64, b: f64, op: fn(i64, i64) -> i64) -> Option<f64> {
    let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0).then_some(x as i64);
    Some(op(whole(a)?, whole(b)?) as f64)
}

#[cfg(test)]
mod tests;
