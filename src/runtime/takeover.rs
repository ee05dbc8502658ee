//! Machine code that was compiled ahead of time for this very hardware, which calls itself something else now that it is here.
//!
//! Hardware is described by one function, whether it is here or not (`backend/environment.rs`), so this should not happen. Should a device
//! and the topology of its name ever differ all the same, the plugin decides whether the executable fits.

use preheat_cache::{GraphRecord, KeyInputs, Lookup};

use super::Inner;
use super::error::Error;
use super::obtain::recorded;
use super::request::Asked;
use super::survival::{Survival, differs_only_in};

/// What hardware says of itself. Build and flags are not among it: with another of those the compiler is another.
const SELF_DESCRIPTION: [&str; 3] = ["platform_version", "device_kind", "topology"];

impl Inner {
    /// The nearest entry, where it differs in nothing but how the hardware describes itself, and the plugin says that it takes it.
    pub(super) fn of_this_hardware(&self, asked: &Asked<'_>, inputs: &KeyInputs) -> Result<Option<GraphRecord>, Error> {
        // Asked first, since it is at hand: XLA:CPU has no such answers, and pays nothing for them.
        let Ok(here) = self.here() else { return Ok(None) };
        if !here.client.plugin().tells_abi_versions() {
            return Ok(None);
        }
        let Some(nearest) = self.nearest_entry(asked, inputs) else { return Ok(None) };
        let described_otherwise = nearest.differences.iter().all(|one| SELF_DESCRIPTION.contains(&one.field.as_str()))
            && differs_only_in(&SELF_DESCRIPTION, &nearest.record, self);
        // Of this the version says nothing: libtpu's is the same for one v5e and for four of them.
        let (wanted, there) = (&inputs.environment.topology, &nearest.record.environment.topology);
        let as_many_chips = (&wanted.bounds, wanted.core_count) == (&there.bounds, there.core_count);
        if !described_otherwise || !as_many_chips || !Survival::of(self)?.is_taken(&nearest.record) {
            return Ok(None);
        }
        for difference in &nearest.differences {
            let (field, have, want) = (&difference.field, &difference.have, &difference.want);
            tracing::warn!(
                stage = asked.graph.stage_name(), graph_key = %nearest.record.graph_key, %field, %have, %want,
                "compiled ahead for hardware that says something else of itself than this; the plugin takes the executable"
            );
        }
        Ok(Some(nearest.record))
    }

    /// Stores such an entry under the key that this hardware asks for. Says whether there was one.
    pub(super) fn take_over(&self, asked: &Asked<'_>, inputs: &KeyInputs) -> Result<bool, Error> {
        let Some(cache) = self.cache.as_deref().filter(|cache| !cache.main().is_read_only()) else { return Ok(false) };
        let Some(record) = self.of_this_hardware(asked, inputs)? else { return Ok(false) };
        let taken = match cache.main().load(&record.graph_key) {
            // Of what the object itself says: it was verified, and the index was not.
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
