//! What the rules remember from one decision to the next. Passed in and out, saved to disk, so that a restart and a
//! replay are exact.

/// What the rules remember.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Decisions made.
    pub serial: u64,
}
