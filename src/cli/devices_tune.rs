//! Which batch makes the most pictures per second on a device? `preheat devices tune` finds out by
//! making some pictures in each batch.

use std::ops::RangeInclusive;

use clap::Args;
use serde_json::{Value, json};

use super::advice::all_advised;
use super::args::{ModelArgs, PictureArgs};
use super::context::Context;
use super::output::{document, line, seconds, table};
use super::{CliError, Status, number, run};
use preheat_diffusion::pipeline::{Pipeline, TextToImage, Tried, Tuned};
use preheat_runtime::Runtime;
use preheat_runtime::device::DeviceName;
use preheat_runtime::device::batch;

#[derive(Debug, Args)]
pub(super) struct TuneArgs {
    /// The devices, such as cuda,cpu; each must be available [default: --device]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    devices: Vec<DeviceName>,
    /// The largest batch to try [default: 8, or 4 on a CPU]
    #[arg(long, value_name = "N", value_parser = number::whole(1..=1024_u64))]
    most: Option<u64>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    picture: PictureArgs,
}

/// The result on one device.
struct Found {
    runtime: Runtime,
    range: RangeInclusive<u64>,
    tried: Vec<Tried>,
}

pub(super) fn tune(context: &Context, args: &TuneArgs) -> Result<Status, CliError> {
    if !args.picture.batch.is_empty() {
        return Err(CliError::Usage(
            "tune tries several batches, so --batch has no use here; --most limits them".to_owned(),
        ));
    }
    let mut request = TextToImage { seed: Some(0), ..TextToImage::default() };
    args.picture.refine(&mut request);
    let opened = open(context, args)?;
    // Every device checks the request before any of them runs, so that a wrong size is found
    // before minutes were spent on another device.
    for (_, pipeline) in &opened {
        pipeline.plan(&request)?;
    }
    let mut found = Vec::with_capacity(opened.len());
    for (runtime, pipeline) in &opened {
        let range = range(runtime.device_name(), args.most);
        let (device, most) = (runtime.device_name(), *range.end());
        let begin =
            |batch| context.shown.note(&format!("{device}: batch {batch} of at most {most}"));
        let tried = pipeline.tune(&request, range.clone(), begin)?;
        pipeline.unload();
        runtime.flush();
        found.push(Found { runtime: runtime.clone(), range, tried });
    }
    context.shown.finish();
    let Some((_, first)) = opened.first() else { return Ok(Status::Done) };
    let done = if context.json {
        print_json(first, &request, &found)
    } else {
        print(first, &request, &found)
    };
    // A plugin is slow to free executables and weights; the end of the process frees them at once.
    std::mem::forget(opened);
    done
}

/// Opens every device that was named. A device that is not available is an error before anything
/// is run.
fn open(context: &Context, args: &TuneArgs) -> Result<Vec<(Runtime, Pipeline)>, CliError> {
    if args.devices.is_empty() {
        return Ok(vec![run::open(context, &args.model, None, None)?]);
    }
    let on =
        |device: &DeviceName| run::open(&context.on(&device.to_string()), &args.model, None, None);
    args.devices.iter().map(on).collect()
}

/// The batches that are tried on a device.
fn range(device: DeviceName, most: Option<u64>) -> RangeInclusive<u64> {
    let range = batch::range(device);
    match most {
        Some(most) => most.min(*range.start())..=most,
        None => range,
    }
}

fn print(pipeline: &Pipeline, request: &TextToImage, found: &[Found]) -> Result<Status, CliError> {
    let plan = pipeline.plan(request)?;
    let [width, height] = plan.sizes.requested;
    line(&format!("{}: {width}x{height} px, {} steps", pipeline.model_id(), request.steps))?;
    let mut rows =
        table(&["device", "batch", "step", "decoding a picture", "pictures a second", ""]);
    for (found, tried) in
        found.iter().flat_map(|found| found.tried.iter().map(move |tried| (found, tried)))
    {
        let (device, batch) =
            (found.runtime.device().selected.clone(), tried.batch_size.to_string());
        match &tried.outcome {
            Tuned::Ran(speed) => rows.add_row([
                device,
                batch,
                seconds(speed.seconds_per_step),
                seconds(speed.decode_seconds_per_image),
                rate(speed.images_per_second),
            ]),
            Tuned::TooLarge(why) => {
                rows.add_row([device, batch, "-".into(), "-".into(), "-".into(), why.clone()]);
            }
        }
    }
    rows.print()?;
    for Found { runtime, tried, .. } in found {
        let device = &runtime.device().selected;
        line(&match Tried::best(tried) {
            Some((batch, speed)) => {
                format!(
                    "best on {device}: --batch {batch}, {} pictures a second",
                    rate(speed.images_per_second)
                )
            }
            None => format!("{device}: not even a single picture fits"),
        })?;
    }
    Ok(status(found))
}

fn print_json(
    pipeline: &Pipeline,
    request: &TextToImage,
    found: &[Found],
) -> Result<Status, CliError> {
    let plan = pipeline.plan(request)?;
    let tried = |tried: &Tried| match &tried.outcome {
        Tuned::Ran(speed) => json!({
            "batch": tried.batch_size,
            "fits": true,
            "seconds_per_step": speed.seconds_per_step,
            "decode_seconds_per_image": speed.decode_seconds_per_image,
            "images_per_second": speed.images_per_second,
        }),
        Tuned::TooLarge(why) => json!({ "batch": tried.batch_size, "fits": false, "reason": why }),
    };
    let devices = found.iter().map(|found| {
        let best = Tried::best(&found.tried);
        let best = best.map(|(batch, speed)| json!({ "batch": batch, "images_per_second": speed.images_per_second }));
        json!({
            "device": found.runtime.device(),
            "range": [found.range.start(), found.range.end()],
            "tried": found.tried.iter().map(tried).collect::<Vec<_>>(),
            "best": best,
            "warnings": all_advised(&found.runtime),
        })
    });
    document(&json!({
        "model_id": pipeline.model_id(),
        "requested_size": plan.sizes.requested,
        "padded_size": plan.sizes.padded,
        "steps": request.steps,
        "devices": devices.collect::<Vec<Value>>(),
    }))?;
    Ok(status(found))
}

/// The command has failed if it found no batch to recommend for at least one device.
fn status(found: &[Found]) -> Status {
    let has_best = |found: &Found| Tried::best(&found.tried).is_some();
    if found.iter().all(has_best) { Status::Done } else { Status::Failed }
}

fn rate(per_second: f64) -> String {
    if per_second < 0.1 { format!("{per_second:.4}") } else { format!("{per_second:.2}") }
}
