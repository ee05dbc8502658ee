//! How are sizes and ages written on the command line? As a number and a unit, such as `500MB`,
//! `10GiB` or `30d`. A size without a unit is in bytes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `4096`, `500MB` (in powers of 1000), `10GiB` or `10G` (in powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(u64);

impl Size {
    /// The bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = |unit: &str| {
            let power = match unit.chars().next().map(|first| first.to_ascii_lowercase()) {
                None => 0,
                Some('b') => return (unit.len() == 1).then_some(1.0),
                Some('k') => 1,
                Some('m') => 2,
                Some('g') => 3,
                Some('t') => 4,
                Some(_) => return None,
            };
            match unit.get(1..).unwrap_or_default().to_ascii_lowercase().as_str() {
                "" | "ib" => Some(1024_f64.powi(power)),
                "b" => Some(1000_f64.powi(power)),
                _ => None,
            }
        };
        let bytes = quantity(text, unit).ok_or(
            "a size is a number with a unit, such as 500MB or 10GiB, or a number of bytes",
        )?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and saturates"
        )]
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// A length of time: `90s`, `15m`, `12h`, `30d`, `8w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age(pub(super) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WORDS: &str = "an age is a number with a unit, such as 12h, 30d or 8w";
        let unit = |unit: &str| match unit {
            "s" => Some(1.0),
            "m" | "min" => Some(60.0),
            "h" => Some(3600.0),
            "d" => Some(86_400.0),
            "w" => Some(7.0 * 86_400.0),
            _ => None,
        };
        let seconds = quantity(text, unit).ok_or(WORDS)?;
        // The limit is about a thousand years: no time in a record is further back.
        Duration::try_from_secs_f64(seconds.min(3.2e10)).map(Self).map_err(|_| WORDS.to_owned())
    }
}

/// The number in front of a unit, times the value of the unit.
fn quantity(text: &str, unit: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|at: char| !at.is_ascii_digit() && at != '.').unwrap_or(text.len());
    let (number, name) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    Some(number * unit(name.trim())?).filter(|quantity| quantity.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let bytes = |text: &str| text.parse::<Size>().map(Size::bytes).ok();
        for (text, expected) in [
            ("0", 0),
            ("4096", 4096),
            ("12b", 12),
            ("1kB", 1000),
            ("1K", 1024),
            ("500MB", 500_000_000),
            ("1.5 GiB", 3 << 29),
            ("10GiB", 10 << 30),
            ("2T", 2 << 40),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "GB", "-1", "1 XB", "1.2.3", "1 GiBs", "inf", "nan", "bb", "1bb"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn ages_have_units() {
        let seconds = |text: &str| text.parse::<Age>().ok().map(|age| age.0.as_secs());
        assert_eq!(
            ["90s", "15m", "12h", "30d", "8w"].map(seconds),
            [90, 900, 43_200, 2_592_000, 4_838_400].map(Some)
        );
        for text in ["", "30", "d", "-1d", "1y", "1e9d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert!(seconds("99999999999w").is_some());
    }
}
