//! How is a percentage represented, parsed and printed?

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A share in percent, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(f64);

/// The text is not a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a percentage: give a number from 0 to 100, without a sign")]
pub struct ParsePercentError(String);

impl Percent {
    /// A share of `percent`; `None` if this is not a number from 0 to 100.
    pub fn new(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Self(percent))
    }

    /// The share of the work that is wasted if something of the size `own` is computed at the size
    /// `larger`. Both sizes are numbers of elements or of pixels.
    pub fn wasted(own: u64, larger: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a share for people to read; exact up to 2^53 elements"
        )]
        let share = larger.saturating_sub(own) as f64 / larger.max(1) as f64;
        Self(share * 100.0)
    }

    /// The share as a number from 0 to 100.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = ParsePercentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok().and_then(Self::new);
        number
            .filter(|_| !text.starts_with(['-', '+']))
            .ok_or_else(|| ParsePercentError(text.to_owned()))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} %", self.0)
    }
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_between_0_and_100() {
        for (text, value) in [("0", 0.0), ("12.5", 12.5), ("100", 100.0)] {
            assert_eq!(text.parse(), Ok(Percent(value)));
        }
        for text in ["-1", "-0", "+5", "101", "100.1", "abc", "", "50%", "nan", "inf"] {
            let said = text.parse::<Percent>().unwrap_err().to_string();
            assert_eq!(
                said,
                format!(
                    "{text:?} is not a percentage: give a number from 0 to 100, without a sign"
                )
            );
        }
    }

    #[test]
    fn waste_is_relative_to_what_is_computed() {
        assert_eq!(Percent::wasted(128 * 64, 128 * 128), Percent(50.0));
        assert_eq!(Percent::wasted(3, 4), Percent(25.0));
        // The recorded shape is smaller than the request's if only the request's was padded.
        // Nothing is wasted then.
        assert_eq!((Percent::wasted(4, 3), Percent::wasted(0, 0)), (Percent(0.0), Percent(0.0)));
        assert_eq!(Percent::wasted(2, 3).to_string(), "33.3 %");
    }
}
