//! what a thread is at → the line that a panic ends with.

use std::cell::RefCell;

thread_local! {
    static AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes that this thread is at an image.
///
/// A debug build panics at the image that `BIOSCAN_HPC_PANIC_AT` names, so that tests can see a bug end a job; a release build has no
/// such door.
pub fn image(chunk: u32, file: &str) {
    AT.with_borrow_mut(|at| {
        at.clear();
        at.push_str("part");
        at.push_str(&chunk.to_string());
        at.push('/');
        at.push_str(file);
    });
    #[cfg(debug_assertions)]
    assert!(std::env::var("BIOSCAN_HPC_PANIC_AT").ok().as_deref() != Some(file), "asked to panic here");
}

/// Whether the loss of step `step` of every epoch is to be no number.
///
/// A debug build spoils the step that `BIOSCAN_HPC_SPOIL_STEP` names, so that tests can see one bad batch among good ones; a release build
/// has no such door.
#[must_use]
pub fn spoils(step: u64) -> bool {
    cfg!(debug_assertions) && std::env::var("BIOSCAN_HPC_SPOIL_STEP").is_ok_and(|named| named == step.to_string())
}

/// What this thread was last at; empty where it never said.
#[must_use]
pub fn last() -> String {
    AT.try_with(|at| at.try_borrow().map(|at| at.clone()).unwrap_or_default()).unwrap_or_default()
}
