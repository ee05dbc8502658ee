//! How is a graph run that only the cache has?

use preheat_cache::{GraphKey, KeyInputs, Signature};

use super::Runtime;
use super::error::Error;
use super::source::Graph;

impl Runtime {
    /// The graph that the cache has under a key, and the latest request that led to it. For callers
    /// that have neither the graph's program nor its model.
    ///
    /// A request for it loads the executable. If that is damaged, it is moved to the quarantine,
    /// and the graph is compiled again from the program in its record and stored, as any other
    /// graph.
    ///
    /// # Errors
    /// Where the cache does not know the key or has lost the program, and where the graph was
    /// compiled for another environment.
    pub fn recorded(&self, key: &GraphKey) -> Result<(Signature, Graph), Error> {
        let store = self.inner.cache()?.main();
        let record = store.record(key)?.ok_or(Error::Unrecorded { graph_key: *key })?;
        let environment = self.inner.backend.environment();
        if record.environment.digest() != self.inner.environment_digest {
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
