//! All that is wrong with a profile, each with its place.

use std::cell::RefCell;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Bytes of the profile's text.
pub(crate) type Place = Range<usize>;

#[derive(Debug)]
struct Problem {
    place: Place,
    what: String,
    here: String,
    help: Option<String>,
    also: Option<(Place, String)>,
}

/// Collects problems; the first does not hide the rest.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: RefCell<Vec<Problem>>,
}

impl Report {
    /// `what` is wrong; `here` says what stands at the place; `help` what to write instead.
    pub(crate) fn error(
        &self,
        place: &Place,
        what: impl Into<String>,
        here: impl Into<String>,
        help: impl Into<String>,
    ) {
        let help = Some(help.into()).filter(|help| !help.is_empty());
        let problem = Problem { place: place.clone(), what: what.into(), here: here.into(), help, also: None };
        self.problems.borrow_mut().push(problem);
    }

    /// The same with a second place.
    pub(crate) fn clash(
        &self,
        place: &Place,
        what: impl Into<String>,
        here: impl Into<String>,
        also: &Place,
        there: &str,
    ) {
        let also = Some((also.clone(), there.to_owned()));
        let problem = Problem { place: place.clone(), what: what.into(), here: here.into(), help: None, also };
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// In the order of the text, each with an excerpt.
    pub(crate) fn render(&self, text: &str, file: &str) -> Vec<String> {
        let mut problems = self.problems.borrow_mut();
        problems.sort_by_key(|problem| (problem.place.start, problem.place.end));
        problems.dedup_by(|a, b| a.place == b.place && a.what == b.what);
        problems.iter().map(|problem| problem.render(text, file)).collect()
    }
}

impl Problem {
    fn render(&self, text: &str, file: &str) -> String {
        let mut snippet = Snippet::source(text)
            .path(file)
            .annotation(AnnotationKind::Primary.span(within(text, &self.place)).label(&self.here));
        if let Some((place, label)) = &self.also {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(text, place)).label(label));
        }
        let mut group = Level::ERROR.primary_title(&self.what).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        Renderer::plain().render(&[group])
    }
}

/// A place that surely lies inside the text and on its characters.
fn within(text: &str, place: &Place) -> Place {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(place.start);
    start..floor(place.end).max(start)
}
