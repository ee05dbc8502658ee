//! How are many sizes warmed at once? `preheat warmup --manifest FILE` warms what each table of a
//! manifest lists, for the table's targets or, if it names none, on the device that is here.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

use super::args::{BatchSize, ModelArgs, WarmupArgs};
use super::context::Context;
use super::errors::with_causes;
use super::output::{document, line};
use super::warmup_one::warm_one;
use super::{CliError, Status};
use preheat_diffusion::evidence::{Manifest, ManifestModel};
use preheat_diffusion::pipeline::{Precision, TextToImage};
use preheat_runtime::EffortChoice;
use preheat_runtime::device::{Target, XlaDevice};

/// The JSON of each warmup, in the order of the manifest. The JSON of a failed warmup has an
/// `error`, and at least a description of the request.
#[derive(Serialize)]
struct Tables {
    tables: Vec<Value>,
}

pub(super) fn of_manifest(
    context: &Context,
    args: &WarmupArgs,
    path: &Path,
) -> Result<Status, CliError> {
    let manifest = Manifest::read(path)?;
    // Every folder is read before anything is compiled, so that a misspelt name is reported before
    // time is spent on the others.
    for folder in manifest.models.iter().filter_map(|model| model.folder.as_ref()) {
        context.args.pipeline().read(folder)?;
    }
    let documents = Arc::new(Mutex::new(Vec::new()));
    first_wave(context, args, &manifest)?;
    let (mut tables, mut of, mut errors) = (Vec::new(), 0, Vec::new());
    for model in &manifest.models {
        let context = with_settings(context, model, &documents);
        for one in warmups(model, args) {
            of += 1;
            if !context.json {
                line(&heading(model, &one))?;
            }
            let warmed = warm_one(&context, &one);
            let mut own =
                std::mem::take(&mut *documents.lock().unwrap_or_else(PoisonError::into_inner));
            match warmed {
                Ok(_) => {}
                Err(error) if matches!(error.status(), Status::Interrupted) => return Err(error),
                // If one warmup fails, the others are still done.
                Err(error) => {
                    let why = with_causes(&error);
                    if !context.json {
                        line(&format!("failed: {why}"))?;
                    }
                    // A warmup that failed in part has printed a document already.
                    let document = own.pop().unwrap_or_else(|| asked(model, &one));
                    own.push(with_error(document, why));
                    errors.push(error);
                }
            }
            tables.append(&mut own);
        }
    }
    if context.json {
        document(&Tables { tables })?;
    }
    let failed = errors.len();
    match errors.into_iter().next() {
        None => Ok(Status::Done),
        Some(first) => Err(CliError::Tables { failed, of, cause: Box::new(first) }),
    }
}

