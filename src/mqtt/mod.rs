//! The broker: session, sender, live state.
