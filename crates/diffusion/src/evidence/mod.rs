//! Which requests are made, which of them could a cache serve, and which sizes are worth warming?
//!
//! A request log (`log.rs`) is turned into demands (`demand.rs`): the shapes that it asks for, and
//! how often it asks for each. `survey.rs` compares the demands with what the store has, and
//! `costs.rs` estimates compile times from what the store has measured. `audit.rs` summarises the
//! result. `planner.rs` chooses what to warm within a budget; it works on numbers alone, without
//! files or devices. A manifest (`manifest.rs`) holds that choice for `preheat warmup`.

pub mod audit;
pub mod costs;
pub mod demand;
pub mod error;
pub mod log;
pub mod manifest;
pub mod planner;
pub mod shape;
pub mod survey;

pub use audit::Audit;
pub use demand::{Demand, Demands};
pub use error::EvidenceError;
pub use log::{LogWriter, LoggedRequest, RequestLog};
pub use manifest::{Manifest, ManifestModel};
use preheat_io::printable::{beginning, printable};
pub use shape::Shape;
pub use survey::{Efforts, Rules, Survey};

/// Text from a file that others wrote, made printable and cut to a length that is worth showing.
fn told(text: &str) -> String {
    const MOST_CHARACTERS: usize = 200;
    printable(&beginning(text, MOST_CHARACTERS)).into_owned()
}
