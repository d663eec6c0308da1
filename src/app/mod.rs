//! The daemon as a whole: start, supervise, reload, shut down.
//!
//! Promises: it starts with any device and any broker away; every task's end is noticed; however it ends, every device
//! that was told anything is sent to its safe state first; a bad config on reload changes nothing.

mod buses;
mod control;
mod lock;
mod logging;
mod notify;
mod reload;
mod save;
mod services;
mod shutdown;
mod socket;
mod start;
mod supervise;
mod tasks;
mod watchdog;

pub use lock::{BusLock, LockError};
pub use logging::{LogFormat, start as start_logging};
pub use shutdown::Ended;
pub use socket::{ReadPoint, SocketAnswer, SocketAsk, ask as ask_socket, path as socket_path};
pub use start::{App, Environment, StartError, View, lock_folder};
pub use supervise::Request;
