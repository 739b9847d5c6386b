//! SIGTERM, SIGUSR1, SIGINT → a flag that is looked at between units of work (contract 5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

use crate::error::{IoContext, Result};

/// Whether somebody asked this process to stop: Slurm before a time limit, a preemption, or Ctrl-C.
#[derive(Clone, Debug)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Listens from now on. A second Ctrl-C ends the process at once, as an impatient person expects.
    pub fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        // In this order: the shutdown acts only where the flag was set by an earlier signal.
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&flag)).at("listen for", "SIGINT")?;
        for signal in [SIGTERM, SIGUSR1, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).at("listen for", "signals")?;
        }
        Ok(Self(flag))
    }

    /// A flag nobody raises: for work that is not interrupted.
    #[must_use]
    pub fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Raises it, as a signal would.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether to stop at the next boundary.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
