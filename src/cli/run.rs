//! How does the command line make a picture from a prompt? This module contains `preheat run`. Some
//! other commands, such as `warmup`, `lookup` and `audit`, open their model with its function
//! `open`.

use std::path::{Path, PathBuf};

use preheat_cache::Source;
use preheat_io::result_file::{self, Existing};
use preheat_runtime::threads;

use super::advice::{advised, all_advised};
use super::args::{ModelArgs, RunArgs};
use super::cache::with_effort;
use super::context::Context;
use super::demo_model;
use super::metrics::Timings;
use super::output::{self, document, is_standard_output, line, seconds, table};
use super::program::{RunReport, SignatureReport, SizeReport};
use super::request_log::RequestLogging;
use super::warm_command::{self, Needs};
use super::{CliError, Status, metrics, placement, warmup_finish};
use preheat_diffusion::pipeline::{
    LatentUpscale, Lora, Made, Pipeline, PipelineError, Plan, Sizes, TextToImage,
};
use preheat_runtime::device::Target;
use preheat_runtime::{Metrics, Runtime, SnappedSize, StageReport};

pub(super) fn run(context: &Context, args: &RunArgs) -> Result<Status, CliError> {
    context.args.refuse_force(args.force_recompile)?;
    args.picture.one_batch()?;
    let mut request = request(args)?;
    check_output(&args.output)?;
    if args.log_requests.as_deref().is_some_and(is_standard_output) {
        return Err(CliError::Usage(
            "--log-requests cannot append to standard output: name a file".to_owned(),
        ));
    }
    let mut log = args.log_requests.as_deref().map(RequestLogging::open).transpose()?;
    let (runtime, pipeline) = open(context, &args.model, request.model.as_deref(), None)?;
    args.picture.fit_batch(&pipeline, &mut request)?;
    if request.batch_size > 1 && is_standard_output(&args.output) {
        return Err(CliError::Usage(
            "standard output takes one picture: name a file for a batch".to_owned(),
        ));
    }
    let made = pipeline.run_with(&request, args.force_recompile);
    if let Some(log) = &mut log {
        log.note(context, &runtime, &pipeline, &request, &made);
    }
    let made = made.map_err(|error| explained(error, context, &pipeline, &request))?;
    let images = save(&made, &args.output)?;
    context.shown.finish();
    report(context, &runtime, &pipeline, &made, &images)?;
    warmup_finish::leave_upgrades(context, &runtime)?;
    runtime.finish_uploads();
    runtime.flush();
    // A plugin is slow to free executables and gigabytes of weights piece by piece; the end of the
    // process frees them at once.
    std::mem::forget((runtime, pipeline, made));
    Ok(Status::Done)
}

/// The error of a run. If stages are not warm, it tells which command warms them, and in how many
/// chunks the prompts are read, which no signature has.
fn explained(
    error: PipelineError,
    context: &Context,
    pipeline: &Pipeline,
    request: &TextToImage,
) -> CliError {
    match CliError::from(error) {
        CliError::Runtime(cause @ preheat_runtime::Error::NotWarm(_)) => {
            let upscale = request.upscale_latents;
            let first_pass = TextToImage { upscale_latents: None, ..request.clone() };
            let mut needs = Needs { image_to_image: request.image.is_some(), ..Needs::default() };
            if let Ok(plan) = pipeline.plan(&first_pass) {
                let size = plan.sizes.requested;
                needs.prompt_chunks = plan.prompt_chunks;
                needs.sizes.push(size);
                needs.sizes.extend(upscale.map(|upscale| upscale.size_of(size)));
            }
            let prompt_chunks = needs.prompt_chunks.max(1);
            let command = warm_command::of_this_process((context.command_line)(), &needs);
            CliError::NotWarm { cause: Box::new(cause), prompt_chunks, command }
        }
        error => error,
    }
}

