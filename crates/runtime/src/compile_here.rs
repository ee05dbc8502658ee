//! Is a graph for a device that is here compiled in this process, or in a child?
//!
//! In a child, if one can be had: the compiler may exit, abort, crash or take all memory, and only
//! the child ends. The child never has a client of a TPU: it compiles for the hardware by its name.
//! On CUDA this process compiles, because XLA's autotuning needs the device's memory, which this
//! process holds.

use preheat_cache::KeyInputs;

use super::cache::Cache;
use super::compile::Compiling;
use super::trial::FirstRun;
use crate::backend::ahead::compile_here;
use crate::backend::contract::{Compiled, Device, Loaded};
use crate::backend::{AheadError, CompileError};
use crate::progress::Cancel;

/// An executable that was just compiled and is loaded.
pub(super) struct FreshlyLoaded {
    pub(super) loaded: Box<dyn Loaded>,
    /// The mark of its load, if a child compiled it.
    pub(super) first_run: FirstRun,
}

impl Compiling<'_> {
    /// Compiles `inputs` for the device that is here, and loads the executable.
    ///
    /// What a child compiled has to be loaded, which may end this process, too. The load is marked,
    /// as that of a stored executable is. This process compiles if `may_load` is false, because an
    /// executable of the graph could not be loaded before.
    pub(super) fn on_device(
        &self,
        here: &dyn Device,
        inputs: &KeyInputs,
        may_load: bool,
        cancel: &Cancel,
    ) -> Result<(FreshlyLoaded, Compiled), CompileError> {
        let in_this_process = || {
            let (loaded, compiled) = here.compile(inputs)?;
            Ok((FreshlyLoaded { loaded, first_run: FirstRun::default() }, compiled))
        };
        let compiled = if may_load { self.in_a_child(here, inputs, cancel)? } else { None };
        let Some(compiled) = compiled else { return in_this_process() };
        let store = self.cache.and_then(Cache::remembers);
        let mark = store.and_then(|store| store.mark_fresh_load(&inputs.graph_key()));
        let fault = match compiled.payload.as_ref().map(|payload| here.load(payload)) {
            Ok(Ok(loaded)) => {
                let first_run = FirstRun::of(mark);
                return Ok((FreshlyLoaded { loaded, first_run }, compiled));
            }
            Ok(Err(fault)) if fault.is_out_of_memory() => return Err(fault.into()),
            Ok(Err(fault)) => Some(fault),
            Err(_) => None,
        };
        drop(mark);
        tracing::debug!(?fault, "what the child compiled does not load, so this process compiles");
        in_this_process()
    }

    /// Compiles `inputs` for the device that is here, and does not load the executable if a child
    /// compiles.
    pub(super) fn for_device(
        &self,
        here: &dyn Device,
        inputs: &KeyInputs,
        cancel: &Cancel,
    ) -> Result<Compiled, CompileError> {
        match self.in_a_child(here, inputs, cancel)? {
            Some(compiled) => Ok(compiled),
            None => Ok(here.compile(inputs)?.1),
        }
    }

    /// Compiles `inputs` in a child; `None` if this process has to compile.
    fn in_a_child(
        &self,
        here: &dyn Device,
        inputs: &KeyInputs,
        cancel: &Cancel,
    ) -> Result<Option<Compiled>, CompileError> {
        if self.rules.compile_in_process || !self.site.has_compiler() {
            return Ok(None);
        }
        let Some(plugin) = here.plugin() else { return Ok(None) };
        let program = self.site.compiler_program.as_deref();
        let notes = self.cache.and_then(Cache::remembers);
        let compiled = match self.site.environment().platform.as_str() {
            "cpu" => compile_here(&plugin, program, inputs, cancel),
            "tpu" => match self.site.by_name(notes, cancel) {
                Some(ahead) => ahead.compile(inputs, notes, cancel).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        };
        match compiled {
            Err(CompileError::Ahead(error)) if gave_no_child(&error) => {
                tracing::debug!(%error, "this process compiles, because no child can");
                Ok(None)
            }
            other => other,
        }
    }
}

/// Whether an error says that there was no child that could compile, or that its answer was lost.
fn gave_no_child(error: &AheadError) -> bool {
    match error {
        AheadError::Plugin { .. } | AheadError::Ended { .. } | AheadError::Cancelled => false,
        AheadError::NoProgram
        | AheadError::Start { .. }
        | AheadError::Answer(_)
        | AheadError::NotAnswered { .. }
        | AheadError::Confused
        | AheadError::Replaced => true,
    }
}
