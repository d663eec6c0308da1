use super::*;
use crate::clock::{IoTime, Moment};
use crate::sim::{Building, SharedBank, Table, Truth};

fn moment(io: Duration) -> Moment {
    Moment { io: IoTime::after_start(io), site: demo_start() + io.mul_f64(DEMO_SPEED) }
}

fn day(building: &mut Building, mut each: impl FnMut(u32, &Truth)) -> Truth {
    for tick in 1..=18_000 {
        building.advance(moment(Duration::from_millis(10 * u64::from(tick))));
        each(tick, building.truth());
    }
    building.truth().clone()
}

#[test]
fn nobody_controls_and_nothing_is_saved() {
    for seed in 1..=3 {
        let (mut building, _) = demo_site(seed).build(moment(Duration::ZERO), DEMO_SPEED);
        let (mut imbalance, mut energy): (f64, f64) = (0.0, 0.0);
        let truth = day(&mut building, |_, truth| {
            let b = truth.balance;
            imbalance = imbalance.max((b.grid - (b.load - b.pv - b.battery)).watts().abs());
            energy += b.grid.watts() * 4.8 / 3600.0;
        });
        assert_eq!(truth.with, truth.without, "the twin is the building that nobody controls");
        assert_eq!(truth.stored, truth.stored_without);
        assert!(imbalance < 1e-6, "grid = load - PV - batteries");
        let net = (truth.with.imported - truth.with.exported).watt_hours();
        assert!((net - energy).abs() < 2000.0, "energy is the integral of power: {net} Wh, {energy} Wh");
        assert_eq!(truth.with.windows.len(), 48);
        assert!(
            truth.without.peak() > Watts::kw(110.0),
            "left to themselves, they do not shave: {}",
            truth.without.peak()
        );
        assert!(truth.bare.exported > WattHours::kwh(20.0), "there is sun to be used: {}", truth.bare.exported);
        assert!(truth.without.exported < truth.bare.exported * 0.5, "and they use it: {}", truth.without.exported);
    }
}

/// Tells both batteries a power by their registers.
struct Told {
    hall: SharedBank,
    office: SharedBank,
}

impl Told {
    fn power(&self, total: Watts, truth: &Truth) {
        let (hall, office) = (total * (40.0 / 65.0), total * (25.0 / 65.0));
        let rate = (hall.watts() / 40_000.0 * 10_000.0) as i16;
        let model_124 = 40_002 + 68 + 52 + 28 + 32 + 26;
        let words = [rate.cast_unsigned(), (-rate).cast_unsigned(), 0, 0, 0, 1];
        self.hall.lock().unwrap().write(Table::Holding, model_124 + 12, &words).unwrap();
        self.hall.lock().unwrap().write(Table::Holding, model_124 + 5, &[3]).unwrap();
        let feed = truth.device("battery-office").unwrap();
        let grid = (truth.balance.grid + feed.battery - office).watts() as i32;
        let words = [(grid >> 16) as u16, grid as u16];
        self.office.lock().unwrap().write(Table::Holding, 2716, &words).unwrap();
    }
}

#[test]
fn whoever_tells_the_batteries_well_holds_the_limit() {
    for seed in 1..=3 {
        let (mut building, lines) = demo_site(seed).build(moment(Duration::ZERO), DEMO_SPEED);
        let bank = |nth: usize| lines[nth].units[0].2.clone();
        let told = Told { hall: bank(2), office: bank(3) };
        let truth = day(&mut building, |tick, truth| {
            if tick.is_multiple_of(5) {
                let residual = truth.balance.load - truth.balance.pv;
                // Above the limit: discharge. Below: fill the batteries, with what the limit leaves.
                let wish = residual - (DEMO_LIMIT - Watts::kw(2.0));
                told.power(wish.clamp(Watts::kw(-25.0), Watts::kw(65.0)), truth);
            }
        });
        assert!(truth.with.peak() < DEMO_LIMIT, "seed {seed}: {:.2}", truth.with.peak());
        assert!(truth.peak_saved() > Watts::kw(25.0), "seed {seed}: {:.2}", truth.peak_saved());
    }
}
