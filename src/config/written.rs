//! Values as a config has them written: every quantity is a text with its unit.

use std::time::Duration;

use toml::de::DeValue;

use crate::units::{Soc, WattHours, Watts};

/// Why a value cannot be taken.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// What is wrong, as the end of "`key` …".
    pub what: String,
    /// The value to write instead, in TOML.
    pub write: Option<String>,
}

impl Fault {
    /// Without a proposal.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), write: None }
    }

    /// Proposes a text.
    pub fn write(self, text: impl AsRef<str>) -> Self {
        Self { write: Some(format!("{:?}", text.as_ref())), ..self }
    }
}

/// A type that can stand as a value.
pub(super) trait Written: Sized {
    /// What it is, for messages and docs: "a power".
    const WHAT: &'static str;
    /// One that can be copied, as text without quotes.
    const EXAMPLE: &'static str;

    /// From the text between the quotes.
    fn from_text(text: &str) -> Result<Self, Fault>;

    /// A value as it stands in TOML.
    fn toml(text: &str) -> String {
        format!("{text:?}")
    }

    /// The text to write for a number that has no unit.
    fn for_number(number: &str) -> Option<String> {
        let _ = number;
        None
    }

    /// From any TOML value; only a text may stand for most types.
    fn from_value(value: &DeValue<'_>) -> Result<Self, Fault> {
        match value {
            DeValue::String(text) => Self::from_text(text),
            DeValue::Integer(number) => Err(Self::bare(&number.to_string())),
            DeValue::Float(number) => Err(Self::bare(number.as_str())),
            other => Err(Fault::new(format!("is {}, not {}", Self::WHAT, kind(other))).write(Self::EXAMPLE)),
        }
    }

    /// A number without quotes.
    fn bare(number: &str) -> Fault {
        let plain = number.replace('_', "");
        match plain.parse::<f64>().ok().filter(|n| n.is_finite()).and_then(|_| Self::for_number(&plain)) {
            Some(text) => Fault::new("has no unit").write(text),
            None => Fault::new(format!("is {}, written as a text", Self::WHAT)).write(Self::EXAMPLE),
        }
    }
}

/// What a TOML value is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Splits `80 kW` into 80 and `kW`. No number, or one that is not finite, is a fault.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let longest = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E')));
    let longest = longest.unwrap_or(text.len());
    (1..=longest).rev().find_map(|end| {
        let (number, unit) = text.split_at_checked(end)?;
        let number: f64 = number.parse().ok()?;
        number.is_finite().then(|| (number, unit.trim()))
    })
}

/// Reads a number with one of the units.
fn quantity(text: &str, what: &str, example: &str, units: &[(&str, f64)]) -> Result<f64, Fault> {
    let Some((number, unit)) = number_and_unit(text) else {
        return Err(Fault::new(format!("is {what}; {text:?} does not start with a number")).write(example));
    };
    if unit.starts_with(',') {
        return Err(Fault::new("has a decimal comma").write(text.replacen(',', ".", 1)));
    }
    match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => Some(number * factor)
            .filter(|value| value.is_finite())
            .ok_or_else(|| Fault::new(format!("is too large: {text:?}"))),
        None => {
            let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
            let near = nearest_unit(unit, &names);
            Err(Fault::new(format!("is {what}; its unit is {}", any_of(&names))).write(format!("{number} {near}")))
        }
    }
}

fn nearest_unit<'a>(unit: &str, names: &[&'a str]) -> &'a str {
    names.iter().find(|name| name.eq_ignore_ascii_case(unit)).or(names.get(usize::from(names.len() > 1))).unwrap_or(&"")
}

/// `a`, `b` or `c`.
pub(super) fn any_of<T: std::fmt::Display>(names: &[T]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// A duration as it would be written.
pub(super) fn shown(time: Duration) -> String {
    let millis = time.as_millis();
    match (millis % 1000, millis / 1000) {
        (0, seconds) if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        (0, 0) if !time.is_zero() => format!("{} µs", time.as_micros()),
        (0, seconds) => format!("{seconds} s"),
        _ => format!("{millis} ms"),
    }
}

/// The name that was probably meant, if one is near enough.
pub(super) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase().replace('_', "-");
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase().replace('_', "-")), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// What to write instead of a name that is not there: the one that was probably meant, else all there are.
pub fn instead<'a>(wanted: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(wanted, names.clone()) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; there is {}", names.collect::<Vec<_>>().join(", ")),
    }
}

