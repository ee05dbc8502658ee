//! What can a person do about a warning? The library says what happened; this module adds the flags
//! and commands that change it. `errors/hints.rs` does the same for errors.

use preheat_runtime::{Runtime, Warning, WarningKind};

/// The warning as it is shown: what happened, and what can be done about it.
pub(super) fn advised(warning: &Warning) -> String {
    match advice(warning.kind) {
        Some(advice) => format!("{warning} ({advice})"),
        None => warning.to_string(),
    }
}

/// All warnings of a runtime so far, as they are shown.
pub(super) fn all_advised(runtime: &Runtime) -> Vec<String> {
    runtime.warnings().iter().map(advised).collect()
}

fn advice(kind: WarningKind) -> Option<&'static str> {
    Some(match kind {
        WarningKind::DeviceReplaced => "--strict-device makes this an error",
        WarningKind::PrecisionOverruled => "--force-precision uses the requested precision anyway",
        WarningKind::OffloadIgnored => "leave --offload out",
        WarningKind::NotWarm => "`preheat warmup` compiles ahead of time",
        WarningKind::LatentsNotFinite => {
            "--precision names a larger dtype, --cfg-scale a smaller guidance scale"
        }
        WarningKind::DecodedAgain => "--vae-precision fp32 decodes in float32 from the start",
        WarningKind::ColdDecoder => "`preheat warmup --vae-precision fp32` warms the decoder",
        WarningKind::PromptCutOff => {
            "--prompt-syntax a1111 and --prompt-syntax comfy read all of it"
        }
        WarningKind::LoraInPrompt => "--lora FILE:WEIGHT applies a LoRA",
        WarningKind::CacheLimit => {
            "--cache-max-size sets the limit, `preheat cache unpin` lets entries be removed"
        }
        WarningKind::CacheUntrusted => {
            "--cache-shared trusts everybody who may write to the cache, --cache-dir names \
             another folder"
        }
        WarningKind::CacheIndexHeld => {
            "end the program that holds the lock, or name another folder with --cache-dir or \
             PREHEAT_CACHE_DIR"
        }
        WarningKind::CacheDiskFull => {
            "free some space, or name another folder with --cache-dir or PREHEAT_CACHE_DIR"
        }
        WarningKind::CacheUnusable => {
            "--cache-dir or PREHEAT_CACHE_DIR names another folder, --cache-read-only never writes"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_stands_behind_what_happened() {
        let shown = |kind| advised(&Warning::new(kind, "it happened"));
        assert_eq!(
            shown(WarningKind::PrecisionOverruled),
            "it happened (--force-precision uses the requested precision anyway)"
        );
        assert_eq!(shown(WarningKind::OffloadIgnored), "it happened (leave --offload out)");
        assert_eq!(
            shown(WarningKind::LatentsNotFinite),
            "it happened (--precision names a larger dtype, --cfg-scale a smaller guidance scale)"
        );
        // No flag changes the dtype of a model whose numbers do not fit the requested one.
        assert_eq!(shown(WarningKind::PrecisionUnfit), "it happened");
        assert_eq!(shown(WarningKind::Other), "it happened");
    }
}
