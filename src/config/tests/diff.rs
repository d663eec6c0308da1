//! What a reload touches.

use super::super::Difference;
use super::{DESIGN, profile, valid, with_control};
use crate::profile::Kind;
use std::sync::Arc;

fn changed(from: &str, to: &str) -> Difference {
    assert!(DESIGN.contains(from), "{from}");
    Difference::between(&valid(DESIGN), &valid(&DESIGN.replace(from, to)))
}

#[test]
fn the_same_config_touches_nothing() {
    assert!(Difference::between(&valid(DESIGN), &valid(DESIGN)).is_empty());
    assert!(changed("[[rule]]\nkind = \"self", "# a comment moves lines\n[[rule]]\nkind = \"self").is_empty());
}

#[test]
fn a_limit_touches_the_policy_alone() {
    assert_eq!(changed("80 kW", "70 kW"), Difference { policy: true, ..Difference::default() });
    assert_eq!(changed("30 kWh", "31 kWh"), Difference { policy: true, ..Difference::default() });
}

#[test]
fn a_service_touches_itself_alone() {
    assert_eq!(
        changed("town-hall\"\n\n[http]", "hall\"\n\n[http]"),
        Difference { mqtt: true, ..Difference::default() }
    );
    assert_eq!(changed("127.0.0.1:9810", "127.0.0.1:9811"), Difference { http: true, ..Difference::default() });
}

#[test]
fn a_device_that_moves_restarts_both_buses_and_is_released_first() {
    let difference = changed("tcp://192.168.1.20:502", "tcp://192.168.1.21:502");
    let buses: Vec<_> = difference.buses.iter().map(ToString::to_string).collect();
    assert_eq!(buses, ["tcp://192.168.1.20:502", "tcp://192.168.1.21:502"]);
    let released: Vec<_> = difference.release.iter().map(ToString::to_string).collect();
    assert_eq!(released, ["battery"]);
    assert!(!difference.mqtt && !difference.http);
}

#[test]
fn a_profile_that_changed_under_its_id_restarts_its_bus() {
    let old = valid(DESIGN);
    let mut new = valid(DESIGN);
    assert!(Difference::between(&old, &new).is_empty());
    let mut other = with_control(profile("sunspec", Kind::Hybrid).1);
    Arc::make_mut(&mut other).manners.max_read = 60;
    new.devices[1].profile = Some(other);
    let difference = Difference::between(&old, &new);
    assert_eq!(difference.buses.len(), 1);
    assert!(difference.release.is_empty());
}
