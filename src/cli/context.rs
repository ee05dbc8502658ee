//! What does every command receive?

use std::sync::{Arc, Mutex};
use std::time::Instant;

use preheat_plugins::{ChosenLibtpu, PluginSearch, choose_libtpu};
use preheat_runtime::RuntimeBuilder;
use preheat_runtime::device::{Target, XlaDevice};
use preheat_runtime::progress::Cancel;
use preheat_runtime::trace::Trace;

use super::progress::Shown;
use super::signals::RunningProgram;
use super::{CliError, RuntimeArgs};

/// What every command receives.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) args: RuntimeArgs,
    /// Whether the result is to be one JSON document.
    pub(super) json: bool,
    /// Describes the whole command line.
    pub(super) command_line: fn() -> clap::Command,
    pub(super) shown: Shown,
    pub(super) cancel: Cancel,
    /// The program that `preheat exec` runs.
    pub(super) program: RunningProgram,
    /// The trace, if `--trace` asks for one.
    pub(super) trace: Option<Trace>,
    pub(super) started: Instant,
    /// Whether look-ups ask the remotes, too.
    pub(super) look_up_remotely: bool,
    /// Collects the JSON documents of several warmups. With `None`, each document is printed to
    /// standard output.
    pub(super) collected: Option<Arc<Mutex<Vec<serde_json::Value>>>>,
}

impl Context {
    /// The same context on `device`, which must be available.
    pub(super) fn on(&self, device: &str) -> Self {
        let mut context = self.clone();
        device.clone_into(&mut context.args.device);
        context.args.strict_device = true;
        context
    }

    /// Refuses a named cache folder that does not exist, for a command that only reads the cache.
    pub(super) fn refuse_missing_cache(&self) -> Result<(), CliError> {
        match self.args.named_cache_dir() {
            Some(path) if self.args.tpu_compilation_cache && !path.exists() => {
                Err(CliError::NoCacheFolder { path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Warns of a named cache folder that does not exist, for a command that has a right answer in
    /// this case, too: nothing is warm.
    pub(super) fn warn_of_missing_cache(&self) {
        if let Err(error) = self.refuse_missing_cache() {
            tracing::warn!("{error}, so only what --cache-fallback names can be warm");
        }
    }

    /// A builder of a runtime for `target`, which this machine need not have. Without a target, it
    /// is a builder for the device that the flags name.
    pub(super) fn builder_for(&self, target: Option<&Target>) -> Result<RuntimeBuilder, CliError> {
        let builder = self.builder()?;
        let Some(target) = target else { return Ok(builder) };
        let builder = builder.target(target.clone());
        if target.device() != XlaDevice::Tpu {
            return Ok(builder);
        }
        let chosen = choose_libtpu(self.args.libtpu.as_ref(), &PluginSearch::from_process())?;
        Ok(match chosen {
            Some(libtpu) => {
                self.say_which(&libtpu);
                builder.plugin(libtpu.path)
            }
            None => builder,
        })
    }

    /// Says which libtpu compiles, if nobody asked for it: it decides who can load the results.
    fn say_which(&self, libtpu: &ChosenLibtpu) {
        if let Some(reason) = &libtpu.reason {
            let version = libtpu.version.as_deref().unwrap_or("of an unknown version");
            self.shown.note_once(&format!(
                "libtpu {version} compiles, because {reason} (--libtpu names another): {}",
                libtpu.path.display()
            ));
        }
    }

    /// A builder set up as the flags say. It reports its progress to this command, and stops when
    /// the command is interrupted.
    pub(super) fn builder(&self) -> Result<RuntimeBuilder, CliError> {
        let builder =
            self.args.builder()?.progress(Arc::new(self.shown.clone())).cancel(self.cancel.clone());
        let builder = builder.look_up_remotely(self.look_up_remotely);
        Ok(match &self.trace {
            Some(trace) => builder.trace(trace.clone()),
            None => builder,
        })
    }
}
