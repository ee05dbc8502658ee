//! How is a graph run if only the cache has it?

use preheat_cache::{GraphKey, KeyInputs, Signature};

use super::Runtime;
use super::error::Error;
use super::source::Graph;

impl Runtime {
    /// The graph that the cache has under a key, and the latest request that led to it. This
    /// function is for callers that have neither the graph's program nor its model.
    ///
    /// A request for it loads the executable. A damaged executable is moved to the quarantine. The
    /// graph is then compiled again from the program in its record, and stored like any other
    /// graph.
    ///
    /// # Errors
    /// If there is no cache, if its index cannot be read, if the cache has no record under the key
    /// or has lost the program, or if the graph was compiled for another environment.
    pub fn recorded(&self, key: &GraphKey) -> Result<(Signature, Graph), Error> {
        let store = self.inner.cache()?.main();
        let record = store.record(key)?.ok_or(Error::Unrecorded { graph_key: *key })?;
        let environment = self.inner.site.environment();
        if !self.inner.site.fits(&record) {
            let differences = record.environment.differences(environment);
            let fields = differences.into_iter().map(|difference| difference.field).collect();
            return Err(Error::OtherEnvironment { graph_key: *key, fields });
        }
        let gone = || Error::ProgramGone { stage: record.stage.clone(), graph_key: *key };
        let program = store.program(key)?.ok_or_else(gone)?;
        let (options, environment) = (record.options.clone(), environment.clone());
        let inputs = KeyInputs { program, options, environment };
        if inputs.graph_key() != *key {
            // The program in the index is not the one that the key names.
            return Err(gone());
        }
        let signature = record.signatures.last().map(|recorded| recorded.signature.clone());
        let signature = signature.ok_or(Error::Unrecorded { graph_key: *key })?;
        Ok((
            signature,
            Graph::from_program(inputs.program).stage(record.stage).options(inputs.options),
        ))
    }
}
