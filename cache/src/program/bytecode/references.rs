//! Which other attributes, types and strings does an encoded attribute or type refer to?
//!
//! The codes and the order of the fields are those of MLIR's `BuiltinDialectBytecode.td`, of
//! StableHLO's `VhloBytecode.cpp` and of Shardy's `bytecode.td`. A kind that is not in these tables
//! is not understood.

/// One part of an encoded attribute or type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The number of an attribute.
    Attribute,
    /// Nothing, or the number of an attribute.
    OptionalAttribute,
    /// A zero, or a one and the number of an attribute.
    FlaggedAttribute,
    /// The number of a type.
    Type,
    /// The number of a string.
    String,
    /// A count, and as many attributes.
    Attributes,
    /// A count, and as many pairs of attributes.
    Pairs,
    /// A count, and as many types.
    Types,
    /// A number that refers to nothing.
    Number,
    /// A byte that is a truth value.
    Bool,
    /// A count, and as many numbers that refer to nothing.
    Numbers,
    /// Bytes up to the end that refer to nothing.
    Rest,
}

use Part::{
    Attribute, Attributes, Bool, FlaggedAttribute, Number, Numbers, OptionalAttribute, Pairs, Rest,
    String, Type, Types,
};

/// How an attribute is treated when its references are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A location, which changes no code.
    Location,
    /// Any other attribute, with the parts that follow its code.
    Of(&'static [Part]),
}

/// The kind of an attribute; `None` if it is not known.
pub(super) fn attribute(dialect: &str, code: u64) -> Option<Kind> {
    Some(Kind::Of(match (dialect, code) {
        // CallSiteLoc, FileLineColLoc, FusedLoc, FusedLoc with metadata, NameLoc, UnknownLoc,
        // FileLineColRange.
        ("builtin", 10..=15 | 22) => return Some(Kind::Location),
        ("builtin", 0) | ("vhlo", 1) | ("sdy", 0 | 7 | 11 | 12 | 16) => &[Attributes],
        ("builtin", 1) | ("vhlo", 6) => &[Pairs],
        ("builtin", 2) | ("vhlo", 14) => &[String],
        ("builtin", 3) => &[String, Type],
        ("builtin", 4) => &[Attribute],
        ("builtin", 5) => &[Attribute, Attributes],
        ("builtin", 6) | ("vhlo", 17) => &[Type],
        ("builtin", 7) => &[],
        // Integers and floats; and dense arrays and elements, whose data are their last part.
        ("builtin", 8 | 9 | 17 | 18) | ("vhlo", 8 | 9 | 15) => &[Type, Rest],
        // Booleans, and the enums of StableHLO.
        ("vhlo", 2..=5 | 7 | 11..=13 | 16 | 19) => &[Number],
        ("vhlo", 10) => &[Numbers, Number, Numbers],
        ("vhlo", 18) => &[Numbers],
        // Two floats of 64 bits, each of which is one number, and an integer.
        ("vhlo", 20) => &[Number, Number, Number, Attribute],
        ("vhlo", 21) | ("sdy", 3) => &[Number, Number],
        ("vhlo", 22) => &[Attribute, FlaggedAttribute],
        ("vhlo", 23) => &[Attribute, Attribute],
        ("vhlo", 24) => &[Attribute, Number],
        ("vhlo", 25) => &[Attribute, OptionalAttribute],
        ("sdy", 1) => &[String, Number],
        ("sdy", 2) => &[Attributes, Numbers],
        ("sdy", 4) => &[String, OptionalAttribute],
        ("sdy", 5) => &[Attributes, Bool, Number],
        ("sdy", 6) => &[Attribute, Attributes, Attributes],
        ("sdy", 15) => &[Attribute, Attributes, Attributes, Attributes],
        ("sdy", 17) => &[Attribute, Attributes, Attributes, Attributes, Number],
        _ => return None,
    }))
}

/// The parts of a type after its code; `None` if the kind is not known.
pub(super) fn parts_of_type(dialect: &str, code: u64) -> Option<&'static [Part]> {
    Some(match (dialect, code) {
        ("builtin", 0) => &[Number],
        ("builtin", 2) | ("vhlo", 8) => &[Types, Types],
        ("builtin", 9 | 18) | ("vhlo", 1 | 25) => &[Type],
        ("builtin", 13) | ("vhlo", 20 | 41) => &[Numbers, Type],
        ("builtin", 14) | ("vhlo", 21) => &[Attribute, Numbers, Type],
        ("builtin", 15) | ("vhlo", 23 | 42) => &[Types],
        ("vhlo", 24 | 30) => &[Number, Type, Type, Rest],
        ("builtin", 1 | 3..=8 | 12) | ("vhlo", 0 | 2..=7 | 9..=19 | 22 | 26..=29 | 31..=40) => &[],
        _ => return None,
    })
}
