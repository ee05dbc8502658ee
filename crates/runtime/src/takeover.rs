//! Can this hardware use machine code that was compiled ahead of time for the same hardware,
//! described differently?
//!
//! One function describes hardware, whether this machine has it or not (`preheat-environment`), so
//! the descriptions should be equal. If a device still differs from the topology with its name, the
//! plugin decides whether the executable fits.

use preheat_cache::{
    GraphKey, GraphRecord, KeyInputs, LoadedObject, ObjectLookup, RecordedSignature,
};

use super::asked::Asked;
use super::cache::Cache;
use super::error::Error;
use super::parts::Inner;
use super::site::Site;
use super::survival::{Survival, differs_only_in};

/// The fields of the environment that describe the hardware. The plugin's build and flags are not
/// among them, because another build or other flags are another compiler.
const SELF_DESCRIPTION: [&str; 3] = ["platform_version", "device_kind", "topology"];

/// The parts that are needed to use machine code under a key other than its own.
#[derive(Clone, Copy)]
pub(super) struct Takeover<'a> {
    pub(super) site: &'a Site,
    pub(super) cache: &'a Cache,
}

impl Inner {
    /// The parts that find machine code of other builds and descriptions that can still be used.
    pub(crate) fn takeover(&self) -> Result<Takeover<'_>, Error> {
        Ok(Takeover { site: &self.site, cache: self.cache()? })
    }
}

impl Takeover<'_> {
    /// An entry of the same program that differs only in the description of the hardware, and that
    /// the plugin accepts.
    pub(super) fn of_this_hardware(
        &self,
        asked: &Asked<'_>,
        inputs: &KeyInputs,
    ) -> Result<Option<GraphRecord>, Error> {
        // This is checked first because it costs nothing. XLA:CPU cannot tell which machine code it
        // accepts.
        if !self.site.here().is_ok_and(|here| here.tells_what_it_accepts()) {
            return Ok(None);
        }
        let cache = self.cache;
        // A cache whose records cannot be read has nothing to take over.
        let records = cache.records().unwrap_or_default();
        let (program, options) = (inputs.program.digest(), inputs.options.digest());
        let mut candidates = records.into_iter().filter(|record| {
            record.program.digest == program
                && record.options.digest() == options
                && self.is_described_otherwise(record)
                && cache.main().has_object(&record.graph_key)
        });
        let survival = Survival::of(self.site, asked.control)?;
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
        let environment = self.site.environment();
        // The ABI version does not cover the layout: libtpu's is the same for one v5e and for four.
        let (wanted, there) = (&environment.topology, &record.environment.topology);
        let as_many_chips =
            (&wanted.bounds, wanted.core_count) == (&there.bounds, there.core_count);
        as_many_chips
            && !record.environment.differences(environment).is_empty()
            && differs_only_in(&SELF_DESCRIPTION, record, self.site)
    }

    /// Stores the machine code of an entry that fits this hardware under the key of `inputs`, too.
    /// Returns whether there was such an entry and it could be stored.
    pub(super) fn take_over(&self, asked: &Asked<'_>, inputs: &KeyInputs) -> Result<bool, Error> {
        if self.cache.main().is_read_only() {
            return Ok(false);
        }
        let Some(record) = self.of_this_hardware(asked, inputs)? else { return Ok(false) };
        let taken = match self.cache.main().load(&record.graph_key) {
            // The plugin judges the record in the object, because that record was verified. The
            // record in the index was not.
            Ok(ObjectLookup::Hit(object))
                if Survival::of(self.site, asked.control)?.is_taken(&object.record) =>
            {
                self.store_survivor(&object, inputs, &[asked.recorded()])
            }
            Ok(_) => return Ok(false),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = &taken {
            tracing::warn!(%error, graph_key = %record.graph_key, "an executable that fits could not be taken over");
        }
        Ok(taken.is_ok())
    }

    /// Stores the machine code of `old` under the key of `inputs` as well, for these requests. The
    /// plugin has said that it accepts this machine code.
    pub(super) fn store_survivor(
        &self,
        old: &LoadedObject,
        inputs: &KeyInputs,
        requests: &[RecordedSignature],
    ) -> Result<GraphKey, Error> {
        let (payload, old) = (&old.payload, &old.record);
        let mut record =
            GraphRecord::new(old.stage.clone(), self.site.device().to_string(), inputs);
        record.interface.clone_from(&old.interface);
        record.abi_version.clone_from(&old.abi_version);
        record.measurements = old.measurements.clone();
        record.compiled_by =
            Some(old.compiled_by.clone().unwrap_or_else(|| old.environment.plugin_build.clone()));
        for request in requests {
            record.add_signature(request.clone());
        }
        self.cache.main().put(&record, &inputs.program, payload)?;
        Ok(record.graph_key)
    }
}
