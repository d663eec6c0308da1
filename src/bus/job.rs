//! What there is to do on the wire for a control, and how it went.

use crate::profile::Span;

/// One thing to do on the wire for a control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Job {
    /// Capture if need be, then the steps of `set`.
    Drive(f64),
    /// The steps of `release`.
    Release,
    /// Read back what was written.
    Verify,
    /// Keep the device listening.
    Heartbeat,
    /// Nothing on the wire: look at the lease again.
    Look,
}

/// What a written register must read as.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Check {
    pub span: Span,
    pub words: Vec<u16>,
    pub mask: Option<u16>,
}

/// How a job went.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// All written; what of it can be read back.
    Written(Vec<Check>),
    /// Read back as written.
    Verified,
    /// Read back as something else, or not to be read.
    Differs(String),
    /// The device is busy (exceptions 5 and 6): the whole job again, later.
    Busy,
    /// The write budget of the day is spent.
    Spent,
    /// The wish cannot be encoded; nothing was written.
    Refused(String),
    /// Broke off; `wrote` when the device may have taken some of it.
    Failed {
        /// At which register, of what.
        reason: String,
        /// Whether any write was sent.
        wrote: bool,
    },
}
