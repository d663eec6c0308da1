//! Plain CSV tables: a header that names the columns, a row a line, faults that name their line.

use std::fmt;

use crate::clock::SiteTime;

/// What is wrong with an input file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What, and what to write instead.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

impl std::error::Error for Fault {}

/// A table's columns and where its rows are.
pub(super) struct Table<'a> {
    file: &'a str,
    columns: Vec<&'static str>,
    lines: Vec<(usize, &'a str)>,
}

impl<'a> Table<'a> {
    /// Reads the header. All of `needed` and `optional` may stand there in any order; nothing else may.
    pub fn new(
        text: &'a str,
        file: &'a str,
        needed: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Self, Fault> {
        let fault = |what: String| Fault { file: file.to_owned(), line: 1, what };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end()));
        let (_, header) =
            lines.next().ok_or_else(|| fault(format!("empty; a header comes first: {}", needed.join(","))))?;
        let mut columns: Vec<&'static str> = Vec::new();
        for name in header.split(',').map(str::trim) {
            let known = || needed.iter().chain(optional).copied();
            let Some(column) = known().find(|column| *column == name) else {
                let nearest =
                    nearest(name, known()).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return Err(fault(format!("unknown column `{name}`{nearest}")));
            };
            if columns.contains(&column) {
                return Err(fault(format!("column `{column}` stands there twice")));
            }
            columns.push(column);
        }
        if let Some(missing) = needed.iter().find(|column| !columns.contains(column)) {
            return Err(fault(format!("no column `{missing}`; needed are {}", needed.join(", "))));
        }
        Ok(Self { file, columns, lines: lines.filter(|(_, line)| !line.is_empty()).collect() })
    }

    /// Whether the header has a column.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// The rows, each with as many fields as the header has.
    pub fn rows(&self) -> impl Iterator<Item = Result<Fields<'_>, Fault>> {
        self.lines.iter().map(|(line, text)| {
            let fields: Vec<&str> = text.split(',').map(str::trim).collect();
            let row = Fields { table: self, line: *line, fields };
            if row.fields.len() == self.columns.len() {
                Ok(row)
            } else {
                Err(row.fault(format!("{} fields, the header has {}", row.fields.len(), self.columns.len())))
            }
        })
    }

    /// A fault of the file as a whole.
    pub fn fault(&self, line: usize, what: impl Into<String>) -> Fault {
        Fault { file: self.file.to_owned(), line, what: what.into() }
    }
}

/// One row.
pub(super) struct Fields<'a> {
    table: &'a Table<'a>,
    pub line: usize,
    fields: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// The text of a column; empty where the table has no such column.
    pub fn text(&self, column: &str) -> &'a str {
        let index = self.table.columns.iter().position(|known| *known == column);
        index.and_then(|index| self.fields.get(index)).copied().unwrap_or("")
    }

    /// A number that must be there.
    pub fn number(&self, column: &str) -> Result<f64, Fault> {
        self.some_number(column)?.ok_or_else(|| self.fault(format!("{column} is empty; write a number")))
    }

    /// A number, or nothing (empty, or `nan`).
    pub fn some_number(&self, column: &str) -> Result<Option<f64>, Fault> {
        let text = self.text(column);
        if text.is_empty() || text.eq_ignore_ascii_case("nan") {
            return Ok(None);
        }
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.fault(format!("{column} is `{text}`, not a number")))
    }

    /// A moment that must be there.
    pub fn time(&self, column: &str) -> Result<SiteTime, Fault> {
        let text = self.text(column);
        text.parse().map_err(|_| {
            self.fault(format!(
                "{column} is `{text}`, not a time with an offset, as in 2026-03-02T06:00:00Z or …+01:00"
            ))
        })
    }

    /// A fault of this row.
    pub fn fault(&self, what: impl Into<String>) -> Fault {
        self.table.fault(self.line, what)
    }
}

/// The most similar of some names, where one is similar at all.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|candidate| (strsim::jaro_winkler(&name.to_lowercase(), candidate), candidate));
    scored.filter(|(score, _)| *score > 0.7).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, name)| name)
}
