//! `[control.X]`: what may be asked, and the sequences that do it.

use std::sync::Arc;
use std::time::Duration;

use super::loader::Loader;
use super::report::Place;
use super::section::Section;
use super::steps;
use crate::profile::define::{Capture, ControlDef, Need, Source, StepDef, Target, When};
use crate::profile::expr::{Binary, Expr};
use crate::profile::names::nearest;
use crate::profile::{BatteryControl, Class, Control, ControlKind, Status, Unit};

const KINDS: [(&str, ControlKind); 5] = [
    ("battery-power", ControlKind::BatteryPower(BatteryControl::Exact)),
    ("power-limit", ControlKind::PowerLimit),
    ("switch", ControlKind::Switch),
    ("current-limit", ControlKind::CurrentLimit),
    ("mode", ControlKind::Mode),
];
const DOES: [(&str, BatteryControl); 4] = [
    ("exact", BatteryControl::Exact),
    ("window", BatteryControl::Window),
    ("grid-point", BatteryControl::GridPoint),
    ("ac-total", BatteryControl::AcTotal),
];
const CLASSES: [(&str, Class); 2] = [("ram", Class::Ram), ("flash", Class::Flash)];
pub(super) const STATUSES: [(&str, Status); 2] =
    [("confirmed", Status::Confirmed), ("unconfirmed", Status::Unconfirmed)];

/// Where a device goes by itself; `true` where that is as if it were released.
const FALLBACKS: [(&str, bool); 5] =
    [("self-consumption", true), ("automatic", true), ("zero", true), ("last", false), ("max", false)];

