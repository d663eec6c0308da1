//! Why a session ended, for the log and for the wait that follows.

use std::time::Duration;

/// Why a session ended or could not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// A sentence.
    pub(super) why: String,
    /// How long the session held; `None` if the broker never took us.
    pub(super) held: Option<Duration>,
    /// Another client came with our client id.
    pub(super) taken_over: bool,
}

impl Failure {
    pub(super) fn new(why: String) -> Self {
        Self { why, held: None, taken_over: false }
    }

    pub(super) fn taken_over(client_id: &str) -> Self {
        let why = format!(
            "another client has connected with our client id `{client_id}`: give each gateway a [mqtt] client_id of its own"
        );
        Self { why, held: None, taken_over: true }
    }
}
