//! Evidence: which requests are made, what of them a cache could serve, and which sizes are worth
//! warming.
//!
//! A request log (`log.rs`) becomes demands (`demand.rs`): shapes, and how often each is asked for.
//! `survey.rs` sets them against what the store has, and `costs.rs` says what compiling takes, as
//! far as the store has measured; `audit.rs` sums that up, and `planner.rs` chooses what to warm
//! within a budget, knowing neither files nor devices; and a manifest (`manifest.rs`) is what it
//! chose, for `preheat warmup`.

pub mod audit;
pub mod costs;
pub mod demand;
pub mod error;
pub mod log;
pub mod manifest;
pub mod planner;
pub mod survey;

pub use audit::Audit;
pub use demand::{Demand, Demands, Shape};
pub use error::EvidenceError;
pub use log::{LogWriter, LoggedRequest, RequestLog};
pub use manifest::{Manifest, ManifestModel};
use preheat_io::printable::{beginning, printable};
pub use survey::{Rules, Survey};

/// Text from a file that others write, as far as it is worth showing.
fn told(text: &str) -> String {
    const MOST_CHARACTERS: usize = 200;
    printable(&beginning(text, MOST_CHARACTERS)).into_owned()
}
