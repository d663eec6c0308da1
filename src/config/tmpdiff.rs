//! tmp
use super::Config;
use std::collections::BTreeSet;
/// x
#[derive(Default)]
pub struct Diff {
    /// x
    pub buses: BTreeSet<crate::bus::Address>,
    /// x
    pub mqtt: bool,
    /// x
    pub http: bool,
    /// x
    pub control: bool,
}
impl Diff {
    /// x
    pub fn new(_a: &Config, _b: &Config) -> Self {
        Self::default()
    }
    /// x
    pub fn is_empty(&self) -> bool {
        true
    }
}
/// x
pub fn safe_state_bound(_c: &Config) -> std::time::Duration {
    std::time::Duration::ZERO
}
