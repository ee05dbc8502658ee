//! Which device of this machine is fastest, and does it compute the same picture? `preheat devices
//! bench` compares devices. Each is measured in processes of its own, one after the other
//! (`devices_measure.rs`), so that no device's memory and start-up figures include another's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::Context;
use super::devices_measure::{
    Answer, BenchArgs, Listed, Measured, Part, in_a_child, list_devices, measure,
};
use super::output::{document, line, seconds, table};
use super::{CliError, Status, demo_model};
use preheat_diffusion::pipeline::{Agreement, TextToImage};
use preheat_runtime::device::{DeviceError, DeviceName};
use preheat_runtime::{MemoryOf, PeakMemory};

/// The least PSNR against the reference, in decibels, at which a device passes if every stage
/// computes in float32.
const LEAST_PSNR_FLOAT32_DB: f64 = 45.0;
/// The least PSNR at which a device passes if a stage computes in bfloat16 or float16.
const LEAST_PSNR_LOW_DB: f64 = 35.0;

/// The result for one device.
enum Row {
    Measured(Box<Compared>),
    /// The device was to be measured, and its process failed.
    Failed {
        device: DeviceName,
        error: CliError,
    },
    /// The device is not available, and the user did not name it.
    Absent(Listed),
}

/// A device that was measured.
struct Compared {
    start: Answer,
    run: Measured,
    least_psnr_db: f64,
}

/// The run in float32 that the other devices are compared with.
struct Reference {
    device: DeviceName,
    measured: Measured,
}

pub(super) fn bench(context: &Context, args: &BenchArgs) -> Result<Status, CliError> {
    args.picture.one_batch()?;
    args.picture.refuse_automatic_batch()?;
    let mut request = TextToImage { seed: Some(args.seed), ..TextToImage::new(&args.prompt) };
    args.picture.refine(&mut request);
    if let Some(job) = &args.child {
        return measure(context, args, job, &request);
    }
    // A folder that holds no model is reported before a process is started for each device.
    let folder = args.model.model.clone().map_or_else(demo_model::folder, Ok)?;
    args.model.apply(context.args.pipeline()).read(folder)?;
    let listed = list_devices(&context.cancel)?;
    let (devices, absent) = which(context, args, &listed)?;
    let reference = reference_device(&listed)?;
    let mut rows = Vec::with_capacity(listed.len());
    for (index, device) in devices.iter().enumerate() {
        context.shown.note(&format!("{device} ({} of {}): first start", index + 1, devices.len()));
        rows.push(match of_device(context, args, *device) {
            Ok(row) => row,
            Err(error @ CliError::NotMeasured { .. }) if error.status() == Status::Failed => {
                Row::Failed { device: *device, error }
            }
            Err(error) => return Err(error),
        });
    }
    if rows.iter().all(|row| matches!(row, Row::Failed { .. }))
        && let Some(Row::Failed { error, .. }) = rows.pop()
    {
        return Err(error);
    }
    rows.extend(absent.into_iter().map(Row::Absent));
    let reference = measured_reference(context, reference, &rows)?;
    if context.json {
        document(&to_json(&request, &rows, &reference))?;
    } else {
        print(&request, &rows, &reference)?;
    }
    verdict(rows, &reference)
}

/// The devices to measure, and those that are left out because they are not available.
fn which(
    context: &Context,
    args: &BenchArgs,
    listed: &[Listed],
) -> Result<(Vec<DeviceName>, Vec<Listed>), CliError> {
    let own: DeviceName = context.args.device.parse()?;
    let named = if args.devices.is_empty() && own != DeviceName::Auto {
        vec![own]
    } else {
        args.devices.clone()
    };
    if named.is_empty() {
        let (here, absent): (Vec<_>, Vec<_>) =
            listed.iter().cloned().partition(|device| device.available);
        return Ok((
            here.iter().map(|device| device.name.parse()).collect::<Result<_, _>>()?,
            absent,
        ));
    }
    for &device in &named {
        if device == DeviceName::Auto {
            return Err(CliError::Usage(
                "auto is not one device: name the devices to compare, or leave --devices out to compare all that are here".to_owned(),
            ));
        }
        if !listed.iter().any(|listed| listed.available && listed.name == device.to_string()) {
            // No measurement follows, so this process may open the device itself: that gives the
            // best error message.
            context.on(&device.to_string()).builder()?.build()?;
            let why = "`preheat devices` says why".to_owned();
            return Err(DeviceError::Unavailable { device, why }.into());
        }
    }
    Ok((named, Vec::new()))
}

