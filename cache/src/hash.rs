//! How is a list of fields hashed so that no other list gives the same hash? Every key of this
//! crate is made by framed hashing.
//!
//! Two different lists of fields never give the hash function the same bytes. A version tag comes
//! first, text and bytes follow their length, lists follow their count, and options follow a byte
//! that says whether there is a value. Enums are written as a fixed ordinal rather than by name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A blake3 hash of 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest: 64 hex digits are wanted")]
pub struct ParseDigestError {
    text: String,
}

impl Digest {
    /// Wraps the 32 bytes of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The blake3 hash of `bytes`, unframed.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hex digits, for messages and tables.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text)
            .map(Self::from)
            .map_err(|_| ParseDigestError { text: text.chars().take(80).collect() })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Passes fields to blake3 so that no two different lists of fields give the same bytes.
///
/// ```
/// use preheat_cache::FramedHasher;
///
/// let mut one = FramedHasher::new("example-v1");
/// one.text("ab").text("c");
/// let mut other = FramedHasher::new("example-v1");
/// other.text("a").text("bc");
/// assert_ne!(one.finish(), other.finish());
/// ```
#[derive(Clone)]
pub struct FramedHasher {
    inner: blake3::Hasher,
}

impl FramedHasher {
    /// Starts a hash; `tag` names what is hashed and has the version of the list of fields.
    pub fn new(tag: &str) -> Self {
        let mut hasher = Self { inner: blake3::Hasher::new() };
        hasher.text(tag);
        hasher
    }

    /// Adds bytes, their length first.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.inner.update(bytes);
        self
    }

    /// Adds a text as its UTF-8 bytes, their length first.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Adds an unsigned integer, or the fixed ordinal of an enum.
    pub fn integer(&mut self, value: u64) -> &mut Self {
        self.inner.update(&value.to_le_bytes());
        self
    }

    /// Adds a signed integer, in two's complement.
    pub fn signed(&mut self, value: i64) -> &mut Self {
        self.inner.update(&value.to_le_bytes());
        self
    }

    /// Adds a boolean, as the integer 0 or 1.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.integer(u64::from(value))
    }

    /// Adds a number by its bits. Minus zero counts as zero. The caller has to refuse NaN when it
    /// makes the field.
    pub fn float(&mut self, value: f64) -> &mut Self {
        let value = if value == 0.0 { 0.0 } else { value };
        self.integer(value.to_bits())
    }

    /// Adds the number of elements that follow.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.integer(count as u64)
    }

    /// Adds another digest.
    pub fn digest(&mut self, digest: &Digest) -> &mut Self {
        self.inner.update(digest.as_bytes());
        self
    }

    /// Adds whether there is a value, and then the value.
    pub fn option<T>(
        &mut self,
        value: Option<T>,
        add: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        self.inner.update(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            add(self, value);
        }
        self
    }

    /// Adds a list: its count, then each element.
    pub fn list<T>(
        &mut self,
        values: &[T],
        mut add: impl for<'a> FnMut(&'a mut Self, &T) -> &'a mut Self,
    ) -> &mut Self {
        self.count(values.len());
        for value in values {
            add(self, value);
        }
        self
    }

    /// Adds a map in the order of its names: its count, then each name and value.
    pub fn map<T>(
        &mut self,
        values: &BTreeMap<String, T>,
        mut add: impl for<'a> FnMut(&'a mut Self, &T) -> &'a mut Self,
    ) -> &mut Self {
        self.count(values.len());
        for (name, value) in values {
            self.text(name);
            add(self, value);
        }
        self
    }

    /// The digest of all that was added.
    pub fn finish(&self) -> Digest {
        Digest::from(self.inner.finalize())
    }
}

impl fmt::Debug for FramedHasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FramedHasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_from_its_text() {
        let digest = Digest::of(b"preheat");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.short().len(), 12);
        assert_eq!(
            serde_json::from_str::<Digest>(&serde_json::to_string(&digest).unwrap()).unwrap(),
            digest
        );
        assert!("abc".parse::<Digest>().unwrap_err().to_string().contains("abc"));
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        let digests: Vec<Digest> = [
            FramedHasher::new("t").text("ab").text("c").finish(),
            FramedHasher::new("t").text("a").text("bc").finish(),
            FramedHasher::new("t").text("abc").finish(),
            FramedHasher::new("t").text("abc").text("").finish(),
            FramedHasher::new("ta").text("bc").finish(),
            FramedHasher::new("t").option(None::<u64>, |h, v| h.integer(v)).finish(),
            FramedHasher::new("t").option(Some(0), |h, v| h.integer(v)).finish(),
        ]
        .into();
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "digest {index} is not distinct");
        }
    }

    #[test]
    fn minus_zero_is_zero() {
        assert_eq!(
            FramedHasher::new("t").float(-0.0).finish(),
            FramedHasher::new("t").float(0.0).finish()
        );
        assert_ne!(
            FramedHasher::new("t").float(1.0).finish(),
            FramedHasher::new("t").float(0.0).finish()
        );
    }

    #[test]
    fn the_framing_is_pinned() {
        let digest = FramedHasher::new("golden")
            .text("a")
            .integer(1)
            .signed(-1)
            .float(0.5)
            .boolean(true)
            .finish();
        let mut bytes = Vec::new();
        bytes.extend(6_u64.to_le_bytes());
        bytes.extend(b"golden");
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(b"a");
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend((-1_i64).to_le_bytes());
        bytes.extend(0.5_f64.to_bits().to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        assert_eq!(digest, Digest::of(&bytes));
    }
}