/// The request of the `--request` file, if there is one, with the flags applied to it.
fn request(args: &RunArgs) -> Result<TextToImage, CliError> {
    let mut request = match &args.request {
        Some(path) => TextToImage::read(path)?,
        None => TextToImage::default(),
    };
    args.picture.refine(&mut request);
    if let Some(prompt) = &args.prompt {
        request.prompt.clone_from(prompt);
    }
    if args.negative_prompt.is_some() {
        request.negative_prompt.clone_from(&args.negative_prompt);
    }
    if args.prompt_2.is_some() {
        request.prompt_2.clone_from(&args.prompt_2);
    }
    if args.negative_prompt_2.is_some() {
        request.negative_prompt_2.clone_from(&args.negative_prompt_2);
    }
    request.prompt_syntax = args.prompt_syntax.unwrap_or(request.prompt_syntax);
    if !args.lora.is_empty() {
        request.loras = args.lora.iter().map(|text| Lora::from(text.as_os_str())).collect();
    }
    request.image = args.image.clone().or(request.image);
    request.mask = args.mask.clone().or(request.mask);
    request.strength = args.strength.or(request.strength);
    if let Some(factor) = args.upscale_latents {
        let default = LatentUpscale::new(factor);
        request.upscale_latents = Some(LatentUpscale {
            factor,
            strength: args.upscale_strength.unwrap_or(default.strength),
            mode: args.upscale_mode.unwrap_or(default.mode),
        });
    }
    request.eta = args.eta.unwrap_or(request.eta);
    // One of the two lists replaces whichever the file has, and so does a number of steps.
    if !args.timesteps.is_empty() || !args.sigmas.is_empty() || args.picture.steps.is_some() {
        request.timesteps.clone_from(&args.timesteps);
        request.sigmas.clone_from(&args.sigmas);
    }
    request.seed = args.seed.or(request.seed);
    if request.prompt.is_empty() && args.prompt.is_none() {
        return Err(CliError::Usage(
            "no prompt was given: the request file has none, and there is no --prompt".to_owned(),
        ));
    }
    Ok(request)
}

/// Opens the device and reads the model at the same time.
pub(super) fn open(
    context: &Context,
    args: &ModelArgs,
    of_request: Option<&Path>,
    target: Option<&Target>,
) -> Result<(Runtime, Pipeline), CliError> {
    let named = args.model.as_deref().or(of_request);
    let folder = named.map_or_else(demo_model::folder, |folder| Ok(folder.to_owned()))?;
    let builder = args.apply(context.args.pipeline());
    let read = || builder.clone().read(&folder);
    let (runtime, model) = std::thread::scope(|scope| {
        let model = threads::start(scope, &read);
        let runtime = context.builder_for(target).and_then(|builder| Ok(builder.build()?));
        (runtime, model.join())
    });
    // If both fail, the model's error is reported: a mistyped folder is more likely than a machine
    // without a device.
    let (model, runtime) = (model?, runtime?);
    let pipeline = model.on(&runtime);
    Ok((runtime, pipeline))
}

