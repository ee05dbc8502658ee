//! What the tests of the remotes share.

pub mod suite;
pub mod web;
