//! Events → lines on stderr, so that stdout stays data.

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::comm;

/// Starts logging. `verbosity` is the count of `-v` less the count of `-q`; `RUST_LOG` wins over it, save where
/// [a token would be shown](shows_no_secret).
///
/// Under a launcher rank 0 speaks at that level and the others only warn, each line naming its rank.
pub fn start_logs(verbosity: i8) {
    let verbosity = if comm::speaks_for_all() { verbosity } else { verbosity.min(-1) };
    let level = match verbosity {
        ..=-2 => "error",
        -1 => "warn",
        0 => "info",
        1 => "debug",
        2.. => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,bioscan_hpc={level}")));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .with_span_events(FmtSpan::NONE)
        .finish()
        .with(filter_fn(shows_no_secret))
        .init();
    if let Some((rank, size)) = comm::launched_as() {
        tracing::debug!(rank, size, pid = std::process::id(), "launched");
    }
}

/// Whether an event may be written whatever `RUST_LOG` says: what the HTTP client tells below `info` holds requests as they go
/// out, with their tokens and signatures.
fn shows_no_secret(event: &Metadata) -> bool {
    let crate_name = event.target().split(':').next().unwrap_or_default();
    !matches!(crate_name, "ureq" | "ureq_proto" | "rustls") || *event.level() <= Level::INFO
}
