//! The recorded site: `timestamp,load_kw,pv_kw` and what else was known.

use std::time::Duration;

use super::Fault;
use super::table::Table;
use crate::clock::SiteTime;
use crate::units::Watts;

const NEEDED: [&str; 3] = ["timestamp", "load_kw", "pv_kw"];
const OPTIONAL: [&str; 5] = ["import_price", "export_price", "import_limit_kw", "export_limit_kw", "grid_available"];

/// Recorded data: evenly spaced rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Distance from row to row, 1 s to 1 h.
    pub step: Duration,
    /// The rows, in order.
    pub rows: Vec<Row>,
}

/// One step of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The timestamp as it was written.
    pub stamp: Box<str>,
    /// Start of the step.
    pub at: SiteTime,
    /// Mean power that the building used.
    pub load: Watts,
    /// Mean power that PV would give uncurtailed.
    pub pv: Watts,
    /// Price of an imported kWh; `None` = the tariff's.
    pub import_price: Option<f64>,
    /// Price paid for an exported kWh; `None` = the tariff's.
    pub export_price: Option<f64>,
    /// An order in force during the step: most import.
    pub import_limit: Option<Watts>,
    /// An order in force during the step: most export.
    pub export_limit: Option<Watts>,
    /// Whether there is a grid.
    pub grid: bool,
}

impl Input {
    /// From CSV text; `file` names it in faults.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn parse(text: &str, file: &str) -> Result<Self, Fault> {
        let table = Table::new(text, file, &NEEDED, &OPTIONAL)?;
        let limits = table.has("grid_available");
        let mut rows: Vec<Row> = Vec::new();
        let mut step: Option<Duration> = None;
        for row in table.rows() {
            let row = row?;
            let at = row.time("timestamp")?;
            if let Some(last) = rows.last() {
                let distance = Duration::try_from(at.duration_since(last.at)).unwrap_or(Duration::ZERO);
                if distance.is_zero() {
                    return Err(row.fault(format!("{} does not come after {}", row.text("timestamp"), last.stamp)));
                }
                let step = *step.get_or_insert(distance);
                if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&step) {
                    return Err(row.fault(format!("steps of {step:?}; they may be 1 s to 1 h long")));
                }
                if distance != step {
                    return Err(row.fault(format!("{distance:?} after the row before, where the step is {step:?}")));
                }
            }
            let limit = |column: &str| -> Result<Option<Watts>, Fault> {
                match row.some_number(column)? {
                    Some(number) if number < 0.0 => {
                        Err(row.fault(format!("{column} is {number}; a limit is positive")))
                    }
                    number => Ok(number.map(Watts::kw)),
                }
            };
            let grid = match row.some_number("grid_available")? {
                None if limits => return Err(row.fault("grid_available is empty; write 0 or 1")),
                None => true,
                Some(flag) if flag == 0.0 || flag == 1.0 => flag == 1.0,
                Some(other) => return Err(row.fault(format!("grid_available is {other}; write 0 or 1"))),
            };
            rows.push(Row {
                stamp: row.text("timestamp").into(),
                at,
                load: Watts::kw(row.number("load_kw")?),
                pv: Watts::kw(row.number("pv_kw")?),
                import_price: row.some_number("import_price")?,
                export_price: row.some_number("export_price")?,
                import_limit: limit("import_limit_kw")?,
                export_limit: limit("export_limit_kw")?,
                grid,
            });
        }
        let step = step.ok_or_else(|| table.fault(1, "at least two rows are needed: the step is their distance"))?;
        Ok(Self { step, rows })
    }
}
