//! TOML to a valid [`Config`]: one table of keys (`keys`), values with written units (`written`), validation with
//! all errors at once, excerpts, the difference between two configs for a reload.
//!
//! Promises: all that is wrong is said at once, each with file, line, column, excerpt and what to write instead; a
//! config that is accepted is whole, and nothing downstream validates again; a number without a unit is never guessed;
//! equal texts give equal configs. Never: a side effect (files that the config names are read, nothing else), a secret
//! in a message, a silent default for a key that was written wrongly, a panic on any text.
//!
//! Reading goes `load` -> `read` (the whole) -> `device`, `rules`, `mqtt`, `services` (a table each, through
//! `section`) -> `cross` (what must fit between tables). Problems collect in `report`.

mod address;
mod cross;
mod describe;
mod device;
mod diff;
mod keys;
mod load;
mod model;
mod mqtt;
mod read;
mod report;
mod rule;
mod rules;
mod section;
mod services;
#[cfg(test)]
mod tests;
mod written;

pub use diff::Difference;
pub use load::{Diagnostics, ProfileSource, Profiles, Surroundings, load, parse, state_dir};
pub use model::{
    Config, ControlConfig, DemandPeriod, DeviceConfig, HttpConfig, MqttConfig, MqttTls, PlantConfig, Role, Secret,
    Site, Tariff, TelemetryConfig,
};
pub use rule::{PeakLimit, Rule, RuleConfig, TimeOfDay, Weekdays};
