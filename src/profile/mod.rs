//! What a device type is: its points, registers, manners on the bus, and how it is told what to do.
//!
//! A profile is data (TOML, compiled in or from a folder). Bound to one device it is an [`Instance`]: addresses known,
//! words to values and wishes to writes. Nothing here does I/O: the bus carries out what an instance asks for.

mod bind;
mod codec;
mod command;
mod decode;
mod define;
mod describe;
mod expr;
mod identify;
mod image;
mod instance;
pub mod library;
mod load;
mod model;
mod names;
mod plausible;
mod sunspec;

pub use describe::PointLine;
pub use image::{Image, Span};
pub use instance::{Captured, Instance, Overrides, Refusal, Step, WriteFunction};
pub use load::parse;
pub use model::{
    BatteryControl, Class, Control, ControlKind, Counter, Group, Kind, Manners, PointSpec, Profile, Status, Table,
    Unit, Value, WordOrder,
};
