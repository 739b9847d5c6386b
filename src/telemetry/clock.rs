//! Where the time of an epoch goes → shares, and the bottleneck in plain words.

use std::time::{Duration, Instant};

/// What the time between two looks at the clock went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// For the loader to have the next batch.
    Waiting,
    /// Of a batch to where it is computed on.
    Copying,
    /// Forward, backward and the step of the optimiser.
    Computing,
    /// For other ranks between two steps. What the backward pass waits for their gradients counts as computing, because libtorch does both
    /// at once; `doctor` measures it by itself.
    Communicating,
    /// Copying the run to main memory, and waiting for the checkpoint before it to be written.
    Checkpointing,
}

const PHASES: usize = 5;

/// A stopwatch that is never stopped: each look at it gives all the time since the last one to a phase.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Instant,
    spent: [Duration; PHASES],
}

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { last: Instant::now(), spent: [Duration::ZERO; PHASES] }
    }

    /// The time since the last look went to `phase`.
    pub fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[phase as usize] += now - self.last;
        self.last = now;
    }

    /// `part` of what was given to computing went to `phase`: for what is timed where it happens.
    pub fn part_was(&mut self, phase: Phase, part: Duration) {
        let part = part.min(self.spent[Phase::Computing as usize]);
        self.spent[Phase::Computing as usize] -= part;
        self.spent[phase as usize] += part;
    }

    /// What each phase took of all the time.
    #[must_use]
    pub fn shares(&self) -> Shares {
        let total: f64 = self.spent.iter().map(Duration::as_secs_f64).sum();
        let share = |phase: Phase| self.spent[phase as usize].as_secs_f64() / total.max(1e-9);
        Shares {
            waiting: share(Phase::Waiting),
            copying: share(Phase::Copying),
            computing: share(Phase::Computing),
            communicating: share(Phase::Communicating),
            checkpointing: share(Phase::Checkpointing),
        }
    }
}

/// Fractions of an epoch's training time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// See [`Phase::Waiting`].
    pub waiting: f64,
    /// See [`Phase::Copying`].
    pub copying: f64,
    /// See [`Phase::Computing`].
    pub computing: f64,
    /// See [`Phase::Communicating`].
    pub communicating: f64,
    /// See [`Phase::Checkpointing`].
    pub checkpointing: f64,
}

/// Shares below these are as they should be: the loader hidden, a checkpoint's cost that of CheckFreq (FAST '21).
const FREE: [(f64, &str); 4] = [
    (0.03, "more threads a rank (`--cpus-per-task`), or `--stage` if the images lie on a shared file system"),
    (0.05, "a larger `train.global_batch`, if the GPU has room"),
    (0.25, "fewer ranks, or a larger `train.global_batch` for as many"),
    (0.035, "a larger `train.checkpoint_minutes`"),
];

impl Shares {
    fn named(&self) -> [(&'static str, f64); PHASES] {
        [
            ("waiting for data", self.waiting),
            ("copying", self.copying),
            ("computing", self.computing),
            ("communicating", self.communicating),
            ("checkpointing", self.checkpointing),
        ]
    }

    /// `waiting for data 1 %, copying 0 %, computing 97 %, communicating 0 %, checkpointing 2 %`.
    #[must_use]
    pub fn words(&self) -> String {
        self.named().map(|(name, share)| format!("{name} {:.0} %", 100.0 * share)).join(", ")
    }

    /// What takes more than it should, the most costly first, and what would mend it; `None` where computing is all that matters.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let others = self.named().into_iter().filter(|(name, _)| *name != "computing").zip(FREE);
        let costly = others.filter(|((_, share), (free, _))| share > free);
        let worst = costly.max_by(|((_, a), _), ((_, b), _)| a.total_cmp(b));
        worst.map(|((name, share), (_, setting))| format!("{:.0} % of the time goes to {name}: try {setting}", 100.0 * share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_time_is_given_to_a_phase_and_none_twice() {
        let (mut clock, started) = (Clock::start(), Instant::now());
        clock.lap(Phase::Waiting);
        std::thread::sleep(Duration::from_millis(5));
        clock.lap(Phase::Computing);
        let spent: Duration = clock.spent.iter().sum();
        assert!(clock.spent[Phase::Computing as usize] >= Duration::from_millis(5));
        assert!(spent <= started.elapsed() + Duration::from_millis(1));
        let computing = clock.shares().computing;
        clock.part_was(Phase::Communicating, Duration::from_secs(9));
        assert_eq!((clock.shares().computing, clock.shares().communicating), (0.0, computing), "no more than there was");
        assert_eq!(clock.spent.iter().sum::<Duration>(), spent);
    }

    #[test]
    fn the_bottleneck_is_said_with_the_setting_that_mends_it() {
        let shares = Shares { waiting: 0.41, computing: 0.5, checkpointing: 0.09, ..Shares::default() };
        assert_eq!(shares.words(), "waiting for data 41 %, copying 0 %, computing 50 %, communicating 0 %, checkpointing 9 %");
        assert!(shares.advice().unwrap().starts_with("41 % of the time goes to waiting for data: try more threads"));
        assert_eq!(Shares { computing: 0.97, waiting: 0.03, ..Shares::default() }.advice(), None);
    }
}
