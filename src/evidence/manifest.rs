//! x
/// x
#[derive(Debug)]
pub struct Manifest;
/// x
#[derive(Debug)]
pub struct ManifestModel;
