//! What can a person do about an error? The library says what failed and why; this module adds the
//! flags and commands that help. `programs.rs` has the hints about programs.

use preheat_cache::StoreError;

use super::programs;
use preheat_diffusion::evidence::EvidenceError;
use preheat_diffusion::models::ModelError;
use preheat_diffusion::pipeline::PipelineError;
use preheat_diffusion::single_file::SingleFileError;
use preheat_diffusion::weights::WeightsError;
use preheat_runtime::NoCache;
use preheat_runtime::backend::{BackendError, FaultKind};
use preheat_runtime::device::DeviceError;

pub(super) fn pipeline_hint(error: &PipelineError) -> Option<&'static str> {
    match error {
        PipelineError::Model(ModelError::NoFolder { .. }) => Some(
            "preheat downloads no models: `hf download \
             stable-diffusion-v1-5/stable-diffusion-v1-5 --local-dir DIR` is one way to get one",
        ),
        PipelineError::Weights(
            WeightsError::OnlyVariants { .. } | WeightsError::NoVariant { .. },
        ) => Some(
            "--variant names the variant, the part of a file's name in front of .safetensors: \
             --variant bf16 reads model.bf16.safetensors",
        ),
        PipelineError::SingleFile(error) => single_file_hint(error),
        PipelineError::Prompt { .. } => {
            Some("--prompt-syntax plain takes every character of a prompt as text")
        }
        PipelineError::Scheduler(error) if error.is_of_one_scheduler() => {
            Some("`--scheduler euler` runs the model with another scheduler than its own")
        }
        PipelineError::NoRoom { .. } => {
            Some("make the batch or the size smaller, or let other programs end")
        }
        PipelineError::NoEncoder { .. } => Some(
            "--vae names another VAE; those that the public models were released with have an \
             encoder",
        ),
        PipelineError::NotKept(_) => Some(NOT_WRITTEN),
        _ => None,
    }
}

fn single_file_hint(error: &SingleFileError) -> Option<&'static str> {
    match error {
        SingleFileError::NoComponent { what, .. } if what.ends_with("VAE") => {
            Some("--vae FILE takes a VAE from a file or a folder")
        }
        SingleFileError::NoComponent { .. } => Some(
            "--text-encoder FILE takes a text encoder from a file or a folder; give it twice for \
             Stable Diffusion XL",
        ),
        SingleFileError::NoConfigs { .. } | SingleFileError::OtherFamily { .. } => Some(
            "--config DIR names a folder in the diffusers layout; of a folder that was downloaded \
             without weights, the configs are enough",
        ),
        _ => None,
    }
}

pub(super) fn evidence_hint(error: &EvidenceError) -> Option<&'static str> {
    match error {
        EvidenceError::EmptyLog { .. } | EvidenceError::NoLog { .. } => Some(
            "`preheat run --log-requests FILE` appends each request to a log; docs/evidence.md \
             describes its lines",
        ),
        EvidenceError::OtherModels { .. } => {
            Some("--model names the folder of the model that the log is about")
        }
        _ => None,
    }
}

/// What to do if the statistics cannot be published.
pub(super) const NOT_PUBLISHED: &str = "name another file or address: --metrics-file takes a file \
                                        in a folder that is there, \
    --metrics-listen a port that is free";

/// What to do if a warmup keeps nothing.
pub(super) const NOT_WRITTEN: &str = "a warmup needs a cache that can be written: leave \
                                      --cache-read-only and --tpu-compilation-cache=false out";

/// What to do if somebody else may write to the cache.
const UNTRUSTED: &str = "--cache-shared shares the cache with the group of its folder, and every \
                         member can then run \
    code as you; --cache-dir names another folder; docs/security.md says what is checked";

/// What to do if the device has too little memory.
const NO_MEMORY: &str =
    "let other programs that use the device's memory end, or make the batch or the size smaller";

pub(super) fn runtime_hint(error: &preheat_runtime::Error) -> Option<&'static str> {
    match error {
        preheat_runtime::Error::NotWarm(_) => Some(
            "`preheat warmup` compiles the missing stages; without --require-warm, the run itself \
             compiles them",
        ),
        preheat_runtime::Error::Device(error) => device_hint(error),
        preheat_runtime::Error::NoCache(NoCache::TurnedOff) => {
            Some("--tpu-compilation-cache=false turns it off: leave it out")
        }
        preheat_runtime::Error::NoCache(NoCache::NoFolder) => Some("--cache-dir names one"),
        preheat_runtime::Error::Unrecorded { .. } => {
            Some("`preheat cache list` lists the graphs of the cache")
        }
        preheat_runtime::Error::OtherEnvironment { .. } => {
            Some("`preheat cache rewarm` compiles the graph for this environment")
        }
        preheat_runtime::Error::NothingInstalled => {
            Some("`preheat plugins list` shows where each plugin is looked for")
        }
        preheat_runtime::Error::NotAsWritten { cause, .. } => programs::not_as_written_hint(cause),
        preheat_runtime::Error::Compile { cause, .. } if cause.kind() == FaultKind::OutOfMemory => {
            Some(NO_MEMORY)
        }
        error if error.is_out_of_memory() => Some(NO_MEMORY),
        preheat_runtime::Error::Compile { cause, .. } => programs::compile_hint(&cause.to_string()),
        preheat_runtime::Error::Backend(BackendError::Plugin { .. }) => Some(
            "`preheat plugins list` shows where each plugin was looked for; `preheat plugins \
             install NAME --force` installs it anew",
        ),
        preheat_runtime::Error::InputCount { .. } | preheat_runtime::Error::InputType { .. } => {
            Some(
                "`preheat cache list` names the program's graph, and `preheat --json cache show \
                 GRAPH` lists every input",
            )
        }
        preheat_runtime::Error::Store(StoreError::Untrusted { .. }) => Some(UNTRUSTED),
        preheat_runtime::Error::Store(_) => {
            Some("--cache-dir or PREHEAT_CACHE_DIR names another cache folder")
        }
        _ => None,
    }
}

pub(super) fn device_hint(error: &DeviceError) -> Option<&'static str> {
    match error {
        DeviceError::Contradiction { .. } => {
            Some("--tpu-enable requires the TPU, and --device names another: leave one of them out")
        }
        DeviceError::TpuSwitchedOff => {
            Some("--tpu-disable switches it off: leave it out, or name another device")
        }
        DeviceError::Stage { .. } => Some(
            "leave --text-encoder-device and --vae-device out, or name devices of libtorch with \
             them and with --device",
        ),
        DeviceError::NoTorch { .. } => Some(
            "`preheat plugins list` shows where libtorch was looked for; `preheat plugins install \
             torch --force` installs it anew",
        ),
        _ => None,
    }
}
