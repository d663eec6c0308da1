//! Start, supervise, reload, shut down.
