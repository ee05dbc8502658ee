//! Which machine code can still be used although its key does not match?
//!
//! The plugin that would run the machine code decides, through its `AbiVersion` extension.

use std::sync::Arc;

use super::error::Error;
use super::site::Site;
use crate::backend::contract::{Acceptance, Device};
use crate::backend::{AheadError, Backend, CompileError};
use crate::progress::Control;
use preheat_cache::{CompileOptions, GraphRecord, KeyInputs, Program, ProgramFormat};

/// A program that any compiler accepts. It is compiled to learn which ABI version the result has.
const PROBE: &str = "module @probe {
  func.func public @main(%x: tensor<8xf32>) -> tensor<8xf32> {
    %y = stablehlo.add %x, %x : tensor<8xf32>
    return %y : tensor<8xf32>
  }
}";

/// How to find out whether the plugin accepts machine code that another build of it compiled.
pub(super) enum Survival {
    /// There is no way to find out, because the plugin has no such extension, or there is no need,
    /// because the cache has no such machine code.
    Unknown,
    /// The driver of the device tells.
    Device(Arc<dyn Device>),
    /// There is no device, and libtpu reports the version of its runtime only on a machine with a
    /// TPU. So the versions are compared: the value is the ABI version of the machine code that
    /// this build compiles. A runtime that accepts this build's machine code accepts all machine
    /// code of exactly this version.
    Version(Vec<u8>),
}

impl Survival {
    pub(super) fn of(site: &Site, control: &Control) -> Result<Self, Error> {
        match &site.backend {
            Backend::Here(here) => {
                let can_tell = here.tells_what_it_accepts();
                Ok(if can_tell { Self::Device(Arc::clone(here)) } else { Self::Unknown })
            }
            Backend::Ahead(ahead) => {
                let program = Program::new(ProgramFormat::Mlir, PROBE.as_bytes().to_vec());
                let environment = Arc::clone(&ahead.environment);
                let probe = KeyInputs { program, options: CompileOptions::default(), environment };
                match ahead.compile(&probe, None, control.flag()) {
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

    /// Whether there is a way to find out.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Whether the plugin accepts the machine code of a record. A version that the plugin cannot
    /// read counts as not accepted.
    pub(super) fn is_taken(&self, record: &GraphRecord) -> bool {
        let Some(version) = &record.abi_version else { return false };
        match self {
            Self::Unknown => false,
            Self::Version(own) => own == version,
            Self::Device(here) => match here.accepts(version) {
                Ok(Some(Acceptance::Accepted)) => true,
                Ok(Some(Acceptance::Refused(reason))) => {
                    tracing::info!(graph_key = %record.graph_key, reason, "has to be recompiled");
                    false
                }
                Ok(None) => false,
                Err(error) => {
                    tracing::debug!(%error, graph_key = %record.graph_key, "the plugin cannot \
                                                                            tell whether it \
                                                                            accepts the \
                                                                            executable");
                    false
                }
            },
        }
    }
}

/// Whether a record has an ABI version, and differs from this runtime's environment at most in
/// these fields.
pub(super) fn differs_only_in(fields: &[&str], record: &GraphRecord, site: &Site) -> bool {
    let differences = record.environment.differences(site.environment());
    record.abi_version.is_some()
        && differences.iter().all(|one| fields.contains(&one.field.as_str()))
}
