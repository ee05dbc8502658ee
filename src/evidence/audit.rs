//! x
/// x
#[derive(Debug)]
pub struct Audit;
