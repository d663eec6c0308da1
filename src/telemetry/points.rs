//! A device's points prepared for writing: names as JSON keys, units as MQTT's readers want them (W, kWh, %).

use std::sync::Arc;

use super::json::{Json, prepared_key};
use crate::profile::{PointSpec, Unit};
use crate::reading::{Quality, Reading};
use crate::state::PointValue;

/// Some points of a device, prepared.
#[derive(Debug)]
pub struct Points {
    of: Arc<[PointSpec]>,
    points: Vec<Point>,
}

#[derive(Debug)]
struct Point {
    index: usize,
    key: Box<[u8]>,
    factor: f64,
    decimals: u8,
}

/// From the canonical unit to the shown one, and the decimals that are worth showing.
const fn shown(unit: Unit) -> (f64, u8) {
    match unit {
        Unit::WattHours => (0.001, 4),
        Unit::Ratio => (100.0, 2),
        Unit::Watts | Unit::VoltAmperes | Unit::Vars | Unit::Volts | Unit::Celsius => (1.0, 2),
        Unit::Amperes | Unit::Hertz => (1.0, 3),
        Unit::None => (1.0, 6),
    }
}

impl Points {
    /// Those that `wanted` picks.
    pub fn new(of: &Arc<[PointSpec]>, wanted: impl Fn(&PointSpec) -> bool) -> Self {
        let prepare = |(index, point): (usize, &PointSpec)| {
            let (factor, decimals) = shown(point.unit);
            Point { index, key: prepared_key(&point.name), factor, decimals }
        };
        let points = of.iter().enumerate().filter(|(_, point)| wanted(point)).map(prepare).collect();
        Self { of: of.clone(), points }
    }

    /// Whether they were prepared from this very list.
    pub fn are_of(&self, points: &Arc<[PointSpec]>) -> bool {
        Arc::ptr_eq(&self.of, points)
    }

    /// Writes `"values":{…}` and, where not all are good, `"bad":{point: why}`. `quality` says what a reading of a point is
    /// worth; `None` leaves it out. Stale and invalid numbers are not shown. Returns whether all were good.
    pub fn write(
        &self,
        json: &mut Json,
        values: &[PointValue],
        quality: impl Fn(&PointSpec, &Reading<f64>) -> Option<Quality>,
    ) -> bool {
        let mut all_good = true;
        let quality_of = |point: &Point, reading| self.of.get(point.index).and_then(|spec| quality(spec, reading));
        json.key("values").open();
        for point in &self.points {
            match values.get(point.index) {
                Some(PointValue::Number(reading)) => {
                    let quality = quality_of(point, reading);
                    all_good &= matches!(quality, None | Some(Quality::Good));
                    if let (Some(value), Some(Quality::Good | Quality::Substituted)) = (reading.show(), quality) {
                        json.prepared(&point.key).number(value * point.factor, point.decimals);
                    }
                }
                Some(PointValue::Text(text, _)) => {
                    json.prepared(&point.key).text(text);
                }
                Some(PointValue::Never) | None => {}
            }
        }
        json.close();
        if !all_good {
            json.key("bad").open();
            for point in &self.points {
                if let Some(PointValue::Number(reading)) = values.get(point.index)
                    && let Some(quality @ (Quality::Stale | Quality::Invalid | Quality::Substituted)) =
                        quality_of(point, reading)
                {
                    json.prepared(&point.key).text(quality.as_str());
                }
            }
            json.close();
        }
        all_good
    }
}
