//! bytes in flight → a wait until there is room.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bounds what a rank holds between reading an image and writing its results.
#[derive(Debug)]
pub struct Budget {
    limits: Load,
    state: Mutex<State>,
    changed: Condvar,
}

/// Images and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many images.
    pub images: usize,
    /// Their bytes as stored.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    held: Load,
    closed: bool,
}

impl Budget {
    /// Room for this much.
    #[must_use]
    pub fn new(limits: Load) -> Self {
        Self { limits, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for room and takes it; false where the work has come to its end and nobody will make room again.
    ///
    /// A load beyond the limits is let in alone, or it could never be done.
    #[must_use]
    pub fn take(&self, load: Load) -> bool {
        let full = |held: Load| {
            held != Load::default()
                && (held.images + load.images > self.limits.images || held.bytes + load.bytes > self.limits.bytes)
        };
        let waiting = self.changed.wait_while(self.state(), |state| !state.closed && full(state.held));
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return false;
        }
        state.held = Load { images: state.held.images + load.images, bytes: state.held.bytes + load.bytes };
        true
    }

    /// Gives room back.
    pub fn give(&self, load: Load) {
        let mut state = self.state();
        state.held = Load { images: state.held.images - load.images, bytes: state.held.bytes - load.bytes };
        self.changed.notify_all();
    }

    /// Ends all waiting.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    fn load(images: usize, bytes: u64) -> Load {
        Load { images, bytes }
    }

    #[test]
    fn a_load_waits_for_room_and_too_large_a_one_goes_alone() {
        let budget = Budget::new(load(4, 100));
        assert!(budget.take(load(1, 500)), "alone");
        let went = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(budget.take(load(1, 1)));
                went.store(true, Ordering::SeqCst);
            });
            thread::sleep(std::time::Duration::from_millis(20));
            assert!(!went.load(Ordering::SeqCst));
            budget.give(load(1, 500));
        });
        assert!(budget.take(load(3, 99)), "with the other it is 4 and 100");
    }

    #[test]
    fn the_end_wakes_whoever_waits() {
        let budget = Budget::new(load(1, 1));
        assert!(budget.take(load(1, 1)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(load(1, 1)));
            budget.close();
            assert!(!waiting.join().unwrap());
        });
    }
}