/// Compiles the lower effort of all tiered tables with targets, so that every graph serves before
/// any is compiled in full. A failure here is not reported: the warmup of the table fails, too.
fn first_wave(context: &Context, args: &WarmupArgs, manifest: &Manifest) -> Result<(), CliError> {
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let mut all = Vec::new();
    for model in &manifest.models {
        let mut context = with_settings(context, model, &dropped);
        let is_tiered = context.args.compile_effort == Some(EffortChoice::Tiered);
        context.args.compile_effort = Some(EffortChoice::Tiered.first_on(TPU).into());
        let ahead = warmups(model, args).into_iter().filter(|one| is_tiered && is_for_a_tpu(one));
        all.extend(ahead.map(|one| (context.clone(), model, one)));
    }
    // One warmup has both waves itself. A forced one would compile the lower effort twice.
    if all.len() < 2 || args.force_recompile {
        return Ok(());
    }
    for (context, model, one) in &all {
        if !context.json {
            line(&format!("{}, so that it can serve", heading(model, one)))?;
        }
        match warm_one(context, one) {
            Err(error) if matches!(error.status(), Status::Interrupted) => return Err(error),
            Err(error) => tracing::debug!("the first wave failed: {}", with_causes(&error)),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The platform that has a lower effort for tiered warmups.
const TPU: &str = "tpu";

fn is_for_a_tpu(one: &WarmupArgs) -> bool {
    one.aot.as_ref().is_some_and(|target| target.device() == XlaDevice::Tpu)
}

/// The description of the request of a failed warmup.
fn asked(model: &ManifestModel, one: &WarmupArgs) -> Value {
    json!({
        "model": model.folder,
        "target": one.aot.as_ref().map(Target::to_string),
        "guided": is_guided(one),
        "negative_prompt": one.negative_prompt,
        "prompt_chunks": one.signature.picture.prompt_chunks,
        "image_to_image": one.image_to_image,
    })
}

fn with_error(mut document: Value, why: String) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.insert("error".to_owned(), why.into());
    }
    document
}

fn is_guided(one: &WarmupArgs) -> bool {
    one.signature.picture.cfg_scale.is_some_and(|scale| scale > 1.0)
}

/// The warmups of one table: one for each target and for each kind of request, which differ in
/// guidance, in the negative prompt and in the number of chunks.
fn warmups(model: &ManifestModel, args: &WarmupArgs) -> Vec<WarmupArgs> {
    let targets: Vec<Option<&Target>> = if model.targets.is_empty() {
        vec![None]
    } else {
        model.targets.iter().map(Some).collect()
    };
    let mut all = Vec::new();
    for target in targets {
        let chunks = model.prompt_chunks.iter();
        let kinds =
            chunks.flat_map(|chunks| model.kinds().into_iter().map(move |kind| (kind, chunks)));
        for ((guided, negative_prompt), &prompt_chunks) in kinds {
            let mut one = WarmupArgs {
                model: ModelArgs {
                    model: model.folder.clone(),
                    variant: model.variant.clone(),
                    ..ModelArgs::default()
                },
                resolutions: model.sizes.clone(),
                aot: target.cloned(),
                jobs: args.jobs,
                force_recompile: args.force_recompile,
                negative_prompt,
                image_to_image: model.image_to_image,
                ..WarmupArgs::default()
            };
            let picture = &mut one.signature.picture;
            picture.batch = model.batches.iter().copied().map(BatchSize::Of).collect();
            picture.cfg_scale = Some(if guided { TextToImage::DEFAULT_CFG_SCALE } else { 1.0 });
            picture.clip_skip = Some(model.clip_skip);
            picture.prompt_chunks = Some(prompt_chunks);
            all.push(one);
        }
    }
    all
}

/// The context of a warmup: the settings that the table gives replace those of the flags, and the
/// JSON is collected for one document at the end.
fn with_settings(
    context: &Context,
    model: &ManifestModel,
    documents: &Arc<Mutex<Vec<Value>>>,
) -> Context {
    let mut context = Context { collected: Some(Arc::clone(documents)), ..context.clone() };
    let (flags, own) = (&mut context.args, &model.precisions);
    if own.all != Precision::Auto {
        flags.precision = own.all;
    }
    flags.text_encoder_precision = own.text_encoder.or(flags.text_encoder_precision);
    flags.denoiser_precision = own.denoiser.or(flags.denoiser_precision);
    flags.vae_precision = own.vae.or(flags.vae_precision);
    flags.tpu_autocast_bf16 &= own.autocast;
    flags.compile_effort = model.compile_effort.or(flags.compile_effort);
    context
}

fn heading(model: &ManifestModel, one: &WarmupArgs) -> String {
    let folder = model
        .folder
        .as_ref()
        .map_or_else(|| "the demo model".to_owned(), |folder| folder.display().to_string());
    let target = one.aot.as_ref().map_or_else(String::new, |target| format!(" for {target}"));
    let negative = if one.negative_prompt { " and a negative prompt" } else { "" };
    let chunks = match one.signature.picture.prompt_chunks {
        None | Some(1) => String::new(),
        Some(chunks) => format!(", {chunks} chunks of tokens"),
    };
    let image = if one.image_to_image { ", image to image" } else { "" };
    format!(
        "{folder}{target}, {} guidance{negative}{chunks}{image}",
        if is_guided(one) { "with" } else { "without" }
    )
}