impl Loader<'_> {
    /// Reads one control; `status` is the profile's.
    pub(super) fn control(
        &mut self,
        name: &str,
        section: &Section<'_>,
        status: Status,
    ) -> Option<(Control, ControlDef)> {
        let kind = section.word("kind", &KINDS);
        if section.get("kind").is_none() {
            section.missing("kind", "\"battery-power\"");
        }
        let does = section.word("does", &DOES);
        let kind = match (kind, does, section.get("does")) {
            (Some(ControlKind::BatteryPower(_)), does, _) => {
                ControlKind::BatteryPower(does.unwrap_or(BatteryControl::Exact))
            }
            (Some(_), _, Some(node)) => {
                section.error(&node.span(), "`does` is for battery-power", "here", "leave it out");
                ControlKind::Switch
            }
            (kind, ..) => kind.unwrap_or(ControlKind::Switch),
        };
        let capture = self.captures(section);
        let setpoint = if matches!(kind, ControlKind::BatteryPower(_) | ControlKind::PowerLimit) {
            Unit::Watts
        } else {
            Unit::None
        };
        let (min, max) = self.bounds(section, kind);
        let whole = if kind == ControlKind::Mode { 1.0 } else { 0.0 };
        let step = section.number("step").map_or(whole, |(step, place)| {
            if step <= 0.0 {
                section.error(&place, "a step is greater than 0", "here", "leave it out where any value will do");
            }
            step
        });
        let positive = |key| section.number(key).map_or(0.0, |(number, _)| number.max(0.0));
        let (deadband, min_on) = (positive("deadband"), positive("min_on"));
        let need = self.needs(section);
        let class = section.word("class", &CLASSES);
        if section.get("class").is_none() {
            section.missing("class", "\"flash\"");
        }
        let refresh = section.duration("refresh");
        let heartbeat = section.section("heartbeat", "heartbeat").and_then(|beat| self.heartbeat(&beat));
        let (revert, revert_after) = self.revert(section);
        let beat = heartbeat.as_ref().map(|(every, _)| *every);
        self.fed(section, revert_after, &refresh, beat);
        section.not_yet(
            "unlock",
            "a device that wants a code or a login first is not supported; a code never belongs into a profile",
        );
        let settle = section.duration("settle").map_or(Duration::from_secs(5), |(time, _)| time);
        let set = self.steps(section, "set", setpoint);
        let release = self.steps(section, "release", Unit::None);
        let effect = self.effect(section);
        let class = class.unwrap_or(Class::Flash);
        let budget = section.whole::<u32>("budget", (1, 1_000_000)).map(|(budget, _)| budget);
        let status = section.word("status", &STATUSES).unwrap_or(status);
        section.done();
        let def = ControlDef {
            name: Arc::from(name),
            min,
            max,
            step,
            min_on,
            need,
            capture,
            set,
            release,
            revert,
            heartbeat,
        };
        let control = Control {
            name: Arc::from(name),
            kind,
            status,
            step,
            deadband,
            min_on,
            class,
            budget,
            refresh: refresh.as_ref().map(|(time, _)| *time),
            revert: revert_after,
            settle,
            effect,
        };
        steps::check_control(section, &control, &def);
        Some((control, def))
    }

    /// `min` and `max`: numbers or expressions over points.
    fn bounds(&self, section: &Section<'_>, kind: ControlKind) -> (Expr, Expr) {
        let read = |key, default: Option<f64>| {
            let node = section.get(key);
            if let Some((text, place)) = node.filter(|node| node.get_ref().is_str()).and_then(|_| section.text(key)) {
                return self.expression(text, &place).unwrap_or(Expr::Number(0.0));
            }
            if node.is_none() && default.is_none() {
                section.missing(key, "\"battery.max\"");
            }
            Expr::Number(node.and_then(|_| section.number(key)).map(|(number, _)| number).or(default).unwrap_or(0.0))
        };
        match kind {
            ControlKind::Switch => (read("min", Some(0.0)), read("max", Some(1.0))),
            ControlKind::BatteryPower(_) | ControlKind::Mode => (read("min", None), read("max", None)),
            ControlKind::PowerLimit | ControlKind::CurrentLimit => (read("min", Some(0.0)), read("max", None)),
        }
    }

    fn captures(&mut self, section: &Section<'_>) -> Vec<Capture> {
        let mut captures = Vec::new();
        for inside in section.sections("capture", "a capture") {
            let name = inside.text("as");
            let back = inside.flag("back").unwrap_or(true);
            let Some(target) = self.target(&inside) else { continue };
            inside.done();
            if !back && name.is_none() {
                inside.error(&inside.place, "neither put back nor named", "of no use", "write `as = \"own.limit\"`");
            }
            let value = name.and_then(|(name, place)| {
                let sound = name.strip_prefix("own.").is_some_and(|rest| !rest.is_empty());
                if !sound || self.by_name.contains_key(name) {
                    inside.error(
                        &place,
                        "a captured setting is named `own.…`, once",
                        "here",
                        "write `as = \"own.limit\"`",
                    );
                    return None;
                }
                let source = Source::Is(Expr::Number(0.0));
                let index = self.hide(name.to_owned(), When::Told, source, &place);
                self.by_name.insert(name.to_owned(), index);
                Some(index)
            });
            let scale = self.scale_of(&inside, &target);
            captures.push(Capture { target, scale, value, back });
        }
        captures
    }

    fn needs(&mut self, section: &Section<'_>) -> Vec<Need> {
        let mut needs = Vec::new();
        for inside in section.sections("need", "a need") {
            let sentence = inside.text("else").map(|(text, _)| text.to_owned());
            if sentence.is_none() {
                inside.missing("else", "\"what the owner must switch on\"");
            }
            let when = inside.text("when").and_then(|(text, place)| self.expression(text, &place));
            let is = if let Some((text, place)) = inside.text("is") {
                self.expression(text, &place)
            } else {
                let comparison = [("eq", Binary::Equal), ("ne", Binary::NotEqual), ("min", Binary::GreaterEqual)]
                    .into_iter()
                    .find_map(|(key, op)| inside.number(key).map(|(number, _)| (op, number)));
                let Some((op, number)) = comparison else {
                    inside.missing("is", "\"custom.mode == 1\"");
                    continue;
                };
                self.target(&inside).map(|target| {
                    let name = match &target {
                        Target::Register(register) => format!("register {}", register.start),
                        Target::Model(point) => format!("{} of model {}", point.point, point.model),
                    };
                    let source = source_of(target);
                    let when = When::Group(self.slowest_group());
                    let index = self.hide(name, when, source, &inside.place);
                    Expr::Binary(op, Box::new((Expr::Value(index), Expr::Number(number))))
                })
            };
            inside.done();
            if let (Some(is), Some(sentence)) = (is, sentence) {
                needs.push(Need { is, when, sentence });
            }
        }
        needs
    }

    fn slowest_group(&self) -> usize {
        (0..self.groups.len()).max_by_key(|index| self.groups.get(*index).map(|group| group.public.every)).unwrap_or(0)
    }

    fn effect(&self, section: &Section<'_>) -> Option<(Arc<str>, f64)> {
        let inside = section.section("effect", "effect")?;
        let point = inside.text("point");
        let tolerance = inside.number("tolerance");
        inside.done();
        let (Some((point, place)), Some((tolerance, _))) = (point, tolerance) else {
            inside.missing("point and tolerance", "…");
            return None;
        };
        let name = self.canonical(point);
        if !self.by_name.contains_key(&name) {
            let near = nearest(&name, self.by_name.keys().map(String::as_str));
            let help = near.map_or(String::new(), |near| format!("did you mean `{near}`?"));
            inside.error(&place, format!("there is no point `{point}`"), "unknown point", help);
        }
        Some((Arc::from(name), tolerance))
    }

    /// The revert timer: the step that arms it (where there is a register for it), and how long it is.
    fn revert(&mut self, section: &Section<'_>) -> (Option<StepDef>, Option<Duration>) {
        let Some(inside) = section.section("revert", "revert") else { return (None, None) };
        match inside.word("to", &FALLBACKS) {
            Some(false) => {
                let place = inside.get("to").map_or_else(|| inside.place.clone(), |node| node.span());
                let help = "such a device needs a warning that the config accepts, which is not there yet";
                inside.error(&place, "a device that falls back so is not released", "does harm when we die", help);
            }
            None if inside.get("to").is_none() => inside.missing("to", "\"self-consumption\""),
            _ => {}
        }
        let fixed = inside.duration("after");
        let (step, after) = if let Some((after, _)) = fixed {
            (None, Some(after))
        } else {
            let per = inside.duration("per").map_or(Duration::from_secs(1), |(per, _)| per);
            let value = inside.number("value");
            let step = self.step(&inside, Some(value.as_ref().map_or(0.0, |(value, _)| *value)), Unit::None);
            let after = value.filter(|(value, _)| *value > 0.0).map(|(value, _)| per.mul_f64(value.min(1e6)));
            if after.is_none() {
                inside.missing("value", "90");
            }
            (step, after)
        };
        inside.done();
        (step, after)
    }

    /// A timer of the device must be fed at least twice in its time: by refreshes, by heartbeats or, where any read feeds
    /// it, by the polls of the fastest group.
    fn fed(
        &self,
        section: &Section<'_>,
        revert: Option<Duration>,
        refresh: &Option<(Duration, Place)>,
        heartbeat: Option<Duration>,
    ) {
        let reads = section.flag("fed_by_reads").unwrap_or(false);
        let Some(after) = revert else {
            if let (true, Some(node)) = (reads, section.get("fed_by_reads")) {
                section.error(
                    &node.span(),
                    "nothing needs to be fed",
                    "without `revert`",
                    "say what reverts, and when",
                );
            }
            return;
        };
        let what = format!("the device takes its own way after {after:?}");
        let polled = reads.then(|| self.groups.iter().map(|group| group.public.every).min()).flatten();
        let place = refresh.as_ref().map_or_else(|| section.place.clone(), |(_, place)| place.clone());
        match [polled, heartbeat, refresh.as_ref().map(|(every, _)| *every)].into_iter().flatten().min() {
            Some(every) if after < every * 2 => {
                let help = "a refresh may fail once: make `revert` at least twice `refresh`";
                section.error(&place, what, format!("a refresh each {every:?} is too rare"), help);
            }
            Some(_) => {}
            None => section.missing("refresh", &format!("\"{}s\"", after.as_secs() / 3)),
        }
    }

    fn heartbeat(&mut self, section: &Section<'_>) -> Option<(Duration, StepDef)> {
        let every = section.duration("every");
        section.not_yet("with", "a login is not supported");
        if every.is_none() {
            section.missing("every", "\"5s\"");
        }
        let value = section.number("value").map_or(0.0, |(value, _)| value);
        let timeout = section.duration("timeout");
        if let (Some((every, place)), Some((timeout, _))) = (&every, &timeout)
            && *every * 2 > *timeout
        {
            section.error(place, "a heartbeat comes at least twice in its time-out", "too rare", "");
        }
        let step = self.step(section, Some(value), Unit::None);
        section.done();
        Some((every?.0, step?))
    }
}

/// What is written can be read.
pub(super) fn source_of(target: Target) -> Source {
    match target {
        Target::Register(register) => Source::Register(register),
        Target::Model(point) => Source::Model(point),
    }
}