/// The device of the reference run: the CPU, through libtorch if it is available, or else through
/// XLA.
fn reference_device(listed: &[Listed]) -> Result<DeviceName, CliError> {
    let is_here =
        |device: &DeviceName| listed.iter().any(|it| it.available && it.name == device.to_string());
    [DeviceName::Cpu, DeviceName::XlaCpu].into_iter().find(is_here).ok_or(CliError::NoReference)
}

/// Measures a device in two processes. The first one uses the cache as it is. The second one finds
/// everything in the cache.
fn of_device(context: &Context, args: &BenchArgs, device: DeviceName) -> Result<Row, CliError> {
    let start = in_a_child(device, Part::Start, &context.cancel)?.answer;
    context.shown.note(&format!("{device}: second start, and a run"));
    let run = in_a_child(device, Part::Run, &context.cancel)?;
    let default = if is_float32(&run.answer) { LEAST_PSNR_FLOAT32_DB } else { LEAST_PSNR_LOW_DB };
    let least_psnr_db = args.min_psnr.unwrap_or(default);
    Ok(Row::Measured(Box::new(Compared { start, run, least_psnr_db })))
}

/// The reference run, in float32 on `device`. If one of the measured runs was such a run, it is
/// used; otherwise another run is made.
fn measured_reference(
    context: &Context,
    device: DeviceName,
    rows: &[Row],
) -> Result<Reference, CliError> {
    let torch = &context.args.torch;
    let on_one_device = torch.text_encoder_device.or(torch.vae_device).is_none();
    let serves = |row: &Row| match row {
        Row::Measured(row) => {
            let answer = &row.run.answer;
            let serves = on_one_device && answer.device == device.to_string() && is_float32(answer);
            serves.then(|| row.run.clone())
        }
        _ => None,
    };
    let measured = rows.iter().find_map(serves).map_or_else(
        || {
            context.shown.note(&format!("{device} in float32, which the others are compared with"));
            in_a_child(device, Part::Reference, &context.cancel)
        },
        Ok,
    )?;
    Ok(Reference { device, measured })
}

fn is_float32(answer: &Answer) -> bool {
    answer.dtypes.iter().all(|(_, dtype)| dtype == "float32")
}

impl Reference {
    fn agreement(&self, run: &Measured) -> Agreement {
        Agreement::of(
            [&run.latents, &self.measured.latents],
            [&run.pictures, &self.measured.pictures],
        )
    }
}

/// The outcome of the bench: an error if a device could not be measured, or if its picture is too
/// far from the reference.
fn verdict(rows: Vec<Row>, reference: &Reference) -> Result<Status, CliError> {
    let mut strayed = Vec::new();
    for row in &rows {
        let Row::Measured(row) = row else { continue };
        let Compared { run, least_psnr_db, .. } = &**row;
        let agreement = reference.agreement(run);
        if !agreement.is_within(*least_psnr_db) {
            strayed.push(stray(&run.answer.device, &agreement, *least_psnr_db));
        }
    }
    let failed = rows.into_iter().find_map(|row| match row {
        Row::Failed { error, .. } => Some(error),
        _ => None,
    });
    match failed {
        Some(error) => Err(error),
        None if strayed.is_empty() => Ok(Status::Done),
        None => Err(CliError::Strayed { reference: reference.device, strayed: strayed.join("; ") }),
    }
}

fn stray(device: &str, agreement: &Agreement, least_psnr_db: f64) -> String {
    if !agreement.largest_difference.is_finite() {
        return format!("{device} gave latents that are not finite");
    }
    format!(
        "the PSNR of {device} is {:.1} dB, but at least {least_psnr_db} dB are required (latents \
         differ by {:.1e} of their scale)",
        agreement.psnr_db, agreement.largest_difference
    )
}

