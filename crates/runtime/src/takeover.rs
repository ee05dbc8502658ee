//! Can this hardware use machine code that was compiled ahead of time for another description of
//! it?
//!
//! One function describes hardware, whether it is here or not (`backend/environment.rs`), so this
//! should not happen. If a device and the topology of its name still differ, the plugin decides
//! whether the executable fits.

use preheat_cache::{GraphRecord, KeyInputs, Lookup};

use super::Inner;
use super::error::Error;
use super::obtain::recorded;
use super::request::Asked;
use super::survival::{Survival, differs_only_in};
use crate::backend::here::Here;

/// How hardware describes itself. The plugin's build and flags are not listed: with other ones, the
/// compiler is another.
const SELF_DESCRIPTION: [&str; 3] = ["platform_version", "device_kind", "topology"];

impl Inner {
    /// An entry of the same program that differs only in how the hardware describes itself, and
    /// that the plugin says it accepts.
    pub(super) fn of_this_hardware(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Result<Option<GraphRecord>, Error> {
        // This is checked first because it costs nothing: XLA:CPU cannot answer such questions.
        let Some(here) = self.here().ok().and_then(Here::xla) else { return Ok(None) };
        let Some(cache) =
            self.cache.as_deref().filter(|_| here.client.plugin().tells_abi_versions())
        else {
            return Ok(None);
        };
        // A cache whose records cannot be read has nothing to take over.
        let records = cache.records().unwrap_or_default();
        let (program, options) = (inputs.program.digest(), inputs.options.digest());
        let mut candidates = records.into_iter().filter(|record| {
            record.program.digest == program
                && record.options.digest() == options
                && self.is_described_otherwise(record)
                && cache.main().has_object(&record.graph_key)
        });
        let survival = Survival::of(self)?;
        let Some(record) = candidates.find(|record| survival.is_taken(record)) else {
            return Ok(None);
        };
        for difference in record.environment.differences(&inputs.environment) {
            let (field, have, want) = (&difference.field, &difference.have, &difference.want);
            tracing::warn!(
                stage = asked.graph.stage_name(), graph_key = %record.graph_key, %field, %have, %want,
                "compiled ahead of time for hardware that describes itself differently; the plugin accepts the executable"
            );
        }
        Ok(Some(record))
    }

    /// Whether a record is of the same number of chips in the same layout, described differently.
    fn is_described_otherwise(&self, record: &GraphRecord) -> bool {
        let environment = self.backend.environment();
        // The ABI version does not cover the layout: libtpu's is the same for one v5e and for four.
        let (wanted, there) = (&environment.topology, &record.environment.topology);
        let as_many_chips =
            (&wanted.bounds, wanted.core_count) == (&there.bounds, there.core_count);
        as_many_chips
            && !record.environment.differences(environment).is_empty()
            && differs_only_in(&SELF_DESCRIPTION, record, self)
    }

    /// Stores such an entry under the key that this hardware asks for. Returns whether there was
    /// one.
    pub(super) fn take_over(&self, asked: &Asked<'_>, inputs: &KeyInputs) -> Result<bool, Error> {
        let Some(cache) = self.cache.as_deref().filter(|cache| !cache.main().is_read_only()) else {
            return Ok(false);
        };
        let Some(record) = self.of_this_hardware(asked, inputs)? else { return Ok(false) };
        let taken = match cache.main().load(&record.graph_key) {
            // The question is about the record in the object, which was verified. The index was
            // not.
            Ok(Lookup::Hit(object)) if Survival::of(self)?.is_taken(&object.record) => {
                self.store_survivor(&object, inputs, &[recorded(asked)])
            }
            Ok(_) => return Ok(false),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &taken {
            tracing::warn!(%error, graph_key = %record.graph_key, "an executable that fits could not be taken over");
        }
        Ok(taken.is_ok())
    }
}
