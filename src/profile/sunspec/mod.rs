//! SunSpec: the walk along a device's chain of models, and the facts of the models we use.

pub(crate) mod models;
mod walk;

pub(crate) use walk::{Chain, Walk};
