//! Logs: to stderr; under systemd without time and with the level as journald's prefix.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Journald's prefix when stderr is the journal, else text.
    #[default]
    Auto,
    /// A line with time, level, fields.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `WATTKEEPER_LOG` takes a filter (`debug`, `wattkeeper::bus=trace`); `level` is what holds without it.
pub fn start(format: LogFormat, level: &str) {
    // The Modbus and MQTT libraries log each request at debug through `log`: kept out unless asked for.
    let filter = EnvFilter::try_from_env("WATTKEEPER_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,wattkeeper={level}")));
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let started = match format {
        LogFormat::Json => base.json().try_init(),
        LogFormat::Auto if journal => base
            .with_ansi(false)
            .event_format(Journal(Format::default().without_time().with_level(false).with_target(false)))
            .try_init(),
        LogFormat::Auto | LogFormat::Text => {
            let colour = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            base.with_target(false).with_ansi(colour).try_init()
        }
    };
    // A second start (tests) keeps the first.
    drop(started);
}

/// Puts `<n>` before each line (sd-daemon(3)), so that `journalctl -p warning` works.
struct Journal<F>(F);

impl<S, N, F> FormatEvent<S, N> for Journal<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
