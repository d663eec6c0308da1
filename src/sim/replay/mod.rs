//! The control core on recorded data: a site's load and PV row by row, its batteries as plants, its bill.
//!
//! Promises: no row depends on a later row; the same input gives the same output; what control sees is what it would have
//! measured, ordered and announced at that moment. Time is the input's.

mod book;
mod engine;
mod events;
mod input;
mod table;

pub use book::{Book, Broken, Peak, Side, Summary};
pub use engine::{Replay, Step};
pub use events::{Event, EventKind};
pub use input::{Input, Row};
pub use table::Fault;
