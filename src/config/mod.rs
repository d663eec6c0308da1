//! TOML to a valid [`Config`]: raw spanned types, validation with all errors at once, excerpts, the difference between
//! two configs for a reload.
//!
//! Parsed once here; nothing downstream validates again. Reading a config has no side effects.

mod load;
mod model;
mod rule;

pub use load::{Diagnostics, Surroundings, load, parse};
pub use model::{
    Config, ControlConfig, DemandPeriod, DeviceConfig, HttpConfig, MqttConfig, MqttTls, PlantConfig, Role, Secret,
    Site, Tariff, TelemetryConfig,
};
pub use rule::{PeakLimit, Rule, RuleConfig, TimeOfDay, Weekdays};
