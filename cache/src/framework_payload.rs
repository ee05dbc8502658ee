//! What is stored for an executable that a framework compiled, besides its machine code? Its
//! optimised program is stored, too: frameworks request it from every executable, and otherwise a
//! plugin would have to make it again for each load.
//!
//! A payload that this module makes begins with a line that marks it. The length of a header
//! follows, then the header, which is JSON and states the lengths of the parts. The optimised
//! program, if there is one, and the machine code come last, in this order. A payload without that
//! line consists only of machine code.

use serde::{Deserialize, Serialize};

/// The beginning of every payload that [`FrameworkPayload::join`] makes. The number is the version
/// of the layout.
const START: &[u8] = b"preheat-framework-payload-1\n";
/// The longest header that is read.
const HEADER_LIMIT: usize = 1 << 20;

/// The parts of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameworkPayload<'a> {
    /// The machine code, as the plugin wrote it.
    pub executable: &'a [u8],
    /// The optimised program in the plugin's format.
    pub optimized: Option<&'a [u8]>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    executable_bytes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    optimized: Option<OptimizedHeader>,
}

#[derive(Serialize, Deserialize)]
struct OptimizedHeader {
    format: String,
    bytes: usize,
}

impl<'a> FrameworkPayload<'a> {
    /// The bytes to store. `format` is the format of the optimised program, if there is one.
    ///
    /// # Errors
    /// If the header cannot be written. This is not known to happen.
    pub fn join(&self, format: &str) -> serde_json::Result<Vec<u8>> {
        let header = serde_json::to_vec(&Header {
            executable_bytes: self.executable.len(),
            optimized: self
                .optimized
                .map(|program| OptimizedHeader { format: format.to_owned(), bytes: program.len() }),
        })?;
        let length = (header.len() as u64).to_le_bytes();
        let optimized = self.optimized.unwrap_or_default();
        Ok([START, &length, &header, optimized, self.executable].concat())
    }

    /// Splits a payload into its parts, and returns the format of its optimised program, which is
    /// empty if there is no such program. `None` if the bytes begin with the line that marks this
    /// layout, but do not follow it.
    pub fn split(payload: &'a [u8]) -> Option<(Self, String)> {
        let Some(rest) = payload.strip_prefix(START) else {
            return Some((Self { executable: payload, optimized: None }, String::new()));
        };
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (header, rest) = rest.split_at_checked(length).filter(|_| length <= HEADER_LIMIT)?;
        let header: Header = serde_json::from_slice(header).ok()?;
        let optimized_bytes = header.optimized.as_ref().map_or(0, |optimized| optimized.bytes);
        let (optimized, executable) = rest.split_at_checked(optimized_bytes)?;
        (executable.len() == header.executable_bytes).then_some(())?;
        let format = header.optimized.map(|optimized| optimized.format);
        let optimized = format.is_some().then_some(optimized);
        Some((Self { executable, optimized }, format.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: FrameworkPayload<'_> =
        FrameworkPayload { executable: b"machine code", optimized: Some(b"program") };

    #[test]
    fn a_payload_comes_apart_into_what_it_was_made_of() {
        let bare = FrameworkPayload { optimized: None, ..WHOLE };
        for (payload, format) in [(WHOLE, "hlo_with_config"), (bare, "")] {
            let joined = payload.join(format).unwrap();
            assert_eq!(FrameworkPayload::split(&joined), Some((payload, format.to_owned())));
        }
        let (alone, _) = FrameworkPayload::split(b"machine code").unwrap();
        assert_eq!(alone, bare);
    }

    #[test]
    fn a_payload_that_is_cut_or_longer_is_refused() {
        let whole = WHOLE.join("hlo").unwrap();
        for length in START.len()..whole.len() {
            assert_eq!(FrameworkPayload::split(&whole[..length]), None, "{length}");
        }
        assert_eq!(FrameworkPayload::split(&[&whole[..], b"x"].concat()), None);
    }
}
