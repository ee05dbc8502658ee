//! How are times counted so that the counts of several processes can be added, and how exactly are
//! quantiles known afterwards?
//!
//! A [`Histogram`] has fixed buckets, so two of them merge by adding. Each limit is 2^(1/4) times
//! the one before, so the limits of a bucket differ by 19 %. A quantile is reported as the two
//! limits of its bucket, and not as one number that nobody measured.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// How many buckets there are for each doubling.
const PER_DOUBLING: i32 = 4;
/// The limit of the first bucket is a millisecond, halved three times: 125 microseconds.
const FIRST: i32 = -3 * PER_DOUBLING;
/// The last limit is a millisecond, doubled 26 times: 18.6 hours.
const LAST: i32 = 26 * PER_DOUBLING;

/// The upper limits of the buckets, in seconds. A bucket includes its upper limit.
static LIMITS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    (FIRST..=LAST).map(|step| 0.001 * (f64::from(step) / f64::from(PER_DOUBLING)).exp2()).collect()
});

/// Times in seconds, counted in buckets that are the same in every process and every release.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// The number of times that were counted.
    pub count: u64,
    /// The sum of the times.
    pub sum_seconds: f64,
    /// The number of times in each bucket that is not empty, by the bucket's number.
    pub buckets: BTreeMap<u16, u64>,
}

/// The limits between which a quantile lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QuantileLimits {
    /// The quantile is larger than this; 0 in the first bucket.
    pub above_seconds: f64,
    /// The quantile is at most this; `None` if it is beyond the last limit of 18.6 hours.
    pub at_most_seconds: Option<f64>,
}

impl Histogram {
    /// Counts one time. A time that is not finite is not counted, since the sum of the times could
    /// then not be written as JSON.
    pub fn observe(&mut self, seconds: f64) {
        if !seconds.is_finite() {
            return;
        }
        let seconds = seconds.max(0.0);
        let bucket = LIMITS.partition_point(|limit| *limit < seconds);
        *self.buckets.entry(u16::try_from(bucket).unwrap_or(u16::MAX)).or_default() += 1;
        self.count += 1;
        self.sum_seconds += seconds;
    }

    /// Adds the counts of another histogram.
    pub fn merge(&mut self, other: &Self) {
        let Self { count, sum_seconds, buckets } = other;
        self.count += count;
        self.sum_seconds += sum_seconds;
        for (bucket, times) in buckets {
            *self.buckets.entry(*bucket).or_default() += times;
        }
    }

    /// The bucket of a quantile from 0 to 1: at least that share of the times are no larger than
    /// the bucket's upper limit. `None` if nothing was counted.
    pub fn quantile(&self, quantile: f64) -> Option<QuantileLimits> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank, which is exact up to 2^53 times"
        )]
        let rank = ((quantile.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, times) in &self.buckets {
            seen += times;
            if seen >= rank {
                let bucket = usize::from(*bucket);
                return Some(QuantileLimits {
                    above_seconds: bucket
                        .checked_sub(1)
                        .and_then(|below| LIMITS.get(below).copied())
                        .unwrap_or(0.0),
                    at_most_seconds: LIMITS.get(bucket).copied(),
                });
            }
        }
        None
    }

    /// Some limits, each with the number of counted times that are not above it. The limits are
    /// whole doublings of a millisecond up to about an hour, so that there are few of them.
    pub fn at_most(&self) -> Vec<(f64, u64)> {
        const DOUBLINGS: i32 = 22;
        let below = |limit: f64| {
            let inside = |bucket: u16| LIMITS.get(usize::from(bucket)).is_some_and(|l| *l <= limit);
            self.buckets.iter().filter(|(bucket, _)| inside(**bucket)).map(|(_, times)| times).sum()
        };
        let at = |doubling: i32| usize::try_from(doubling * PER_DOUBLING - FIRST).ok();
        let limits = (0..=DOUBLINGS).filter_map(|doubling| LIMITS.get(at(doubling)?).copied());
        limits.map(|limit| (limit, below(limit))).collect()
    }
}

impl Serialize for Histogram {
    /// Writes the counts, and the quantiles that people ask for. Readers take only the counts.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Histogram", 5)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("sum_seconds", &self.sum_seconds)?;
        fields.serialize_field("p50", &self.quantile(0.5))?;
        fields.serialize_field("p99", &self.quantile(0.99))?;
        fields.serialize_field("buckets", &self.buckets)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[f64]) -> Histogram {
        let mut histogram = Histogram::default();
        for time in times {
            histogram.observe(*time);
        }
        histogram
    }

    #[test]
    fn a_quantile_lies_between_the_limits_that_are_reported() {
        let mut times: Vec<f64> = (1..=1000).map(|n| 0.0007 * 1.013_f64.powi(n)).collect();
        times.sort_by(f64::total_cmp);
        let histogram = of(&times);
        for (quantile, at) in [(0.5, 499), (0.99, 989), (1.0, 999), (0.0, 0)] {
            let QuantileLimits { above_seconds, at_most_seconds } =
                histogram.quantile(quantile).unwrap();
            let (time, most) = (times[at], at_most_seconds.unwrap());
            assert!(above_seconds < time && time <= most, "{quantile}: {time}");
            assert!(most <= above_seconds * 1.19, "the bucket of {time} is too wide");
        }
    }

    #[test]
    fn histograms_of_several_processes_add_up_to_that_of_all_times() {
        let (one, other) = (of(&[0.1, 3.0, 1e9]), of(&[0.0, 0.1, 0.000_124]));
        let mut merged = one.clone();
        merged.merge(&other);
        assert_eq!(merged.buckets, of(&[0.1, 3.0, 1e9, 0.0, 0.1, 0.000_124]).buckets);
        assert_eq!((merged.count, merged.quantile(1.0).unwrap().at_most_seconds), (6, None));
        let stored = serde_json::to_string(&merged).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&stored).unwrap(), merged);
    }

    #[test]
    fn times_that_are_no_numbers_are_left_out() {
        assert_eq!(of(&[f64::NAN, f64::INFINITY]), Histogram::default());
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn counts_up_to_a_limit_include_the_limit() {
        let histogram = of(&[0.001, 0.0011, 0.002, 5000.0, 1e6]);
        let counts = histogram.at_most();
        assert_eq!(counts[..2], [(0.001, 1), (0.002, 3)]);
        assert_eq!(counts.last().map(|(_, count)| *count), Some(3));
        assert!(counts.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1));
    }
}
