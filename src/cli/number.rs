//! Which numbers does a flag accept, and which error does any other text give? clap's own parsers
//! repeat the words of Rust's standard library, which do not say what is wanted.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A parser for whole numbers of a range.
pub(super) fn whole<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            format!("give a whole number from {least} to {most}")
        })
    }
}

/// A parser for whole numbers from `least` on. The error names the largest possible number only if
/// the text is a whole number that is too large.
pub(super) fn from(
    least: u64,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if number >= least => Ok(number),
            Err(_) if is_number => Err(format!("the largest number here is {}", u64::MAX)),
            _ => Err(format!("give a whole number, {least} or more")),
        }
    }
}

/// Reads a number that may have a fraction.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "give a number, such as 7.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_what_is_none_is_told_what_is_wanted() {
        assert_eq!(whole(1..=1024_u16)("1024"), Ok(1024));
        for text in ["0", "1025", "many", "", "-1", "1.5", "99999999999999999999"] {
            let said = whole(1..=1024_u16)(text).unwrap_err();
            assert_eq!(said, "give a whole number from 1 to 1024", "{text}");
        }
        assert_eq!(from(1)("18446744073709551615"), Ok(u64::MAX));
        for text in ["0", "many", "", "-1", "1.5"] {
            assert_eq!(from(1)(text).unwrap_err(), "give a whole number, 1 or more", "{text}");
        }
        let large = from(0)("18446744073709551616").unwrap_err();
        assert_eq!(large, "the largest number here is 18446744073709551615");
        assert_eq!(fraction("7.5"), Ok(7.5));
        assert_eq!(fraction("7,5").unwrap_err(), "give a number, such as 7.5");
    }
}
