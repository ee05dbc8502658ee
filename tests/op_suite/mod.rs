//! What does each op mean, and does a back end compute it? Every back end runs this suite.
#![allow(
    dead_code,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::many_single_char_names,
    clippy::too_many_lines,
    reason = "small numbers in short formulas; each test uses a part"
)]

pub mod agree;
pub mod cases;
pub mod reference;
