//! The `[[rule]]`s.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::keys::{KINDS, RULES, Shape};
use super::report::{Problem, Report};
use super::section::Section;
use super::written::{Fault, OrAuto, any_of, nearest};
use super::{PeakLimit, Rule, RuleConfig, TimeOfDay, Weekdays};
use crate::units::{Soc, Watts};

/// What `reserve` keeps where it shall find out by itself, until it can.
const AUTO_RESERVE: Soc = Soc::from_percent(30.0);

/// A rule with its place in the text.
pub(super) struct Found<'a> {
    pub section: Section<'a>,
    pub kind: &'static str,
    /// `None` when it was refused, or is accepted and ignored.
    pub config: Option<RuleConfig>,
}

/// Reads a rule by its kind. `None` (reported) without a known one.
pub(super) fn read<'a>(value: &'a Spanned<DeValue<'a>>, report: &'a Report<'a>) -> Option<Found<'a>> {
    let (kind, shape) = kind(value, report)?;
    let section = Section::open(shape, value, report)?;
    if section.has("circuit") {
        let problem = section.problem("circuit", "`circuit` is reserved and not built yet");
        report.add(problem.help("take it out: the rule works on the grid point"));
    }
    let line = report.line(section.span().start);
    let config = rule(kind, &section).map(|rule| RuleConfig { rule, line });
    Some(Found { section, kind, config })
}

fn kind<'a>(value: &'a Spanned<DeValue<'a>>, report: &Report<'_>) -> Option<(&'static str, &'static Shape)> {
    let list = any_of(KINDS);
    let Some(kind) = value.get_ref().get("kind") else {
        report
            .add(Problem::new(value.span(), "this rule has no `kind`").help(format!("it is one of {list}")).follows());
        return None;
    };
    let text = kind.get_ref().as_str().unwrap_or_default();
    let known = KINDS.iter().zip(RULES).find(|(name, _)| **name == text);
    if known.is_none() {
        let problem = Problem::new(kind.span(), format!("there is no rule of kind {text:?}"));
        report.add(match nearest(text, KINDS.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `kind = \"{near}\"`? There are {list}")),
            None => problem.help(format!("there are {list}")),
        });
    }
    known.map(|(name, shape)| (*name, shape))
}

fn rule(kind: &str, section: &Section<'_>) -> Option<Rule> {
    match kind {
        "grid-limit" => {
            if section.has("import") && section.has("limit") {
                let problem = section.problem("limit", "`limit` is another word for `import`: write one of them");
                section.report().add(problem.also(section.span_of("import"), "the other"));
            }
            let import = section.get::<Watts>("import").or(section.get::<Watts>("limit"));
            Some(Rule::GridLimit { import, export: section.get("export") })
        }
        "export-limit" => Some(Rule::ExportLimit { limit: section.get("limit")? }),
        "reserve" => reserve(section),
        "peak-shaving" => peak_shaving(section),
        "charge-window" => charge_window(section),
        "self-consumption" => Some(Rule::SelfConsumption { target: section.value("target") }),
        _ => {
            section.report().add(section.problem("kind", format!("`{kind}` is not built yet: ignored")).warning());
            None
        }
    }
}

fn reserve(section: &Section<'_>) -> Option<Rule> {
    let soc = match section.get::<OrAuto<Soc>>("soc")? {
        OrAuto::Fixed(soc) => soc,
        OrAuto::Auto => {
            let title = format!("`soc = \"auto\"` is not built yet: {AUTO_RESERVE} are kept");
            section.report().add(section.problem("soc", title).warning());
            AUTO_RESERVE
        }
    };
    Some(Rule::Reserve { soc, hysteresis: section.value("hysteresis"), recharge: section.value("recharge") })
}

fn peak_shaving(section: &Section<'_>) -> Option<Rule> {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let window = section.choice(
        "window",
        &[
            ("1 min", minutes(1)),
            ("5 min", minutes(5)),
            ("15 min", minutes(15)),
            ("30 min", minutes(30)),
            ("60 min", minutes(60)),
            ("1 h", minutes(60)),
        ],
    );
    let margin: Watts = section.value("margin");
    let limit = match section.get::<OrAuto<Watts>>("limit")? {
        OrAuto::Auto => PeakLimit::Auto,
        OrAuto::Fixed(limit) => PeakLimit::Fixed(limit),
    };
    if let PeakLimit::Fixed(limit) = limit
        && margin >= limit
    {
        let problem = section.problem("margin", "`margin` takes all of the limit away");
        section.report().add(problem.also(section.span_of("limit"), "the limit"));
    }
    Some(Rule::PeakShaving { limit, window, margin, hold: section.get("hold") })
}

fn charge_window(section: &Section<'_>) -> Option<Rule> {
    let (from, to) = (section.get::<TimeOfDay>("from"), section.get::<TimeOfDay>("to"));
    let days = days(section);
    let (from, to) = (from?, to?);
    if from == to {
        let problem = section.problem("to", "`from` and `to` are the same: the window is empty");
        section.report().add(problem.also(section.span_of("from"), "the beginning"));
    }
    Some(Rule::ChargeWindow { from, to, days, soc: section.value("soc"), power: section.get("power") })
}

fn days(section: &Section<'_>) -> Weekdays {
    const OPTIONS: [(&str, u8); 10] = [
        ("mon", 1),
        ("tue", 2),
        ("wed", 4),
        ("thu", 8),
        ("fri", 16),
        ("sat", 32),
        ("sun", 64),
        ("weekdays", 0x1f),
        ("weekend", 0x60),
        ("daily", 0x7f),
    ];
    let Some(days) = section.choices("days", &OPTIONS) else { return Weekdays::ALL };
    if days.is_empty() && section.raw("days").and_then(|days| days.get_ref().as_array()).is_some_and(|d| d.is_empty()) {
        section.refuse("days", Fault::new("is an empty list: the rule would never work").write("daily"));
    }
    Weekdays(days.iter().fold(0, |all, day| all | day.get_ref()))
}

impl super::written::Written for TimeOfDay {
    const WHAT: &'static str = "a time of day";
    const EXAMPLE: &'static str = "22:00";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let wrong = || {
            let fault = Fault::new(format!("is a time of day such as \"22:00\", not {text:?}"));
            let padded = format!("0{text}");
            if text.len() == 4 && Self::from_text(&padded).is_ok() { fault.write(padded) } else { fault.write("22:00") }
        };
        let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(hour) || !digits(minute) {
            return Err(wrong());
        }
        match (hour.parse::<u16>(), minute.parse::<u16>()) {
            (Ok(24), Ok(0)) => Ok(Self(0)),
            (Ok(hour @ 0..24), Ok(minute @ 0..60)) => Ok(Self(hour * 60 + minute)),
            _ => Err(wrong()),
        }
    }

    fn from_value(value: &DeValue<'_>) -> Result<Self, Fault> {
        match value {
            DeValue::String(text) => Self::from_text(text),
            DeValue::Datetime(time) => {
                let text: String = time.to_string().chars().take(5).collect();
                Err(Fault::new("stands in quotes").write(if text.contains(':') { &text } else { Self::EXAMPLE }))
            }
            _ => Err(Fault::new(format!("is {}", Self::WHAT)).write(Self::EXAMPLE)),
        }
    }
}

/// What a rule needs besides the grid meter: any of these roles.
pub(super) const fn needs(kind: &str) -> &'static [super::Role] {
    use super::Role::{Battery, Pv};
    match kind.as_bytes() {
        b"grid-limit" | b"export-limit" => &[Battery, Pv],
        _ => &[Battery],
    }
}
