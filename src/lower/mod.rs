//! Lowering a verified graph to StableHLO text.
