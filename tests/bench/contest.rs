//! contenders → what each cost in each of several interleaved rounds.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

use crate::Result;
use crate::statistics::{Spread, turns};

/// What a piece of work took, in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Cost {
    /// User and system time of all threads.
    pub cpu_s: f64,
    /// From beginning to end.
    pub wall_s: f64,
}

impl Cost {
    /// Does `work` here and measures it.
    pub fn of(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let meter = Meter::start();
        work()?;
        Ok(meter.stop())
    }

    /// The cost of one of `n` equal parts.
    pub fn per(self, n: usize) -> Self {
        Self { cpu_s: self.cpu_s / n as f64, wall_s: self.wall_s / n as f64 }
    }
}

/// Measures what happens here between two moments.
pub struct Meter {
    cpu_s: f64,
    wall: Instant,
}

impl Meter {
    /// From now on.
    pub fn start() -> Self {
        Self { cpu_s: cpu_seconds(), wall: Instant::now() }
    }

    /// Until now.
    pub fn stop(&self) -> Cost {
        Cost { cpu_s: cpu_seconds() - self.cpu_s, wall_s: self.wall.elapsed().as_secs_f64() }
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// One way to do the work.
pub struct Contender<'a> {
    /// What the table calls it.
    pub name: String,
    /// Does it once.
    pub turn: Box<dyn FnMut() -> Result<Cost> + 'a>,
}

impl<'a> Contender<'a> {
    /// Names a way to do the work.
    pub fn new(name: impl Into<String>, turn: impl FnMut() -> Result<Cost> + 'a) -> Self {
        Self { name: name.into(), turn: Box::new(turn) }
    }
}

/// What one contender cost, round by round.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// CPU seconds.
    pub cpu: Vec<f64>,
    /// Wall seconds.
    pub wall: Vec<f64>,
}

impl Costs {
    /// The middle CPU time in milliseconds, as text.
    pub fn cpu_ms(&self) -> String {
        format!("{:.2} ms", 1e3 * Spread::median(self.cpu.iter().copied()).middle)
    }

    /// The middle wall time in milliseconds, as text.
    pub fn wall_ms(&self) -> String {
        format!("{:.2} ms", 1e3 * Spread::median(self.wall.iter().copied()).middle)
    }

    /// The middle wall time in seconds, as text.
    pub fn wall_seconds(&self) -> String {
        format!("{:.1} s", Spread::median(self.wall.iter().copied()).middle)
    }
}

/// Lets everybody work once unmeasured, to fill caches, and then once a round; the costs come in the order of `contenders`.
pub fn contest(contenders: &mut [Contender], rounds: usize) -> Result<Vec<Costs>> {
    let mut costs = vec![Costs::default(); contenders.len()];
    for contender in contenders.iter_mut() {
        eprintln!("  warming up {}", contender.name);
        (contender.turn)()?;
    }
    for round in 0..rounds {
        eprintln!("  round {} of {rounds}", round + 1);
        for turn in turns(contenders.len(), round) {
            let cost = (contenders[turn].turn)()?;
            costs[turn].cpu.push(cost.cpu_s);
            costs[turn].wall.push(cost.wall_s);
        }
    }
    Ok(costs)
}
