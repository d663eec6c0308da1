//! One record.

use std::sync::Arc;

use bytes::Bytes;

/// One message for the broker. Its sequence number grows by 1 with each record of the site, over restarts of a session
/// but not of the daemon; a receiver sees a loss as a gap and a repeat as a repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Sequence number.
    pub sequence: u64,
    /// Full topic.
    pub topic: Arc<str>,
    /// JSON.
    pub payload: Bytes,
}