/// Refuses, before anything is compiled, an output that cannot be written.
fn check_output(path: &Path) -> Result<(), CliError> {
    let becomes_a_file = !result_file::is_written_into(path).map_err(failed(path))?;
    if becomes_a_file && path.extension().is_some_and(|ending| !ending.eq_ignore_ascii_case("png"))
    {
        return Err(CliError::Usage(format!(
            "pictures are PNG files: end the output's name in .png, not {}",
            path.display()
        )));
    }
    output::check(path, Existing::Replace).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> CliError {
    |cause| CliError::File { doing: "writing the picture to", path: path.to_owned(), cause }
}

/// Writes each picture to a file of its own. If the output is a device or a pipe, all pictures are
/// written into it.
fn save(made: &Made, output: &Path) -> Result<Vec<PathBuf>, CliError> {
    let is_one =
        made.pictures.len() == 1 || result_file::is_written_into(output).map_err(failed(output))?;
    let mut paths = Vec::with_capacity(made.pictures.len());
    for (index, picture) in made.pictures.iter().enumerate() {
        let path = if is_one { output.to_owned() } else { numbered(output, index) };
        output::write(&path, &picture.to_png()?).map_err(failed(&path))?;
        paths.push(path);
    }
    Ok(paths)
}

/// The path for one picture of a batch: `out-3.png` for `out.png` and the index 3.
fn numbered(path: &Path, index: usize) -> PathBuf {
    // The name is handled as bytes and not as text, so that a name that is not UTF-8 is kept.
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{index}"));
    if let Some(ending) = path.extension() {
        name.push(".");
        name.push(ending);
    }
    path.with_file_name(name)
}

/// The sizes of a plan, as the JSON output has them.
pub(super) fn sizes(plan: &Plan) -> SizeReport {
    SizeReport {
        requested_size: Some(plan.sizes.requested),
        padded_size: Some(plan.sizes.padded),
        crop_origin: Some(plan.sizes.crop_origin),
        snapped_from: plan.sizes.snapped.map(|snapped| snapped.snapped_from),
        wasted_percent: plan.sizes.snapped.map(|snapped| snapped.wasted_percent),
        prompt_chunks: Some(plan.prompt_chunks),
        from_picture: plan.from_picture,
    }
}

fn report(
    context: &Context,
    runtime: &Runtime,
    pipeline: &Pipeline,
    made: &Made,
    images: &[PathBuf],
) -> Result<(), CliError> {
    let since_start =
        |then: std::time::Instant| then.saturating_duration_since(context.started).as_secs_f64();
    let timings = Timings {
        executables_ready_seconds: since_start(made.executables_ready),
        weights_ready_seconds: since_start(made.weights_ready),
        first_step_seconds: made.steps.first_seconds,
        seconds_per_step: made.steps.mean_seconds,
        total_seconds: context.started.elapsed().as_secs_f64(),
    };
    let stages: Vec<&StageReport> = made.stages.iter().collect();
    let metrics = context.metrics(runtime);
    let loras = made.pictures.first().map_or(&[][..], |picture| &picture.settings.loras);
    if context.json {
        return document(&RunReport {
            device: runtime.device(),
            signature: SignatureReport::new(&made.plan.signature),
            size: sizes(&made.plan),
            seed: Some(made.plan.seed),
            stages: stages.clone(),
            requests: Vec::new(),
            failed: Vec::new(),
            upgrades: Vec::new(),
            placement: made.placement.as_ref(),
            timings,
            images: images.iter().map(|path| path.display().to_string()).collect(),
            loras,
            warnings: all_advised(runtime)
                .into_iter()
                .chain(made.warnings.iter().map(advised))
                .collect(),
            metrics: metrics.as_ref().map(Metrics::flat),
        });
    }
    let signature = &made.plan.signature;
    let [width, height] = made.plan.sizes.requested;
    line(&format!(
        "{} on {}: {width}x{height} px{}, {} of {}, cfg {}, {}{}, seed {}",
        pipeline.model_id(),
        runtime.device().selected,
        cropped(&made.plan.sizes),
        steps(&made.plan),
        signature.scheduler,
        signature.cfg_scale,
        signature.dtype,
        chunks(made.plan.prompt_chunks),
        made.plan.seed
    ))?;
    for lora in loras {
        line(&format!("with the LoRA {} at {}", lora.path.display(), lora.weight))?;
    }
    let mut rows = table(&["", "stage", "how", "match", "graph"]);
    for stage in &made.stages {
        rows.add_row([
            "",
            &with_effort(&stage.stage, Some(stage.effort)),
            &how(stage),
            &stage.matched.to_string(),
            &stage.graph_key.short(),
        ]);
    }
    rows.print()?;
    if let Some(plan) = &made.placement {
        placement::print(plan)?;
    }
    line(&format!(
        "ready after {}, {} a step, done after {}",
        seconds(timings.executables_ready_seconds.max(timings.weights_ready_seconds)),
        seconds(timings.seconds_per_step),
        seconds(timings.total_seconds)
    ))?;
    for path in images {
        line(&path.display().to_string())?;
    }
    if let Some(metrics) = &metrics {
        metrics::print(&timings, &stages, metrics)?;
    }
    Ok(())
}

/// The number of steps, in a few words, and how many of them were left out because the run began
/// with a picture.
fn steps(plan: &Plan) -> String {
    let all = plan.signature.steps;
    let word = if all == 1 { "step" } else { "steps" };
    match plan.from_picture {
        Some(begun) if begun.first_step > 0 => {
            let made = all.saturating_sub(begun.first_step);
            format!("{made} of {all} {word} (strength {})", begun.strength)
        }
        _ => format!("{all} {word}"),
    }
}

/// The number of chunks of a prompt, in a few words; empty for one.
fn chunks(prompt_chunks: u64) -> String {
    if prompt_chunks == 1 { String::new() } else { format!(", {prompt_chunks} chunks of tokens") }
}

/// The size that a picture was cropped from, in a few words; empty if it was not cropped.
fn cropped(sizes: &Sizes) -> String {
    let [width, height] = sizes.padded;
    match sizes.snapped {
        Some(SnappedSize { snapped_from: [own_width, own_height], wasted_percent, .. }) => format!(
            " (cropped from {width}x{height}, because {own_width}x{own_height} is not warm; {wasted_percent} of the computed area is wasted)"
        ),
        None if sizes.requested == sizes.padded => String::new(),
        None => format!(" (cropped from {width}x{height})"),
    }
}

/// How a stage became ready, in a few words.
pub(super) fn how(stage: &StageReport) -> String {
    match stage.source {
        Source::Compiled => format!("compiled in {}", seconds(stage.compile_seconds)),
        Source::Disk => format!("loaded in {}", seconds(stage.load_seconds)),
        Source::Fallback => {
            format!("loaded from a fallback cache in {}", seconds(stage.load_seconds))
        }
        Source::Remote => format!("fetched from a remote in {}", seconds(stage.load_seconds)),
        Source::Memory => "already in memory".to_owned(),
    }
}

impl From<PipelineError> for CliError {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Runtime(preheat_runtime::Error::Cancelled) => Self::Interrupted,
            PipelineError::Runtime(error) => Self::Runtime(error),
            error => Self::Pipeline(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pictures_of_a_batch_are_numbered_before_the_ending() {
        assert_eq!(numbered(Path::new("a/out.png"), 0), Path::new("a/out-0.png"));
        assert_eq!(numbered(Path::new("picture"), 12), Path::new("picture-12"));
    }
}
