//! What a server said → whether, and after how long, to ask it again.

use std::time::Duration;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on with what it sends.
    Take,
    /// Ask again; after this long at least, where it says so.
    Later(Option<Duration>),
    /// Look elsewhere: it will say the same tomorrow.
    Never,
}

/// Longest wait that a server is granted; what asks for more is told as a failure of this run, and the next takes up there.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Failures in a row, with no byte in between, after which an address is given up.
pub const PATIENCE: u32 = 6;

/// What a status and a `Retry-After` mean.
#[must_use]
pub fn verdict(status: u16, retry_after: Option<&str>) -> Verdict {
    match status {
        200 | 206 => Verdict::Take,
        // 408 timeout, 425 too early, 429 too many requests, and what servers say when they are overloaded.
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Verdict::Later(retry_after.and_then(seconds)),
        _ => Verdict::Never,
    }
}

/// `Retry-After` as a number of seconds. Its other form, a date, counts as not given: the back-off is as polite.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

/// How long to wait after the `failures`-th failure in a row, from 1: `unit`, doubled each time, plus up to half as much again, by a hash of
/// what is fetched, so that many do not come back at the same moment. What the server asks for is the least.
#[must_use]
pub fn wait(failures: u32, asked: Option<Duration>, unit: Duration, what: &str) -> Duration {
    let doubled = unit.saturating_mul(1 << failures.saturating_sub(1).min(10));
    let draw = blake3::hash(format!("{what} {failures}").as_bytes()).as_bytes().first().copied().unwrap_or(0);
    let jitter = doubled.mul_f64(f64::from(draw) / 512.0);
    (doubled + jitter).max(asked.unwrap_or_default()).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_is_asked_again_and_one_that_knows_nothing_is_not() {
        assert_eq!(verdict(206, None), Verdict::Take);
        assert_eq!(verdict(429, Some("7")), Verdict::Later(Some(Duration::from_secs(7))));
        assert_eq!(verdict(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")), Verdict::Later(None));
        assert_eq!([401, 403, 404, 410].map(|status| verdict(status, None)), [Verdict::Never; 4]);
    }

    #[test]
    fn waits_double_with_some_jitter_and_honour_what_is_asked() {
        let unit = Duration::from_secs(1);
        for failures in 1..8 {
            let waited = wait(failures, None, unit, "a").as_secs_f64();
            let doubled = f64::from(1 << (failures - 1));
            assert!((doubled..=1.5 * doubled).contains(&waited), "{failures}: {waited}");
        }
        assert_eq!(wait(1, Some(Duration::from_secs(60)), unit, "a"), Duration::from_secs(60));
        assert_eq!(wait(1, Some(Duration::from_secs(86_400)), unit, "a"), LONGEST);
        assert_eq!(wait(50, None, Duration::from_secs(10), "a"), LONGEST);
    }
}
