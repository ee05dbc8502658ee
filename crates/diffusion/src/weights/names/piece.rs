//! Which weight does a tensor of a file hold, and how are names translated with a table?

/// The part of a component that a tensor of a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::weights) struct Piece {
    /// The weight's name in diffusers.
    pub name: String,
    /// Which third of the tensor's rows it is: 0, 1 or 2; `None` for all rows.
    pub third: Option<u64>,
    /// Whether the file has rows and columns exchanged.
    pub transposed: bool,
    /// Whether it is a linear layer that the file may hold as a convolution of one pixel.
    pub linear: bool,
}

impl Piece {
    pub(super) fn whole(name: String) -> Self {
        Self { name, third: None, transposed: false, linear: false }
    }
}

/// Reads the number that follows `start` in a name. Returns it with the rest after the next dot.
pub(super) fn numbered<'a>(name: &'a str, start: &str) -> Option<(u64, &'a str)> {
    let (number, rest) = name.strip_prefix(start)?.split_once('.')?;
    Some((number.parse().ok()?, rest))
}

/// Replaces the beginning of a name. The first row of the table whose left side fits is used: its
/// right side takes the place of the left side.
pub(super) fn renamed(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| {
        let rest = name.strip_prefix(from)?;
        rest.starts_with('.').then(|| format!("{to}{rest}"))
    })
}

/// Replaces the beginning of a name like [`renamed`], but from the right side of a row to the left.
pub(super) fn renamed_back(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(to, from)| {
        let rest = name.strip_prefix(from)?;
        rest.starts_with('.').then(|| format!("{to}{rest}"))
    })
}