impl Written for Watts {
    const WHAT: &'static str = "a power";
    const EXAMPLE: &'static str = "80 kW";

    fn from_text(text: &str) -> Result<Self, Fault> {
        quantity(text, Self::WHAT, Self::EXAMPLE, &[("W", 1.0), ("kW", 1e3), ("MW", 1e6)]).map(Self::new)
    }

    fn for_number(number: &str) -> Option<String> {
        let unit = if number.parse::<f64>().is_ok_and(|n| n.abs() >= 500.0) { "W" } else { "kW" };
        Some(format!("{number} {unit}"))
    }
}

impl Written for WattHours {
    const WHAT: &'static str = "an energy";
    const EXAMPLE: &'static str = "30 kWh";

    fn from_text(text: &str) -> Result<Self, Fault> {
        quantity(text, Self::WHAT, Self::EXAMPLE, &[("Wh", 1.0), ("kWh", 1e3), ("MWh", 1e6)]).map(Self::new)
    }

    fn for_number(number: &str) -> Option<String> {
        let unit = if number.parse::<f64>().is_ok_and(|n| n.abs() >= 500.0) { "Wh" } else { "kWh" };
        Some(format!("{number} {unit}"))
    }
}

impl Written for Soc {
    const WHAT: &'static str = "a share";
    const EXAMPLE: &'static str = "95 %";

    fn from_text(text: &str) -> Result<Self, Fault> {
        quantity(text, Self::WHAT, Self::EXAMPLE, &[("%", 1.0)]).map(Self::from_percent)
    }

    fn for_number(number: &str) -> Option<String> {
        Some(format!("{number} %"))
    }
}

/// A change of power, W a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(super) struct Ramp(pub Watts);

impl Written for Ramp {
    const WHAT: &'static str = "a change of power";
    const EXAMPLE: &'static str = "2 kW/s";

    fn from_text(text: &str) -> Result<Self, Fault> {
        quantity(text, Self::WHAT, Self::EXAMPLE, &[("W/s", 1.0), ("kW/s", 1e3), ("kW/min", 1e3 / 60.0)])
            .map(|rate| Self(Watts::new(rate)))
    }

    fn for_number(number: &str) -> Option<String> {
        Some(format!("{number} kW/s"))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(super) struct Bytes(pub usize);

impl Written for Bytes {
    const WHAT: &'static str = "a size";
    const EXAMPLE: &'static str = "16 MB";

    fn from_text(text: &str) -> Result<Self, Fault> {
        const UNITS: [(&str, f64); 5] =
            [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("KiB", 1024.0), ("MiB", 1024.0 * 1024.0)];
        let bytes = quantity(text, Self::WHAT, Self::EXAMPLE, &UNITS)?;
        if bytes < 0.0 { Err(Fault::new("is negative")) } else { Ok(Self(bytes as usize)) }
    }

    fn for_number(number: &str) -> Option<String> {
        Some(format!("{number} MB"))
    }
}

impl Written for Duration {
    const WHAT: &'static str = "a duration";
    const EXAMPLE: &'static str = "30 min";

    fn from_text(text: &str) -> Result<Self, Fault> {
        const UNITS: [(&str, f64); 5] = [("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("m", 60.0), ("h", 3600.0)];
        let mut seconds = 0.0;
        let mut rest = text.trim();
        loop {
            let unit = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let tail = rest.get(unit..).unwrap_or_default();
            let end = unit + tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (part, more) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let part = quantity(part, Self::WHAT, Self::EXAMPLE, &UNITS)?;
            if part < 0.0 {
                return Err(Fault::new(format!("is negative: {text:?}")));
            }
            seconds += part;
            rest = more.trim_start();
            if rest.is_empty() {
                break;
            }
        }
        Self::try_from_secs_f64(seconds).map_err(|_| Fault::new(format!("is too long: {text:?}")))
    }

    fn for_number(number: &str) -> Option<String> {
        Some(format!("{number} s"))
    }
}

/// A price: money per kWh or per kW.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Price<const ENERGY: bool> {
    /// How much.
    pub amount: f64,
    /// Three capital letters (ISO 4217).
    pub currency: String,
}

impl<const ENERGY: bool> PartialOrd for Price<ENERGY> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.amount.partial_cmp(&other.amount)
    }
}

impl<const ENERGY: bool> Written for Price<ENERGY> {
    const WHAT: &'static str = if ENERGY { "a price of energy" } else { "a price of power" };
    const EXAMPLE: &'static str = if ENERGY { "0.31 EUR/kWh" } else { "12 EUR/kW" };

