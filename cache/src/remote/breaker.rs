//! Is a remote asked, or is it left alone because it keeps failing? A remote that does not answer
//! costs its time limit with each request. After a few failures in a row it is not asked for a
//! while, and then with one request at a time until it works again.

use std::time::{Duration, Instant};

/// How many failures in a row are accepted.
const FAILURES: u32 = 3;
/// How long a remote is left alone the first time; twice as long each further time.
const FIRST_REST: Duration = Duration::from_secs(30);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_mins(10);

/// The failures of one remote in a row, and until when it is left alone.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    rests: u32,
    until: Option<Instant>,
}

impl Breaker {
    /// Whether the remote may be asked now; if not, how long it still rests. Only one request is
    /// allowed when the rest is over: the others wait for its outcome, for another rest at most.
    pub(super) fn may_ask(&mut self, now: Instant) -> Result<(), Duration> {
        match self.until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                self.until = Some(now + FIRST_REST);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Notes a failure. Returns whether the remote is left alone from now on.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures += 1;
        if self.failures < FAILURES {
            return false;
        }
        let rest = FIRST_REST.saturating_mul(1 << self.rests.min(8)).min(LONGEST_REST);
        self.rests += 1;
        self.until = Some(now + rest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_rests_after_three_failures_in_a_row_and_longer_each_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::default();
        assert!(!breaker.failed(start));
        breaker.succeeded();
        assert!(!breaker.failed(start) && !breaker.failed(start), "two in a row");
        assert_eq!(breaker.may_ask(start), Ok(()));
        assert!(breaker.failed(start), "three in a row");
        assert_eq!(breaker.may_ask(at(10)), Err(Duration::from_secs(20)));
        assert_eq!(breaker.may_ask(at(30)), Ok(()), "one request tries it");
        assert_eq!(breaker.may_ask(at(30)), Err(Duration::from_secs(30)), "only one");
        assert!(breaker.failed(at(31)));
        assert_eq!(breaker.may_ask(at(31)), Err(Duration::from_mins(1)));
        for _ in 0..20 {
            breaker.failed(at(31));
        }
        assert_eq!(breaker.may_ask(at(31)), Err(LONGEST_REST));
        breaker.succeeded();
        assert_eq!(breaker.may_ask(at(31)), Ok(()));
    }
}
