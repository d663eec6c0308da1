//! Text to [`Expr`]: precedence climbing over a scanner.
//!
//! From loose to tight: `c ? a : b`, `||`, `&&`, comparison, `|`, `&`, `+ -`, `* /`, `- !`.

use std::ops::Range;

use super::{Binary, Expr, Unary};

/// What is wrong and where in the text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub span: Range<usize>,
    pub message: String,
}

const LONGEST: usize = 500;
const DEEPEST: usize = 32;

/// Names a value's index, or says what is wrong with the name.
pub(crate) type Resolve<'a> = &'a mut dyn FnMut(&str) -> Result<usize, String>;

/// Parses an expression; `resolve` knows the points.
pub(crate) fn parse(text: &str, resolve: Resolve<'_>) -> Result<Expr, Fault> {
    if text.len() > LONGEST {
        return Err(Fault { span: 0..text.len(), message: format!("longer than {LONGEST} characters") });
    }
    let mut parser = Parser { text, at: 0, depth: 0, resolve };
    let expr = parser.choice()?;
    parser.space();
    if parser.at < text.len() { Err(parser.fault("nothing more was expected here")) } else { Ok(expr) }
}

struct Parser<'a, 'r> {
    text: &'a str,
    at: usize,
    depth: usize,
    resolve: Resolve<'r>,
}

/// Two-character operators come before their first characters.
const LEVELS: [&[(&str, Binary)]; 7] = [
    &[("||", Binary::Or)],
    &[("&&", Binary::And)],
    &[
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
        ("<=", Binary::LessEqual),
        (">=", Binary::GreaterEqual),
        ("<", Binary::Less),
        (">", Binary::Greater),
    ],
    &[("|", Binary::BitOr)],
    &[("&", Binary::BitAnd)],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide)],
];

impl Parser<'_, '_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn fault(&self, message: &str) -> Fault {
        let width = self.rest().chars().next().map_or(0, char::len_utf8);
        Fault { span: self.at..self.at + width, message: message.to_owned() }
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), Fault> {
        if self.take(token) { Ok(()) } else { Err(self.fault(&format!("`{token}` was expected here"))) }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth >= DEEPEST {
            return Err(self.fault("nested too deeply"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn choice(&mut self) -> Result<Expr, Fault> {
        let condition = self.level(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.deeper(Self::choice)?;
        self.expect(":")?;
        let no = self.deeper(Self::choice)?;
        Ok(Expr::If(Box::new((condition, yes, no))))
    }

    fn level(&mut self, level: usize) -> Result<Expr, Fault> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.level(level + 1)?;
        // The chain becomes a tree as deep as it is long, so its length counts as depth.
        let mut chain = 0;
        while let Some(op) = self.operator(operators) {
            chain += 1;
            if chain > DEEPEST {
                return Err(self.fault("too many terms"));
            }
            self.space();
            let from = self.at;
            let right = self.level(level + 1)?;
            if op == Binary::Divide && right == Expr::Number(0.0) {
                return Err(Fault { span: from..self.at, message: "divides by 0".to_owned() });
            }
            left = Expr::Binary(op, Box::new((left, right)));
        }
        Ok(left)
    }

    fn operator(&mut self, operators: &[(&str, Binary)]) -> Option<Binary> {
        self.space();
        let rest = self.rest();
        // A single `|` or `&` must not eat half of `||` or `&&`.
        let doubled = rest.starts_with("||") || rest.starts_with("&&");
        let (token, op) =
            operators.iter().find(|(token, _)| rest.starts_with(token) && (!doubled || token.len() == 2))?;
        self.at += token.len();
        Some(*op)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        if self.take("-") {
            return match self.deeper(Self::unary)? {
                Expr::Number(number) => Ok(Expr::Number(-number)),
                inner => Ok(Expr::Unary(Unary::Negate, Box::new(inner))),
            };
        }
        if self.take("!") {
            return Ok(Expr::Unary(Unary::Not, Box::new(self.deeper(Self::unary)?)));
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<Expr, Fault> {
        if self.take("(") {
            let inner = self.deeper(Self::choice)?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.space();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let start = self.at;
        let mut length = self.rest().find(|c| !word(c)).unwrap_or(self.rest().len());
        let first = self.rest().chars().next();
        if first.is_some_and(|c| c.is_ascii_digit()) {
            // An exponent's sign belongs to the number: 1e-3.
            let exponent =
                self.rest().get(..length).is_some_and(|text| !text.starts_with("0x") && text.ends_with(['e', 'E']));
            if exponent && self.rest().get(length..).is_some_and(|rest| rest.starts_with(['-', '+'])) {
                let rest = self.rest().get(length + 1..).unwrap_or("");
                length += 1 + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            }
        }
        if length == 0 {
            return Err(self.fault("a number, a point or `(` was expected here"));
        }
        let name = self.text.get(start..start + length).unwrap_or("").to_owned();
        self.at += length;
        let span = start..self.at;
        if first.is_some_and(|c| c.is_ascii_digit()) {
            return number(&name).map(Expr::Number).ok_or(Fault { span, message: format!("`{name}` is no number") });
        }
        if self.take("(") {
            return self.call(&name, span);
        }
        if name == "p" {
            return Ok(Expr::Setpoint);
        }
        (self.resolve)(&name).map(Expr::Value).map_err(|message| Fault { span, message })
    }

    fn call(&mut self, name: &str, span: Range<usize>) -> Result<Expr, Fault> {
        let mut arguments = vec![self.deeper(Self::choice)?];
        while self.take(",") {
            if arguments.len() == 3 {
                return Err(self.fault("too many arguments"));
            }
            arguments.push(self.deeper(Self::choice)?);
        }
        self.expect(")")?;
        let pair = |op, a, b| Expr::Binary(op, Box::new((a, b)));
        let count = arguments.len();
        let mut next = arguments.into_iter();
        match (name, count, next.next(), next.next(), next.next()) {
            ("abs", 1, Some(a), ..) => Ok(Expr::Unary(Unary::Abs, Box::new(a))),
            ("round", 1, Some(a), ..) => Ok(Expr::Unary(Unary::Round, Box::new(a))),
            ("min", 2, Some(a), Some(b), _) => Ok(pair(Binary::Min, a, b)),
            ("max", 2, Some(a), Some(b), _) => Ok(pair(Binary::Max, a, b)),
            ("or", 2, Some(a), Some(b), _) => Ok(pair(Binary::Else, a, b)),
            ("clamp", 3, Some(a), Some(low), Some(high)) => Ok(pair(Binary::Max, pair(Binary::Min, a, high), low)),
            ("abs" | "round" | "min" | "max" | "or" | "clamp", ..) => {
                Err(Fault { span, message: format!("`{name}` does not take {count} arguments") })
            }
            _ => {
                Err(Fault { span, message: format!("no function `{name}`; there are min, max, abs, round, clamp, or") })
            }
        }
    }
}

fn number(text: &str) -> Option<f64> {
    let text = text.replace('_', "");
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok().map(f64::from);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
