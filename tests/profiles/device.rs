//! A device as a table of registers, and what a bus does with an instance.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wattkeeper::clock::{IoTime, Moment};
use wattkeeper::profile::library::Library;
use wattkeeper::profile::{Captured, Image, Instance, Overrides, Profile, Span, Step, Table, Value, parse};

/// Registers by table and address; what is not there is refused.
#[derive(Clone, Debug, Default)]
pub struct Device {
    pub registers: BTreeMap<(Table, u16), u16>,
}

impl Device {
    pub fn put(&mut self, table: Table, start: u16, words: &[u16]) {
        for (at, word) in (start..).zip(words) {
            self.registers.insert((table, at), *word);
        }
    }

    pub fn holding(start: u16, words: &[u16]) -> Self {
        let mut device = Self::default();
        device.put(Table::Holding, start, words);
        device
    }

    pub fn read(&self, span: Span) -> Option<Vec<u16>> {
        (0..span.len).map(|at| self.registers.get(&(span.table, span.start + at)).copied()).collect()
    }

    pub fn obey(&mut self, steps: &[Step]) {
        for step in steps {
            self.put(step.span.table, step.span.start, &step.words);
        }
    }

    pub fn capture(&self, instance: &Instance, control: &str) -> Captured {
        instance.captures(control).into_iter().filter_map(|span| Some((span, self.read(span)?))).collect()
    }
}

pub fn builtin(id: &str) -> Arc<Profile> {
    static LIBRARY: std::sync::LazyLock<Library> = std::sync::LazyLock::new(Library::builtin);
    LIBRARY.get(id).expect("built in")
}

pub fn instance(text: &str) -> Instance {
    let profile = parse(text, "test.toml").unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    Instance::new(Arc::new(profile), &Overrides::default())
}

/// A meter with one group `g` at 1 s, and these points.
pub fn meter(points: &str) -> Instance {
    instance(&text("", "g = { every = \"1s\" }", points))
}

pub fn text(bus: &str, groups: &str, points: &str) -> String {
    format!(
        "[profile]\nid = \"test\"\nname = \"T\"\nkind = \"meter\"\nstatus = \"unconfirmed\"\nsources = []\n[bus]\n{bus}\n\
         [groups]\n{groups}\n[points]\n{points}\n"
    )
}

pub fn at(seconds: u64) -> Moment {
    Moment { io: IoTime::after_start(Duration::from_secs(seconds)), ..Moment::default() }
}

/// Answers all questions of identification.
pub fn identify(instance: &mut Instance, device: &Device) -> Result<(), String> {
    for _ in 0..500 {
        let Some(span) = instance.identify() else { return Ok(()) };
        instance.identified(device.read(span).as_deref())?;
    }
    panic!("identification does not end");
}

/// Polls one group.
pub fn poll(instance: &mut Instance, device: &Device, group: usize, now: Moment) -> BTreeMap<String, Value> {
    let mut image = Image::default();
    for span in instance.spans(group) {
        if let Some(words) = device.read(span) {
            image.insert(span, words);
        }
    }
    let points = instance.points().clone();
    instance
        .decode(group, &image, now)
        .into_iter()
        .map(|(point, value)| (points[point].name.to_string(), value))
        .collect()
}

/// Polls all groups.
pub fn poll_all(instance: &mut Instance, device: &Device, now: Moment) -> BTreeMap<String, Value> {
    (0..instance.profile().groups.len()).flat_map(|group| poll(instance, device, group, now)).collect()
}

/// What is written: address and words.
pub fn writes(steps: &[Step]) -> Vec<(u16, Vec<u16>)> {
    steps.iter().map(|step| (step.span.start, step.words.clone())).collect()
}

pub fn number(value: f64) -> Value {
    Value::Number(value)
}
