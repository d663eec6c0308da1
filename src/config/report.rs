//! All problems of one config text, collected while it is read and rendered at the end with place and excerpt.

use std::cell::RefCell;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Diagnostics;

/// More than these are not shown; one slip (a binary file) can make thousands.
const MOST_SHOWN: usize = 40;

/// One thing that is wrong or odd.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    title: String,
    at: Range<usize>,
    also: Option<(Range<usize>, String)>,
    help: Option<String>,
    warning: bool,
    follows: bool,
    syntax: bool,
}

impl Problem {
    /// An error at a place. The title is a sentence without a full stop.
    pub fn new(at: Range<usize>, title: impl Into<String>) -> Self {
        let title = title.into();
        Self { title, at, also: None, help: None, warning: false, follows: false, syntax: false }
    }

    /// A second place that has to do with it.
    pub fn also(self, at: Range<usize>, label: impl Into<String>) -> Self {
        Self { also: Some((at, label.into())), ..self }
    }

    /// What to write or do instead.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Only odd: the config is valid all the same.
    pub fn warning(self) -> Self {
        Self { warning: true, ..self }
    }

    /// The text is not TOML here.
    pub fn syntax(self) -> Self {
        Self { syntax: true, ..self }
    }

    /// May be a mere consequence of another error (something is missing that a broken line would have held): left out
    /// while the text has syntax errors.
    pub fn follows(self) -> Self {
        Self { follows: true, ..self }
    }
}

/// The problems of one text.
#[derive(Debug)]
pub(super) struct Report<'a> {
    text: &'a str,
    name: &'a str,
    problems: RefCell<Vec<Problem>>,
    foreign: RefCell<Vec<String>>,
}

impl<'a> Report<'a> {
    /// Of a text that is shown as the file `name`.
    pub fn new(text: &'a str, name: &'a str) -> Self {
        Self { text, name, problems: RefCell::default(), foreign: RefCell::default() }
    }

    /// Notes a problem.
    pub fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Errors of other files, rendered already.
    pub fn foreign(&self, errors: Vec<String>) {
        self.foreign.borrow_mut().extend(errors);
    }

    /// 1-based line of a place.
    pub fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Renders everything, in the order of the text. `broken` = the text has syntax errors.
    pub fn finish(self, broken: bool) -> Diagnostics {
        let mut problems = self.problems.into_inner();
        // A value that was broken stands in the recovered text as an empty one.
        problems.retain(|problem| !broken || problem.syntax || !(problem.follows || problem.at.is_empty()));
        problems.sort_by_key(|problem| problem.at.start);
        let source = without_secrets(self.text);
        let (warnings, errors): (Vec<_>, Vec<_>) = problems.into_iter().partition(|problem| problem.warning);
        let rendered = |problems: Vec<Problem>| {
            let more = problems.len().saturating_sub(MOST_SHOWN);
            let mut texts: Vec<_> =
                problems.iter().take(MOST_SHOWN).map(|problem| problem.render(&source, self.name)).collect();
            if more > 0 {
                texts.push(format!("and {more} more in {}", self.name));
            }
            texts
        };
        let mut errors = rendered(errors);
        errors.extend(self.foreign.into_inner());
        Diagnostics { errors, warnings: rendered(warnings) }
    }
}

impl Problem {
    fn render(&self, source: &str, name: &str) -> String {
        let level = if self.warning { Level::WARNING } else { Level::ERROR };
        let primary = AnnotationKind::Primary.span(inside(source, &self.at));
        let mut snippet = Snippet::source(source).path(name).annotation(primary);
        if let Some((at, label)) = &self.also {
            snippet = snippet.annotation(AnnotationKind::Context.span(inside(source, at)).label(label));
        }
        let mut group: Group<'_> = level.primary_title(&self.title).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        Renderer::plain().render(&[group]).to_string()
    }
}

/// The part of a span that can be shown: inside the text, on character borders, at most to the end of its first line.
fn inside(source: &str, at: &Range<usize>) -> Range<usize> {
    let border = |mut place: usize| {
        place = place.min(source.len());
        while !source.is_char_boundary(place) {
            place -= 1;
        }
        place
    };
    let start = border(at.start);
    let end = border(at.end).max(start);
    let line = source.get(start..end).and_then(|part| part.find(['\n', '\r'])).map_or(end, |length| start + length);
    start..line
}

/// Masks what looks like a secret, at the same length: an excerpt may end in a log. A `password` key is refused, but the
/// refusal must not publish it.
fn without_secrets(text: &str) -> String {
    text.split_inclusive('\n').map(masked).collect()
}

fn masked(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let secret = ["password", "passwd", "passphrase", "secret", "token"].into_iter().find_map(|word| {
        let end = lower.find(word)? + word.len();
        let equals = end + lower.get(end..)?.find('=')?;
        (!lower.get(end..)?.starts_with("_file")).then_some(equals + 1..line.trim_end().len())
    });
    // What stands before an `@` in a text: the user and the password of an address.
    let user = lower.rfind('@').and_then(|end| {
        let before = lower.get(..end)?;
        let quote = before.rfind(['"', '\''])? + 1;
        let start = before.find("://").map_or(quote, |scheme| quote.max(scheme + 3));
        Some(start..end)
    });
    let mut line = line.to_owned();
    for range in [secret, user].into_iter().flatten() {
        if let Some(part) = line.get(range.clone()).filter(|part| !part.is_empty()) {
            let stars = "*".repeat(part.len());
            line.replace_range(range, &stars);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_at_the_same_length() {
        let text = "password = \"hünter2\"\npassword_file = \"mqtt\"\nbroker = \"mqtts://u:p@host\" # password = x\n";
        let masked = without_secrets(text);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("nter2") && !masked.contains("u:p"), "{masked}");
        assert!(masked.contains("password_file = \"mqtt\""));
        assert!(masked.contains("@host"));
    }

    #[test]
    fn any_span_can_be_shown() {
        for at in [0..0, 4..900, 2..3, 900..901] {
            let text = Problem::new(at, "odd").also(1..2, "here").render("ü\nab", "x.toml");
            assert!(text.contains("error: odd"), "{text}");
        }
    }
}
