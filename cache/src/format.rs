//! Can this release read what is on disk? The versions of a store and of an object file decide
//! this.

use std::fmt;

/// The version of a store as a whole: its folders, its index and its locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormatVersion(pub u32);

/// The version of one object file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectVersion(pub u32);

impl FormatVersion {
    /// The version that this release writes, and the newest that it reads.
    pub const CURRENT: Self = Self(1);

    const PREFIX: &str = "preheat-store ";

    /// The content of the store's `format` file: `preheat-store 1` on its first line, then the
    /// oldest release that reads it.
    pub(crate) fn file_content(self) -> String {
        format!("{}{self}\nread by preheat {} and later\n", Self::PREFIX, env!("CARGO_PKG_VERSION"))
    }

    /// Reads the content of a `format` file; `None` if it is not one.
    pub(crate) fn parse(content: &str) -> Option<Self> {
        content.lines().next()?.strip_prefix(Self::PREFIX)?.trim().parse().ok().map(Self)
    }

    /// The releases that can read the store, as its `format` file states them. The error about a
    /// store of a later release shows this text.
    pub(crate) fn reader(content: &str) -> Option<String> {
        let release = content.lines().nth(1)?.strip_prefix("read by ")?.trim();
        (release.len() < 100).then(|| release.to_owned())
    }
}

impl ObjectVersion {
    /// The version that this release writes, and the only one that it reads.
    pub const CURRENT: Self = Self(1);
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_file_reads_back() {
        let content = FormatVersion::CURRENT.file_content();
        assert!(content.starts_with("preheat-store 1\n"));
        assert_eq!(FormatVersion::parse(&content), Some(FormatVersion::CURRENT));
        assert_eq!(FormatVersion::parse("preheat-store 1"), Some(FormatVersion(1)));
        assert_eq!(FormatVersion::parse("something else"), None);
        assert_eq!(FormatVersion::parse(""), None);
        let newer = "preheat-store 2\nread by preheat 3.0.0 and later\n";
        assert_eq!(FormatVersion::parse(newer), Some(FormatVersion(2)));
        assert_eq!(FormatVersion::reader(newer).as_deref(), Some("preheat 3.0.0 and later"));
    }
}
