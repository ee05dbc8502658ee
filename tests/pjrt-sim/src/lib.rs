//! A PJRT plugin that forwards to a real one.
