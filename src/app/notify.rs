//! The words to systemd. Without systemd they go nowhere.

use sd_notify::NotifyState;

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// The config is valid and the listeners stand.
pub(super) fn ready() {
    say(&[NotifyState::Ready]);
}

/// All loops turn.
pub(super) fn watchdog() {
    say(&[NotifyState::Watchdog]);
}

/// The end has begun.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub(super) fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}
