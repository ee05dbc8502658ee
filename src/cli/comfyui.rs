//! How is ComfyUI started with preheat's flags? ComfyUI refuses flags that it does not know. So
//! `preheat comfyui -- python main.py --listen --tpu-manual-warmup` takes preheat's flags out of
//! the command, and passes them on to the node pack in variables.
//!
//! A flag that has a variable of its own (`--cache-dir`) is passed on in it. All other flags are in
//! `PREHEAT_COMFYUI_FLAGS`, as a shell would write them; `comfyui/flags.py` reads it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::{Args as _, Command};
use preheat_diffusion::pipeline::Precision;
use preheat_plugins::{PluginSearch, choose_libtpu};
use preheat_runtime::device::offload::Offload;
use preheat_runtime::{EffortChoice, RuntimeBuilder};

use super::args::ComfyuiArgs;
use super::context::Context;
use super::exec;
use super::runtime_args::RequireWarm;
use super::{CliError, RuntimeArgs, Status};

/// The variable with the flags that have none of their own.
const FLAGS: &str = "PREHEAT_COMFYUI_FLAGS";
/// The variable that makes every model run on preheat, without a node in the workflow.
const EVERY_MODEL: &str = "PREHEAT_COMFYUI_ENABLE";

/// Starts ComfyUI. Its exit status becomes that of the command.
pub(super) fn comfyui(context: &Context, args: &ComfyuiArgs) -> Result<Status, CliError> {
    let variables = variables(&context.args)?;
    exec::run_program(context, &args.command, &variables)
}

/// Moves preheat's flags from behind the first `--` to before it, so that they are read like all
/// others. The last of several equal flags counts.
pub(super) fn with_flags_in_front(words: &[OsString]) -> Vec<OsString> {
    let Some(separator) = words.iter().position(|word| word == "--") else {
        return words.to_vec();
    };
    let flags = RuntimeArgs::augment_args(Command::new("preheat"));
    let (mut front, mut rest) = (words[..separator].to_vec(), vec![words[separator].clone()]);
    let mut behind = words[separator + 1..].iter().peekable();
    while let Some(word) = behind.next() {
        match own_flag(&flags, word) {
            None => rest.push(word.clone()),
            Some(takes_the_next_word) => {
                front.push(word.clone());
                front.extend(behind.next_if(|_| takes_the_next_word).cloned());
            }
        }
    }
    front.extend(rest);
    front
}

/// Whether a word is one of the flags, and if it is, whether the next word is its value.
fn own_flag(flags: &Command, word: &OsStr) -> Option<bool> {
    let (name, has_value) = match word.to_str()?.strip_prefix("--")?.split_once('=') {
        Some((name, _)) => (name, true),
        None => (word.to_str()?.strip_prefix("--")?, false),
    };
    let flag = flags.get_arguments().find(|flag| flag.get_long() == Some(name))?;
    Some(flag.get_action().takes_values() && !has_value && !flag.is_require_equals_set())
}

/// The variables with which the node pack gets the flags.
fn variables(args: &RuntimeArgs) -> Result<BTreeMap<&'static str, OsString>, CliError> {
    refuse(args)?;
    let mut variables = BTreeMap::new();
    variables.insert("PREHEAT_DEVICE", OsString::from(&args.device));
    if let Some(dir) = args.named_cache_dir() {
        let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        variables.insert("PREHEAT_CACHE_DIR", absolute.into_os_string());
    }
    if let Some(EffortChoice::Only(effort)) = args.compile_effort {
        variables.insert("PREHEAT_COMPILE_EFFORT", effort.to_string().into());
    }
    if args.libtpu.is_some() {
        let chosen = choose_libtpu(args.libtpu.as_ref(), &PluginSearch::from_process())?;
        variables.extend(chosen.map(|libtpu| ("PREHEAT_TPU_PLUGIN", libtpu.path.into_os_string())));
    }
    if args.tpu_enable {
        variables.insert(EVERY_MODEL, "1".into());
    }
    variables.insert(FLAGS, in_one_text(&other_flags(args)?).into());
    Ok(variables)
}

