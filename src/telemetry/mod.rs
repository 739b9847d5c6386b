//! what happens → logs on stderr, a progress bar, and the record of where a result came from.

pub mod doing;
mod logs;
mod progress;
mod provenance;

pub use logs::start_logs;
pub use progress::Progress;
pub use provenance::Provenance;
