//! `preheat warmup --manifest FILE`: warms what each table lists, on the device that is here or for its targets.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::args::{ModelArgs, WarmupArgs};
use super::output::{document, line};
use super::warmup::warm_one;
use super::{CliError, Context, Status};
use crate::device::Target;
use crate::evidence::{Manifest, ManifestModel};
use crate::pipeline::{Precision, TextToImage};

/// The JSON of each warmup, in the order of the manifest.
#[derive(Serialize)]
struct Tables {
    tables: Vec<Value>,
}

pub(super) fn of_manifest(context: &Context, args: &WarmupArgs, path: &Path) -> Result<Status, CliError> {
    let manifest = Manifest::read(path)?;
    // Every folder is read before anything is compiled: a misspelt name should not cost the compiles before it.
    for folder in manifest.models.iter().filter_map(|model| model.folder.as_ref()) {
        context.args.pipeline().read(folder)?;
    }
    let documents = Arc::new(Mutex::new(Vec::new()));
    for model in &manifest.models {
        let context = with_precisions(context, model, &documents);
        for one in warmups(model, args) {
            if !context.json {
                line(&heading(model, &one))?;
            }
            warm_one(&context, &one)?;
        }
    }
    if context.json {
        let tables = std::mem::take(&mut *documents.lock().unwrap_or_else(PoisonError::into_inner));
        document(&Tables { tables })?;
    }
    Ok(Status::Done)
}

/// A warmup for each target of a table, with guidance and without, with a negative prompt and without.
fn warmups(model: &ManifestModel, args: &WarmupArgs) -> Vec<WarmupArgs> {
    let targets: Vec<Option<&Target>> =
        if model.targets.is_empty() { vec![None] } else { model.targets.iter().map(Some).collect() };
    let mut all = Vec::new();
    for target in targets {
        for (guided, negative_prompt) in model.kinds() {
            let mut one = WarmupArgs {
                model: ModelArgs { model: model.folder.clone(), variant: model.variant.clone() },
                resolutions: model.sizes.clone(),
                aot: target.cloned(),
                jobs: args.jobs,
                force_recompile: args.force_recompile,
                negative_prompt,
                ..WarmupArgs::default()
            };
            let picture = &mut one.signature.picture;
            picture.batch.clone_from(&model.batches);
            picture.cfg_scale = Some(if guided { TextToImage::DEFAULT_CFG_SCALE } else { 1.0 });
            picture.clip_skip = Some(model.clip_skip);
            all.push(one);
        }
    }
    all
}

/// The flags, with what the table says of precisions in their place, and its JSON kept for later.
fn with_precisions(context: &Context, model: &ManifestModel, documents: &Arc<Mutex<Vec<Value>>>) -> Context {
    let mut context = Context { collected: Some(Arc::clone(documents)), ..context.clone() };
    let (flags, own) = (&mut context.args, &model.precisions);
    if own.all != Precision::Auto {
        flags.precision = own.all;
    }
    flags.text_encoder_precision = own.text_encoder.or(flags.text_encoder_precision);
    flags.denoiser_precision = own.denoiser.or(flags.denoiser_precision);
    flags.vae_precision = own.vae.or(flags.vae_precision);
    flags.tpu_autocast_bf16 &= own.autocast;
    context
}

fn heading(model: &ManifestModel, one: &WarmupArgs) -> String {
    let folder =
        model.folder.as_ref().map_or_else(|| "the demo model".to_owned(), |folder| folder.display().to_string());
    let target = one.aot.as_ref().map_or_else(String::new, |target| format!(" for {target}"));
    let guided = one.signature.picture.cfg_scale.is_some_and(|scale| scale > 1.0);
    let negative = if one.negative_prompt { " and a negative prompt" } else { "" };
    format!("{folder}{target}, {} guidance{negative}", if guided { "with" } else { "without" })
}