/// The flags that have no variable, as the node pack reads them.
fn other_flags(args: &RuntimeArgs) -> Result<Vec<String>, CliError> {
    let mut words = Vec::new();
    let switches = [
        ("--strict-device", args.strict_device),
        ("--cache-read-only", args.cache_read_only),
        ("--cache-shared", args.cache_shared),
        ("--tpu-enable", args.tpu_enable),
        ("--tpu-disable", args.tpu_disable),
        ("--tpu-manual-warmup", args.manual_warmup()),
        ("--no-tpu-warmup", args.no_tpu_warmup),
        ("--tpu-compilation-cache=false", !args.tpu_compilation_cache),
        ("--tpu-shape-padding=false", !args.tpu_shape_padding),
        ("--tpu-autocast-bf16=false", !args.tpu_autocast_bf16),
        ("--tpu-debug-metrics", args.tpu_debug_metrics),
        ("--require-warm", args.require_warm.is_some()),
    ];
    words.extend(switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned()));
    for folder in &args.cache_fallback {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let text = absolute.to_str().ok_or_else(|| {
            CliError::Usage(format!(
                "--cache-fallback {} cannot be passed on to ComfyUI: its name is not UTF-8",
                folder.display()
            ))
        })?;
        words.push(format!("--cache-fallback={text}"));
    }
    let dtype = |precision: Precision| precision.to_string();
    let values = [
        ("--cache-max-size", Some(args.cache_max_size.bytes().to_string())),
        (
            "--tpu-warmup-steps",
            (args.tpu_warmup_steps != RuntimeBuilder::DEFAULT_WARMUP_STEPS)
                .then(|| args.tpu_warmup_steps.to_string()),
        ),
        (
            "--tpu-shape-padding-multiple",
            (args.tpu_shape_padding_multiple != RuntimeBuilder::DEFAULT_PADDING_MULTIPLE_PX)
                .then(|| args.tpu_shape_padding_multiple.to_string()),
        ),
        ("--precision", (args.precision != Precision::Auto).then(|| dtype(args.precision))),
        ("--text-encoder-precision", args.text_encoder_precision.map(dtype)),
        ("--denoiser-precision", args.denoiser_precision.map(dtype)),
        ("--vae-precision", args.vae_precision.map(dtype)),
        ("--tpu-sync-steps", (args.tpu_sync_steps != 0).then(|| args.tpu_sync_steps.to_string())),
        ("--snap-to-warm", args.snap_to_warm.map(|percent| percent.value().to_string())),
    ];
    words.extend(values.into_iter().filter_map(|(flag, value)| Some(format!("{flag}={}", value?))));
    Ok(words)
}

/// Refuses flags that nothing in ComfyUI would follow.
fn refuse(args: &RuntimeArgs) -> Result<(), CliError> {
    let given = [
        (args.compile_effort == Some(EffortChoice::Tiered), "--compile-effort tiered"),
        (args.require_warm == Some(RequireWarm::Full), "--require-warm=full"),
        (args.torch.force_precision, "--force-precision"),
        (args.torch.offload != Offload::Auto, "--offload"),
        (args.torch.reserve_memory.is_some(), "--reserve-memory"),
        (args.torch.text_encoder_device.is_some(), "--text-encoder-device"),
        (args.torch.vae_device.is_some(), "--vae-device"),
    ];
    match given.into_iter().find(|(is_given, _)| *is_given) {
        None => Ok(()),
        Some((_, flag)) => Err(CliError::Usage(format!(
            "leave {flag} out: the node pack for ComfyUI cannot follow it, and its nodes set what \
             they can do"
        ))),
    }
}

/// The words as a shell would write them.
fn in_one_text(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| exec::quoted(word)).collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(words: &str) -> String {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        let moved = with_flags_in_front(&words);
        let texts: Vec<&str> = moved.iter().map(|word| word.to_str().unwrap()).collect();
        texts.join(" ")
    }

    #[test]
    fn own_flags_move_to_the_front_with_their_values_and_all_others_stay() {
        for (given, expected) in [
            (
                "preheat comfyui -- python main.py --cpu --tpu-manual-warmup --port 1",
                "preheat comfyui --tpu-manual-warmup -- python main.py --cpu --port 1",
            ),
            (
                "preheat comfyui --device tpu -- m --device xla-cpu --cache-dir=d --listen",
                "preheat comfyui --device tpu --device xla-cpu --cache-dir=d -- m --listen",
            ),
            // Such a flag has its value behind `=`, so the next word belongs to ComfyUI.
            (
                "preheat comfyui -- m --tpu-autocast-bf16 --tpu-shape-padding=false x",
                "preheat comfyui --tpu-autocast-bf16 --tpu-shape-padding=false -- m x",
            ),
            // Without its value, clap refuses the flag in words.
            ("preheat comfyui -- m --cache-dir", "preheat comfyui --cache-dir -- m"),
            ("preheat comfyui", "preheat comfyui"),
        ] {
            assert_eq!(moved(given), expected);
        }
    }
}
