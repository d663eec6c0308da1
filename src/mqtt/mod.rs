//! The broker: session, sender, live state.
//!
//! Promises: a record leaves the store when the broker has acknowledged it, and not before; a broker that is away costs the
//! rest of the daemon nothing; what is retained is the latest, or gone. Nothing is subscribed.

mod failure;
mod live;
mod retry;
mod sender;
mod session;
mod site;
mod stats;
mod task;
mod tls;

pub use retry::Retry;
pub use site::Capacities;
pub use stats::MqttStats;
pub use task::{MqttPorts, run};
pub use tls::{TlsError, client_config};

#[cfg(test)]
mod tests;
