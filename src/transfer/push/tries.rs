//! A question that may fail → the same question again, as politely as [`retry`](crate::transfer::retry) says, until it is answered or given up.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::transfer::retry::{self, PATIENCE, Verdict};
use crate::transfer::server::Answer;

/// So many files in a row that a server was too troubled to take, and the others are not tried: it is left in peace.
const TROUBLED: u32 = 3;

/// Why a file is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It could not be sent.
    Failed(String),
    /// Something is there, and it is not the file.
    Wrong(String),
}

impl Fault {
    pub fn words(&self) -> &str {
        match self {
            Self::Failed(words) | Self::Wrong(words) => words,
        }
    }
}

/// Why one try brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Another may; after this long at least, where the server says so.
    Again(Option<Duration>, Fault),
    /// No other will.
    Never(Fault),
    /// No other will, nor one of any other file: the store is full.
    Full(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Never(fault)
    }
}

/// Another try, after something on the way.
pub(super) fn again(why: String) -> Stop {
    Stop::Again(None, Fault::Failed(why))
}

/// An answer that is worth reading, or what to do instead; `read` finds the reason in status and body.
pub(super) fn taken(mut answer: Answer, read: impl Fn(u16, &str) -> Refusal) -> Result<Answer, Stop> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    // A body that breaks off still leaves the status.
    let text = answer.text().unwrap_or_default();
    Err(stop(&answer, read(answer.status, &text)))
}

/// What to do after `answer`, which is a refusal.
pub(super) fn stop(answer: &Answer, refusal: Refusal) -> Stop {
    let Refusal { why, full, again } = refusal;
    match retry::verdict(answer.status, answer.header("retry-after")) {
        // 507 and its like: waiting makes no room.
        _ if full => Stop::Full(why),
        Verdict::Later(asked) => Stop::Again(asked, Fault::Failed(why)),
        _ if again => Stop::Again(None, Fault::Failed(why)),
        _ => Stop::Never(Fault::Failed(why)),
    }
}

/// What a refusal means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub why: String,
    /// There is no room for anything more.
    pub full: bool,
    /// It may go better next time, whatever the status says.
    pub again: bool,
}

/// The patience of one push with one server.
#[derive(Debug)]
pub(super) struct Patience {
    /// The first wait after a failure; it doubles with each.
    pub unit: Duration,
    /// Files given up one after the other for trouble on the way.
    troubled: AtomicU32,
    /// Why nothing more is tried.
    closed: Mutex<Option<String>>,
}

impl Patience {
    pub fn new(unit: Duration) -> Self {
        Self { unit, troubled: AtomicU32::new(0), closed: Mutex::new(None) }
    }

    /// Asks until it is answered, unless nothing more is tried; `what` is being sent, as it may be shown.
    pub fn until<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, Stop>) -> Result<T, Fault> {
        let taken = self.look(what, || match self.why_closed() {
            Some(why) => Err(Stop::Never(Fault::Failed(format!("not tried: {why}")))),
            None => attempt(),
        })?;
        self.troubled.store(0, Ordering::Relaxed);
        Ok(taken)
    }

    /// The same even then: a store that has no more room can still be asked what it has. That it answers does not say that it takes anything.
    pub fn look<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, Stop>) -> Result<T, Fault> {
        let mut failures = 0;
        loop {
            let (asked, fault) = match attempt() {
                Ok(answer) => return Ok(answer),
                Err(Stop::Never(fault)) => return Err(fault),
                Err(Stop::Full(why)) => {
                    self.close(why.clone());
                    return Err(Fault::Failed(why));
                }
                Err(Stop::Again(asked, fault)) => (asked, fault),
            };
            if let Some(asks) = retry::too_long(asked) {
                let words = format!("{}, and {asks}", fault.words());
                self.close(words.clone());
                return Err(Fault::Failed(words));
            }
            failures += 1;
            if failures > PATIENCE {
                if self.troubled.fetch_add(1, Ordering::Relaxed) + 1 >= TROUBLED {
                    self.close("the server took nothing for a long time".into());
                }
                let words = format!("{}, {failures} times in a row", fault.words());
                return Err(if matches!(fault, Fault::Wrong(_)) { Fault::Wrong(words) } else { Fault::Failed(words) });
            }
            let wait = retry::wait(failures, asked, self.unit, what);
            tracing::warn!(file = what, "{}; the next try is in {:.1} s", fault.words(), wait.as_secs_f64());
            std::thread::sleep(wait);
        }
    }

    fn why_closed(&self) -> Option<String> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn close(&self, why: String) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }
}

/// `work` on each of `items`, on `at_once` threads; the results in the order of the items.
pub(super) fn in_parallel<I: Sync, R: Send>(items: &[I], at_once: usize, work: impl Fn(&I) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(why: &str) -> Fault {
        Fault::Failed(why.into())
    }

    #[test]
    fn trouble_is_waited_for_and_a_refusal_is_not() {
        let patience = Patience::new(Duration::from_micros(1));
        let mut tries = 0;
        let answered = patience.until("a", || {
            tries += 1;
            if tries < 4 { Err(again("busy".into())) } else { Ok(tries) }
        });
        assert_eq!(answered, Ok(4));
        let mut tries = 0;
        let refused: Result<(), _> = patience.until("a", || {
            tries += 1;
            Err(Stop::Never(failed("no")))
        });
        assert_eq!((refused, tries), (Err(failed("no")), 1));
        let gone: Result<(), _> = patience.until("a", || Err(again("busy".into())));
        assert_eq!(gone, Err(failed("busy, 7 times in a row")));
    }

    #[test]
    fn a_full_store_and_one_in_long_trouble_are_left_in_peace() {
        let patience = Patience::new(Duration::from_micros(1));
        let full: Result<(), _> = patience.until("a", || Err(Stop::Full("the quota is used up".into())));
        assert_eq!(full, Err(failed("the quota is used up")));
        assert_eq!(patience.until("b", || Ok(())), Err(failed("not tried: the quota is used up")));
        let patience = Patience::new(Duration::from_micros(1));
        for _ in 0..3 {
            assert!(patience.until::<()>("a", || Err(again("busy".into()))).is_err());
        }
        assert!(patience.until("b", || Ok(())).unwrap_err().words().starts_with("not tried"));
        // One that answers what it has between, and takes nothing, is in trouble all the same.
        let patience = Patience::new(Duration::from_micros(1));
        for _ in 0..3 {
            assert!(patience.until::<()>("a", || Err(again("busy".into()))).is_err());
            assert_eq!(patience.look("a", || Ok(())), Ok(()));
        }
        assert!(patience.until("b", || Ok(())).unwrap_err().words().starts_with("not tried"));
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..40).collect();
        assert_eq!(in_parallel(&items, 4, |item| item * item), items.iter().map(|item| item * item).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[u64], 4, |item| *item).is_empty());
    }
}
