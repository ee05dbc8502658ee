//! Which machine code can still be used although its key does not match?
//!
//! The plugin that is to run it decides, through its `AbiVersion` extension.

use std::sync::Arc;

use preheat_cache::{
    CompileOptions, GraphKey, GraphRecord, KeyInputs, LoadedObject, Program, ProgramFormat,
    RecordedSignature,
};
use preheat_pjrt::{Compatibility, ExecutableAbiVersion, Plugin, RuntimeAbiVersion};

use super::Inner;
use super::error::Error;
use crate::backend::{AheadError, Backend, CompileError};

/// A program that any compiler accepts. It is compiled to learn which ABI version the result has.
const PROBE: &str = "module @probe {
  func.func public @main(%x: tensor<8xf32>) -> tensor<8xf32> {
    %y = stablehlo.add %x, %x : tensor<8xf32>
    return %y : tensor<8xf32>
  }
}";

/// What the plugin can say of machine code that another build of it compiled.
pub(super) enum Survival {
    /// Nothing: it has no such extension, or the cache holds nothing to ask about.
    Unknown,
    /// There is a device, and so a runtime that has a version and can be asked.
    Runtime(Plugin, RuntimeAbiVersion),
    /// There is no device, and libtpu reports a runtime's version only where there is a TPU. This
    /// is the version of what this build compiles itself. Machine code of exactly this version is
    /// accepted by every runtime that accepts this build's own.
    Version(Vec<u8>),
}

impl Survival {
    pub(super) fn of(inner: &Inner) -> Result<Self, Error> {
        match &inner.backend {
            Backend::Here(here) => {
                let Some(backend) = here.xla() else { return Ok(Self::Unknown) };
                let version = backend.client.abi_version().inspect_err(|error| {
                    tracing::debug!(%error, "the runtime's ABI version is not known, so nothing is kept");
                });
                let version = version.ok().flatten();
                Ok(version.map_or(Self::Unknown, |version| {
                    Self::Runtime(backend.client.plugin().clone(), version)
                }))
            }
            Backend::Ahead(ahead) => {
                let program = Program::new(ProgramFormat::Mlir, PROBE.as_bytes().to_vec());
                let environment = Arc::clone(&ahead.environment);
                let probe = KeyInputs { program, options: CompileOptions::default(), environment };
                match ahead.compile(&probe, None, &inner.cancel) {
                    Ok(compiled) => Ok(compiled.abi_version.map_or(Self::Unknown, Self::Version)),
                    Err(CompileError::Ahead(AheadError::Cancelled)) => Err(Error::Cancelled),
                    Err(error) => {
                        tracing::debug!(%error, "the ABI version of this build is not known, so nothing is kept");
                        Ok(Self::Unknown)
                    }
                }
            }
        }
    }

    /// Whether the plugin can say anything at all.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Whether the plugin accepts the machine code of a record. If it cannot read the record's
    /// version, it does not.
    pub(super) fn is_taken(&self, record: &GraphRecord) -> bool {
        let Some(version) = &record.abi_version else { return false };
        match self {
            Self::Unknown => false,
            Self::Version(own) => own == version,
            Self::Runtime(plugin, runtime) => {
                let answer = ExecutableAbiVersion::from_bytes(plugin, version)
                    .and_then(|version| version.map(|version| runtime.takes(&version)).transpose());
                match answer {
                    Ok(Some(Compatibility::Compatible)) => true,
                    Ok(Some(Compatibility::Incompatible(reason))) => {
                        tracing::info!(graph_key = %record.graph_key, reason, "has to be recompiled");
                        false
                    }
                    Ok(None) => false,
                    Err(error) => {
                        tracing::debug!(%error, graph_key = %record.graph_key, "the plugin cannot tell whether it accepts the executable");
                        false
                    }
                }
            }
        }
    }
}

/// Whether a record has an ABI version, and differs from this runtime's environment in no other
/// fields than these.
pub(super) fn differs_only_in(fields: &[&str], record: &GraphRecord, inner: &Inner) -> bool {
    let differences = record.environment.differences(inner.backend.environment());
    record.abi_version.is_some()
        && differences.iter().all(|one| fields.contains(&one.field.as_str()))
}

impl Inner {
    /// Stores the machine code of `old` under the key of `inputs` as well, for these requests. The
    /// plugin has said that it accepts it.
    pub(super) fn store_survivor(
        &self,
        old: &LoadedObject,
        inputs: &KeyInputs,
        requests: &[RecordedSignature],
    ) -> Result<GraphKey, Error> {
        let (payload, old) = (&old.payload, &old.record);
        let mut record =
            GraphRecord::new(old.stage.clone(), self.backend.device().to_string(), inputs);
        record.interface.clone_from(&old.interface);
        record.abi_version.clone_from(&old.abi_version);
        record.measurements = old.measurements.clone();
        record.compiled_by =
            Some(old.compiled_by.clone().unwrap_or_else(|| old.environment.plugin_build.clone()));
        for request in requests {
            record.add_signature(request.clone());
        }
        self.cache()?.main().put(&record, &inputs.program, payload)?;
        Ok(record.graph_key)
    }
}
