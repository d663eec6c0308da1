//! Wakes a bus when any of its devices' leases change.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::watch;

use super::Leases;

type Change = Pin<Box<dyn Future<Output = (watch::Receiver<Leases>, bool)> + Send>>;

/// One waiting future a device, kept from turn to turn: waiting again allocates nothing.
pub(super) struct Lookout {
    changes: Vec<Change>,
}

impl Lookout {
    pub fn new(leases: impl IntoIterator<Item = watch::Receiver<Leases>>) -> Self {
        Self { changes: leases.into_iter().map(change).collect() }
    }

    /// Returns when any leases have changed or their sender is gone (once for each that is gone).
    pub async fn changed(&mut self) {
        poll_fn(|context| {
            let mut woken = false;
            for waiting in &mut self.changes {
                if let Poll::Ready((leases, alive)) = waiting.as_mut().poll(context) {
                    woken = true;
                    *waiting = if alive { change(leases) } else { Box::pin(std::future::pending()) };
                }
            }
            if woken { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn change(mut leases: watch::Receiver<Leases>) -> Change {
    Box::pin(async move {
        let alive = leases.changed().await.is_ok();
        (leases, alive)
    })
}
