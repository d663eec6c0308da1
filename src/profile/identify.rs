//! Finding out what the device is: identity checks, the SunSpec walk, and the scale registers that writes need.

use super::bind::Bound;
use super::define::{Check, Source, Test, ValueDef, When};
use super::sunspec::Walk;
use super::{Instance, Span, WordOrder};

/// How far identification has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// This check is next.
    Check(usize),
    /// Somewhere on the chain.
    Walk(Walk),
    /// The value with this index is read once a session.
    Session(usize),
    /// Done.
    Known,
}

impl Instance {
    /// What must be read next before the device is known (SunSpec walk, identity checks, scale registers), as registers;
    /// `None` when known. Answer with [`Instance::identified`].
    pub fn identify(&self) -> Option<Span> {
        let definition = &self.profile.definition;
        match &self.stage {
            Stage::Check(index) => {
                let register = &definition.checks.get(*index)?.register;
                Some(Span { table: register.table, start: register.start, len: register.encoding.len })
            }
            Stage::Walk(walk) => walk.next(definition.sunspec.as_ref()?),
            Stage::Session(index) => match self.mapping.binding.values.get(*index)? {
                Bound::Read(located) => Some(located.value()),
                Bound::Computed(_) | Bound::Absent => None,
            },
            Stage::Known => None,
        }
    }

    /// The answer to [`Instance::identify`]: the words, or `None` where the device refused (a Modbus exception).
    ///
    /// # Errors
    /// A sentence when the device is not what the profile describes; identification then starts anew.
    pub fn identified(&mut self, words: Option<&[u16]>) -> Result<(), String> {
        let result = self.learn(words);
        if result.is_err() {
            self.forget();
        }
        result
    }

    /// Forgets what [`Instance::identified`] learnt, as after a reconnect.
    pub fn forget(&mut self) {
        self.polls.fill(0);
        for (memory, value) in self.memory.iter_mut().zip(&self.profile.definition.values) {
            if matches!(value.when, When::Group(_)) {
                memory.lose();
            }
        }
        if self.chain.take().is_some() {
            self.bind();
        }
        self.stage = Stage::Check(0);
        self.settle();
    }

    fn learn(&mut self, words: Option<&[u16]>) -> Result<(), String> {
        let definition = self.profile.definition.clone();
        self.stage = match std::mem::replace(&mut self.stage, Stage::Known) {
            Stage::Check(index) => {
                if let Some(check) = definition.checks.get(index) {
                    check.pass(words).map_err(|why| format!("is no {}: {why}", self.profile.name))?;
                    if let Some(order) = words.and_then(|words| check.words(words)) {
                        self.words = Some(order);
                        self.bind();
                    }
                }
                Stage::Check(index + 1)
            }
            Stage::Walk(walk) => match &definition.sunspec {
                Some(wanted) => Stage::Walk(walk.step(wanted, words)?),
                None => Stage::Session(0),
            },
            Stage::Session(index) => {
                if let (Some(Bound::Read(located)), Some(memory)) =
                    (self.mapping.binding.values.get(index), self.memory.get_mut(index))
                {
                    let value = words.and_then(|words| located.encoding.raw(words));
                    // A refusal keeps the last session's value: a release must stay possible.
                    if value.is_some() || words.is_some() {
                        memory.keep(value, self.now);
                    }
                }
                Stage::Session(index + 1)
            }
            Stage::Known => Stage::Known,
        };
        if let (Stage::Walk(Walk::Done(chain)), Some(wanted)) = (&self.stage, &definition.sunspec) {
            let device = chain.device(wanted)?;
            self.chain = Some((chain.clone(), device));
            self.bind();
            self.lacks_nothing()?;
            self.stage = Stage::Session(0);
        }
        self.settle();
        Ok(())
    }

    /// Steps over what needs no read.
    fn settle(&mut self) {
        let definition = self.profile.definition.clone();
        if let Stage::Check(index) = self.stage
            && index >= definition.checks.len()
        {
            self.stage = if definition.sunspec.is_some() { Stage::Walk(Walk::Base(0)) } else { Stage::Session(0) };
        }
        if let Stage::Session(from) = self.stage {
            let next = (from..definition.values.len()).find(|index| {
                definition.values.get(*index).is_some_and(|value| value.when == When::Session)
                    && matches!(self.mapping.binding.values.get(*index), Some(Bound::Read(_)))
            });
            self.stage = next.map_or(Stage::Known, Stage::Session);
        }
    }

    /// Points that the profile counts on must be there; computed ones follow what they are computed from.
    fn lacks_nothing(&self) -> Result<(), String> {
        let definition = &self.profile.definition;
        let counted_on = |value: &ValueDef| value.public && !value.optional && !matches!(value.source, Source::Is(_));
        let mut all = definition.values.iter().zip(&self.mapping.binding.values);
        let missing = all.find(|(value, bound)| counted_on(value) && matches!(bound, Bound::Absent));
        match missing {
            Some((value, _)) => Err(format!("has no register for {}", value.name)),
            None => Ok(()),
        }
    }
}

impl Check {
    /// The word order that the answer tells.
    fn words(&self, words: &[u16]) -> Option<WordOrder> {
        let Test::Words { little, .. } = &self.test else { return None };
        let found = self.register.encoding.number(words, 0)?;
        Some(if found == *little { WordOrder::Little } else { WordOrder::Big })
    }

    fn pass(&self, words: Option<&[u16]>) -> Result<(), String> {
        let at = self.register.start;
        let words = words.ok_or_else(|| format!("register {at} cannot be read"))?;
        let encoding = &self.register.encoding;
        let (sound, found, wanted) = match &self.test {
            Test::Starts(start) => {
                let text = encoding.text(words).unwrap_or_default();
                (
                    text.starts_with(start.as_str()),
                    format!("\"{text}\""),
                    format!("a text that starts with \"{start}\""),
                )
            }
            Test::Words { little, big } => {
                let found = encoding.number(words, 0);
                let sound = found == Some(*little) || found == Some(*big);
                let found = found.map_or("no value".to_owned(), |found| found.to_string());
                (sound, found, format!("{little} (low word first) or {big} (high word first)"))
            }
            Test::Equal(number) | Test::NotEqual(number) => {
                let found = encoding.number(words, 0);
                let equal = found == Some(*number);
                let wanted = matches!(self.test, Test::Equal(_));
                let found = found.map_or("no value".to_owned(), |found| found.to_string());
                (equal == wanted, found, format!("{}{number}", if wanted { "" } else { "other than " }))
            }
        };
        if sound { Ok(()) } else { Err(format!("register {at} has {found}, not {wanted}")) }
    }
}