    fn from_text(text: &str) -> Result<Self, Fault> {
        let per = if ENERGY { "kWh" } else { "kW" };
        let wrong = || Fault::new(format!("is {} such as {:?}", Self::WHAT, Self::EXAMPLE));
        let Some((amount, unit)) = number_and_unit(text) else {
            return Err(wrong().write(Self::EXAMPLE));
        };
        if unit.starts_with(',') {
            return Err(Fault::new("has a decimal comma").write(text.replacen(',', ".", 1)));
        }
        let (currency, of) = unit.split_once('/').unwrap_or((unit, ""));
        let (currency, of) = (currency.trim(), of.trim());
        let known = currency.len() == 3 && currency.chars().all(|c| c.is_ascii_uppercase());
        if known && of == per {
            return Ok(Self { amount, currency: currency.to_owned() });
        }
        let upper = currency.to_ascii_uppercase();
        let currency = if upper.len() == 3 && upper.is_ascii() { upper.as_str() } else { "EUR" };
        Err(wrong().write(format!("{amount} {currency}/{per}")))
    }

    fn for_number(number: &str) -> Option<String> {
        Some(format!("{number} EUR/{}", if ENERGY { "kWh" } else { "kW" }))
    }
}

impl Written for String {
    const WHAT: &'static str = "a text";
    const EXAMPLE: &'static str = "…";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text.chars().any(char::is_control) { Err(Fault::new("has control characters")) } else { Ok(text.to_owned()) }
    }

    fn for_number(number: &str) -> Option<String> {
        Some(number.to_owned())
    }

    fn bare(number: &str) -> Fault {
        Fault::new("is a text: it needs quotes").write(number)
    }
}

impl Written for bool {
    const WHAT: &'static str = "true or false";
    const EXAMPLE: &'static str = "true";

    fn toml(text: &str) -> String {
        text.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Fault { what: format!("is {}", Self::WHAT), write: Some("true".to_owned()) }),
        }
    }

    fn from_value(value: &DeValue<'_>) -> Result<Self, Fault> {
        match value {
            DeValue::Boolean(value) => Ok(*value),
            DeValue::String(text) if matches!(&**text, "true" | "false") => {
                Err(Fault { what: "stands without quotes".to_owned(), write: Some(text.to_string()) })
            }
            _ => Err(Fault { what: format!("is {}", Self::WHAT), write: Some("true".to_owned()) }),
        }
    }
}

impl Written for u16 {
    const WHAT: &'static str = "a whole number";
    const EXAMPLE: &'static str = "1";

    fn toml(text: &str) -> String {
        text.to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| Fault { what: format!("is {}", Self::WHAT), write: Some(Self::EXAMPLE.to_owned()) })
    }

    fn from_value(value: &DeValue<'_>) -> Result<Self, Fault> {
        let wrong = || Fault { what: format!("is {}", Self::WHAT), write: Some(Self::EXAMPLE.to_owned()) };
        match value {
            DeValue::Integer(number) => u16::from_str_radix(number.as_str(), number.radix()).map_err(|_| wrong()),
            DeValue::String(text) if text.parse::<u16>().is_ok() => {
                Err(Fault { what: "stands without quotes".to_owned(), write: Some(text.to_string()) })
            }
            _ => Err(wrong()),
        }
    }
}

/// A value, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OrAuto<T> {
    /// Written out.
    Fixed(T),
    /// Left to the program.
    Auto,
}

impl<T: PartialOrd> PartialOrd for OrAuto<T> {
    /// `auto` is in every range.
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) => a.partial_cmp(b),
            _ => Some(std::cmp::Ordering::Equal),
        }
    }
}

impl<T: Written> Written for OrAuto<T> {
    const WHAT: &'static str = T::WHAT;
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text == "auto" { Ok(Self::Auto) } else { T::from_text(text).map(Self::Fixed) }
    }

    fn for_number(number: &str) -> Option<String> {
        T::for_number(number)
    }
}