fn print(request: &TextToImage, rows: &[Row], reference: &Reference) -> Result<(), CliError> {
    let Reference { device, measured } = reference;
    let [width, height] = measured.answer.requested_size;
    line(&format!(
        "{}: {} x {width}x{height} px, {} steps, against {device} in float32",
        measured.answer.model_id, request.batch_size, request.steps
    ))?;
    let mut lines = table(&[
        "device",
        "dtype",
        "first start",
        "ready",
        "step",
        "picture",
        "peak memory",
        "latents differ",
        "PSNR",
        "least",
    ]);
    for row in rows {
        let Row::Measured(row) = row else { continue };
        let Compared { start, run, least_psnr_db } = &**row;
        let Some(figures) = &run.answer.ran else { continue };
        let Agreement { largest_difference, psnr_db, .. } = reference.agreement(run);
        lines.add_row([
            run.answer.device.clone(),
            dtypes(&run.answer),
            format!("{} ({})", seconds(start.ready_seconds), cold(start)),
            seconds(run.answer.ready_seconds),
            seconds(figures.seconds_per_step),
            seconds(figures.seconds_per_image),
            figures.peak_memory.map(peak).unwrap_or_default(),
            if largest_difference == 0.0 {
                "0".to_owned()
            } else {
                format!("{largest_difference:.1e}")
            },
            if psnr_db.is_finite() { format!("{psnr_db:.1} dB") } else { "the same".to_owned() },
            format!("{least_psnr_db} dB"),
        ]);
    }
    lines.print()?;
    for row in rows {
        match row {
            Row::Measured(_) => {}
            Row::Failed { device, .. } => line(&format!("{device} failed: see above"))?,
            Row::Absent(listed) => {
                let why = listed
                    .reason
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches("; looked at:");
                line(&format!("{} is not here: {why}", listed.name))?;
            }
        }
    }
    Ok(())
}

fn to_json(request: &TextToImage, rows: &[Row], reference: &Reference) -> Value {
    let Reference { device, measured } = reference;
    let row = |row: &Row| match row {
        Row::Measured(row) => row.to_json(&reference.agreement(&row.run)),
        Row::Failed { device, error } => {
            json!({ "device": device.to_string(), "measured": false, "reason": error.to_string() })
        }
        Row::Absent(listed) => {
            json!({ "device": listed.name, "measured": false, "reason": listed.reason })
        }
    };
    json!({
        "model_id": measured.answer.model_id,
        "requested_size": measured.answer.requested_size,
        "batch": request.batch_size,
        "steps": request.steps,
        "seed": request.seed,
        "reference": { "device": device.to_string(), "dtype": "float32" },
        "devices": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

impl Compared {
    /// Infinite numbers are null in JSON.
    fn to_json(&self, agreement: &Agreement) -> Value {
        let Self { start, run, least_psnr_db } = self;
        let ran = run.answer.ran.as_ref();
        json!({
            "device": run.answer.device,
            "kind": run.answer.kind,
            "measured": true,
            "dtypes": run.answer.dtypes.iter().cloned().collect::<BTreeMap<_, _>>(),
            "first_start": {
                "ready_seconds": start.ready_seconds,
                "stages": start.stages,
                "compiled_stages": start.compiled_stages,
            },
            "ready_seconds": run.answer.ready_seconds,
            "seconds_per_step": ran.map(|ran| ran.seconds_per_step),
            "seconds_per_image": ran.map(|ran| ran.seconds_per_image),
            "peak_memory": ran.and_then(|ran| ran.peak_memory),
            "agreement": {
                "largest_difference": agreement.largest_difference,
                "psnr_db": agreement.psnr_db,
                "pictures_are_the_same": agreement.psnr_db.is_infinite(),
                "least_psnr_db": least_psnr_db,
                "is_within": agreement.is_within(*least_psnr_db),
            },
            "warnings": run.answer.warnings,
        })
    }
}

/// Whether the first start found all, some or none of the stages warm.
fn cold(start: &Answer) -> &'static str {
    match start.compiled_stages {
        0 => "warm",
        compiled if compiled == start.stages => "cold",
        _ => "cold in part",
    }
}

/// The dtype that all stages share, or the dtype of each stage if they differ.
fn dtypes(answer: &Answer) -> String {
    match answer.dtypes.as_slice() {
        [(_, first), others @ ..] if others.iter().all(|(_, dtype)| dtype == first) => {
            first.clone()
        }
        all => all
            .iter()
            .map(|(stage, dtype)| format!("{stage} {dtype}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn peak(memory: PeakMemory) -> String {
    let of = match memory.of {
        MemoryOf::Device => "device",
        MemoryOf::Process => "process",
    };
    format!("{} ({of})", indicatif::HumanBytes(memory.bytes))
}
