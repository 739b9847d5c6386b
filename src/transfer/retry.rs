//! What a server said → whether, and after how long, to ask it again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Verdict::Later(retry_after.and_then(|text| asked(text, SystemTime::now()))),
        _ => Verdict::Never,
    }
}

/// What `Retry-After` asks for: a number of seconds, or a date (RFC 9110, 10.2.3).
fn asked(text: &str, now: SystemTime) -> Option<Duration> {
    let since = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?.duration_since(now).ok();
    let seconds = text.trim().parse().ok().map(Duration::from_secs);
    seconds.or_else(|| date(text.trim()).map(|date| since(date).unwrap_or_default()))
}

/// Seconds since 1970 of `Fri, 31 Dec 1999 23:59:59 GMT`, the one form of a date that servers still write (RFC 9110, 5.6.7).
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_once(", ")?.1.split(' ').collect();
    let [day, month, year, clock, "GMT"] = words[..] else { return None };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok().filter(|year| (1970..10_000).contains(year))?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let clock: Vec<u64> = clock.split(':').map(|part| part.parse().ok().filter(|part| *part <= 60)).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    // Days before the month, in years that begin in March, so that a leap day is the last.
    let (years, months) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day;
    Some((days.checked_sub(719_469)? * 24 + hours) * 3600 + minutes * 60 + seconds)
}

/// What to say of a wait that is longer than [`LONGEST`]: asking again earlier would be against what the server wants.
#[must_use]
pub fn too_long(asked: Option<Duration>) -> Option<String> {
    let minutes = asked.filter(|asked| *asked > LONGEST)?.as_secs().div_ceil(60);
    Some(format!("it asks to be left alone for {minutes} minutes: run this again then"))
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
        assert_eq!(verdict(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")), Verdict::Later(Some(Duration::ZERO)), "it is past");
        assert_eq!(verdict(503, Some("soon")), Verdict::Later(None));
        assert_eq!([401, 403, 404, 410].map(|status| verdict(status, None)), [Verdict::Never; 4]);
    }

    #[test]
    fn a_date_is_as_good_as_a_number_of_seconds() {
        // date -d '…' +%s
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date("Fri, 31 Dec 1999 23:59:59 GMT"), Some(946_684_799));
        assert_eq!(date("Tue, 29 Feb 2000 12:00:00 GMT"), Some(951_825_600));
        assert_eq!(date("Wed, 01 Mar 2028 00:00:00 GMT"), Some(1_835_481_600));
        for odd in
            ["", "soon", "Fri, 31 Dez 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59 GMT", "Fri, 31 Dec 99999999999 23:59:59 GMT"]
        {
            assert_eq!(date(odd), None, "{odd}");
        }
        let now = UNIX_EPOCH + Duration::from_secs(946_684_000);
        assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT", now), Some(Duration::from_secs(799)));
        assert_eq!((too_long(Some(LONGEST)), too_long(None)), (None, None));
        assert!(too_long(Some(Duration::from_secs(86_400))).unwrap().contains("1440 minutes"));
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
