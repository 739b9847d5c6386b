//! what happens → logs on stderr, a progress bar, and the record of where a result came from.

mod clock;
pub mod doing;
mod logs;
mod progress;
mod provenance;
mod speeds;

pub use clock::{Clock, Phase, Shares};
pub use logs::start_logs;
pub use progress::Progress;
pub use provenance::Provenance;
pub use speeds::Speeds;
